"""Sensors of an account: how many invoices there are, and what they add up to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EntityCategory
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_point_in_time
from homeassistant.helpers.typing import StateType
from homeassistant.helpers.update_coordinator import CoordinatorEntity
from homeassistant.util import dt as dt_util

from ..book.book import Book
from ..coordinator import CryptoInvoicesCoordinator
from ..devices import account_device_info
from ..entity import AccountEntity
from ..identifiers import entity_unique_id, part_after
from ..money import exact
from ..runtime import AccountRuntime
from ..upkeep.balances import BalanceCoordinator
from .money import MoneySensor


@dataclass(frozen=True, kw_only=True)
class AccountSensorDescription(SensorEntityDescription):
    """A sensor of an account, of which there is one."""

    value_fn: Callable[[AccountRuntime], StateType | datetime]


@dataclass(frozen=True, kw_only=True)
class SumSensorDescription(SensorEntityDescription):
    """A sensor of an account, of which there is one for each currency."""

    sums_fn: Callable[[Book], Mapping[str, Decimal]]


ACCOUNT = (
    AccountSensorDescription(
        key="open_invoices",
        translation_key="open_invoices",
        value_fn=lambda account: account.book.sums.open_count,
    ),
    AccountSensorDescription(
        key="last_reading",
        translation_key="last_reading",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        # It changes with every reading.
        entity_registry_enabled_default=False,
        value_fn=lambda account: account.coordinator.reader.last_reading,
    ),
)

PAID_TODAY = AccountSensorDescription(
    key="paid_today",
    translation_key="paid_today",
    # Not an increasing one, which takes a payment that is taken back for a new beginning.
    state_class=SensorStateClass.TOTAL,
    value_fn=lambda account: account.book.sums.paid_since(dt_util.start_of_local_day()),
)

# Of a monetary sensor, a total is the only state class; of others, the same.
SUMS = (
    SumSensorDescription(
        key="outstanding",
        translation_key="outstanding",
        state_class=SensorStateClass.TOTAL,
        sums_fn=lambda book: book.sums.outstanding,
    ),
    SumSensorDescription(
        key="received",
        translation_key="received",
        state_class=SensorStateClass.TOTAL,
        sums_fn=lambda book: book.sums.received,
    ),
)

BALANCE = SensorEntityDescription(
    key="balance", translation_key="balance", state_class=SensorStateClass.TOTAL
)


@callback
def async_add_account_sensors(
    hass: HomeAssistant, account: AccountRuntime, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors of an account, those of a currency as soon as there is one."""
    coordinator, book = account.coordinator, account.book
    async_add_entities(
        [
            *(AccountSensor(account, description) for description in ACCOUNT),
            PaidTodaySensor(account, PAID_TODAY),
        ]
    )
    known, added = _known_currencies(hass, coordinator.config_entry, *SUMS), set[str]()

    @callback
    def add_currencies() -> None:
        if new := (book.sums.currencies | known) - added:
            added.update(new)
            async_add_entities(
                SumSensor(coordinator, book, description, currency)
                for currency in sorted(new)
                for description in SUMS
            )

    coordinator.config_entry.async_on_unload(
        coordinator.publisher.async_add_reading_listener(add_currencies)
    )
    add_currencies()
    if account.balances is not None:
        _add_balances(hass, account.balances, async_add_entities)


def _known_currencies(
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


@callback
def _add_balances(
    hass: HomeAssistant,
    balances: BalanceCoordinator,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a sensor for each currency that the account holds, or held once, as soon as that is known.

    A provider may know dozens of coins: those of which there never was anything are left out.
    """
    held_once = _known_currencies(hass, balances.config_entry, BALANCE)
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


class BookSensor(AccountEntity, SensorEntity):
    """A sensor of what an account's book says, which an outage doesn't change."""

    @override
    async def async_added_to_hass(self) -> None:
        """Follow every reading."""
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
        """Return that it always has something to show."""
        return True


class AccountSensor(BookSensor):
    """A sensor of an account, of which there is one."""

    entity_description: AccountSensorDescription

    def __init__(self, account: AccountRuntime, description: AccountSensorDescription) -> None:
        """Show what there is of an account."""
        super().__init__(account.coordinator, description)
        self._account = account

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return the state of the sensor."""
        return self.entity_description.value_fn(self._account)


class PaidTodaySensor(AccountSensor):
    """How many invoices were paid since the local day began."""

    @override
    async def async_added_to_hass(self) -> None:
        """Begin anew each day."""
        await super().async_added_to_hass()
        self._stop_waiting = self._wait_for_tomorrow()

    @override
    async def async_will_remove_from_hass(self) -> None:
        """Wait for no other day."""
        self._stop_waiting()
        await super().async_will_remove_from_hass()

    def _wait_for_tomorrow(self) -> CALLBACK_TYPE:
        """Wait until the next local day begins, which need not be at midnight."""
        tomorrow = dt_util.start_of_local_day(dt_util.now().date() + timedelta(days=1))
        return async_track_point_in_time(self.hass, self._begin_day, tomorrow)

    @callback
    def _begin_day(self, now: datetime) -> None:
        """Write that none is paid yet, and since when."""
        self._stop_waiting = self._wait_for_tomorrow()
        self._shown = self.native_value
        self.async_write_ha_state()

    @property
    @override
    def last_reset(self) -> datetime:
        """Return when counting began."""
        return dt_util.start_of_local_day()


class SumSensor(BookSensor, MoneySensor):
    """What the invoices of an account add up to in one currency."""

    entity_description: SumSensorDescription

    def __init__(
        self,
        coordinator: CryptoInvoicesCoordinator,
        book: Book,
        description: SumSensorDescription,
        currency: str,
    ) -> None:
        """Add up in a currency."""
        super().__init__(coordinator, description)
        self._book = book
        self._currency = currency
        self._attr_unique_id = entity_unique_id(
            coordinator.config_entry.entry_id, description.key, currency
        )
        self._attr_translation_placeholders = {"currency": currency}
        self._show_in(currency)

    @property
    @override
    def native_value(self) -> str:
        """Return the sum, every digit of it."""
        sums = self.entity_description.sums_fn(self._book)
        return exact(sums.get(self._currency, Decimal(0)))


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
