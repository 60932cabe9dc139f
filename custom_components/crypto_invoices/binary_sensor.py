"""Whether an account can be read, and if not, since when and what to do."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, override

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import UpdateFailed
from homeassistant.util import dt as dt_util

from .coordinator import CryptoInvoicesCoordinator
from .entity import AccountEntity
from .runtime import CryptoInvoicesConfigEntry

PARALLEL_UPDATES = 0

CONNECTED = BinarySensorEntityDescription(
    key="connected",
    translation_key="connected",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    entity_category=EntityCategory.DIAGNOSTIC,
)
# What a user can do about each problem of a whole account.
WHAT_TO_DO: Mapping[str, str] = {
    "bad_response": "check_address",
    "cannot_connect": "check_network",
    "certificate": "check_address",
    "clock_wrong": "set_clock",
    "invalid_auth": "enter_key",
    "invoice_not_found": "check_invoices",
    "key_can_spend": "enter_key",
    "rate_limited": "wait",
    "server_error": "wait",
    "timeout": "check_network",
}


async def async_setup_entry(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up what says whether the account can be read."""
    async_add_entities([ConnectedSensor(entry.runtime_data.coordinator, CONNECTED)])


class ConnectedSensor(AccountEntity, BinarySensorEntity):
    """Whether the last poll of an account succeeded; a deleted invoice is no outage."""

    def __init__(
        self, coordinator: CryptoInvoicesCoordinator, description: BinarySensorEntityDescription
    ) -> None:
        """Begin with what is known."""
        super().__init__(coordinator, description)
        self._lost_at: datetime | None = None
        self._shown = self._problem

    @property
    @override
    def available(self) -> bool:
        """Return that there is always something to say."""
        return True

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether the account can be read, None before the first poll has ended."""
        if not self.coordinator.last_update_success:
            return False
        return True if self.coordinator.reader.last_reading is not None else None

    @property
    def _problem(self) -> tuple[bool | None, str | None]:
        """Whether the account can be read, and what is wrong if not."""
        if self.is_on is not False:
            return self.is_on, None
        error = self.coordinator.last_exception
        key = error.translation_key if isinstance(error, UpdateFailed) else None
        return False, key or "server_error"

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """Return what is wrong, since when, and what to do."""
        _, problem = self._problem
        if problem is None:
            return {}
        return {
            "problem": problem,
            "since": self._lost_at,
            "what_to_do": WHAT_TO_DO.get(problem, "wait"),
        }

    @override
    async def async_added_to_hass(self) -> None:
        """Follow every poll, also one that failed as the one before it did."""
        await super().async_added_to_hass()
        self.async_on_remove(
            self.coordinator.publisher.async_add_reading_listener(self._handle_coordinator_update)
        )
        self._handle_coordinator_update()

    @override
    @callback
    def _handle_coordinator_update(self) -> None:
        """Write the state where something changed."""
        now = self._problem
        if now[1] is None:
            self._lost_at = None
        elif self._lost_at is None:
            self._lost_at = dt_util.utcnow()
        if now != self._shown:
            self._shown = now
            self.async_write_ha_state()
