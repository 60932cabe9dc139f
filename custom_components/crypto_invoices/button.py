"""A button for each account: read its invoices now."""

from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .actions.common import async_read_open
from .entity import AccountEntity
from .runtime import CryptoInvoicesConfigEntry

PARALLEL_UPDATES = 0

CHECK_NOW = ButtonEntityDescription(key="check_now", translation_key="check_now")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the account's button."""
    async_add_entities([CheckNowButton(entry.runtime_data.coordinator, CHECK_NOW)])


class CheckNowButton(AccountEntity, ButtonEntity):
    """Reads an account's open invoices, and those that could not be read."""

    @property
    @override
    def available(self) -> bool:
        """Return that it can be pressed in an outage, too."""
        return True

    @override
    async def async_press(self) -> None:
        """Read them. Raises a HomeAssistantError where that isn't possible now."""
        await async_read_open(self.coordinator)
