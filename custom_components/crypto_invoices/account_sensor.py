"""Sensors of an account: how many invoices there are, and what they add up to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_time_change
from homeassistant.helpers.typing import StateType
from homeassistant.helpers.update_coordinator import CoordinatorEntity
from homeassistant.util import dt as dt_util

from .balance import BalanceCoordinator
from .books import Books
from .coordinator import CryptoInvoicesCoordinator
from .entity import AccountEntity, account_device_info
from .money import exact
from .money_sensor import MoneySensor
from .providers.invoicing import CanReadBalance


@dataclass(frozen=True, kw_only=True)
class AccountDescription(SensorEntityDescription):
    """A sensor of an account."""

    is_history: bool = False
    """Whether it tells of the past, which an outage doesn't change."""


@dataclass(frozen=True, kw_only=True)
class AccountSensorDescription(AccountDescription):
    """A sensor of an account, of which there is one."""

    value_fn: Callable[[CryptoInvoicesCoordinator], StateType | datetime]


@dataclass(frozen=True, kw_only=True)
class SumSensorDescription(AccountDescription):
    """A sensor of an account, of which there is one for each currency."""

    sums_fn: Callable[[Books], Mapping[str, Decimal]]


ACCOUNT = (
    AccountSensorDescription(
        key="open_invoices",
        translation_key="open_invoices",
        value_fn=lambda coordinator: len(coordinator.data.open),
    ),
    AccountSensorDescription(
        key="last_reading",
        translation_key="last_reading",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        # It changes with every reading.
        entity_registry_enabled_default=False,
        value_fn=lambda coordinator: coordinator.last_reading,
        is_history=True,
    ),
)

PAID_TODAY = AccountSensorDescription(
    key="paid_today",
    translation_key="paid_today",
    # Not an increasing one, which takes a payment that is taken back for a new beginning.
    state_class=SensorStateClass.TOTAL,
    value_fn=lambda coordinator: coordinator.books.paid_today,
    is_history=True,
)

# Of a monetary sensor, a total is the only state class; of others, the same.
SUMS = (
    SumSensorDescription(
        key="outstanding",
        translation_key="outstanding",
        state_class=SensorStateClass.TOTAL,
        sums_fn=lambda books: books.outstanding.totals,
    ),
    SumSensorDescription(
        key="received",
        translation_key="received",
        state_class=SensorStateClass.TOTAL,
        sums_fn=lambda books: books.received.totals,
        is_history=True,
    ),
)

BALANCE = AccountDescription(
    key="balance", translation_key="balance", state_class=SensorStateClass.TOTAL
)


