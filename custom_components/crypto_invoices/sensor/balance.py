"""Sensors of what an account holds."""

from decimal import Decimal
from typing import override

from homeassistant.components.sensor import SensorEntityDescription, SensorStateClass
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from ..devices import account_device_info
from ..identifiers import entity_unique_id
from ..money import exact
from ..upkeep.balances import BalanceCoordinator
from .money import MoneySensor, known_currencies

BALANCE = SensorEntityDescription(
    key="balance", translation_key="balance", state_class=SensorStateClass.TOTAL
)


@callback
def async_add_balances(
    hass: HomeAssistant,
    balances: BalanceCoordinator,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a sensor for each currency that the account holds, or held once, as soon as that is known.

    A provider may know dozens of coins: those of which there never was anything are left out.
    """
    held_once = known_currencies(hass, balances.config_entry, BALANCE)
    added: set[str] = set()

    @callback
    def add_currencies() -> None:
        if balances.data is None:
            return
        only_one = len(balances.data) == 1
        held = {name for name, amount in balances.data.items() if amount or only_one}
        if new := (held | held_once) - added:
            added.update(new)
            async_add_entities(BalanceSensor(balances, currency) for currency in sorted(new))

    entry = balances.config_entry
    entry.async_on_unload(balances.async_add_listener(add_currencies))
    # The set-up doesn't wait for what is only nice to have.
    entry.async_create_background_task(
        hass, balances.async_refresh(), f"{balances.name} at the start"
    )


class BalanceSensor(CoordinatorEntity[BalanceCoordinator], MoneySensor):
    """What an account holds in one currency."""

    _attr_has_entity_name = True
    entity_description = BALANCE

    def __init__(self, balances: BalanceCoordinator, currency: str) -> None:
        """Belong to the account's device."""
        super().__init__(balances)
        self._currency = currency
        entry = balances.config_entry
        self._attr_unique_id = entity_unique_id(entry.entry_id, BALANCE.key, currency)
        self._attr_device_info = account_device_info(entry)
        self._attr_translation_placeholders = {"currency": currency}
        self._show_in(currency)

    @property
    @override
    def available(self) -> bool:
        """Whether the last reading succeeded."""
        return super().available and self.coordinator.data is not None

    @property
    @override
    def native_value(self) -> str:
        """Return the balance, every digit of it; what is no longer reported is gone."""
        return exact((self.coordinator.data or {}).get(self._currency, Decimal(0)))
