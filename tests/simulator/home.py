"""The shop's Home Assistant: all accounts, set up in their dialogs, on a machine that fails."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Self, override
from unittest.mock import patch

from homeassistant.components import webhook
from homeassistant.components.automation.const import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigEntryState
from homeassistant.core import CoreState, HomeAssistant, ServiceCall
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from homeassistant.util.aiohttp import MockRequest

from custom_components.crypto_invoices.book.writer import HELD
from custom_components.crypto_invoices.const import CONF_TO_FULFILL, DOMAIN
from custom_components.crypto_invoices.delivery.announcement import Announcement
from custom_components.crypto_invoices.delivery.listeners import Subscriber, async_get_listeners
from custom_components.crypto_invoices.providers.lnbits.hints import LNbitsHints
from custom_components.crypto_invoices.runtime import AccountRuntime
from tests.explorer.host import Host
from tests.explorer.virtual import VirtualLoop

from . import own_api
from .heard import Announced, Heard
from .log import Log
from .mail import Push
from .plan import ACCOUNTS, AUTOMATIONS
from .wire import ADDRESS, Session, Socket

_FULFILLED_AUTOMATICALLY = 0.8
# How long it takes until something is written, or read, in seconds.
_WRITTEN_IN = (0, 0, 0.01, 0.3, 0.3)
_READ_IN = (0, 0, 0, 0, 0.05, 0.2)
# How long an automation runs.
_RUNS_FOR = (0, 0, 0.05, 1.0, 4.0, 12.0)
_TIME_ZONE = "Europe/Berlin"
_AT_HOME = "http://127.0.0.1:8123"
_TRIGGERS = {"payments": "crypto_invoices.paid", "changes": "crypto_invoices.status_changed"}


class ShopHome(Host):
    """Home Assistant with an account at each provider and two automations."""

    def __init__(
        self, folder: Path, loop: VirtualLoop, session: Session, dice: Random, log: Log
    ) -> None:
        """Prepare an empty disk."""
        super().__init__(folder, loop)
        self._session = session
        self._dice = dice
        self._log = log
        self.entry_ids: dict[str, str] = {}
        """By the account's key."""
        self.heard = Heard(loop.time)
        self.versions = dict.fromkeys(AUTOMATIONS, 0)
        self.disk_is = "well"
        self.dies_at: tuple[int, str] | None = None
        """At which write it dies, and whether before or after it."""
        self.kills = self.stops = self.writes = 0
        self.ran: Callable[[], object] = lambda: None
        """Called whenever an automation has run."""

    @override
    @contextmanager
    def patched(self) -> Iterator[None]:
        """Let time, disk, network be ours."""

        async def connect(hints: LNbitsHints, session: object) -> Socket:
            return Socket(self._session, hints._settings["api_key"])

        with (
            super().patched(),
            patch(
                f"custom_components.{DOMAIN}.clients.async_get_clientsession",
                lambda *_, **__: self._session,
            ),
            patch.object(LNbitsHints, "_async_connect", connect),
            patch.object(LNbitsHints, "_session_of_its_own", lambda _: _NoSession()),
        ):
            yield

    @override
    async def async_load_registries(self) -> None:
        """Load what was written of the registries and accounts."""
        await super().async_load_registries()
        hass = self.hass
        hass.config.internal_url = _AT_HOME
        await hass.config.async_set_time_zone(_TIME_ZONE)
        await hass.config_entries.async_initialize()
        vars(hass)["async_add_import_executor_job"] = self._executor(self.life)

    @override
    def register_actions(self) -> None:
        """Register the action that automations run."""
        self.hass.services.async_register("test", "report", self._report(self.life))
        watcher = Subscriber(self._watch, self._never)
        async_get_listeners(self.hass).subscribe(watcher)

    def _report(self, life: int) -> Callable[[ServiceCall], Coroutine[Any, Any, None]]:
        """Return the action that automations run, which takes a moment or longer."""

        async def report(call: ServiceCall) -> None:
            if life != self.life:
                return
            automation, id_ = call.data["automation"], call.data["announcement_id"]
            run = self.heard.begin(automation, id_, life)
            announced = self.heard.by_id[id_]
            self._log.write(f"{automation} hears {announced.invoice} is {announced.status}")
            is_cut = True
            try:
                await asyncio.sleep(self._dice.choice(_RUNS_FOR))
                if automation == "payments" and self._dice.random() < _FULFILLED_AUTOMATICALLY:
                    await self.async_fulfill(announced)
                is_cut = False
            finally:
                self.heard.end(run, is_cut=is_cut)
                self.ran()

        return report

    async def async_fulfill(self, announced: Announced) -> None:
        """Fulfill a payment, and remember it once that is said to be so."""
        try:
            await self.hass.services.async_call(
                DOMAIN,
                "fulfill",
                {"announcement_id": announced.id},
                blocking=True,
                return_response=True,
            )
        except HomeAssistantError as err:
            self._log.write(f"{announced.invoice} is not fulfilled: {err.translation_key}")
            return
        # While a backup is made, nothing is written.
        if HELD not in self.hass.data:
            self.heard.fulfilled.add(announced.id)

    def _watch(self, announcement: Announcement) -> bool:
        """Note an announcement."""
        assert self.hass.state is CoreState.running, "announced before the start"
        self._log.write(
            f"announced: {announcement.invoice_id} {announcement.kind} {announcement.id}"
        )
        self.heard.note(announcement, announcement.entry_id)
        return False

    def _never(self, announcement: Announcement, attempt: int) -> asyncio.Task[Any]:
        """Run nothing."""
        raise NotImplementedError

    @override
    def note_arming(self) -> None:
        """Note that an automation that is armed takes the place of one that may still run."""
        for name in AUTOMATIONS:
            self.heard.cuts[name] += 1

    @override
    def automations(self) -> dict[str, Any]:
        """Return the automations as they are saved now."""
        data = {"announcement_id": "{{ trigger.announcement_id }}"}
        return {
            AUTOMATION_DOMAIN: [
                {
                    "id": name,
                    "alias": name,
                    "description": f"Version {self.versions[name]}",
                    "mode": "parallel",
                    "max": 100,
                    "triggers": [{"trigger": _TRIGGERS[name]}],
                    "actions": [{"action": "test.report", "data": {"automation": name, **data}}],
                }
                for name in AUTOMATIONS
            ]
        }

    async def async_set_up_accounts(self) -> None:
        """Load the accounts, as Home Assistant does when it starts."""
        assert await async_setup_component(self.hass, DOMAIN, {})

    @override
    async def async_pass_reading(self) -> str:
        """Let it take a while until something is read, unless it is dead."""
        if self.hass.state is not CoreState.stopped:
            await asyncio.sleep(self._dice.choice(_READ_IN))
        return await super().async_pass_reading()

    @override
    async def async_pass_to_disk(self) -> str:
        """Let a write begin: it fails while the disk is full, and may be the last thing."""
        self.writes += 1
        if self._is_last_write("before"):
            self.loop.halt()
            await asyncio.get_running_loop().create_future()
        # Other things go on meanwhile, unless it is dead: nothing is written then.
        is_dead = self.hass.state is CoreState.stopped
        await asyncio.sleep(0 if is_dead else self._dice.choice(_WRITTEN_IN))
        return "badly" if self.disk_is == "full" else await super().async_pass_to_disk()

    @override
    async def async_pass_from_disk(self) -> None:
        """Let a write end: nobody may come to know it."""
        if self._is_last_write("after"):
            self.loop.halt()
            await asyncio.get_running_loop().create_future()

    def _is_last_write(self, when: str) -> bool:
        """Whether it dies at this write."""
        if self.dies_at is None or self.dies_at[1] != when:
            return False
        self.dies_at = self.dies_at[0] - 1, when
        return self.dies_at[0] <= 0

    def entry(self, key: str) -> ConfigEntry[AccountRuntime] | None:
        """Return an account's entry, None while there is none."""
        if not self.is_running:
            return None
        return self.hass.config_entries.async_get_entry(self.entry_ids[key])

    def lose_file(self, key: str, *, is_there: bool) -> None:
        """Let the file of an account be damaged, or gone."""
        path = self.folder / f".storage/{DOMAIN}.{self.entry_ids[key]}.db"
        assert path.exists()
        path.unlink()
        if is_there:
            path.write_text("Once upon a time there was a database here.")

    def account(self, key: str) -> AccountRuntime | None:
        """Return an account, None while it isn't loaded."""
        entry = self.entry(key)
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return None
        return entry.runtime_data

    def is_written(self, key: str) -> bool:
        """Whether all that an account knows is on disk: not while that is full, nor in a backup."""
        account = self.account(key)
        return account is not None and not account.book.writer.failed and HELD not in self.hass.data

    def loaded(self) -> Iterator[tuple[str, AccountRuntime]]:
        """Yield the accounts that are loaded."""
        for key in self.entry_ids:
            if (account := self.account(key)) is not None:
                yield key, account

    def post(self, push: Push, answered: Callable[[int], None]) -> None:
        """Let a push come; nobody answers while Home Assistant isn't there."""
        if not self.is_running:
            answered(0)
            return
        self.start(self._async_post(push, answered))

    async def _async_post(self, push: Push, answered: Callable[[int], None]) -> None:
        """Let the webhook handle a push."""
        request = MockRequest(
            push.letter.body,
            "the simulator",
            method="POST",
            headers=dict(push.letter.headers),
            remote="127.0.0.1",
        )
        status = 0
        try:
            response = await webhook.async_handle_webhook(self.hass, push.webhook_id, request)
            status = response.status
        finally:
            answered(status)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin something that goes on by itself."""
        return self.loop.create_task(work)


class _NoSession:
    """Stands in for the session of a connection of its own."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        """Nothing to end."""


async def async_add_accounts(
    hass: HomeAssistant,
    credentials: Mapping[str, Any],
    auto_watched: AbstractSet[str],
    invoices: Mapping[str, str],
) -> dict[str, str]:
    """Set up an account at each provider in its dialog, some with an invoice.

    Returns the entries' IDs.
    """
    found = {}
    for key, account in ACCOUNTS.items():
        if key == own_api.KEY:
            result = await _async_describe(hass, credentials[key])
        else:
            result = await _async_enter(hass, key, credentials[key])
        assert result["type"] is FlowResultType.FORM, result
        assert result["step_id"].startswith("invoices"), result
        form: dict[str, Any] = {"auto_watch": key in auto_watched} if account.has_list else {}
        if key in invoices:
            form["invoices"] = invoices[key]
        result = await _async_submit(hass, result, form)
        assert result["type"] is FlowResultType.CREATE_ENTRY, result
        entry = result["result"]
        hass.config_entries.async_update_entry(
            entry, title=account.name, options={**entry.options, CONF_TO_FULFILL: True}
        )
        found[key] = entry.entry_id
    return found


async def _async_submit(hass: HomeAssistant, result: Any, form: Mapping[str, Any]) -> Any:
    """Fill in a dialog."""
    return await hass.config_entries.flow.async_configure(result["flow_id"], dict(form))


async def _async_open(hass: HomeAssistant, *steps: str) -> Any:
    """Open the dialog of a new account, and choose from its menus."""
    result: Any = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    for step in steps:
        result = await _async_submit(hass, result, {"next_step_id": step})
    return result


async def _async_enter(hass: HomeAssistant, key: str, credentials: Mapping[str, str]) -> Any:
    """Enter the credentials of a provider."""
    result = await _async_open(hass, key)
    return await _async_submit(hass, result, fill_in(result, {**credentials, "url": ADDRESS}))


async def _async_describe(hass: HomeAssistant, credentials: Mapping[str, str]) -> Any:
    """Describe an API, as somebody does who has nothing but its documentation."""
    result = await _async_open(hass, "another_api", "preset_none")
    access = {**own_api.ACCESS, **credentials, "url": f"{ADDRESS}/orders/{{id}}"}
    result = await _async_submit(hass, result, fill_in(result, access))
    assert result["step_id"] == "preview", result
    reading = {**own_api.READING, "sample_id": credentials["sample_id"]}
    form = fill_in(result, reading)
    result = await _async_submit(hass, result, form)
    if result["step_id"] == "preview":
        # What leads to nothing may be right for another invoice.
        result = await _async_submit(hass, result, form)
    assert result["step_id"] == "read", result
    return await _async_submit(hass, result, {"next_step_id": "accept"})


def fill_in(result: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the fields of a form that there are values for, those in sections too."""
    return _fill_in(result["data_schema"].schema, values)


def _fill_in(fields: Mapping[Any, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in fields."""
    filled: dict[str, Any] = {}
    for marker, kind in fields.items():
        name = str(marker)
        if hasattr(kind, "schema") and hasattr(kind, "options") and "collapsed" in kind.options:
            filled[name] = _fill_in(kind.schema.schema, values)
        elif name in values:
            filled[name] = values[name]
    return filled
