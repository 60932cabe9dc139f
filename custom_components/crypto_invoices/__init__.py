"""The Crypto Invoices integration."""

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.translation import async_get_translations
from homeassistant.helpers.typing import ConfigType

from .account import (
    async_build_account,
    async_remove_account,
    async_start_account,
)
from .const import DOMAIN
from .devices import async_register_account_device
from .frontend.registration import async_register_cards
from .identifiers import invoice_of_device
from .integrations import async_setup_integrations
from .runtime import CryptoInvoicesConfigEntry
from .services import async_setup_services
from .setting_up import set_up_as_a_whole
from .watching import async_unwatch
from .websocket_api import async_setup_websocket_api

PLATFORMS = [*map(Platform, ("binary_sensor", "button", "event", "image", "sensor", "todo"))]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions, the cards and other integrations' providers.

    Our texts are at hand then: names and sentences are made of them.
    """
    await async_get_translations(hass, hass.config.language, "common", [DOMAIN])
    async_setup_services(hass)
    async_setup_websocket_api(hass)
    await async_register_cards(hass)
    await async_setup_integrations(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> bool:
    """Set up an account."""
    async with set_up_as_a_whole(hass, entry):
        entry.runtime_data = await async_build_account(hass, entry)
        async_register_account_device(hass, entry)
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
        await async_start_account(hass, entry)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> bool:
    """Unload an account."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> None:
    """Delete what is kept of an account."""
    await async_remove_account(hass, entry)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry, device: dr.DeviceEntry
) -> bool:
    """Stop watching the invoice whose device a user deletes; the account's own device stays."""
    if (invoice_id := invoice_of_device(entry.entry_id, device.identifiers)) is None:
        return False
    if entry.state is not ConfigEntryState.LOADED:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="account_not_loaded",
            translation_placeholders={"account": entry.title},
        )
    await async_unwatch(entry.runtime_data.coordinator, [invoice_id])
    return True
