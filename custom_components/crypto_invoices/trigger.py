"""Triggers: one run for each announcement, however many of the targets it matches."""

from abc import abstractmethod
import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
import sys
from typing import Any, override

from homeassistant.const import CONF_FOR, CONF_OPTIONS, CONF_TARGET
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
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

from .delivery.announcement import NOT_FULFILLED, Announcement, Reminder
from .delivery.listeners import Subscriber, async_get_listeners
from .delivery.owner import Owner, owner_of
from .delivery.targets import CONF_ACCOUNTS, ForInvoices, resolve_target, target_of
from .identifiers import account_device, invoice_device
from .providers.model import InvoiceStatus

CONF_AT_LEAST = "at_least"
CONF_CURRENCY = "currency"
CONF_FROM = "from"
CONF_INCLUDE_TESTS = "include_tests"
CONF_NOT_OLDER_THAN = "not_older_than"
CONF_REPEAT = "repeat"
CONF_TO = "to"

type _Options = dict[vol.Marker, object]
type _Matches = Callable[[Announcement, Mapping[str, Any]], bool]

# A word that nobody knows is never announced.
_STATUSES = vol.All(
    cv.ensure_list,
    [vol.In([status.value for status in InvoiceStatus if status is not InvoiceStatus.UNKNOWN])],
)
# What all triggers can be asked for.
_OPTIONS: _Options = {
    vol.Optional(CONF_AT_LEAST, default=0): vol.All(
        vol.Coerce(float), vol.Range(min=0, max=sys.float_info.max)
    ),
    vol.Optional(CONF_CURRENCY, default=""): cv.string,
    vol.Optional(CONF_INCLUDE_TESTS, default=True): cv.boolean,
    vol.Optional(CONF_NOT_OLDER_THAN): cv.positive_time_period,
}
_BETWEEN: _Options = {
    vol.Optional(CONF_FROM): _STATUSES,
    vol.Optional(CONF_TO): _STATUSES,
}
_REPEAT: _Options = {vol.Optional(CONF_REPEAT, default=False): cv.boolean}
_FOR: _Options = {
    vol.Required(CONF_FOR): vol.All(cv.positive_time_period, vol.Range(min=timedelta(seconds=1))),
}
# Instead of a target, which is marked red while there is none.
_ACCOUNTS: _Options = {
    vol.Optional(CONF_ACCOUNTS): vol.All(cv.ensure_list, [cv.string]),
}


class InvoiceTrigger(ForInvoices, Trigger):
    """Runs when something is announced of the targeted invoices."""

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Keep the target, which is looked up at each announcement."""
        super().__init__(hass, config)
        self._options: dict[str, Any] = config.options or {}
        self._target = target_of(config.target, self._options)

    @staticmethod
    @abstractmethod
    def matches(announcement: Announcement, options: Mapping[str, Any]) -> bool:
        """Whether this is what the trigger waits for."""

    def _is_wanted(self, announcement: Announcement) -> bool:
        """Whether an announcement is of a targeted invoice, and as the options want it."""
        return (
            _is_as_asked(announcement, self._options)
            and self.matches(announcement, self._options)
            and resolve_target(self._hass, self._target).includes(
                announcement.entry_id, announcement.invoice_id
            )
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

        return self._subscribe(run, owner_of(action, action_payload_builder))

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

        return self._subscribe(run)

    @callback
    def _subscribe(
        self, run: Callable[[Announcement, int], asyncio.Task[Any]], owner: Owner | None = None
    ) -> CALLBACK_TYPE:
        """Hear what is wanted, as often as the options want it."""
        return async_get_listeners(self._hass).subscribe(
            Subscriber(
                self._is_wanted,
                run,
                owner,
                repeats=self._options.get(CONF_REPEAT, False),
                after=self._options.get(CONF_FOR),
            )
        )


def _variables(hass: HomeAssistant, announcement: Announcement, attempt: int) -> dict[str, Any]:
    """Return what a run gets in addition to Home Assistant's own values."""
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


def _is_as_asked(announcement: Announcement, options: Mapping[str, Any]) -> bool:
    """Whether an announcement is as the options that all triggers have want it."""
    if announcement.is_test and not options.get(CONF_INCLUDE_TESTS, True):
        return False
    longest: timedelta | None = options.get(CONF_NOT_OLDER_THAN)
    if longest and announcement.age > longest:
        return False
    currency = options.get(CONF_CURRENCY, "").strip().casefold()
    if currency and currency != (announcement.values["currency"] or "").casefold():
        return False
    # Without an amount, nobody knows whether it is enough.
    amount, least = announcement.values["amount"], options.get(CONF_AT_LEAST)
    return not least or (amount is not None and amount >= least)


def _is_between(announcement: Announcement, options: Mapping[str, Any]) -> bool:
    """Whether the transition is between the statuses asked for; none is any."""
    before, after = options.get(CONF_FROM), options.get(CONF_TO)
    return (
        not isinstance(announcement, Reminder)
        and (not before or announcement.previous in before)
        and (not after or announcement.status in after)
    )


def _is_still_owed(announcement: Announcement, options: Mapping[str, Any]) -> bool:
    """Whether a payment has been owed for as long as was asked for."""
    return isinstance(announcement, Reminder) and announcement.after == options[CONF_FOR]


def _is_payment(announcement: Announcement, options: Mapping[str, Any]) -> bool:
    """Whether the invoice became paid: an invoice that is overpaid is paid as well."""
    return announcement.is_payment


def _of_kind(kind: str) -> _Matches:
    """Return whether an announcement is of a kind."""
    return lambda announcement, options: announcement.kind == kind


def _make_trigger(
    matches: _Matches, own_options: _Options | None = None, *, has_target: bool = True
) -> type[Trigger]:
    """Return the trigger for some announcements, with a target or else a choice of accounts."""
    options = _OPTIONS | (own_options or {}) | ({} if has_target else _ACCOUNTS)
    target = {vol.Optional(CONF_TARGET): dict} if has_target else {}
    made = vol.Schema({**target, vol.Optional(CONF_OPTIONS, default=dict): options})

    class MadeTrigger(InvoiceTrigger):
        """Runs at these announcements."""

        schema = made

        @staticmethod
        @override
        def matches(announcement: Announcement, options: Mapping[str, Any]) -> bool:
            """Whether this is what the trigger waits for."""
            return matches(announcement, options)

    return MadeTrigger


TRIGGERS: dict[str, type[Trigger]] = {
    "any_paid": _make_trigger(_is_payment, _REPEAT, has_target=False),
    "any_status_changed": _make_trigger(_is_between, _BETWEEN, has_target=False),
    "paid": _make_trigger(_is_payment, _REPEAT),
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
    "status_changed": _make_trigger(_is_between, _BETWEEN),
    NOT_FULFILLED: _make_trigger(_is_still_owed, _FOR),
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers of invoices."""
    return TRIGGERS
