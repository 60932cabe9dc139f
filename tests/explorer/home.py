"""A Home Assistant that can be stopped, killed and started, with its disk."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any, override
from unittest.mock import patch

from homeassistant.components.automation.const import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.config_entries import (
    SAVE_DELAY,
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.const import STATE_OFF
from homeassistant.core import CoreState, ServiceCall
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.crypto_invoices.book.loading import looked_up
from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.const import (
    CONF_AUTO_WATCH,
    CONF_ONLY_ORDER_ID,
    CONF_TO_FULFILL,
    DOMAIN,
)
from custom_components.crypto_invoices.delivery.announcement import Announcement
from custom_components.crypto_invoices.delivery.deliveries import RUN_TIMEOUT
from custom_components.crypto_invoices.delivery.listeners import (
    ABSENT_TIMEOUT,
    Subscriber,
    async_get_listeners,
)
from custom_components.crypto_invoices.providers import PROVIDERS

from .host import Gate, Host
from .virtual import VirtualLoop
from .world import INVOICES, MadeUpProvider, World

AUTOMATIONS = ("payments", "changes")


@dataclass(frozen=True)
class Heard:
    """A run of an automation, as it began."""

    automation: str
    announcement_id: str
    invoice: str
    status: str
    attempt: int
    life: int
    """In which life of Home Assistant, counted by its kills and stops."""


@dataclass(frozen=True)
class Announced:
    """An announcement, and who was to hear it."""

    id: str
    invoice: str
    is_payment: bool
    is_revert: bool
    status: str
    to_hear: frozenset[str]
    life: int


@dataclass
class Run:
    """The last run of an automation for an announcement, as far as that has come."""

    began: float
    is_under_way: bool = True
    was_cut: bool = False
    """Whether it was cut while it was waited for, and has to come again."""

    def has_had_its_time(self, now: float) -> bool:
        """Whether it is waited for no longer."""
        return now >= self.began + RUN_TIMEOUT - 0.1


class Home(Host):
    """One account in a Home Assistant that is not treated well."""

    def __init__(self, folder: Path, loop: VirtualLoop, world: World) -> None:
        """Prepare an empty disk."""
        super().__init__(folder, loop)
        self.world = world
        self.heard: list[Heard] = []
        self.armed_at: list[int] = []
        """When an automation was armed, by the runs before: that may be long after it was saved."""
        self.actions = Gate()
        self.gates["actions"] = self.actions
        self.versions = dict.fromkeys(AUTOMATIONS, 0)
        self.deleted: set[str] = set()
        self.callers: list[asyncio.Task[Any]] = []
        self.announced: list[Announced] = []
        self.runs: dict[tuple[str, str], Run] = {}
        """By automation and announcement ID."""
        self.unarmed: set[str] = set()
        """Automations that were switched on or are new, and whose triggers are not armed yet."""
        self.absent_since: dict[str, float] = {}
        """Since when automations have had no triggers."""
        self.off: set[str] = set()
        self.setting_up: asyncio.Task[Any]
        self._entry_data: dict[str, Any] = {
            "provider": "made_up",
            "url": "http://made.up",
            "webhook_id": "hook",
            "invoices": [looked_up(world.invoice(id_)) for id_ in INVOICES[:2]],
        }
        self._entry_on_disk = dict(self._entry_data)
        self._entry_changed = -math.inf
        self.options: dict[str, Any] = {CONF_TO_FULFILL: True}

    @property
    def is_auto_watched(self) -> bool:
        """Whether the account is to be watched automatically."""
        return bool(self.options.get(CONF_AUTO_WATCH))

    def set_options(self, *, auto_watch: bool, order_id: str | None) -> None:
        """Set the account's options, as its dialog does; what they are is never lost."""
        self.options |= {CONF_AUTO_WATCH: auto_watch, CONF_ONLY_ORDER_ID: order_id}
        if self.is_running:
            self.hass.config_entries.async_update_entry(self.entry, options=dict(self.options))
            self.loop.settle()

    def is_wanted(self, order_id: str | None) -> bool:
        """Whether what is watched automatically includes an order."""
        return self.options.get(CONF_ONLY_ORDER_ID) in (None, order_id)

    def hint(self, ids: Iterable[str], *, is_trusted: bool) -> None:
        """Let a hint come, as the webhook passes it on."""
        account = self.entry.runtime_data
        account.coordinator.async_hint(ids)
        account.auto_watch.async_hint(ids, is_trusted=is_trusted)
        self.loop.settle()

    @override
    @contextmanager
    def patched(self) -> Iterator[None]:
        """Let time, disk and provider be ours."""
        MadeUpProvider.world = self.world
        with (
            super().patched(),
            patch.dict(PROVIDERS, {"made_up": MadeUpProvider}),
            patch(f"custom_components.{DOMAIN}.clients.async_get_clientsession"),
        ):
            yield

    async def async_start(self) -> None:
        """Start Home Assistant, up to where the account is set up."""
        hass = await self.async_begin()
        self.entry = MockConfigEntry(
            domain=DOMAIN,
            entry_id="account",
            title="Shop",
            data=dict(self._entry_data),
            options=dict(self.options),
        )
        self.entry.add_to_hass(hass)
        async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._note_entry)
        async_get_listeners(hass).subscribe(Subscriber(self._watch, self._never))
        await hass.config_entries.async_setup(self.entry.entry_id)

    @override
    def register_actions(self) -> None:
        """Register the action that automations run."""
        self.hass.services.async_register("test", "report", self._report(self.life))

    @override
    def automations(self) -> dict[str, Any]:
        """Return the automations as they are saved now."""
        triggers = {"payments": "crypto_invoices.paid", "changes": "crypto_invoices.status_changed"}
        return {
            AUTOMATION_DOMAIN: [
                {
                    "id": name,
                    "alias": name,
                    "description": f"Version {self.versions[name]}",
                    "mode": "parallel",
                    "max": 100,
                    "triggers": [{"trigger": triggers[name]}],
                    "actions": [
                        {
                            "action": "test.report",
                            "data": {
                                "automation": name,
                                "announcement_id": "{{ trigger.announcement_id }}",
                                "invoice": "{{ trigger.invoice_id }}",
                                "status": "{{ trigger.status }}",
                                "attempt": "{{ trigger.attempt }}",
                            },
                        }
                    ],
                }
                for name in AUTOMATIONS
                if name not in self.deleted
            ]
        }

    def _report(self, life: int) -> Callable[[ServiceCall], Any]:
        """Return the action that automations run."""

        async def report(call: ServiceCall) -> None:
            if life != self.life:
                return
            heard = Heard(life=life, **call.data)
            self.heard.append(heard)
            run = Run(self.loop.passed)
            self.runs[heard.automation, heard.announcement_id] = run
            try:
                await self.actions.async_pass()
            except asyncio.CancelledError:
                run.was_cut = life == self.life and not run.has_had_its_time(self.loop.passed)
                raise
            finally:
                run.is_under_way = False

        return report

    def is_armed(self, name: str) -> bool:
        """Whether an automation's triggers are armed."""
        listener = async_get_listeners(self.hass).automations.get(name)
        return listener is not None and listener.is_there

    def look_for_automations(self) -> None:
        """Note which automations are armed now."""
        is_arming = self.arming.is_held or bool(self.arming.waiting)
        for name in AUTOMATIONS:
            state = self.hass.states.get(f"automation.{name}")
            is_off = state is not None and state.state == STATE_OFF and not is_arming
            if self.is_armed(name) and not is_off:
                self.unarmed.discard(name)
                self.absent_since.pop(name, None)
                continue
            self.absent_since.setdefault(name, self.loop.passed)
            if is_off:
                # Who switches it off and on while it is being saved finds it off, armed or not.
                self.unarmed.add(name)

    def _watch(self, announcement: Announcement) -> bool:
        """Note an announcement, and which automations are to hear it."""
        assert self.hass.state is CoreState.running, "announced before the start"
        self.announced.append(
            Announced(
                announcement.id,
                announcement.invoice_id,
                announcement.is_payment,
                announcement.kind == "payment_reverted",
                announcement.status.value,
                frozenset(name for name in AUTOMATIONS if self.is_promised(name)),
                self.life,
            )
        )
        return False

    def _never(self, announcement: Announcement, attempt: int) -> asyncio.Task[Any]:
        """Run nothing."""
        raise NotImplementedError

    def is_promised(self, name: str) -> bool:
        """Whether an automation hears what is announced now: also while it is being saved."""
        return name not in self.deleted | self.off | self.unarmed | self.long_absent

    @property
    def long_absent(self) -> set[str]:
        """Automations that have been away for so long that nobody waits for them."""
        latest = self.loop.passed - ABSENT_TIMEOUT
        return {name for name, since in self.absent_since.items() if since <= latest}

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Begin something that may be cancelled."""
        self.callers.append(self.loop.create_task(coroutine))
        self.loop.settle()
        self.callers = [task for task in self.callers if not task.done()]

    def _note_entry(self, _: ConfigEntryChange, entry: ConfigEntry) -> None:
        """Keep what Home Assistant writes of the account's entry, a moment after it has changed."""
        if self.hass.state is CoreState.stopped:
            return
        if self.loop.passed >= self._entry_changed + SAVE_DELAY:
            self._entry_on_disk = self._entry_data
        self._entry_data = dict(entry.data)
        self._entry_changed = self.loop.passed

    def kill(self, *, entry_is_older: bool) -> None:
        """Lose everything but the disk, and of the entry what was changed in the last moment."""
        if entry_is_older and self.loop.passed < self._entry_changed + SAVE_DELAY:
            self._entry_data = self._entry_on_disk
        self.bury()

    def lose_file(self, *, is_there: bool) -> None:
        """Let the account's file be damaged, or gone."""
        for path in self.folder.glob(f".storage/{DOMAIN}.account.db"):
            path.unlink()
            if is_there:
                path.write_text("Once upon a time there was a database here.")

    @override
    def note_end(self) -> None:
        """Let nobody wait any more."""
        self._entry_changed = -math.inf
        self.world.questions.clear()
        # A start that waits for its first reading would wait for ever: nobody lets time pass.
        self.world.is_held = False
        self.callers.clear()

    @override
    def note_arming(self) -> None:
        """Note that runs may be cut now."""
        self.armed_at.append(len(self.heard))

    def state(self, unique_id: str) -> str | None:
        """Return what a sensor shows, None where there never was such a sensor."""
        entity_id = er.async_get(self.hass).async_get_entity_id("sensor", DOMAIN, unique_id)
        if entity_id is None:
            return None
        state = self.hass.states.get(entity_id)
        assert state is not None, f"{entity_id} was shown, and isn't any more"
        return state.state

    def record_on_disk(self, id_: str) -> Record | None:
        """Return what was written of an invoice that is watched."""
        found = self.storages[-1].find((id_,)).get(id_)
        return found if isinstance(found, Record) else None

    @property
    def is_loaded(self) -> bool:
        """Whether the account is loaded."""
        return self.entry.state is ConfigEntryState.LOADED
