"""Setting up, unloading and removing an account."""

import asyncio
from datetime import timedelta
from operator import attrgetter

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util
from homeassistant.util.async_ import get_scheduled_timer_handles
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.crypto_invoices import async_remove_config_entry_device
from custom_components.crypto_invoices.book.loading import looked_up
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers.model import Invoice
from sandbox.faults import Fault

from .conftest import (
    ENGLISH,
    STREAMING,
    AddAccount,
    SandboxServer,
    account_state,
    async_delete_device,
    async_later,
    async_open_add_invoices,
    async_settle,
    async_submit_ids,
    async_until_asked,
    device_id,
    each_provider,
    load_state,
    pass_time,
    state_of,
    watched,
)


def left_behind(hass: HomeAssistant) -> list[str]:
    """Return the timers and tasks that belong to the integration."""
    timers = [
        str(attrgetter("_callback", "_args")(handle))
        for handle in get_scheduled_timer_handles(hass.loop)
        if not handle.cancelled()
    ]
    tasks = [repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]
    return [text for text in timers + tasks if DOMAIN in text]


@each_provider
async def test_unload_and_reload(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """An unloaded account leaves nothing running; loaded again, it is as before."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    await async_later(hass)
    assert left_behind(hass), "the next reading is due at some time"
    known = {state.entity_id: state.state for state in hass.states.async_all("sensor")}
    entities = len(er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id))

    assert await hass.config_entries.async_unload(entry.entry_id)
    await async_settle(hass)
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert not left_behind(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "unavailable"
    before = sandbox.requests(provider)
    await async_later(hass, 3600)
    assert sandbox.requests(provider) == before

    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    assert 1 <= sandbox.requests(provider) - before <= 1 + (provider in STREAMING)
    again = {state.entity_id: state.state for state in hass.states.async_all("sensor")}
    assert again.keys() == known.keys()
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
    found = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert len(found) == entities


@each_provider
async def test_unload_during_a_request(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """A request that is under way doesn't hold up an unload, nor outlive it."""
    entry = await add_account(provider, sandbox.store.create(provider).id)
    sandbox.switch(provider, Fault.TIMEOUT)
    pass_time(hass)
    await async_until_asked(sandbox, provider)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await async_settle(hass)
    assert not left_behind(hass)


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 13, 21, 34, 55])
async def test_user_leaves_while_it_is_set_up(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    caplog: pytest.LogCaptureFixture,
    turns: int,
) -> None:
    """Closing the page cancels the set-up that it waits for: the account is set up all the same."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    assert await hass.config_entries.async_unload(entry.entry_id)
    request = asyncio.create_task(hass.config_entries.async_setup(entry.entry_id))
    for _ in range(turns):
        await asyncio.sleep(0)
    request.cancel()
    await asyncio.wait([request])
    await async_settle(hass)
    assert load_state(entry) is ConfigEntryState.LOADED
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
    assert "already been setup" not in caplog.text
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "paid"
    assert await hass.config_entries.async_unload(entry.entry_id)
    await async_settle(hass)
    assert not left_behind(hass)


@each_provider
async def test_unload_right_after_adding(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """What was about to be read is read after the reload."""
    first, second = (sandbox.store.create(provider).id for _ in range(2))
    entry = await add_account(provider, first)
    result = await async_open_add_invoices(hass, entry)
    await async_submit_ids(hass, result, second)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await async_settle(hass)
    assert not left_behind(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    assert state_of(hass, entry, second, "status").state == "pending"


@each_provider
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.SERVER_ERROR, "server_error"),
        (Fault.RATE_LIMITED_SECONDS, "rate_limited"),
        (Fault.BAD_GATEWAY, "server_error"),
        (Fault.HTML, "bad_response"),
        (Fault.TRUNCATED, "bad_response"),
    ],
)
async def test_provider_is_down_at_start(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    *,
    provider: str,
    fault: Fault,
    reason: str,
) -> None:
    """An account whose provider is down loads with what is known, and is read when it is back."""
    invoice, paid = (sandbox.store.create(provider) for _ in range(2))
    entry = await add_account(provider, invoice.id, paid.id)
    sandbox.store.act(provider, paid.id, "pay")
    await async_later(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    sandbox.switch(provider, fault)
    await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    assert load_state(entry) is ConfigEntryState.LOADED
    assert entry.runtime_data.coordinator.failures[reason]
    assert state_of(hass, entry, invoice.id, "status").state == "unavailable"
    assert account_state(hass, entry, "open_invoices").state == "1"
    assert account_state(hass, entry, "paid_today").state == "1"
    sandbox.switch(provider, None)
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "pending"


@each_provider
async def test_never_read(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """An account that was never read is set up again until it can be."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider)
    data = {**entry.data, "invoices": [looked_up(await _read(entry, invoice.id))]}
    await hass.config_entries.async_remove(entry.entry_id)
    sandbox.switch(provider, Fault.SERVER_ERROR)
    again = MockConfigEntry(domain=DOMAIN, title="Shop", data=data)
    again.add_to_hass(hass)
    await hass.config_entries.async_setup(again.entry_id)
    assert load_state(again) is ConfigEntryState.SETUP_RETRY
    assert again.error_reason_translation_key == "server_error"
    message = ENGLISH["exceptions"]["server_error"]["message"].format(account="Shop")
    assert again.reason == message.rstrip(".")
    sandbox.switch(provider, None)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=30))
    await async_settle(hass)
    assert load_state(again) is ConfigEntryState.LOADED
    assert state_of(hass, again, invoice.id, "status").state == "pending"


