"""Adding invoices to an account, and taking them out again."""

import asyncio
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from custom_components.crypto_invoices.dialogs import add_invoices
from custom_components.crypto_invoices.dialogs.invoice_ids import CheckedIds, async_check_ids
from sandbox.faults import Fault
from tests.conftest import (
    AddAccount,
    SandboxServer,
    account_state,
    async_add_invoices,
    async_delete_device,
    async_later,
    async_open_add_invoices,
    async_settle,
    async_submit_ids,
    each_provider,
    find_entity,
    kept,
    not_found_error,
    state_of,
    watched,
)

# No provider's ID, and too long for a word.
OTHER = "what-is-this-0123456789"


def watch_for_reload(entry: ConfigEntry) -> list[str]:
    """Return a list that gets an item when the entry is unloaded."""
    unloaded: list[str] = []
    entry.async_on_unload(lambda: unloaded.append("unloaded"))
    return unloaded


def devices_of(hass: HomeAssistant, entry: ConfigEntry) -> set[str | None]:
    """Return the names of an account's devices."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return {device.name for device in devices}


@each_provider
async def test_add_several(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """Invoices pasted together become a device and entities each, and are counted; nothing reloads."""
    entry = await add_account(provider, sandbox.store.create(provider).id)
    unloaded, runtime = watch_for_reload(entry), entry.runtime_data
    added = [sandbox.store.create(provider, order_id=f"Late {number}") for number in range(3)]
    sandbox.store.act(provider, added[1].id, "pay")

    result = await async_open_add_invoices(hass, entry)
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "user"
    result = await async_submit_ids(hass, result, "\n".join(invoice.id for invoice in added))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "invoices_added"
    assert result["description_placeholders"] == {"count": "3"}
    await async_later(hass, 1)

    assert watched(entry)[1:] == [invoice.id for invoice in added]
    assert not entry.subentries
    for invoice, status in zip(added, ("pending", "paid", "pending"), strict=True):
        assert state_of(hass, entry, invoice.id, "status").state == status
    assert account_state(hass, entry, "open_invoices").state == "3"
    if provider != "cryptocloud_v1":
        assert devices_of(hass, entry) >= {"Late 0", "Late 1", "Late 2"}
    assert len(devices_of(hass, entry)) == 5
    assert entry.runtime_data is runtime
    assert not unloaded


@pytest.mark.parametrize(
    ("is_loaded", "reason"), [(True, "invoice_added"), (False, "account_not_loaded")]
)
async def test_reloaded_while_they_are_looked_up(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_loaded: bool,
    reason: str,
) -> None:
    """An account that is loaded anew meanwhile watches them; of another, that is said."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    added = sandbox.store.create("cryptocloud")
    result = await async_open_add_invoices(hass, entry)

    async def async_check_slowly(*args: Any, **how: Any) -> CheckedIds:
        checked = await async_check_ids(*args, **how)
        await hass.config_entries.async_unload(entry.entry_id)
        if is_loaded:
            await hass.config_entries.async_setup(entry.entry_id)
        return checked

    monkeypatch.setattr(add_invoices, "async_check_ids", async_check_slowly)
    result = await async_submit_ids(hass, result, added.id)
    assert result["reason"] == reason
    await async_settle(hass)
    if is_loaded:
        assert added.id in watched(entry)


@pytest.mark.parametrize(
    ("provider", "lookups"),
    [("cryptocloud", 2), ("cryptocloud_v1", 199), ("egates", 199)],
)
async def test_add_two_hundred(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    *,
    provider: str,
    lookups: int,
) -> None:
    """However many are added at once, they cost one look-up."""
    entry = await add_account(provider, sandbox.store.create(provider).id)
    unloaded, runtime = watch_for_reload(entry), entry.runtime_data
    ids = [sandbox.store.create(provider).id for _ in range(199)]
    result = await async_open_add_invoices(hass, entry)
    before = sandbox.requests(provider)
    result = await async_submit_ids(hass, result, "\n".join(ids))
    assert result["reason"] in ("invoice_added", "invoices_added")
    assert sandbox.requests(provider) - before == lookups
    await async_settle(hass)
    assert sandbox.requests(provider) - before == lookups, "nothing is asked again"
    assert len(watched(entry)) == 200
    assert account_state(hass, entry, "open_invoices").state == "200"
    assert {state_of(hass, entry, id_, "status").state for id_ in ids} == {"pending"}
    assert entry.runtime_data is runtime
    assert not unloaded


