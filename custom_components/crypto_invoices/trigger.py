"""Triggers: one run for each announcement, however many of the targets it matches."""

from abc import abstractmethod
from collections.abc import Callable
from typing import override

from homeassistant.const import CONF_OPTIONS, CONF_TARGET
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.trigger import (
    Trigger,
    TriggerActionRunner,
    TriggerConfig,
    TriggerNotTriggeredReporter,
)
import voluptuous as vol

from .announcer import SIGNAL_ANNOUNCED, Announcement
from .const import DOMAIN
from .entity import invoice_identifier
from .providers.model import InvoiceStatus
from .targets import ForInvoices, resolve_target

CONF_FROM = "from"
CONF_TO = "to"

# A word that nobody knows is never announced.
_STATUSES = vol.All(
    cv.ensure_list,
    [vol.In([status.value for status in InvoiceStatus if status is not InvoiceStatus.UNKNOWN])],
)
_SCHEMA = vol.Schema(
    {vol.Optional(CONF_TARGET): dict, vol.Optional(CONF_OPTIONS, default=dict): {}}
)
_STATUS_CHANGED_SCHEMA = _SCHEMA.extend(
    {
        vol.Optional(CONF_OPTIONS, default=dict): {
            vol.Optional(CONF_FROM): _STATUSES,
            vol.Optional(CONF_TO): _STATUSES,
        }
    }
)


class InvoiceTrigger(ForInvoices, Trigger):
    """Runs when something is announced of the targeted invoices."""

    schema = _SCHEMA

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Keep the target, which is looked up at each announcement."""
        super().__init__(hass, config)
        self._target = config.target
        self._options = config.options or {}

    @abstractmethod
    def _matches(self, announcement: Announcement) -> bool:
        """Whether this is what the trigger waits for."""

    @override
    async def async_attach_runner(
        self,
        run_action: TriggerActionRunner,
        did_not_trigger: TriggerNotTriggeredReporter | None = None,
    ) -> CALLBACK_TYPE:
        """Listen for announcements of every account, loaded now or later."""

        @callback
        def announced(announcement: Announcement) -> None:
            if not self._matches(announcement):
                return
            invoice = announcement.invoice
            if not resolve_target(self._hass, self._target).includes(
                announcement.entry_id, invoice.id
            ):
                return
            device = dr.async_get(self._hass).async_get_device_by_identifier(
                (DOMAIN, invoice_identifier(announcement.entry_id, invoice.id)),
                announcement.entry_id,
            )
            announcement.tasks.append(
                run_action(
                    {**announcement.as_dict(), "device_id": device.id if device else None},
                    f"invoice {invoice.order_id or invoice.id} is {invoice.status.value}",
                )
            )

        return async_dispatcher_connect(self._hass, SIGNAL_ANNOUNCED, announced)


class StatusChangedTrigger(InvoiceTrigger):
    """Runs at any transition, or at those between given statuses."""

    schema = _STATUS_CHANGED_SCHEMA

    @override
    def _matches(self, announcement: Announcement) -> bool:
        """Whether the transition is between the statuses asked for; none is any."""
        before, after = self._options.get(CONF_FROM), self._options.get(CONF_TO)
        transition = announcement.transition
        return (not before or transition.previous in before) and (
            not after or transition.invoice.status in after
        )


def _make_trigger(matches: Callable[[Announcement], bool]) -> type[Trigger]:
    """Return the trigger for one kind of announcement."""

    class KindTrigger(InvoiceTrigger):
        """Runs at announcements of one kind."""

        @override
        def _matches(self, announcement: Announcement) -> bool:
            """Whether the announcement is of this kind."""
            return matches(announcement)

    return KindTrigger


def _of_kind(kind: str) -> Callable[[Announcement], bool]:
    """Return whether an announcement is of a kind."""
    return lambda announcement: announcement.transition.kind == kind


TRIGGERS: dict[str, type[Trigger]] = {
    # An invoice that is overpaid is paid as well.
    "paid": _make_trigger(lambda announcement: announcement.transition.is_payment),
    **{
        kind: _make_trigger(_of_kind(kind))
        for kind in (
            "partially_paid",
            "overpaid",
            "underpaid",
            "expired",
            "canceled",
            "payment_reverted",
        )
    },
    "status_changed": StatusChangedTrigger,
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers of invoices."""
    return TRIGGERS
