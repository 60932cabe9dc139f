"""Event entities: what is announced, for an invoice and for its account."""

from typing import override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .book.transitions import KINDS
from .delivery.announcement import Announcement
from .devices import account_device_info
from .entity import async_add_invoice_entities, device_of
from .identifiers import SIGNAL_ANNOUNCED_OF, entity_unique_id, invoice_identifier
from .runtime import CryptoInvoicesConfigEntry

PARALLEL_UPDATES = 0

ACTIVITY = EventEntityDescription(
    key="activity",
    translation_key="activity",
    event_types=list(KINDS),
    # The activity has a sentence for each announcement: this would be a second line.
    entity_registry_enabled_default=False,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the account's event entity, and that of each invoice as it gets watched."""
    coordinator = entry.runtime_data.coordinator
    async_add_entities([ActivityEvent(entry.entry_id, account_device_info(entry))])
    await async_add_invoice_entities(
        coordinator,
        async_add_entities,
        lambda invoice_id: [
            ActivityEvent(
                invoice_identifier(entry.entry_id, invoice_id),
                device_of(coordinator, invoice_id),
            )
        ],
    )


class ActivityEvent(EventEntity):
    """Fires at each announcement; available in an outage too, so that nothing is missed."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    entity_description = ACTIVITY

    def __init__(self, identifier: str, device_info: DeviceInfo | None) -> None:
        """Listen for the announcements of the account or invoice that this identifies."""
        self._signal = SIGNAL_ANNOUNCED_OF.format(identifier)
        self._attr_unique_id = entity_unique_id(identifier, ACTIVITY.key)
        self._attr_device_info = device_info

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self.async_on_remove(async_dispatcher_connect(self.hass, self._signal, self._announced))

    @callback
    def _announced(self, announcement: Announcement) -> None:
        """Fire."""
        self._trigger_event(announcement.kind, announcement.as_dict())
        self.async_write_ha_state()
