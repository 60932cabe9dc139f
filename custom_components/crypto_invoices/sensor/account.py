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
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.typing import StateType
from homeassistant.util import dt as dt_util

from ..book.book import Book
from ..coordinator import CryptoInvoicesCoordinator
from ..entity import AccountEntity
from ..identifiers import entity_unique_id
from ..money import exact
from ..runtime import AccountRuntime
from .money import MoneySensor, known_currencies

# Not a moment of the day: such a timer sleeps for a month where the clock is set back for a while.
_DAY_COMPARED_EVERY = timedelta(minutes=1)


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
    known, added = known_currencies(hass, coordinator.config_entry, *SUMS), set[str]()

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
        """Begin again each day, which need not begin at midnight, and when the clock is set."""
        await super().async_added_to_hass()
        self._shown_since = self.last_reset
        self.async_on_remove(
            async_track_time_interval(
                self.hass, self._compare_day, _DAY_COMPARED_EVERY, cancel_on_shutdown=True
            )
        )

    @callback
    def _compare_day(self, now: datetime) -> None:
        """Write how many are paid since another day began, and since when, if it did."""
        if (since := self.last_reset) != self._shown_since:
            self._shown_since, self._shown = since, self.native_value
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
