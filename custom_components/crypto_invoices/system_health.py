"""System health: of each provider that is used, whether it is there and what is watched."""

from collections.abc import Sequence
from typing import Any

from homeassistant.components import system_health
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant, callback

from .const import CONF_PROVIDER, DOMAIN
from .providers import PROVIDERS
from .providers.provider import Provider
from .runtime import CryptoInvoicesConfigEntry


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
    working = sum(account.coordinator.last_update_success for account in loaded)
    opened = sum(account.book.sums.open_count for account in loaded)
    watched = sum(len(account.book.records) for account in loaded)
    readings = [
        reading for account in loaded if (reading := account.coordinator.reader.last_reading)
    ]
    info = {
        f"{key}_accounts": f"{working}/{len(entries)}",
        f"{key}_invoices": f"{opened}/{watched}",
    }
    return info | ({f"{key}_last_reading": max(readings)} if readings else {})