@each_provider
async def test_already_tracked(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """What is watched already is refused without asking the provider."""
    tracked, new = (sandbox.store.create(provider) for _ in range(2))
    entry = await add_account(provider, tracked.id)
    result = await async_open_add_invoices(hass, entry)
    before = sandbox.requests(provider)
    typed = f" {tracked.id if provider == 'btcpay' else tracked.id.lower()} "
    result = await async_submit_ids(hass, result, typed)
    assert result["errors"] == {"invoices": "ids_tracked"}
    assert result["description_placeholders"]["tracked"] == typed.strip()
    assert kept(result["data_schema"])["invoices"] == typed
    assert sandbox.requests(provider) == before
    assert len(watched(entry)) == 1

    result = await async_submit_ids(hass, result, f"{tracked.id} {new.id}\n{OTHER}")
    assert result["errors"] == {"invoices": "ids_malformed", "base": "ids_tracked"}
    given = result["description_placeholders"]
    assert (given["tracked"], given["malformed"]) == (tracked.id, OTHER)
    assert len(watched(entry)) == 1

    result = await async_submit_ids(hass, result, new.id)
    assert result["reason"] in ("invoice_added", "invoices_added")
    assert len(watched(entry)) == 2
    await async_later(hass, 1)


@each_provider
@pytest.mark.parametrize(
    ("fault", "field", "error"),
    [
        (None, "invoices", "ids_missing"),
        (Fault.UNAUTHORIZED, "base", "invalid_auth"),
        (Fault.RATE_LIMITED_SECONDS, "base", "rate_limited"),
        (Fault.SERVER_ERROR, "base", "server_error"),
        (Fault.TRUNCATED, "invoices", "ids_unreadable"),
        (Fault.WRONG_TYPES, "invoices", "ids_unreadable"),
        (Fault.MISSING_ROWS, "invoices", "ids_not_found"),
    ],
)
async def test_refused(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    *,
    provider: str,
    fault: Fault | None,
    field: str,
    error: str,
) -> None:
    """What goes wrong is said, and adds nothing; trying again does."""
    entry = await add_account(provider, sandbox.store.create(provider).id)
    new = sandbox.store.create(provider)
    if error == "ids_not_found":
        error = not_found_error(provider)
    typed = new.id if fault else "  "
    result = await async_open_add_invoices(hass, entry)
    sandbox.switch(provider, fault)
    result = await async_submit_ids(hass, result, typed)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {field: error}
    assert kept(result["data_schema"])["invoices"] == typed
    assert len(watched(entry)) == 1
    sandbox.switch(provider, None)
    result = await async_submit_ids(hass, result, new.id)
    assert result["reason"] in ("invoice_added", "invoices_added")
    await async_later(hass, 1)
    assert state_of(hass, entry, new.id, "status").state == "pending"


@pytest.mark.parametrize(
    ("typed", "ends", "added"),
    [
        (("{0} {1}", "{1} {0}"), {"already_configured", "invoices_added"}, 2),
        (("{0} {1}", "{0} {2}"), {"invoice_added", "invoices_added"}, 3),
    ],
    ids=["same", "overlapping"],
)
async def test_two_dialogs_at_once(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    *,
    typed: tuple[str, str],
    ends: set[str],
    added: int,
) -> None:
    """What another dialog added during the look-up is not added again, but the rest is."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    ids = [sandbox.store.create("cryptocloud").id for _ in range(3)]
    dialogs = [await async_open_add_invoices(hass, entry) for _ in typed]
    results = await asyncio.gather(
        *(
            async_submit_ids(hass, dialog, text.format(*ids))
            for dialog, text in zip(dialogs, typed, strict=True)
        )
    )
    assert {result["reason"] for result in results} == ends
    assert len(watched(entry)) == 1 + added
    await async_later(hass, 1)


@each_provider
async def test_remove_and_add_again(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """A removed invoice takes its device along and is no longer read, until it is added again."""
    stays, goes = (sandbox.store.create(provider, order_id=name) for name in ("stays", "goes"))
    entry = await add_account(provider, stays.id, goes.id)
    unloaded, runtime = watch_for_reload(entry), entry.runtime_data
    entity_id = find_entity(hass, entry, goes.id, "status")
    assert len(devices_of(hass, entry)) == 3

    await async_delete_device(hass, entry, goes.id)
    await async_later(hass, 1)
    assert len(devices_of(hass, entry)) == 2
    assert not any(
        goes.id in entity.unique_id
        for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    )
    assert entity_id
    assert hass.states.get(entity_id) is None
    assert account_state(hass, entry, "open_invoices").state == "1"

    # A provider that no longer knows it would be noticed, were it still read.
    sandbox.store.act(provider, goes.id, "delete")
    before = sandbox.requests(provider)
    await async_later(hass)
    assert sandbox.requests(provider) - before == 1
    assert {id_: one.error for id_, one in runtime.coordinator.data.items()} == {stays.id: None}

    sandbox.store.create(provider, invoice_id=goes.id, order_id="goes")
    sandbox.store.act(provider, goes.id, "pay")
    await async_add_invoices(hass, entry, [goes.id])
    assert state_of(hass, entry, goes.id, "status").state == "paid"
    assert len(devices_of(hass, entry)) == 3
    assert entry.runtime_data is runtime
    assert not unloaded


@each_provider
async def test_remove_the_last(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """An account without invoices asks for nothing, also after a restart, and takes new ones."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    await async_delete_device(hass, entry, invoice.id)
    await async_later(hass, 1)
    before = sandbox.requests(provider)
    await async_later(hass)
    await hass.config_entries.async_reload(entry.entry_id)
    await async_later(hass)
    assert sandbox.requests(provider) == before
    assert account_state(hass, entry, "open_invoices").state == "0"
    await async_add_invoices(hass, entry, [invoice.id])
    assert state_of(hass, entry, invoice.id, "status").state == "pending"


async def test_add_while_the_provider_is_down(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """An invoice whose first reading fails is there, unavailable, and comes with the next."""
    first, second = (sandbox.store.create("cryptocloud").id for _ in range(2))
    entry = await add_account("cryptocloud", first)
    result = await async_open_add_invoices(hass, entry)
    await async_submit_ids(hass, result, second)
    sandbox.switch("cryptocloud", Fault.SERVER_ERROR)
    await async_later(hass, 1)
    assert state_of(hass, entry, second, "status").state == "unavailable"
    sandbox.switch("cryptocloud", None)
    await async_later(hass)
    assert state_of(hass, entry, second, "status").state == "pending"


async def test_add_to_an_account_that_is_not_loaded(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Of an account that is not loaded, nobody knows what is watched: the dialog says so."""
    first = sandbox.store.create("egates").id
    entry = await add_account("egates", first)
    await hass.config_entries.async_unload(entry.entry_id)
    result = await async_open_add_invoices(hass, entry)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "account_not_loaded")
