"""What most tests need: Home Assistant, and the sandbox over HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import repeat
import json
import logging
from pathlib import Path
from string import Formatter
from time import monotonic
from typing import Any

from aiohttp import ClientTimeout
from aiohttp.test_utils import TestServer
from homeassistant.components.automation.const import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.components.image.const import DOMAIN as IMAGE_DOMAIN
from homeassistant.components.repairs import RepairsFlow
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
)
from homeassistant.core import (
    DOMAIN as HOMEASSISTANT_DOMAIN,
    HomeAssistant,
    ServiceCall,
    State,
)
from homeassistant.data_entry_flow import FlowHandler, FlowManager, FlowResultType, section
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from hypothesis import settings
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
from pytest_homeassistant_custom_component.syrupy import HomeAssistantSnapshotExtension
from syrupy.assertion import SnapshotAssertion
import voluptuous as vol

from custom_components import crypto_invoices
from custom_components.crypto_invoices import PLATFORMS
from custom_components.crypto_invoices.const import DOMAIN, SUBENTRY_TYPE_INVOICE
from custom_components.crypto_invoices.dialogs.options import AccountOptionsFlow
from custom_components.crypto_invoices.providers import PROVIDERS, http
from sandbox import registry
from sandbox.app import create_app
from sandbox.btcpay_access import ISSUED, WEBHOOKS
from sandbox.btcpay_webhooks import Webhooks
from sandbox.core import SANDBOX, Sandbox
from sandbox.cryptocloud_wallets import WALLETS
from sandbox.faults import Fault
from sandbox.lnbits import LISTENERS
from sandbox.lnbits_socket import Listeners
from sandbox.store import Store

# Nobody reads each statement that the recorder executes.
logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)
# The same examples each time: what lands does not depend on luck. New ones are looked for on purpose.
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")

PACKAGE = Path(crypto_invoices.__file__).parent
ENGLISH = json.loads((PACKAGE / "translations" / "en.json").read_text())
ICONS = json.loads((PACKAGE / "icons.json").read_text())

# Every provider that the sandbox plays.
EACH = list(registry.PROVIDERS)
each_provider = pytest.mark.parametrize("provider", EACH)
# Those that read many invoices with one request.
BATCHED = [key for key, provider in registry.PROVIDERS.items() if provider.batched]
# Those with a stream: once connected, it has what is open read, as something may have been missed.
STREAMING = [key for key in EACH if hasattr(PROVIDERS[key], "async_stream")]

type FlowResult = Mapping[str, Any]


@pytest.fixture(autouse=True)
def enable_event_loop_debug() -> None:
    """Leave debug mode off, in which each future remembers where it was made.

    That takes a third of the time. Home Assistant itself tells who calls it from another thread.
    """


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Give each test a configuration directory of its own: books are files."""
    return hass_tmp_config_dir


@pytest.fixture(autouse=True)
def _custom_integrations(request: pytest.FixtureRequest) -> None:
    """Let Home Assistant find the integration, in tests that have a Home Assistant."""
    if "hass" in request.fixturenames:
        request.getfixturevalue("enable_custom_integrations")


@pytest.fixture
def untranslated() -> set[str]:
    """Return the providers that need no texts: those that a test makes up."""
    return set()


@pytest.fixture(autouse=True)
def _translated_flows(monkeypatch: pytest.MonkeyPatch, untranslated: set[str]) -> None:
    """Hold every dialog of every test against the texts that a user would read."""
    handle_step = FlowManager._async_handle_step

    async def checked(
        self: FlowManager, flow: FlowHandler, step_id: str, user_input: Any
    ) -> FlowResult:
        result = await handle_step(self, flow, step_id, user_input)
        # A pair of the entry and the type where a subentry is added.
        handler: Any = flow.handler
        if isinstance(flow, RepairsFlow):
            if flow.handler == DOMAIN:
                _check_texts(_fix_flow_texts(flow), result, untranslated)
        elif handler == DOMAIN:
            _check_texts(ENGLISH["config"], result, untranslated)
        elif isinstance(flow, AccountOptionsFlow):
            _check_texts(ENGLISH["options"], result, untranslated)
        elif isinstance(handler, tuple) and handler[1] in ENGLISH["config_subentries"]:
            _check_texts(ENGLISH["config_subentries"][handler[1]], result, untranslated)
        return result

    monkeypatch.setattr(FlowManager, "_async_handle_step", checked)


