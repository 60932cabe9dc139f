"""What a user may do with an account: whatever they may do with one of its device's entities."""

from homeassistant.auth.models import User
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .identifiers import account_device


@callback
def async_is_allowed(hass: HomeAssistant, user: User, entry: ConfigEntry, policy: str) -> bool:
    """Return whether a user may read or control an account."""
    if user.is_admin:
        return True
    device = dr.async_get(hass).async_get_device_by_identifier(
        account_device(entry.entry_id), entry.entry_id
    )
    return device is not None and any(
        user.permissions.check_entity(entity.entity_id, policy)
        for entity in er.async_entries_for_device(
            er.async_get(hass), device.id, include_disabled_entities=True
        )
    )
