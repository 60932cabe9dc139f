"""Sensors of accounts and their invoices."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, override

from homeassistant.components.sensor import (
    DOMAIN as SENSOR_DOMAIN,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.generated.currencies import ACTIVE_CURRENCIES
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType

from .const import CONF_INVOICE_ID
from .coordinator import CryptoInvoicesConfigEntry, CryptoInvoicesCoordinator
from .entity import AccountEntity, InvoiceEntity, async_add_invoice_entities
from .money import exact
from .providers.model import Invoice, InvoiceStatus

PARALLEL_UPDATES = 0

# How many decimals people write these with; the state itself is always exact.
_DISPLAY_PRECISION = {"BTC": 8, "SAT": 0, "USDC": 2, "USDT": 2}


@dataclass(frozen=True, kw_only=True)
class InvoiceSensorDescription(SensorEntityDescription):
    """A sensor of an invoice."""

    value_fn: Callable[[Invoice], StateType | datetime | Decimal]


@dataclass(frozen=True, kw_only=True)
class AccountSensorDescription(SensorEntityDescription):
    """A sensor of an account."""

    value_fn: Callable[[CryptoInvoicesCoordinator], StateType | datetime]
    is_history: bool = False
    """Whether it tells of the past, which an outage doesn't change."""


STATUS = InvoiceSensorDescription(
    key="status",
    translation_key="status",
    name=None,
    device_class=SensorDeviceClass.ENUM,
    options=[status.value for status in InvoiceStatus],
    value_fn=lambda invoice: invoice.status.value,
)

AMOUNTS = (
    InvoiceSensorDescription(
        key="amount",
        translation_key="amount",
        value_fn=lambda invoice: invoice.amount,
    ),
    InvoiceSensorDescription(
        key="amount_received",
        translation_key="amount_received",
        value_fn=lambda invoice: invoice.amount_received,
    ),
)

TIMES = (
    InvoiceSensorDescription(
        key="expires_at",
        translation_key="expires_at",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda invoice: invoice.expires_at,
    ),
)

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
        value_fn=lambda coordinator: coordinator.last_reading,
        is_history=True,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the account's sensors, and those of each invoice as it gets tracked."""
    coordinator = entry.runtime_data
    async_add_entities(AccountSensor(coordinator, description) for description in ACCOUNT)
    async_add_invoice_entities(
        coordinator, async_add_entities, partial(invoice_sensors, coordinator)
    )


def invoice_sensors(coordinator: CryptoInvoicesCoordinator, invoice_id: str) -> list[InvoiceSensor]:
    """Return the sensors of an invoice: those its provider has something to say for."""
    classes = ((StatusSensor, (STATUS,)), (AmountSensor, AMOUNTS), (InvoiceSensor, TIMES))
    return [
        sensor(coordinator, invoice_id, description)
        for sensor, descriptions in classes
        for description in descriptions
        if description.key in coordinator.provider.reports
    ]


class AccountSensor(AccountEntity, SensorEntity):
    """A sensor of an account."""

    entity_description: AccountSensorDescription

    @override
    async def async_added_to_hass(self) -> None:
        """Follow every reading, beside the account's failures and recoveries."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_add_reading_listener(self._reading_done))
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

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return the state of the sensor."""
        return self.entity_description.value_fn(self.coordinator)


class InvoiceSensor(InvoiceEntity, SensorEntity):
    """A sensor of an invoice."""

    entity_description: InvoiceSensorDescription

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return the state of the sensor; money in plain digits, exactly as told."""
        if self.invoice is None:
            return None
        value = self.entity_description.value_fn(self.invoice)
        return exact(value) if isinstance(value, Decimal) else value


class AmountSensor(InvoiceSensor):
    """An amount in the currency that the invoice was issued in."""

    _attr_native_unit_of_measurement: str | None = None
    _attr_device_class: SensorDeviceClass | None = None
    _attr_suggested_display_precision: int | None = None

    @override
    def __init__(self, *args: Any) -> None:
        """Begin with the invoice's currency."""
        super().__init__(*args)
        self._follow_currency()

    @override
    @callback
    def _handle_coordinator_update(self) -> None:
        """Take the currency before it is written."""
        self._follow_currency()
        super()._handle_coordinator_update()

    @callback
    def _follow_currency(self) -> None:
        """Take the invoice's currency; an invoice that can't be read keeps it."""
        if self.invoice is None or self.invoice.currency == self._attr_native_unit_of_measurement:
            return
        unit = self._attr_native_unit_of_measurement = self.invoice.currency
        # Monetary is what the frontend can format as money: ISO 4217 currencies.
        is_money = unit in ACTIVE_CURRENCIES
        self._attr_device_class = SensorDeviceClass.MONETARY if is_money else None
        # How many decimals the currency is usually written with.
        precision = _DISPLAY_PRECISION.get(unit.upper()) if unit is not None else None
        self._attr_suggested_display_precision = 2 if is_money else precision

    @override
    def get_initial_entity_options(self) -> er.EntityOptionsType | None:
        """Register with the precision, which would cost an update of the registry later."""
        precision = self.suggested_display_precision
        if precision is None:
            return super().get_initial_entity_options()
        return {SENSOR_DOMAIN: {"suggested_display_precision": precision}}


class StatusSensor(InvoiceSensor):
    """The status of an invoice, with what automations and templates ask for beside it."""

    _unrecorded_attributes = frozenset({"payment_url"})

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """Return what the provider says of the invoice; what it never says is left out."""
        return invoice_attributes(self.invoice) if self.invoice else None


def invoice_attributes(invoice: Invoice) -> dict[str, Any]:
    """Return an invoice as attributes. Amounts are numbers: exact ones are in the sensors."""
    optional = {
        "order_id": invoice.order_id,
        "pay_amount": _number(invoice.pay_amount),
        "pay_currency": invoice.pay_currency,
        "network": invoice.network,
        "payment_url": invoice.payment_url,
        "paid_at": invoice.paid_at,
        "is_test": invoice.is_test,
        **invoice.local_times,
        "created_at": invoice.created_at or invoice.local_times.get("created_at"),
        "expires_at": invoice.expires_at or invoice.local_times.get("expires_at"),
    }
    return {
        CONF_INVOICE_ID: invoice.id,
        "status": invoice.status.value,
        "provider_status": invoice.provider_status,
        "amount": _number(invoice.amount),
        "currency": invoice.currency,
        "amount_received": _number(invoice.amount_received),
        **{key: value for key, value in optional.items() if value is not None},
    }


def _number(amount: Decimal | None) -> float | None:
    """Return an amount as templates compare them."""
    return None if amount is None else float(amount)
