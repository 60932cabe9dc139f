"""Invoices that ended long ago are no longer watched, and the list stays short by itself."""

from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.crypto_invoices.identifiers import account_device, invoice_device
from tests.conftest import (
    AddAccount,
    Runs,
    SandboxServer,
    account_state,
    async_add_invoices,
    async_delete_device,
    async_later,
    async_settle,
    fields_of,
    pass_time,
    watched,
)


async def async_set_cleanup_after(hass: HomeAssistant, entry: ConfigEntry, days: int) -> None:
    """Fill in the option."""
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["type"] is FlowResultType.FORM
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"cleanup_after": days}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)


async def async_pass(hass: HomeAssistant, freezer: FrozenDateTimeFactory, **time: float) -> None:
    """Let time pass, with everything that is due meanwhile: at the end of it."""
    freezer.tick(timedelta(**time))
    pass_time(hass, timedelta(**time).total_seconds())
    async_fire_time_changed(hass, dt_util.utcnow())
    await async_settle(hass)
    # What was read late may be done with only now.
    freezer.tick(timedelta(hours=1))
    pass_time(hass, 3600)
    async_fire_time_changed(hass, dt_util.utcnow())
    await async_settle(hass)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=1))
    await async_settle(hass)


async def test_automatically(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A week after it was paid, an invoice goes with its device; what it brought stays."""
    paid, waiting = (sandbox.store.create("cryptocloud").id for _ in range(2))
    sandbox.store.get("cryptocloud", waiting).expires_at += timedelta(days=365)
    entry = await add_account("cryptocloud", paid, waiting)
    sandbox.store.act("cryptocloud", paid, "pay")
    await async_later(hass, 60)
    received = account_state(hass, entry, "received_USD").state
    await async_pass(hass, freezer, days=6)
    assert set(watched(entry)) == {paid, waiting}
    await async_pass(hass, freezer, days=1)
    assert set(watched(entry)) == {waiting}
    assert len(watched(entry)) == 1
    models = [
        device.model
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    ]
    assert sorted(map(str, models)) == ["Account", "Invoice"]
    assert account_state(hass, entry, "received_USD").state == received
    assert account_state(hass, entry, "open_invoices").state == "1"


async def test_counts_over_a_restart(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The days go on while Home Assistant restarts."""
    invoice = sandbox.store.create("cryptocloud")
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    entry = await add_account("cryptocloud", invoice.id)
    for _ in range(4):
        await async_pass(hass, freezer, days=1.5)
        assert invoice.id in watched(entry)
        assert await hass.config_entries.async_reload(entry.entry_id)
        await async_settle(hass)
    await async_pass(hass, freezer, days=1)
    assert not watched(entry)


async def test_provider_is_a_year_ahead_once(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Nothing goes because one answer came from a server with another date."""
    invoice = sandbox.store.create("cryptocloud")
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    entry = await add_account("cryptocloud", invoice.id)
    await async_later(hass, 3700)
    [record] = entry.runtime_data.book.records.values()
    assert record.is_over
    clocks = entry.runtime_data.clocks
    clocks.note_server_time(clocks.now() + timedelta(days=365), clocks.monotonic())
    await async_set_cleanup_after(hass, entry, 6)
    assert watched(entry) == [invoice.id]


async def test_late_looks_come_first(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
) -> None:
    """What may still see late money is watched, however short the time that was set."""
    invoice = sandbox.store.create("cryptocloud")
    invoice.expires_at = dt_util.utcnow() + timedelta(days=3)
    entry = await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "cancel")
    await async_later(hass, 60)
    await async_set_cleanup_after(hass, entry, 1)
    await async_pass(hass, freezer, days=1.5)
    assert invoice.id in watched(entry)
    await async_pass(hass, freezer, days=2)
    # It may be cleaned up before it is read for the last time, and then goes an hour later.
    await async_pass(hass, freezer, hours=1)
    assert not watched(entry)


async def test_gone_at_the_provider(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
) -> None:
    """What had ended long ago and was then deleted at the provider is waited for no longer."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass, 60)
    sandbox.store.act("cryptocloud", invoice.id, "delete")
    for days in (8, 0.5, 0.5, 0):
        await async_pass(hass, freezer, days=days)
    assert not watched(entry)


@pytest.mark.parametrize("days", [0, 30])
async def test_option(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
    days: int,
) -> None:
    """Never means never, and a change counts immediately, without a reload."""
    invoice = sandbox.store.create("cryptocloud")
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    entry = await add_account("cryptocloud", invoice.id)
    account = entry.runtime_data
    await async_set_cleanup_after(hass, entry, days)
    assert entry.options["cleanup_after"] == days
    await async_pass(hass, freezer, days=20)
    assert invoice.id in watched(entry)
    await async_set_cleanup_after(hass, entry, 14)
    assert not watched(entry)
    assert entry.state is ConfigEntryState.LOADED
    assert entry.runtime_data is account


async def test_form(hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount) -> None:
    """The form holds what is set, a week at first, and takes whole days only."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    result = await hass.config_entries.options.async_init(entry.entry_id)
    schema = result["data_schema"]
    assert schema
    assert schema({})["cleanup_after"] == 7
    assert "cleanup_after" in fields_of(schema)
    for wrong in (-1, 366, "soon"):
        with pytest.raises(InvalidData):
            await hass.config_entries.options.async_configure(
                result["flow_id"], {"cleanup_after": wrong}
            )
    await hass.config_entries.options.async_configure(result["flow_id"], {"cleanup_after": 30.0})
    assert entry.options["cleanup_after"] == 30
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["data_schema"]
    assert result["data_schema"]({})["cleanup_after"] == 30


async def test_added_again(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
    runs: Runs,
) -> None:
    """What was cleaned up and is added again stays another week, and is not announced again."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass, 60)
    assert len(runs) == 1
    await async_pass(hass, freezer, days=8)
    await async_pass(hass, freezer, hours=1)
    await async_pass(hass, freezer, hours=1)
    assert not watched(entry)
    await async_add_invoices(hass, entry, [invoice.id])
    await async_pass(hass, freezer, days=6)
    assert invoice.id in watched(entry)
    await async_pass(hass, freezer, days=2)
    assert not watched(entry)
    assert len(runs) == 1


async def test_removed_long_ago(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
) -> None:
    """What Home Assistant keeps of removed invoices goes a month later, and of no other account."""
    goes, waits, back = (sandbox.store.create("cryptocloud").id for _ in range(3))
    for id_ in (waits, back):
        sandbox.store.get("cryptocloud", id_).expires_at += timedelta(days=365)
    entry = await add_account("cryptocloud", goes, waits, back)
    other = await add_account("lnbits", sandbox.store.create("lnbits").id)
    devices, entities = dr.async_get(hass), er.async_get(hass)

    def device_of(id_: str) -> dr.DeviceEntry:
        identifier = invoice_device(entry.entry_id, id_)
        device = devices.async_get_device_by_identifier(identifier, entry.entry_id)
        assert isinstance(device, dr.DeviceEntry)
        return device

    def removed() -> list[str]:
        return [
            one.unique_id
            for one in entities.deleted_entities.values()
            if one.config_entry_id == entry.entry_id
        ]

    for id_, name in ((goes, "of old"), (back, "comes back")):
        devices.async_update_device(device_of(id_).id, name_by_user=name)
        await async_delete_device(hass, entry, id_)
    kept = len(removed())
    assert kept > 4
    await async_pass(hass, freezer, days=20)
    await async_add_invoices(hass, entry, [back])
    assert device_of(back).name_by_user == "comes back"
    assert 0 < len(removed()) < kept
    await async_pass(hass, freezer, days=11)
    assert not removed()
    account = devices.async_get_device_by_identifier(account_device(entry.entry_id), entry.entry_id)
    assert account
    assert account.identifiers == {account_device(entry.entry_id)}
    assert set(watched(entry)) == {waits, back}
    left = {one.config_entry_id for one in entities.deleted_entities.values()}
    assert left == {other.entry_id}
    await async_add_invoices(hass, entry, [goes])
    assert device_of(goes).name_by_user is None
