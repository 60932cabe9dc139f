"""Reading an account again and again, whatever the provider does."""

from collections.abc import Callable, Mapping
from datetime import timedelta
import logging
import time
from typing import Any
from unittest.mock import Mock

from aiohttp.web import StreamResponse
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.crypto_invoices.providers.egates import gateway
from sandbox import effects
from sandbox.faults import Fault
from sandbox.wire import json_response
from tests.conftest import (
    CLOCK,
    EACH,
    AddAccount,
    SandboxServer,
    account_state,
    async_delete_device,
    async_later,
    async_settle,
    each_provider,
    give_word,
    load_state,
    state_of,
    struck,
    watched,
)

DOWN = [
    Fault.RATE_LIMITED,
    Fault.RATE_LIMITED_SECONDS,
    Fault.RATE_LIMITED_DATE,
    Fault.SERVER_ERROR,
    Fault.BAD_GATEWAY,
    Fault.TIMEOUT,
    Fault.SLOW_BODY,
    Fault.TRUNCATED,
    Fault.HTML,
    Fault.EMPTY,
    Fault.REDIRECT,
    Fault.OVERSIZED,
    Fault.WRONG_TYPES,
    Fault.MISSING_ROWS,
]


type Logged = Callable[[int], list[str]]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """Return a way to ask what a level logged since it was last asked."""
    caplog.set_level(logging.INFO)

    def messages(level: int) -> list[str]:
        found = [
            record.getMessage()
            for record in caplog.records
            if record.name.startswith("custom_components.crypto_invoices")
            and (record.levelno >= level if level > logging.INFO else record.levelno == level)
        ]
        if level == logging.INFO:
            caplog.clear()
        return found

    return messages


def statuses(hass: HomeAssistant, entry: ConfigEntry, ids: list[str]) -> list[str]:
    """Return what the status sensors of invoices say."""
    return [state_of(hass, entry, id_, "status").state for id_ in ids]


@pytest.mark.usefixtures("entities_enabled")
@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        *(("cryptocloud", fault) for fault in DOWN),
        *((provider, Fault.SERVER_ERROR) for provider in EACH[1:]),
    ],
)
async def test_outage(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    logged: Logged,
    *,
    provider: str,
    fault: Fault,
) -> None:
    """In an outage sensors are unavailable, and come back; each is logged in one line."""
    ids = [sandbox.store.create(provider).id for _ in range(2)]
    entry = await add_account(provider, *ids)
    known = {id_: one.invoice for id_, one in entry.runtime_data.coordinator.data.items()}
    assert not logged(logging.WARNING)
    logged(logging.INFO)
    with struck(sandbox, provider, fault):
        for _ in range(3):
            await async_later(hass)
            expected = "not_found" if fault is Fault.MISSING_ROWS else "unavailable"
            assert statuses(hass, entry, ids) == [expected] * 2
    assert account_state(hass, entry, "last_reading").state not in ("unavailable", "unknown")
    down = logged(logging.WARNING)
    assert len(down) == 1, down
    assert not logged(logging.INFO)

    sandbox.store.act(provider, ids[1], "pay")
    for _ in range(2):
        await async_later(hass)
        assert statuses(hass, entry, ids) == ["pending", "paid"]
    assert not logged(logging.WARNING)
    up = logged(logging.INFO)
    assert len(up) == 1, up
    assert entry.runtime_data.coordinator.data[ids[0]].invoice == known[ids[0]]
    assert not hass.config_entries.flow.async_progress()


@pytest.mark.parametrize("provider", ["cryptocloud", "egates"])
@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED_SECONDS, Fault.RATE_LIMITED_DATE])
async def test_retry_after(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    *,
    provider: str,
    fault: Fault,
) -> None:
    """Nothing is asked before the time is over that the provider wants to be left alone."""
    monkeypatch.setattr(effects, "RETRY_AFTER", 300)
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    sandbox.switch(provider, fault)
    await async_later(hass)
    sandbox.switch(provider, None)
    before = sandbox.requests(provider)
    await async_later(hass, 61)
    await async_later(hass, 230)
    assert sandbox.requests(provider) == before
    assert state_of(hass, entry, invoice.id, "status").state == "unavailable"
    await async_later(hass, 10)
    assert sandbox.requests(provider) == before + 1
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
    await async_later(hass, 61)
    assert sandbox.requests(provider) == before + 2


@each_provider
async def test_one_missing_invoice(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    logged: Logged,
    provider: str,
) -> None:
    """An invoice that the provider no longer knows says so, alone."""
    ids = [sandbox.store.create(provider).id for _ in range(3)]
    entry = await add_account(provider, *ids)
    logged(logging.INFO)
    sandbox.store.act(provider, ids[1], "delete")
    for _ in range(2):
        await async_later(hass)
        assert statuses(hass, entry, ids) == ["pending", "not_found", "pending"]
    assert entry.runtime_data.coordinator.last_update_success
    assert account_state(hass, entry, "open_invoices").state == "3"
    [line] = logged(logging.WARNING)
    assert ids[1] in line
    assert ids[0] not in line
    logged(logging.INFO)
    sandbox.store.create(provider, invoice_id=ids[1])
    for _ in range(2):
        await async_later(hass)
    assert statuses(hass, entry, ids) == ["pending"] * 3
    assert not logged(logging.WARNING)
    [line] = logged(logging.INFO)
    assert ids[1] in line


