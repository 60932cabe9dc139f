"""Setting up, unloading and removing an account."""

import asyncio
from operator import attrgetter

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util.async_ import get_scheduled_timer_handles
import pytest

from custom_components.crypto_invoices import async_remove_config_entry_device
from custom_components.crypto_invoices.const import DOMAIN
from sandbox.faults import Fault

from .conftest import (
    ENGLISH,
    AddAccount,
    SandboxServer,
    async_later,
    async_open_add_invoices,
    async_submit_ids,
    async_until_asked,
    load_state,
    pass_time,
    state_of,
)

PROVIDERS = ["cryptocloud", "cryptocloud_v1", "egates", "btcpay"]
each_provider = pytest.mark.parametrize("provider", PROVIDERS)


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
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert not left_behind(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "unavailable"
    before = sandbox.requests(provider)
    await async_later(hass, 3600)
    assert sandbox.requests(provider) == before

    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert sandbox.requests(provider) == before + 1
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
    await hass.async_block_till_done(wait_background_tasks=True)
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
    await hass.async_block_till_done()
    assert not left_behind(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
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
    """An account whose provider is down is tried again, and says why until then."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    await hass.config_entries.async_unload(entry.entry_id)
    sandbox.switch(provider, fault)
    await hass.config_entries.async_setup(entry.entry_id)
    assert load_state(entry) is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == reason
    message = ENGLISH["exceptions"][reason]["message"].format(account=entry.title)
    assert entry.reason == message.rstrip(".")
    sandbox.switch(provider, None)
    await async_later(hass, 30)
    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, entry, invoice.id, "status").state == "pending"


@each_provider
async def test_invoice_is_gone_at_start(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """An account loads with the invoices that there are; the others come when they come."""
    here, gone = (sandbox.store.create(provider).id for _ in range(2))
    entry = await add_account(provider, here, gone)
    sandbox.store.act(provider, gone, "delete")
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, entry, here, "status").state == "pending"
    assert state_of(hass, entry, gone, "status").state == "unavailable"
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
    await hass.async_block_till_done()
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
    """Only a device that nothing belongs to any more can be removed by hand."""
    entry = await add_account(provider, sandbox.store.create(provider).id)
    registry = dr.async_get(hass)
    for device in dr.async_entries_for_config_entry(registry, entry.entry_id):
        assert not await async_remove_config_entry_device(hass, entry, device)
    stale = registry.async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, f"{entry.entry_id}_INV-OLDOLDOL")}
    )
    assert await async_remove_config_entry_device(hass, entry, stale)
