"""The activity in words: one sentence for each announcement."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from homeassistant.components.logbook.const import (
    LOGBOOK_ENTRY_ENTITY_ID,
    LOGBOOK_ENTRY_ICON,
    LOGBOOK_ENTRY_MESSAGE,
    LOGBOOK_ENTRY_NAME,
)
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import Event, HomeAssistant, callback

from .book.record import Record
from .const import DOMAIN
from .delivery.activity import (
    ATTR_CONFIG_ENTRY_ID,
    ATTR_INVOICE_ID,
    ATTR_KIND,
    ATTR_STATUS,
    EVENT_ANNOUNCED,
)
from .delivery.wording import announcement_text
from .providers.model import InvoiceStatus
from .runtime import CryptoInvoicesConfigEntry

type _Described = dict[str, str | None]

_ICONS: Mapping[str, str] = {
    "canceled": "mdi:receipt-text-remove",
    "expired": "mdi:timer-sand-complete",
    "overpaid": "mdi:cash-plus",
    "paid": "mdi:receipt-text-check",
    "partially_paid": "mdi:receipt-text-minus",
    "payment_reverted": "mdi:cash-refund",
    "underpaid": "mdi:cash-minus",
}


@callback
def async_describe_events(
    hass: HomeAssistant,
    async_describe_event: Callable[[str, str, Callable[[Event], _Described]], None],
) -> None:
    """Say how announcements are written in the activity."""

    @callback
    def describe(event: Event) -> _Described:
        return _describe(hass, event.data)

    async_describe_event(DOMAIN, EVENT_ANNOUNCED, describe)


def _describe(hass: HomeAssistant, data: Mapping[str, Any]) -> _Described:
    """Return the sentence for an announcement, by what is known of the invoice now."""
    kind, status = data[ATTR_KIND], InvoiceStatus(data[ATTR_STATUS])
    entry: CryptoInvoicesConfigEntry | None = hass.config_entries.async_get_entry(
        data[ATTR_CONFIG_ENTRY_ID]
    )
    # One that is no longer watched is called by its ID.
    record = Record(id=data[ATTR_INVOICE_ID], status=status, announced=None)
    if entry is not None and entry.state is ConfigEntryState.LOADED:
        record = entry.runtime_data.book.records.get(record.id, record)
    # More may have arrived since.
    record = replace(record, received=None)
    return {
        LOGBOOK_ENTRY_NAME: entry.title if entry else None,
        LOGBOOK_ENTRY_MESSAGE: announcement_text(hass, entry, record, kind, status),
        LOGBOOK_ENTRY_ICON: _ICONS.get(kind, "mdi:receipt-text-edit"),
        LOGBOOK_ENTRY_ENTITY_ID: data[ATTR_ENTITY_ID],
    }