@each_provider
async def test_one_broken_invoice(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    logged: Logged,
    monkeypatch: pytest.MonkeyPatch,
    *,
    provider: str,
) -> None:
    """An invoice that can't be read is unavailable alone, and comes back alone."""
    ids = [sandbox.store.create(provider).id for _ in range(3)]
    entry = await add_account(provider, *ids)
    logged(logging.INFO)
    give_word(sandbox, monkeypatch, provider, ids[1], 7)
    sandbox.store.act(provider, ids[2], "pay")
    for _ in range(2):
        await async_later(hass)
        assert statuses(hass, entry, ids) == ["pending", "unavailable", "paid"]
    [line] = logged(logging.WARNING)
    assert ids[1] in line
    give_word(sandbox, monkeypatch, provider, ids[1], {"paid": True})
    await async_later(hass)
    assert logged(logging.WARNING) == [line]
    sandbox.store.get(provider, ids[1]).state = sandbox.store.get(provider, ids[2]).state
    await async_later(hass)
    assert statuses(hass, entry, ids) == ["pending", "paid", "paid"]


@each_provider
async def test_unknown_status(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    logged: Logged,
    provider: str,
) -> None:
    """A word that nobody knows is logged once, keeps the invoice open and breaks nothing."""
    ids = [sandbox.store.create(provider).id for _ in range(2)]
    entry = await add_account(provider, *ids)
    logged(logging.INFO)
    for fault in (Fault.UNKNOWN_STATUS, Fault.UNKNOWN_STATUS, None, Fault.UNKNOWN_STATUS):
        sandbox.switch(provider, fault)
        await async_later(hass)
        state = state_of(hass, entry, ids[0], "status")
        assert state.state == ("unknown" if fault else "pending")
        assert state.attributes["provider_status"].lower() == (
            "frozen" if fault else state.attributes["provider_status"].lower()
        )
        assert account_state(hass, entry, "open_invoices").state == "2"
    [line] = logged(logging.WARNING)
    assert "frozen" in line.lower()


async def test_status_that_is_no_word(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    logged: Logged,
) -> None:
    """What stands for a status but could be private is not logged."""
    invoice = sandbox.store.create("cryptocloud").id
    await add_account("cryptocloud", invoice)
    give_word(sandbox, monkeypatch, "cryptocloud", invoice, "bc1qsomebodysaddress")
    await async_later(hass)
    [line] = logged(logging.WARNING)
    assert "not a word" in line
    assert "somebody" not in line


