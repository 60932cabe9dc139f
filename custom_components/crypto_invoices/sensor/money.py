"""Sensors of amounts of money."""

from typing import override

from homeassistant.components.sensor import (
    DOMAIN as SENSOR_DOMAIN,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
)
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.generated.currencies import ACTIVE_CURRENCIES
from homeassistant.helpers import entity_registry as er

from ..identifiers import entity_unique_id, part_after
from ..money import usual_decimals


class MoneySensor(SensorEntity):
    """A sensor of an amount in a currency."""

    _attr_native_unit_of_measurement: str | None = None
    _attr_device_class: SensorDeviceClass | None = None
    _attr_suggested_display_precision: int | None = None

    @callback
    def _show_in(self, currency: str | None) -> None:
        """Show amounts as those of a currency."""
        self._attr_native_unit_of_measurement = currency
        # Monetary is what the frontend can format as money: ISO 4217 currencies.
        is_money = currency in ACTIVE_CURRENCIES
        self._attr_device_class = SensorDeviceClass.MONETARY if is_money else None
        # The state itself is always exact.
        self._attr_suggested_display_precision = usual_decimals(currency) if currency else None

    @override
    def get_initial_entity_options(self) -> er.EntityOptionsType | None:
        """Register with the precision, which would cost an update of the registry later."""
        if (precision := self.suggested_display_precision) is None:
            return super().get_initial_entity_options()
        return {SENSOR_DOMAIN: {"suggested_display_precision": precision}}


def known_currencies(
    hass: HomeAssistant, entry: ConfigEntry, *descriptions: SensorEntityDescription
) -> set[str]:
    """Return the currencies that sensors were added for: of these, it is known that it is zero."""
    beginnings = [entity_unique_id(entry.entry_id, description.key) for description in descriptions]
    return {
        currency
        for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        for beginning in beginnings
        if (currency := part_after(beginning, entity.unique_id)) is not None
    }
