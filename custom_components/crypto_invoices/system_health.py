"""System health: of each provider that is used, whether it is there and what is watched."""

from collections.abc import Sequence
from typing import Any

from homeassistant.components import system_health
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant, callback

from .account import tracked_invoices
from .const import CONF_PROVIDER, DOMAIN
from .coordinator import CryptoInvoicesConfigEntry
from .providers import PROVIDERS
from .providers.base import Provider


@callback
def async_register(hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Register what is shown."""
    register.async_register_info(async_system_health_info)


async def async_system_health_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return what is shown: nothing that is the user's own, since people paste it."""
    info: dict[str, Any] = {}
    entries: list[CryptoInvoicesConfigEntry] = hass.config_entries.async_entries(DOMAIN)
    for key, provider in PROVIDERS.items():
        accounts = [entry for entry in entries if entry.data[CONF_PROVIDER] == key]
        if not accounts:
            continue
        public = public_address(provider)
        if public and any(entry.data[CONF_URL] == public for entry in accounts):
            info[f"{key}_reachable"] = system_health.async_check_can_reach_url(hass, public)
        info |= _watched(key, accounts)
    return info


def public_address(provider: type[Provider]) -> str | None:
    """Return the address that is the same for everybody, where there is one."""
    defaults = {field.key: field.default for field in provider.fields}
    return str(defaults[CONF_URL]) if defaults[CONF_URL] else None


def _watched(key: str, entries: Sequence[CryptoInvoicesConfigEntry]) -> dict[str, Any]:
    """Return what is watched at a provider, as parts of wholes, and when it was last read."""
    loaded = [entry.runtime_data for entry in entries if entry.state is ConfigEntryState.LOADED]
    working = sum(coordinator.last_update_success for coordinator in loaded)
    opened = sum(len(coordinator.data.open) for coordinator in loaded)
    tracked = sum(len(tracked_invoices(entry)) for entry in entries)
    readings = [coordinator.last_reading for coordinator in loaded if coordinator.last_reading]
    watched = {
        f"{key}_accounts": f"{working}/{len(entries)}",
        f"{key}_invoices": f"{opened}/{tracked}",
    }
    return watched | ({f"{key}_last_reading": max(readings)} if readings else {})