@each_provider
async def test_extra_fields(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """What is new in an answer changes nothing."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    known = entry.runtime_data.coordinator.data
    sandbox.switch(provider, Fault.EXTRA_FIELDS)
    await async_later(hass)
    assert entry.runtime_data.coordinator.last_update_success
    assert entry.runtime_data.coordinator.data == known


@each_provider
async def test_nothing_new_writes_no_state(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """Only what changed is written: a payment touches the sensors of its own invoice."""
    ids = [sandbox.store.create(provider).id for _ in range(2)]
    entry = await add_account(provider, *ids)
    await async_later(hass)
    written: list[str] = []
    names = {
        entity.entity_id: entity.unique_id.removeprefix(f"{entry.entry_id}_")
        for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    }

    @callback
    def note(event: Event[Any]) -> None:
        written.append(names[event.data["entity_id"]])

    @callback
    def is_ours(data: Mapping[str, Any]) -> bool:
        return data["entity_id"] in names

    for event_type in (EVENT_STATE_CHANGED, EVENT_STATE_REPORTED):
        hass.bus.async_listen(event_type, note, event_filter=is_ours)
    # Less than until Home Assistant renews the tokens of images.
    await async_later(hass, 60)
    assert not written
    sandbox.store.act(provider, ids[1], "pay")
    await async_later(hass, 60)
    assert f"{ids[1]}_status" in written
    assert not [name for name in written if name.startswith(ids[0])]


async def test_signing_is_remembered(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A gateway that signs another way from now on is found out once, and remembered."""
    sandbox.sandbox.set("egates", "signing", "invoice_id")
    invoice = sandbox.store.create("egates")
    entry = await add_account("egates", invoice.id)
    assert entry.data["signing"] == "invoice_id"
    runtime = entry.runtime_data
    sandbox.sandbox.set("egates", "signing", "timestamp")
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
    assert entry.data["signing"] == "timestamp"
    assert entry.runtime_data is runtime, "learning reloads nothing"
    before = sandbox.requests("egates")
    await async_later(hass)
    assert sandbox.requests("egates") == before + 1
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert sandbox.requests("egates") == before + 2


@each_provider
async def test_polling_without_entities(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """Invoices are watched even where every entity is disabled."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    registry = er.async_get(hass)
    for entity in er.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_update_entity(entity.entity_id, disabled_by=er.RegistryEntryDisabler.USER)
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert not hass.states.async_all("sensor")
    before = sandbox.requests(provider)
    sandbox.store.act(provider, invoice.id, "pay")
    for number in (1, 2):
        await async_later(hass)
        assert sandbox.requests(provider) >= before + number
    assert entry.runtime_data.coordinator.data[invoice.id].record.status == "paid"


async def test_many_invoices_cost_few_requests(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A hundred invoices are one request."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(101)]
    await add_account("cryptocloud", *ids)
    before = sandbox.requests("cryptocloud")
    await async_later(hass)
    assert sandbox.requests("cryptocloud") == before + 2


async def test_no_invoices_no_reading(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Where nothing is asked, nothing was read."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    await async_delete_device(hass, entry, invoice.id)
    await async_later(hass, 1)
    last = entry.runtime_data.coordinator.reader.last_reading
    sandbox.switch("cryptocloud", Fault.SERVER_ERROR)
    await async_later(hass)
    assert entry.runtime_data.coordinator.reader.last_reading == last


@pytest.mark.parametrize("provider", ["cryptocloud", "egates"])
@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.HTML])
async def test_an_outage_is_no_reading(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    *,
    provider: str,
    fault: Fault,
) -> None:
    """The last successful reading is the last that brought something to read."""
    entry = await add_account(provider, *(sandbox.store.create(provider).id for _ in range(2)))
    last = entry.runtime_data.coordinator.reader.last_reading
    sandbox.switch(provider, fault)
    await async_later(hass)
    assert entry.runtime_data.coordinator.reader.last_reading == last


@each_provider
async def test_a_new_key_is_needed(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    logged: Logged,
    provider: str,
) -> None:
    """A key that is refused again and again is one line in the log and one dialog."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    sandbox.switch(provider, Fault.FORBIDDEN)
    for _ in range(3):
        await async_later(hass)
    assert len(logged(logging.WARNING)) == 1
    assert len(hass.config_entries.flow.async_progress()) == 1
    assert state_of(hass, entry, invoice.id, "status").state == "unavailable"
    sandbox.switch(provider, None)
    await async_later(hass, 3601)
    assert not hass.config_entries.flow.async_progress()
    assert state_of(hass, entry, invoice.id, "status").state == "pending"


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(days=-400)])
async def test_e_gates_signs_the_time_while_the_clock_is_wrong(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    off: timedelta,
) -> None:
    """The gateway says what time it is: with a clock that is off, it is set up and read as ever."""
    sandbox.sandbox.set("egates", "signing", "timestamp")
    monkeypatch.setattr(gateway, "time", Mock(time=lambda: time.time() + off.total_seconds()))
    invoice = sandbox.store.create("egates")
    entry = await add_account("egates", invoice.id)
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert load_state(entry) is ConfigEntryState.LOADED
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
    assert not hass.config_entries.flow.async_progress()


async def test_a_gateway_that_blames_the_clock(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The message names the clock, no new key is asked for, and it goes on when that is right."""
    sandbox.sandbox.set("egates", "signing", "timestamp")
    invoice = sandbox.store.create("egates")
    entry = await add_account("egates", invoice.id)

    async def refuse(call: effects.Call) -> StreamResponse:
        return json_response({"success": False, "errors": "Timestamp is too old"}, status=400)

    with monkeypatch.context() as patch:
        patch.setitem(effects.EFFECTS, Fault.FORBIDDEN, refuse)
        sandbox.switch("egates", Fault.FORBIDDEN)
        for _ in range(3):
            await async_later(hass)
    assert "Check the clock" in caplog.text
    assert not hass.config_entries.flow.async_progress()
    assert state_of(hass, entry, invoice.id, "status").state == "unavailable"
    sandbox.switch("egates", None)
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "pending"


async def test_wall_clock_is_a_day_behind(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What is paid then was paid today: the provider says what time it is."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    clocks = entry.runtime_data.clocks
    assert clocks.is_server_known
    clocks.wall = lambda: dt_util.utcnow() - timedelta(days=10)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass, 31)
    clocks.wall = dt_util.utcnow
    await async_later(hass, 301)
    assert account_state(hass, entry, "paid_today").state == "1"
    assert watched(entry) == [invoice.id]


async def test_clock_is_set_to_another_day(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Paid today is that of the present day, some minutes after the clock was set at the latest."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass, 31)
    before = account_state(hass, entry, "paid_today")
    assert before.state == "1"
    # No time passes, but for some minutes.
    freezer.tick(timedelta(days=2))
    CLOCK.passed += 300
    for _ in range(2):
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=5))
        await async_settle(hass)
    after = account_state(hass, entry, "paid_today")
    assert after.state == "0"
    assert after.attributes["last_reset"] != before.attributes["last_reset"]