def _fix_flow_texts(flow: RepairsFlow) -> Mapping[str, Any]:
    """Return the texts of the dialog in which an issue is fixed."""
    key, _, entry_id = flow.issue_id.rpartition("_")
    assert entry_id
    texts: Mapping[str, Any] = ENGLISH["issues"][key]["fix_flow"]
    return texts


def _check_texts(texts: Mapping[str, Any], result: FlowResult, untranslated: set[str]) -> None:
    """Fail for a dialog with a missing text, or a text with a gap that nothing fills."""
    given = result.get("description_placeholders") or {}
    if result["type"] is FlowResultType.ABORT:
        if not result.get("translation_domain"):
            _check_gaps(texts["abort"][result["reason"]], given)
    elif result["type"] is FlowResultType.SHOW_PROGRESS:
        assert texts["step"][result["step_id"]]["title"]
        _check_gaps(texts["progress"][result["progress_action"]], given)
    elif result["type"] is FlowResultType.EXTERNAL_STEP:
        step = texts["step"][result["step_id"]]
        _check_gaps(step["title"] + step["description"], given)
    elif result["type"] in (FlowResultType.FORM, FlowResultType.MENU):
        for error in (result.get("errors") or {}).values():
            _check_gaps(texts["error"][error], given)
        if result["step_id"] in untranslated:
            return
        step = texts["step"][result["step_id"]]
        # The frontend fills no gaps in the title of a menu.
        filled = given if result["type"] is FlowResultType.FORM else {}
        _check_gaps(step["title"], filled)
        _check_gaps(step.get("description", ""), given)
        for option in set(result.get("menu_options") or ()) - untranslated:
            assert step["menu_options"][option]
        if result["type"] is FlowResultType.FORM:
            shown = {*fields_of(result["data_schema"]), "base"}
            assert (result["errors"] or {}).keys() <= shown, "an error at a field that isn't shown"
            _check_labels(step, result["data_schema"])


def _check_gaps(text: str, given: Mapping[str, str]) -> None:
    gaps = {name for _, name, _, _ in Formatter().parse(text) if name}
    assert gaps <= given.keys(), f"nothing fills {gaps - given.keys()} in {text!r}"


def _check_labels(step: Mapping[str, Any], schema: vol.Schema) -> None:
    for name, kind in fields_of(schema).items():
        if isinstance(kind, section):
            assert step["sections"][name]["name"]
            _check_labels(step["sections"][name], kind.schema)
        else:
            assert step["data"][name]
            assert step["data_description"][name]


@pytest.fixture
def entities_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enable the entities that are disabled at first."""
    monkeypatch.setattr(Entity, "entity_registry_enabled_default", True)


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Return snapshots as Home Assistant writes them."""
    return snapshot.use_extension(HomeAssistantSnapshotExtension)


@dataclass
class SandboxServer:
    """The sandbox behind a real port."""

    url: str
    sandbox: Sandbox
    webhooks: Webhooks
    """Those that were made at BTCPay Server."""

    listeners: Listeners
    """Who listens to LNbits."""
    wallets: dict[str, str]
    """CryptoCloud's static wallets: their references by their addresses."""

    issued_keys: dict[str, tuple[str, ...]]
    """Those that its page made, with what each may do."""

    with_postback_secret: bool = False

    @property
    def store(self) -> Store:
        """The invoices."""
        return self.sandbox.store

    def settings(self, provider: str) -> dict[str, Any]:
        """Return the credentials of a provider with the address, as an entry stores them."""
        return {"url": self.url, **self.sandbox.providers[provider].credentials}

    def credentials_form(self, provider: str, **typed: str) -> dict[str, Any]:
        """Return the credentials as the config flow's form is filled in; ``typed`` goes before."""
        secret = self.sandbox.providers[provider].push_credentials
        extra = secret if self.with_postback_secret else {}
        return fill(provider, {**self.settings(provider), **extra, **typed})

    def switch(self, provider: str, fault: str | None, count: int | None = None) -> None:
        """Switch a fault on or off."""
        self.sandbox.faults.switch(provider, fault, count=count)

    def requests(self, provider: str) -> int:
        """Return how many times invoices were asked for."""
        return self.sandbox.requests[provider, "invoices"]

    def rotate_keys(
        self, provider: str, monkeypatch: pytest.MonkeyPatch, mark: str = "new"
    ) -> None:
        """Accept other keys from now on, and only those."""
        credentials: Any = self.sandbox.providers[provider].credentials
        for key in credentials:
            monkeypatch.setitem(credentials, key, f"{mark}-{credentials[key]}")