@callback
def async_add_account_sensors(
    hass: HomeAssistant,
    coordinator: CryptoInvoicesCoordinator,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of an account, those of a currency as soon as there is one."""
    async_add_entities(
        [
            *(AccountSensor(coordinator, description) for description in ACCOUNT),
            PaidTodaySensor(coordinator, PAID_TODAY),
        ]
    )
    added: set[str] = set()

    @callback
    def add_currencies() -> None:
        if new := coordinator.books.currencies - added:
            added.update(new)
            async_add_entities(
                SumSensor(coordinator, description, currency)
                for currency in sorted(new)
                for description in SUMS
            )

    coordinator.config_entry.async_on_unload(
        coordinator.publisher.async_add_reading_listener(add_currencies)
    )
    add_currencies()
    if isinstance(coordinator.provider, CanReadBalance):
        _add_balances(
            hass,
            BalanceCoordinator(hass, coordinator, coordinator.provider),
            coordinator,
            async_add_entities,
        )


@callback
def _add_balances(
    hass: HomeAssistant,
    balances: BalanceCoordinator,
    coordinator: CryptoInvoicesCoordinator,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a sensor for each currency that the account holds, or held once, as soon as that is known.

    A provider may know dozens of coins: those of which there never was anything are left out.
    """
    registry, entry_id = er.async_get(hass), coordinator.config_entry.entry_id
    prefix = f"{entry_id}_{BALANCE.key}_"
    held_once = {
        entity.unique_id.removeprefix(prefix)
        for entity in er.async_entries_for_config_entry(registry, entry_id)
        if entity.unique_id.startswith(prefix)
    }
    added: set[str] = set()

    @callback
    def add_currencies() -> None:
        if balances.data is None:
            return
        only_one = len(balances.data) == 1
        held = {name for name, amount in balances.data.items() if amount or only_one}
        if new := (held | held_once) - added:
            added.update(new)
            async_add_entities(
                BalanceSensor(coordinator, balances, currency) for currency in sorted(new)
            )

    entry = coordinator.config_entry
    entry.async_on_unload(balances.async_add_listener(add_currencies))
    # The set-up doesn't wait for what is only nice to have.
    entry.async_create_background_task(
        hass, balances.async_refresh(), f"{balances.name} at the start"
    )


class FollowingSensor(AccountEntity, SensorEntity):
    """A sensor of an account that follows every reading."""

    entity_description: AccountDescription

    @override
    async def async_added_to_hass(self) -> None:
        """Follow every reading, beside the account's failures and recoveries."""
        await super().async_added_to_hass()
        self.async_on_remove(
            self.coordinator.publisher.async_add_reading_listener(self._reading_done)
        )
        self._shown = self.native_value

    @callback
    def _reading_done(self) -> None:
        """Write what a reading changed."""
        if (value := self.native_value) != self._shown:
            self._shown = value
            self.async_write_ha_state()

    @property
    @override
    def available(self) -> bool:
        """Whether there is something to show: the last reading was when it was, outage or not."""
        return self.entity_description.is_history or super().available


class AccountSensor(FollowingSensor):
    """A sensor of an account, of which there is one."""

    entity_description: AccountSensorDescription

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return the state of the sensor."""
        return self.entity_description.value_fn(self.coordinator)


class PaidTodaySensor(AccountSensor):
    """How many invoices were paid since midnight."""

    @override
    async def async_added_to_hass(self) -> None:
        """Begin anew at midnight."""
        await super().async_added_to_hass()
        self.async_on_remove(
            async_track_time_change(self.hass, self._begin_day, hour=0, minute=0, second=0)
        )

    @callback
    def _begin_day(self, now: datetime) -> None:
        """Write that none is paid yet, and since when."""
        self._shown = self.native_value
        self.async_write_ha_state()

    @property
    @override
    def last_reset(self) -> datetime:
        """Return when counting began."""
        return dt_util.start_of_local_day()


class SumSensor(FollowingSensor, MoneySensor):
    """What the invoices of an account add up to in one currency."""

    entity_description: SumSensorDescription

    def __init__(
        self,
        coordinator: CryptoInvoicesCoordinator,
        description: SumSensorDescription,
        currency: str,
    ) -> None:
        """Add up in a currency."""
        super().__init__(coordinator, description)
        self._currency = currency
        self._attr_unique_id = f"{self._attr_unique_id}_{currency}"
        self._attr_translation_placeholders = {"currency": currency}
        self._show_in(currency)

    @property
    @override
    def native_value(self) -> str:
        """Return the sum, every digit of it."""
        sums = self.entity_description.sums_fn(self.coordinator.books)
        return exact(sums.get(self._currency, Decimal(0)))


class BalanceSensor(CoordinatorEntity[BalanceCoordinator], MoneySensor):
    """What an account holds in one currency."""

    _attr_has_entity_name = True
    entity_description = BALANCE

    def __init__(
        self, coordinator: CryptoInvoicesCoordinator, balances: BalanceCoordinator, currency: str
    ) -> None:
        """Belong to the account's device."""
        super().__init__(balances)
        self._currency = currency
        self._attr_unique_id = f"{coordinator.config_entry.entry_id}_{BALANCE.key}_{currency}"
        self._attr_device_info = account_device_info(coordinator)
        self._attr_translation_placeholders = {"currency": currency}
        self._show_in(currency)

    @property
    @override
    def available(self) -> bool:
        """Whether the last look succeeded."""
        return super().available and self.coordinator.data is not None

    @property
    @override
    def native_value(self) -> str:
        """Return the balance, every digit of it; what is no longer told of is gone."""
        return exact((self.coordinator.data or {}).get(self._currency, Decimal(0)))
