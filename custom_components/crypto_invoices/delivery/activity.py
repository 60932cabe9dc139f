"""A line in Home Assistant's activity for each announcement; the event has nothing but IDs."""

from typing import Final

from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from ..const import DOMAIN
from ..identifiers import account_device, entity_unique_id, invoice_identifier
from .announcement import Announcement

EVENT_ANNOUNCED: Final = f"{DOMAIN}_announced"
ATTR_CONFIG_ENTRY_ID: Final = "config_entry_id"
ATTR_INVOICE_ID: Final = "invoice_id"
ATTR_KIND: Final = "kind"
ATTR_STATUS: Final = "status"


@callback
def async_note_in_activity(hass: HomeAssistant, announcement: Announcement) -> None:
    """Fire the event that logbook.py describes; the recorder keeps it.

    Its entity is the invoice's and its device the account's: so the line is on both pages.
    """
    entry_id, invoice_id = announcement.entry_id, announcement.invoice_id
    status_id = entity_unique_id(invoice_identifier(entry_id, invoice_id), ATTR_STATUS)
    account = dr.async_get(hass).async_get_device_by_identifier(account_device(entry_id), entry_id)
    hass.bus.async_fire(
        EVENT_ANNOUNCED,
        {
            ATTR_CONFIG_ENTRY_ID: entry_id,
            ATTR_INVOICE_ID: invoice_id,
            ATTR_KIND: announcement.kind,
            ATTR_STATUS: announcement.status.value,
            ATTR_ENTITY_ID: er.async_get(hass).async_get_entity_id(
                Platform.SENSOR, DOMAIN, status_id
            ),
            ATTR_DEVICE_ID: account.id if account else None,
        },
    )