@pytest.fixture
async def sandbox(socket_enabled: None) -> AsyncGenerator[SandboxServer]:
    """Serve a sandbox without invoices on loopback."""
    app = create_app(slow_seconds=5)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    url = str(server.make_url("")).rstrip("/")
    yield SandboxServer(url, app[SANDBOX], app[WEBHOOKS], app[LISTENERS], app[WALLETS], app[ISSUED])
    await server.close()


async def async_setup_views(hass: HomeAssistant) -> None:
    """Set up what adds to the web server, before that runs and takes no more."""
    for domain in (IMAGE_DOMAIN, DOMAIN):
        assert await async_setup_component(hass, domain, {})


@contextmanager
def struck(sandbox: SandboxServer, provider: str, fault: Fault) -> Generator[None]:
    """Let a fault befall a provider, and cut short the waiting for what never comes."""
    sandbox.switch(provider, fault)
    with pytest.MonkeyPatch.context() as patch:
        if fault in (Fault.TIMEOUT, Fault.SLOW_BODY, Fault.LATE_ANSWER):
            patch.setattr(http, "REQUEST_TIMEOUT", ClientTimeout(total=0.2))
        yield
    sandbox.switch(provider, None)


def give_word(
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
    invoice_id: str,
    word: object,
) -> None:
    """Let the provider say something of its own for the status of one invoice."""
    words: Any = sandbox.sandbox.providers[provider].words
    monkeypatch.setitem(words, "odd", word)
    invoice: Any = sandbox.store.get(provider, invoice_id)
    invoice.state = "odd"


type AddAccount = Callable[..., Awaitable[ConfigEntry]]


@pytest.fixture
async def add_account(hass: HomeAssistant, sandbox: SandboxServer) -> AddAccount:
    """Return a way to set up an account with invoices, through the config flow."""

    async def add(provider: str, *invoice_ids: str, **typed: str) -> ConfigEntry:
        result = await async_open_credentials(hass, provider)
        result = await async_submit(hass, result, sandbox.credentials_form(provider, **typed))
        result = await async_submit(hass, result, {"invoices": "\n".join(invoice_ids)})
        assert result["type"] is FlowResultType.CREATE_ENTRY, result
        await async_settle(hass)
        if provider in STREAMING:
            await async_until(lambda: sandbox.listeners.count > 0)
            await async_settle(hass)
        entry: ConfigEntry = result["result"]
        return entry

    return add


async def async_open_credentials(hass: HomeAssistant, provider: str) -> FlowResult:
    """Start to add an account, up to the form for its credentials."""
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    return await async_submit(hass, result, {"next_step_id": provider})


def open_dialog(hass: HomeAssistant) -> FlowResult:
    """Return the only dialog that waits for the user."""
    [result] = hass.config_entries.flow.async_progress()
    return result


def load_state(entry: ConfigEntry) -> ConfigEntryState:
    """Return how an account is now, which says nothing about later."""
    return entry.state


async def async_submit(
    hass: HomeAssistant, result: FlowResult, form: Mapping[str, Any]
) -> FlowResult:
    """Fill in a dialog of the config flow."""
    return await hass.config_entries.flow.async_configure(result["flow_id"], dict(form))


async def async_open_add_invoices(hass: HomeAssistant, entry: ConfigEntry) -> FlowResult:
    """Start to add invoices to an account."""
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_TYPE_INVOICE), context={"source": SOURCE_USER}
    )


async def async_submit_ids(hass: HomeAssistant, result: FlowResult, ids: str) -> FlowResult:
    """Fill in which invoices to add to an account."""
    return await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"invoices": ids}
    )


async def async_add_invoices(hass: HomeAssistant, entry: ConfigEntry, ids: Iterable[str]) -> None:
    """Add invoices to an account and wait until they have been read."""
    result = await async_open_add_invoices(hass, entry)
    result = await async_submit_ids(hass, result, " ".join(ids))
    assert result["type"] is FlowResultType.ABORT, result
    assert result["reason"] in ("invoice_added", "invoices_added")
    await async_later(hass, 1)


