"""Sensors of an invoice."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
)
from homeassistant.core import callback
from homeassistant.helpers.typing import StateType

from ..book.record import as_last_known
from ..coordinator import CryptoInvoicesCoordinator
from ..entity import InvoiceEntity
from ..invoice_values import invoice_attributes
from ..money import exact
from ..providers.model import Invoice, InvoiceStatus
from .money import MoneySensor


@dataclass(frozen=True, kw_only=True)
class InvoiceSensorDescription(SensorEntityDescription):
    """A sensor of an invoice."""

    value_fn: Callable[[Invoice], StateType | datetime | Decimal]


STATUS = InvoiceSensorDescription(
    key="status",
    translation_key="status",
    name=None,
    device_class=SensorDeviceClass.ENUM,
    options=[*(status.value for status in InvoiceStatus), "not_found"],
    value_fn=lambda invoice: invoice.status.value,
)

AMOUNT = InvoiceSensorDescription(
    key="amount",
    translation_key="amount",
    value_fn=lambda invoice: invoice.amount,
)
RECEIVED = InvoiceSensorDescription(
    key="amount_received",
    translation_key="amount_received",
    value_fn=lambda invoice: invoice.amount_received,
)

EXPIRES = InvoiceSensorDescription(
    key="expires_at",
    translation_key="expires_at",
    device_class=SensorDeviceClass.TIMESTAMP,
    # The blueprint that reminds needs none.
    entity_registry_enabled_default=False,
    value_fn=lambda invoice: invoice.expires_at,
)

# What its provider no longer knows is none of the common statuses: it may be paid.
NOT_FOUND = "not_found"


def invoice_sensors(
    coordinator: CryptoInvoicesCoordinator, reported_fields: frozenset[str], invoice_id: str
) -> list[InvoiceSensor]:
    """Return the sensors of an invoice: those its provider has something to say for."""
    classes = ((StatusSensor, STATUS), (AmountSensor, AMOUNT), (ReceivedSensor, RECEIVED))
    return [
        sensor(coordinator, invoice_id, description)
        for sensor, description in classes
        if description.key in reported_fields
    ]


def expires(invoice: Invoice) -> bool:
    """Whether there is an end to wait for: a payment that was seen is in time."""
    status = invoice.status
    is_waiting = status.is_open and status is not InvoiceStatus.PROCESSING
    return is_waiting and invoice.expires_at is not None


class InvoiceSensor(InvoiceEntity, SensorEntity):
    """A sensor of an invoice."""

    entity_description: InvoiceSensorDescription

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return the state of the sensor; money with every digit."""
        if self.invoice is None:
            return None
        value = self.entity_description.value_fn(self.invoice)
        return exact(value) if isinstance(value, Decimal) else value


class AmountSensor(InvoiceSensor, MoneySensor):
    """The amount that was asked for."""

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
        """Take the amount's currency; an invoice that can't be read keeps it."""
        currency = self._currency()
        if self.invoice and currency != self._attr_native_unit_of_measurement:
            self._show_in(currency)

    def _currency(self) -> str | None:
        """Return the currency that was asked for."""
        return self.invoice.currency if self.invoice else None


class ReceivedSensor(AmountSensor):
    """What has arrived, in the currency that the provider says it in."""

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return what has arrived, exactly as the provider returned it."""
        amount = self.row.amount_received if self.row else None
        return None if amount is None else exact(amount)

    @override
    def _currency(self) -> str | None:
        """Return the currency of what has arrived."""
        row = self.row
        return row.currency if row and row.amount_received is not None else super()._currency()


class StatusSensor(InvoiceSensor):
    """The status of an invoice, with what automations and templates ask for beside it."""

    _unrecorded_attributes = frozenset({"payment_url"})

    @property
    @override
    def available(self) -> bool:
        """Whether it could be read, or is known to be gone."""
        return super().available or self.is_gone

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return the status, or that the provider no longer knows the invoice."""
        return NOT_FOUND if self.is_gone else super().native_value

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """Return what the provider says of the invoice; what it never says is left out."""
        if self.is_gone:
            record = self.coordinator.data[self.invoice_id].record
            return {**invoice_attributes(as_last_known(record)), "status": NOT_FOUND}
        return invoice_attributes(self.invoice) if self.invoice else None