async def _read(entry: ConfigEntry, invoice_id: str) -> Invoice:
    """Return an invoice as a dialog looks it up."""
    found = await entry.runtime_data.provider.async_get_invoices([invoice_id])
    invoice = found[invoice_id]
    assert isinstance(invoice, Invoice)
    return invoice


@each_provider
async def test_invoice_is_gone_at_start(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """An account loads with the invoices that there are; the others come when they come."""
    here, gone = (sandbox.store.create(provider).id for _ in range(2))
    entry = await add_account(provider, here, gone)
    sandbox.store.act(provider, gone, "delete")
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, entry, here, "status").state == "pending"
    assert state_of(hass, entry, gone, "status").state == "not_found"
    sandbox.store.create(provider, invoice_id=gone)
    await async_later(hass)
    assert state_of(hass, entry, gone, "status").state == "pending"


@each_provider
async def test_remove_account(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """A removed account takes its devices, entities and timers along, and can be added again."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    await hass.config_entries.async_remove(entry.entry_id)
    await async_settle(hass)
    assert not dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert not er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert not hass.states.async_all("sensor")
    assert not left_behind(hass)
    entry = await add_account(provider, invoice.id)
    assert state_of(hass, entry, invoice.id, "status").state == "pending"


@each_provider
async def test_remove_device(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """Deleting an invoice's device stops the watching; the account's device stays."""
    goes, stays = (sandbox.store.create(provider).id for _ in range(2))
    entry = await add_account(provider, goes, stays)
    registry = dr.async_get(hass)
    account = registry.async_get(device_id(hass, entry))
    assert isinstance(account, dr.DeviceEntry)
    assert not await async_remove_config_entry_device(hass, entry, account)
    await async_delete_device(hass, entry, goes)
    assert watched(entry) == [stays]
    invoice = registry.async_get(device_id(hass, entry, stays))
    assert isinstance(invoice, dr.DeviceEntry)
    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(HomeAssistantError) as refused:
        await async_remove_config_entry_device(hass, entry, invoice)
    assert refused.value.translation_key == "account_not_loaded"
    await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    assert watched(entry) == [stays]
    stale = registry.async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, f"{entry.entry_id}_INV-OLDOLDOL")}
    )
    assert await async_remove_config_entry_device(hass, entry, stale)