def not_found_error(provider: str) -> str:
    """Return what a form says of IDs that the provider doesn't know."""
    withdrawals = PROVIDERS[provider].has_withdrawals
    return "ids_not_found_or_withdrawal" if withdrawals else "ids_not_found"


def refused_key(provider: str) -> dict[str, str]:
    """Return a form's errors where the provider refuses the key, or one of two."""
    proven = [field.key for field in PROVIDERS[provider].fields if field.is_proven]
    return dict.fromkeys(proven, "key_or_secret") if proven else {"api_key": "invalid_auth"}


def fill(provider: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Return settings as the form of their provider holds them."""
    advanced = {field.key for field in PROVIDERS[provider].fields if field.advanced}
    return {
        **{key: value for key, value in settings.items() if key not in advanced},
        "advanced": {key: value for key, value in settings.items() if key in advanced},
    }


def fields_of(schema: vol.Schema | None) -> dict[str, Any]:
    """Return the fields of a form by name."""
    return {} if schema is None else {str(marker): kind for marker, kind in schema.schema.items()}


def kept(schema: vol.Schema | None) -> dict[str, Any]:
    """Return what a form already holds, without what it leaves empty."""
    assert schema is not None
    values: dict[str, Any] = {}
    for marker, kind in schema.schema.items():
        if isinstance(kind, section):
            values[str(marker)] = kept(kind.schema)
        elif (value := (marker.description or {}).get("suggested_value")) is not None:
            values[str(marker)] = value
    return values


class Clock:
    """The clock that the integration reads: the real one, and what tests let pass."""

    passed = 0.0

    def __call__(self, now: Callable[[], float] = monotonic) -> float:
        """Return the seconds."""
        return now() + self.passed


CLOCK = Clock()


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests move the clock."""
    for module in ("account", "clients"):
        monkeypatch.setattr(f"custom_components.crypto_invoices.{module}.monotonic", CLOCK)


def pass_time(hass: HomeAssistant, seconds: float = 61) -> None:
    """Let time pass; what was due then begins."""
    CLOCK.passed += seconds
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))


def make_due(entry: ConfigEntry) -> None:
    """Make the next reading one of every invoice."""
    coordinator = entry.runtime_data.coordinator
    for one in coordinator.data.values():
        one.plan(coordinator.clocks.monotonic())
    coordinator.reader.async_arm()


async def async_later(hass: HomeAssistant, seconds: float = 16 * 60) -> None:
    """Let time pass until every invoice is read again, whatever its age and status."""
    CLOCK.passed += seconds
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        make_due(entry)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await async_settle(hass)


async def async_until_asked(sandbox: SandboxServer, provider: str) -> None:
    """Let a request that is under way reach the sandbox, without waiting for the answer."""
    before = sandbox.requests(provider)
    async with asyncio.timeout(5):
        for _ in repeat(None):
            await asyncio.sleep(0)
            if sandbox.requests(provider) > before:
                return


async def async_act(hass: HomeAssistant, action: str, **data: Any) -> dict[str, Any]:
    """Run one of our actions and return what it answers."""
    answer = await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=True
    )
    assert answer is not None
    return dict(answer)


async def async_refused(hass: HomeAssistant, action: str, **data: Any) -> HomeAssistantError:
    """Run one of our actions and return its error, which has a text without gaps."""
    with pytest.raises(HomeAssistantError) as caught:
        await async_act(hass, action, **data)
    error = caught.value
    if error.translation_domain == DOMAIN:
        text = ENGLISH["exceptions"][error.translation_key]["message"]
        _check_gaps(text, error.translation_placeholders or {})
    else:
        assert error.translation_domain == HOMEASSISTANT_DOMAIN
    return error


def find_entity(hass: HomeAssistant, entry: ConfigEntry, *unique_id: str) -> str | None:
    """Return the ID of an entity, by invoice ID and key, or by the key of an account's."""
    registry, wanted = er.async_get(hass), "_".join((entry.entry_id, *unique_id))
    found = (registry.async_get_entity_id(domain, DOMAIN, wanted) for domain in PLATFORMS)
    return next((entity_id for entity_id in found if entity_id), None)


def state_of(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str, key: str) -> State:
    """Return the state of an entity of an invoice."""
    return _state(hass, entry, invoice_id, key)


def account_state(hass: HomeAssistant, entry: ConfigEntry, key: str) -> State:
    """Return the state of an entity of an account."""
    return _state(hass, entry, key)


