"""Triggers: one run for each announcement, however many of the targets it matches."""

from abc import abstractmethod
import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, override

from homeassistant.const import CONF_OPTIONS, CONF_TARGET
from homeassistant.core import CALLBACK_TYPE, HomeAssistant
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.trigger import (
    Trigger,
    TriggerAction,
    TriggerActionPayloadBuilder,
    TriggerActionRunner,
    TriggerConfig,
    TriggerNotTriggeredReporter,
)
import voluptuous as vol

from .delivery.announcement import Announcement
from .delivery.listeners import Subscriber, async_get_listeners, owner_of
from .delivery.targets import ForInvoices, resolve_target
from .identifiers import account_device, invoice_device
from .providers.model import InvoiceStatus

CONF_FROM = "from"
CONF_INCLUDE_TESTS = "include_tests"
CONF_NOT_OLDER_THAN = "not_older_than"
CONF_TO = "to"

# A word that nobody knows is never announced.
_STATUSES = vol.All(
    cv.ensure_list,
    [vol.In([status.value for status in InvoiceStatus if status is not InvoiceStatus.UNKNOWN])],
)
# What all triggers can be asked for.
_OPTIONS: dict[vol.Marker, object] = {
    vol.Optional(CONF_INCLUDE_TESTS, default=True): cv.boolean,
    vol.Optional(CONF_NOT_OLDER_THAN): cv.positive_time_period,
}
_BETWEEN: dict[vol.Marker, object] = {
    vol.Optional(CONF_FROM): _STATUSES,
    vol.Optional(CONF_TO): _STATUSES,
}


def _schema(options: dict[vol.Marker, object]) -> vol.Schema:
    """Return the schema of a trigger with these options."""
    return vol.Schema(
        {vol.Optional(CONF_TARGET): dict, vol.Optional(CONF_OPTIONS, default=dict): options}
    )


class InvoiceTrigger(ForInvoices, Trigger):
    """Runs when something is announced of the targeted invoices."""

    schema = _schema(_OPTIONS)

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Keep the target, which is looked up at each announcement."""
        super().__init__(hass, config)
        self._target = config.target
        self._options: dict[str, Any] = config.options or {}

    @abstractmethod
    def _matches(self, announcement: Announcement) -> bool:
        """Whether this is what the trigger waits for."""

    def _is_wanted(self, announcement: Announcement) -> bool:
        """Whether an announcement is of a targeted invoice, and as the options want it."""
        if announcement.is_test and not self._options.get(CONF_INCLUDE_TESTS, True):
            return False
        longest: timedelta | None = self._options.get(CONF_NOT_OLDER_THAN)
        if longest and announcement.age > longest:
            return False
        return self._matches(announcement) and resolve_target(self._hass, self._target).includes(
            announcement.entry_id, announcement.invoice_id
        )

    @override
    async def async_attach_action(
        self,
        action: TriggerAction,
        action_payload_builder: TriggerActionPayloadBuilder,
        *,
        did_not_trigger: TriggerNotTriggeredReporter | None = None,
    ) -> CALLBACK_TYPE:
        """Hear announcements of every account, loaded now or later, for an automation."""
        hass = self._hass

        def run(announcement: Announcement, attempt: int) -> asyncio.Task[Any]:
            payload = action_payload_builder(
                _variables(hass, announcement, attempt), announcement.text
            )
            return hass.async_create_task(action(payload, None))

        return async_get_listeners(hass).subscribe(
            Subscriber(self._is_wanted, run, owner_of(action, action_payload_builder))
        )

    @override
    async def async_attach_runner(
        self,
        run_action: TriggerActionRunner,
        did_not_trigger: TriggerNotTriggeredReporter | None = None,
    ) -> CALLBACK_TYPE:
        """Hear announcements of every account for somebody whom nobody waits for."""
        hass = self._hass

        def run(announcement: Announcement, attempt: int) -> asyncio.Task[Any]:
            return run_action(_variables(hass, announcement, attempt), announcement.text)

        return async_get_listeners(hass).subscribe(Subscriber(self._is_wanted, run))


def _variables(hass: HomeAssistant, announcement: Announcement, attempt: int) -> dict[str, Any]:
    """Return what a run is told beside what Home Assistant tells it."""
    devices, entry_id = dr.async_get(hass), announcement.entry_id
    # An invoice that was paid before it was seen has none of its own.
    device = devices.async_get_device_by_identifier(
        invoice_device(entry_id, announcement.invoice_id), entry_id
    ) or devices.async_get_device_by_identifier(account_device(entry_id), entry_id)
    return {
        **announcement.as_dict(),
        "attempt": attempt,
        "device_id": device.id if device else None,
    }


class StatusChangedTrigger(InvoiceTrigger):
    """Runs at any transition, or at those between given statuses."""

    schema = _schema({**_OPTIONS, **_BETWEEN})

    @override
    def _matches(self, announcement: Announcement) -> bool:
        """Whether the transition is between the statuses asked for; none is any."""
        before, after = self._options.get(CONF_FROM), self._options.get(CONF_TO)
        return (not before or announcement.previous in before) and (
            not after or announcement.status in after
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
    return lambda announcement: announcement.kind == kind


TRIGGERS: dict[str, type[Trigger]] = {
    # An invoice that is overpaid is paid as well.
    "paid": _make_trigger(lambda announcement: announcement.is_payment),
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
