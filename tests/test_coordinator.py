"""Reading an account again and again, whatever the provider does."""

from collections.abc import Callable, Mapping
import logging
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
import pytest

from sandbox import effects
from sandbox.faults import Fault

from .conftest import (
    AddAccount,
    SandboxServer,
    account_state,
    async_later,
    async_open_add_invoices,
    async_submit_ids,
    async_until_asked,
    give_word,
    pass_time,
    state_of,
    struck,
)

PROVIDERS = ["cryptocloud", "cryptocloud_v1", "egates", "btcpay"]
each_provider = pytest.mark.parametrize("provider", PROVIDERS)

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
@each_provider
@pytest.mark.parametrize("fault", DOWN)
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
    known = dict(entry.runtime_data.data.invoices)
    assert not logged(logging.WARNING)
    logged(logging.INFO)
    with struck(sandbox, provider, fault):
        for _ in range(3):
            await async_later(hass)
            assert statuses(hass, entry, ids) == ["unavailable"] * 2
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
    assert entry.runtime_data.data.invoices[ids[0]] == known[ids[0]]
    assert not hass.config_entries.flow.async_progress()


@each_provider
@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.TIMEOUT])
async def test_short_outage(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    *,
    provider: str,
    fault: Fault,
) -> None:
    """In an outage what is known is kept, for templates that look behind the sensors."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    known = entry.runtime_data.data
    with struck(sandbox, provider, fault):
        await async_later(hass)
    assert entry.runtime_data.data is known


@each_provider
async def test_unauthorized_is_logged_once(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    logged: Logged,
    provider: str,
) -> None:
    """A refused key is one line and one dialog."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    sandbox.switch(provider, Fault.UNAUTHORIZED)
    for _ in range(3):
        await async_later(hass)
    assert len(logged(logging.WARNING)) == 1
    assert len(hass.config_entries.flow.async_progress()) == 1
    assert state_of(hass, entry, invoice.id, "status").state == "unavailable"


@each_provider
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
async def test_short_retry_after(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """A wait shorter than the usual one is as long as the provider says."""
    invoice = sandbox.store.create(provider)
    await add_account(provider, invoice.id)
    sandbox.switch(provider, Fault.RATE_LIMITED_SECONDS)
    await async_later(hass)
    before = sandbox.requests(provider)
    await async_later(hass, effects.RETRY_AFTER - 2)
    assert sandbox.requests(provider) == before
    await async_later(hass, 3)
    assert sandbox.requests(provider) == before + 1


@each_provider
async def test_one_missing_invoice(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    logged: Logged,
    provider: str,
) -> None:
    """An invoice that the provider no longer knows is unavailable alone."""
    ids = [sandbox.store.create(provider).id for _ in range(3)]
    entry = await add_account(provider, *ids)
    logged(logging.INFO)
    sandbox.store.act(provider, ids[1], "delete")
    for _ in range(2):
        await async_later(hass)
        assert statuses(hass, entry, ids) == ["pending", "unavailable", "pending"]
    assert entry.runtime_data.last_update_success
    assert account_state(hass, entry, "open_invoices").state == "2"
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
    known = entry.runtime_data.data
    sandbox.switch(provider, Fault.EXTRA_FIELDS)
    await async_later(hass)
    assert entry.runtime_data.last_update_success
    assert entry.runtime_data.data == known


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
    await hass.async_block_till_done()
    assert not hass.states.async_all("sensor")
    before = sandbox.requests(provider)
    sandbox.store.act(provider, invoice.id, "pay")
    for number in (1, 2):
        await async_later(hass)
        assert sandbox.requests(provider) == before + number
    assert entry.runtime_data.data.invoices[invoice.id].status == "paid"


async def test_many_invoices_cost_few_requests(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A hundred invoices are one request."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(101)]
    await add_account("cryptocloud", *ids)
    before = sandbox.requests("cryptocloud")
    await async_later(hass)
    assert sandbox.requests("cryptocloud") == before + 2


@each_provider
async def test_removed_during_a_reading(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """An answer about an invoice that was removed while it was on its way is left aside."""
    stays, goes = (sandbox.store.create(provider).id for _ in range(2))
    entry = await add_account(provider, stays, goes)
    sandbox.sandbox.faults.slow_seconds = 0.1
    sandbox.switch(provider, Fault.TIMEOUT)
    pass_time(hass)
    await async_until_asked(sandbox, provider)
    [subentry_id] = [
        subentry.subentry_id for subentry in entry.subentries.values() if subentry.unique_id == goes
    ]
    hass.config_entries.async_remove_subentry(entry, subentry_id)
    await async_later(hass, 1)
    assert entry.runtime_data.data.invoices.keys() == {stays}
    assert account_state(hass, entry, "open_invoices").state == "1"


@each_provider
async def test_added_during_a_reading(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """An invoice that is added while others are read is read right after them."""
    first, second = (sandbox.store.create(provider).id for _ in range(2))
    entry = await add_account(provider, first)
    result = await async_open_add_invoices(hass, entry)
    sandbox.sandbox.faults.slow_seconds = 0.1
    sandbox.switch(provider, Fault.TIMEOUT, count=1)
    pass_time(hass)
    await async_until_asked(sandbox, provider)
    await async_submit_ids(hass, result, second)
    await async_later(hass, 1)
    assert statuses(hass, entry, [first, second]) == ["pending"] * 2


async def test_no_invoices_no_reading(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Where nothing is asked, nothing was read."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    [subentry_id] = entry.subentries
    hass.config_entries.async_remove_subentry(entry, subentry_id)
    await async_later(hass, 1)
    last = entry.runtime_data.last_reading
    sandbox.switch("cryptocloud", Fault.SERVER_ERROR)
    await async_later(hass)
    assert entry.runtime_data.last_reading == last


@each_provider
@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.HTML, Fault.TRUNCATED])
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
    last = entry.runtime_data.last_reading
    sandbox.switch(provider, fault)
    await async_later(hass)
    assert entry.runtime_data.last_reading == last