def _state(hass: HomeAssistant, entry: ConfigEntry, *unique_id: str) -> State:
    entity_id = find_entity(hass, entry, *unique_id)
    assert entity_id, unique_id
    state = hass.states.get(entity_id)
    assert state, entity_id
    return state


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a provider's request less time than the sandbox's slow faults take."""
    monkeypatch.setattr(
        "custom_components.crypto_invoices.providers.http.REQUEST_TIMEOUT",
        ClientTimeout(total=1),
    )


type Runs = list[dict[str, Any]]


@pytest.fixture
def reports(hass: HomeAssistant) -> Runs:
    """Return what automations report with the action ``test.report``, as it comes."""
    seen: Runs = []

    async def report(call: ServiceCall) -> None:
        seen.append(dict(call.data))

    hass.services.async_register("test", "report", report)
    return seen


@pytest.fixture
async def runs(hass: HomeAssistant, reports: Runs) -> Runs:
    """Run an automation on any payment, and return what each run was told."""
    await arm(hass, {"trigger": "crypto_invoices.paid"})
    return reports


async def arm(hass: HomeAssistant, *triggers: dict[str, Any]) -> None:
    """Set up an automation that reports its runs."""
    assert await async_setup_component(
        hass,
        AUTOMATION_DOMAIN,
        {
            AUTOMATION_DOMAIN: {
                "id": "report",
                "alias": "Report",
                "mode": "parallel",
                "max": 1000,
                "triggers": list(triggers),
                "actions": {
                    "action": "test.report",
                    "data": {
                        "invoice": "{{ trigger.invoice_id }}",
                        "id": "{{ trigger.announcement_id }}",
                        "status": "{{ trigger.status }}",
                        "amount": "{{ trigger.amount }}",
                    },
                },
            }
        },
    )
    await hass.async_block_till_done()


async def async_automate(hass: HomeAssistant, *automations: Mapping[str, Any]) -> None:
    """Set up automations; each is an object of the YAML list."""
    config = [
        {"id": f"a{number}", "alias": f"Automation {number}", **given}
        for number, given in enumerate(automations)
    ]
    assert await async_setup_component(hass, AUTOMATION_DOMAIN, {AUTOMATION_DOMAIN: config})
    await hass.async_block_till_done()


def device_id(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str | None = None) -> str:
    """Return the ID of the device of an invoice, or of the account."""
    identifier = entry.entry_id if invoice_id is None else f"{entry.entry_id}_{invoice_id}"
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, identifier), entry.entry_id)
    assert device, identifier
    return device.id


def watched(entry: ConfigEntry) -> list[str]:
    """Return the IDs of the watched invoices, in the order they were added."""
    return list(entry.runtime_data.book.records)


async def async_delete_device(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> None:
    """Delete the device of an invoice, as a user does on its page, which stops the watching."""
    id_ = device_id(hass, entry, invoice_id)
    devices = dr.async_get(hass)
    device = devices.async_get(id_)
    assert isinstance(device, dr.DeviceEntry)
    assert await crypto_invoices.async_remove_config_entry_device(hass, entry, device)
    if devices.async_get(id_) is not None:
        devices.async_remove_device(id_)


async def async_until(holds: Callable[[], bool]) -> None:
    """Let happen what is under way, without waiting for all of it."""
    async with asyncio.timeout(10):
        for _ in repeat(None):
            if holds():
                return
            await asyncio.sleep(0)


async def async_settle(hass: HomeAssistant) -> None:
    """Wait until nothing is read or delivered any more; who listens or waits goes on."""
    is_quiet = False
    for _ in range(50):
        await hass.async_block_till_done()
        working = [
            task
            for task in hass._background_tasks
            if isinstance(task, asyncio.Task)
            and not task.done()
            and not task.get_name().endswith((" stream", " dialog"))
        ]
        if not working and is_quiet:
            return
        is_quiet = not working
        if is_quiet:
            # Whatever ended just now arms its timers in the next turn.
            await asyncio.sleep(0)
        else:
            await asyncio.wait(working, timeout=5)
    raise AssertionError("it never ends")


def watched_name(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> str | None:
    """Return what the device of an invoice is called."""
    device = dr.async_get(hass).async_get(device_id(hass, entry, invoice_id))
    assert device
    return device.name
