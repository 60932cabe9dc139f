"""Actions of a till: create an invoice, cancel one, and what came in."""

from datetime import date, timedelta
from decimal import Decimal
import logging

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from ..money import exact, plain_digits
from ..providers.capabilities import (
    CanCancelInvoice,
    CanCreateInvoice,
    CanReadStatistics,
)
from ..providers.model import ProviderError
from ..providers.new_invoice import Flaw, InvalidField, NewInvoice, read_asked_amount
from ..runtime import CryptoInvoicesConfigEntry
from .common import (
    ATTR_INVOICE_ID,
    ATTR_ORDER_ID,
    async_answer,
    async_describe,
    async_get_account,
    async_get_chosen,
    async_may_control,
    async_read_now,
    field_label,
    provider_failure,
    refusal,
)
from .creation import async_create_and_watch, callback_url
from .ready import ATTR_READY, check_ready

_LOGGER = logging.getLogger(__name__)

ATTR_AMOUNT = "amount"
ATTR_CURRENCY = "currency"
ATTR_DESCRIPTION = "description"
ATTR_END_DATE = "end_date"
ATTR_LIFETIME = "lifetime"
ATTR_PAYMENT_METHOD = "payment_method"
ATTR_START_DATE = "start_date"


async def async_create_invoice(call: ServiceCall) -> ServiceResponse:
    """Create an invoice and watch it. One attempt, which nobody repeats."""
    entry = await async_get_account(call)
    provider = entry.runtime_data.provider
    if not isinstance(provider, CanCreateInvoice):
        raise refusal("cannot_create", account=entry.title)
    check_ready(call.hass, call.data.get(ATTR_READY, ()))
    try:
        new = _read_new_invoice(call, entry)
        invoice = await async_create_and_watch(call.hass, entry, provider, new)
    except ProviderError as err:
        raise provider_failure(call, entry, err) from err
    return async_describe(call.hass, entry, invoice)


def _read_new_invoice(call: ServiceCall, entry: CryptoInvoicesConfigEntry) -> NewInvoice:
    """Return what was asked for; empty is not given. Raises InvalidField."""

    def text(key: str) -> str | None:
        return call.data.get(key, "").strip() or None

    return NewInvoice(
        amount=_read_amount(call.data[ATTR_AMOUNT]),
        currency=call.data[ATTR_CURRENCY].strip().upper(),
        order_id=text(ATTR_ORDER_ID),
        description=text(ATTR_DESCRIPTION),
        lifetime=_read_lifetime(call),
        payment_method=text(ATTR_PAYMENT_METHOD),
        callback_url=callback_url(call.hass, entry),
    )


def _read_amount(value: object) -> Decimal:
    """Return an amount: of a number, every digit counts. Raises InvalidField."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = plain_digits(value)
    return read_asked_amount(value if isinstance(value, str) else "")


def _read_lifetime(call: ServiceCall) -> timedelta | None:
    """Return a duration in any of Home Assistant's forms. Raises a ServiceValidationError."""
    if (value := call.data.get(ATTR_LIFETIME)) is None:
        return None
    try:
        lifetime: timedelta = cv.time_period(value)
    except (vol.Invalid, OverflowError) as err:
        raise refusal("lifetime_invalid", field=field_label(call, ATTR_LIFETIME)) from err
    return lifetime


async def async_cancel_invoice(call: ServiceCall) -> ServiceResponse:
    """Take an unpaid invoice back, where its provider can."""
    given = {key: value.strip() for key, value in call.data.items()}
    chosen = async_get_chosen(
        call.hass,
        *([given[key]] if given.get(key) else [] for key in (ATTR_DEVICE_ID, ATTR_INVOICE_ID)),
    )
    if len(chosen) != 1:
        raise refusal("choose_one")
    [(entry, invoice_id)] = chosen
    if not await async_may_control(call, entry):
        raise Unauthorized(context=call.context, permission=POLICY_CONTROL)
    coordinator = entry.runtime_data.coordinator
    if not isinstance(coordinator.provider, CanCancelInvoice):
        raise refusal("cannot_cancel", account=entry.title)
    known = coordinator.data.get(invoice_id)
    if known is not None and not known.record.status.is_open:
        raise refusal("no_longer_open", account=entry.title)
    try:
        await coordinator.provider.async_cancel_invoice(invoice_id)
    except ProviderError as err:
        # It may have been paid a moment ago.
        coordinator.async_hint((invoice_id,))
        raise provider_failure(call, entry, err) from err
    try:
        await async_read_now(coordinator, [invoice_id])
    except HomeAssistantError as err:
        _LOGGER.debug("%s: canceled, but not read again: %r", coordinator.name, err)
    return async_answer(call.hass, entry, invoice_id)


async def async_get_statistics(call: ServiceCall) -> ServiceResponse:
    """Return how many invoices there were in a period, and what they add up to."""
    entry = await async_get_account(call)
    provider = entry.runtime_data.provider
    if not isinstance(provider, CanReadStatistics):
        raise refusal("no_statistics", account=entry.title)
    start, end = (_read_date(call, key) for key in (ATTR_START_DATE, ATTR_END_DATE))
    try:
        if end < start:
            raise InvalidField(ATTR_END_DATE, Flaw.BEFORE_START)
        found = await provider.async_get_statistics(start, end)
    except ProviderError as err:
        raise provider_failure(call, entry, err) from err
    return {
        "account": entry.title,
        ATTR_START_DATE: start.isoformat(),
        ATTR_END_DATE: end.isoformat(),
        "currency": found.currency,
        "totals": {
            status: {"count": total.count, "amount": exact(total.amount)}
            for status, total in found.totals.items()
        },
    }


def _read_date(call: ServiceCall, key: str) -> date:
    """Return a day. Raises a ServiceValidationError."""
    try:
        return cv.date(call.data[key])
    except vol.Invalid as err:
        raise refusal("date_invalid", field=field_label(call, key)) from err
