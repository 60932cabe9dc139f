"""The Crypto Invoices integration."""

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.typing import ConfigType

from .account import async_create_provider, payment_links, tracked_invoices
from .books import Books
from .const import DOMAIN
from .coordinator import CryptoInvoicesConfigEntry, CryptoInvoicesCoordinator
from .entity import async_register_account_device
from .follow import async_setup_follow
from .issues import async_delete_issues
from .ledger import async_get_ledger, async_release_ledger
from .providers.invoicing import TellsLinkOnce
from .services import async_setup_services
from .stream import async_setup_stream
from .tidy import async_setup_tidy
from .webhook import async_remove_webhook, async_setup_webhook

PLATFORMS = [Platform.EVENT, Platform.IMAGE, Platform.SENSOR]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions."""
    async_setup_services(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> bool:
    """Set up an account."""
    provider = await async_create_provider(hass, entry.data)
    if isinstance(provider, TellsLinkOnce):
        provider.links.update(payment_links(entry))
    coordinator = CryptoInvoicesCoordinator(hass, entry, provider)
    await coordinator.async_config_entry_first_refresh()
    entry.runtime_data = coordinator
    entry.async_on_unload(entry.add_update_listener(_async_entry_updated))
    if coordinator.tracked != tracked_invoices(entry):
        # Somebody added or removed invoices during the first reading.
        coordinator.async_schedule_sync()
    async_register_account_device(hass, coordinator)
    await async_setup_webhook(hass, coordinator)
    async_setup_stream(hass, coordinator)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    entry.async_on_unload(coordinator.announcer.async_start())
    async_setup_tidy(hass, coordinator)
    async_setup_follow(hass, coordinator)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> bool:
    """Unload an account."""
    entry.runtime_data.announcer.async_stop()
    async_release_ledger(hass, entry.entry_id)
    await entry.runtime_data.books.async_close()
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> None:
    """Delete what is kept of an account."""
    await async_remove_webhook(hass, entry)
    await async_get_ledger(hass, entry.entry_id).async_remove()
    async_release_ledger(hass, entry.entry_id)
    await Books(hass, entry.entry_id).async_remove()
    async_delete_issues(hass, entry, is_removed=True)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry, device: dr.DeviceEntry
) -> bool:
    """Let a device be removed only when it is neither the account's nor a tracked invoice's."""
    known = {entry.entry_id, *(f"{entry.entry_id}_{id_}" for id_ in tracked_invoices(entry))}
    return not any(
        domain == DOMAIN and identifier in known for domain, identifier in device.identifiers
    )


async def _async_entry_updated(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> None:
    """Follow the invoices that were added or removed; nothing is reloaded."""
    entry.runtime_data.async_schedule_sync()
