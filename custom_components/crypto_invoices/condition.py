"""Conditions: the present status of invoices."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Unpack, override

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_OPTIONS, CONF_TARGET
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.condition import (
    ATTR_BEHAVIOR,
    BEHAVIOR_ALL,
    BEHAVIOR_ANY,
    Condition,
    ConditionCheckParams,
    ConditionConfig,
)
import voluptuous as vol

from .const import DOMAIN
from .delivery.targets import ForInvoices, resolve_target
from .identifiers import invoice_of_device
from .providers.model import InvoiceStatus
from .runtime import CryptoInvoicesConfigEntry

CONF_STATUS = "status"

_BEHAVIOR = {
    vol.Required(ATTR_BEHAVIOR, default=BEHAVIOR_ANY): vol.In([BEHAVIOR_ANY, BEHAVIOR_ALL])
}
_SCHEMA = vol.Schema(
    {vol.Optional(CONF_TARGET): dict, vol.Optional(CONF_OPTIONS, default=dict): _BEHAVIOR}
)
_IS_STATUS_SCHEMA = _SCHEMA.extend(
    {
        vol.Required(CONF_OPTIONS): {
            **_BEHAVIOR,
            vol.Required(CONF_STATUS): vol.All(
                cv.ensure_list,
                vol.Length(min=1),
                [vol.In([status.value for status in InvoiceStatus])],
            ),
        }
    }
)


class InvoiceCondition(ForInvoices, Condition):
    """Whether any or all of the targeted invoices are as asked for."""

    schema = _SCHEMA

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Keep the target, which is looked up at each check."""
        super().__init__(hass, config)
        self._target = config.target
        self._options = config.options or {}

    @abstractmethod
    def _answers(self) -> Iterator[bool]:
        """Yield of each targeted invoice whether it is as asked for."""

    @override
    def _async_check(self, **kwargs: Unpack[ConditionCheckParams]) -> bool:
        """Check what is known of the targeted invoices."""
        matches = list(self._answers())
        if self._options[ATTR_BEHAVIOR] == BEHAVIOR_ALL:
            return bool(matches) and all(matches)
        return any(matches)

    def _accounts(self) -> list[CryptoInvoicesConfigEntry]:
        """Return the accounts, loaded or not."""
        return self._hass.config_entries.async_entries(DOMAIN, include_disabled=False)


class StatusCondition(InvoiceCondition):
    """Whether any or all of the targeted invoices have a certain status."""

    @abstractmethod
    def _matches(self, status: InvoiceStatus) -> bool:
        """Whether this is the status asked for."""

    @override
    def _answers(self) -> Iterator[bool]:
        """Yield what the latest readings say; an invoice that can't be read matches nothing."""
        targeted = resolve_target(self._hass, self._target)
        for entry in self._accounts():
            for invoice_id, status in _latest_statuses(self._hass, entry):
                if targeted.includes(entry.entry_id, invoice_id):
                    yield status is not None and self._matches(status)


class IsFulfilledCondition(InvoiceCondition):
    """Whether what was paid for is fulfilled; what nothing is owed for doesn't count."""

    @override
    def _answers(self) -> Iterator[bool]:
        """Yield what is owed, or was, as the books say; an outage changes nothing of it."""
        targeted = resolve_target(self._hass, self._target)
        for entry in self._accounts():
            if entry.state is not ConfigEntryState.LOADED:
                # Nobody knows what is owed there.
                yield from (
                    False
                    for invoice_id, _ in _latest_statuses(self._hass, entry)
                    if targeted.includes(entry.entry_id, invoice_id)
                )
                continue
            items = entry.runtime_data.book.items
            for found, is_fulfilled in ((items.owed, False), (items.done, True)):
                yield from (
                    is_fulfilled
                    for invoice_id in found
                    if targeted.includes(entry.entry_id, invoice_id)
                )


def _latest_statuses(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry
) -> Iterator[tuple[str, InvoiceStatus | None]]:
    """Yield the invoices of an account with their statuses, None for what can't be read."""
    if entry.state is not ConfigEntryState.LOADED:
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id):
            if invoice_id := invoice_of_device(entry.entry_id, device.identifiers):
                yield invoice_id, None
        return
    coordinator = entry.runtime_data.coordinator
    for invoice_id, one in coordinator.data.items():
        is_read = coordinator.last_update_success and one.invoice is not None
        yield invoice_id, one.invoice.status if is_read and one.invoice else None


class IsStatusCondition(StatusCondition):
    """Whether the status is one of those given."""

    schema = _IS_STATUS_SCHEMA

    @override
    def _matches(self, status: InvoiceStatus) -> bool:
        """Whether this is one of the statuses given."""
        return status in self._options[CONF_STATUS]


def _make_condition(matches: Callable[[InvoiceStatus], bool]) -> type[Condition]:
    """Return the condition for a group of statuses."""

    class GroupCondition(StatusCondition):
        """Whether the status is in a group."""

        @override
        def _matches(self, status: InvoiceStatus) -> bool:
            """Whether the status is in the group."""
            return matches(status)

    return GroupCondition


CONDITIONS: dict[str, type[Condition]] = {
    "is_paid": _make_condition(lambda status: status.is_paid),
    "is_open": _make_condition(lambda status: status.is_open),
    "is_status": IsStatusCondition,
    "is_fulfilled": IsFulfilledCondition,
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions of invoices."""
    return CONDITIONS
