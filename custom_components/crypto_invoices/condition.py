"""Conditions: the present status of invoices."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Unpack, override

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_OPTIONS, CONF_TARGET
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.condition import (
    ATTR_BEHAVIOR,
    BEHAVIOR_ALL,
    BEHAVIOR_ANY,
    Condition,
    ConditionCheckParams,
    ConditionConfig,
)
import voluptuous as vol

from .account import tracked_invoices
from .const import DOMAIN
from .coordinator import CryptoInvoicesConfigEntry
from .providers.model import InvoiceStatus
from .targets import ForInvoices, resolve_target

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
    """Whether any or all of the targeted invoices have a certain status."""

    schema = _SCHEMA

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Keep the target, which is looked up at each check."""
        super().__init__(hass, config)
        self._target = config.target
        self._options = config.options or {}

    @abstractmethod
    def _matches(self, status: InvoiceStatus) -> bool:
        """Whether this is the status asked for."""

    @override
    def _async_check(self, **kwargs: Unpack[ConditionCheckParams]) -> bool:
        """Check the latest readings; an invoice that can't be read matches nothing."""
        matches = [status is not None and self._matches(status) for status in self._statuses()]
        if self._options[ATTR_BEHAVIOR] == BEHAVIOR_ALL:
            return bool(matches) and all(matches)
        return any(matches)

    def _statuses(self) -> Iterator[InvoiceStatus | None]:
        """Yield the status of each targeted invoice, None for one that can't be read."""
        targeted = resolve_target(self._hass, self._target)
        entries: list[CryptoInvoicesConfigEntry] = self._hass.config_entries.async_entries(
            DOMAIN, include_disabled=False
        )
        for entry in entries:
            for invoice_id in tracked_invoices(entry):
                if targeted.includes(entry.entry_id, invoice_id):
                    yield _latest_status(entry, invoice_id)


def _latest_status(entry: CryptoInvoicesConfigEntry, invoice_id: str) -> InvoiceStatus | None:
    """Return the status of an invoice, None when its last reading failed or is yet to come."""
    if entry.state is not ConfigEntryState.LOADED or not entry.runtime_data.last_update_success:
        return None
    invoice = entry.runtime_data.data.invoices.get(invoice_id)
    return invoice.status if invoice else None


class IsStatusCondition(InvoiceCondition):
    """Whether the status is one of those given."""

    schema = _IS_STATUS_SCHEMA

    @override
    def _matches(self, status: InvoiceStatus) -> bool:
        """Whether this is one of the statuses given."""
        return status in self._options[CONF_STATUS]


def _make_condition(matches: Callable[[InvoiceStatus], bool]) -> type[Condition]:
    """Return the condition for a group of statuses."""

    class GroupCondition(InvoiceCondition):
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
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions of invoices."""
    return CONDITIONS
