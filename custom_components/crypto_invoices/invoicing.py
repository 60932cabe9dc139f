"""Actions of a till: create an invoice, cancel one, and what came in."""

import asyncio
from collections.abc import Container
from datetime import date, datetime, timedelta
from decimal import Decimal
import logging
from typing import Any

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonObjectType
import voluptuous as vol

from .account import async_add_invoices, tracked_invoices
from .actions import (
    ATTR_INVOICE_ID,
    ATTR_ORDER_ID,
    async_answer,
    async_describe,
    async_get_account,
    async_get_chosen,
    async_read_now,
    failure,
    provider_failure,
    quote,
    refusal,
)
from .coordinator import CryptoInvoicesConfigEntry, CryptoInvoicesCoordinator
from .money import exact, plain_digits
from .providers.base import Provider
from .providers.invoicing import (
    CanCancelInvoice,
    CanCreateInvoice,
    CanListInvoices,
    CanReadStatistics,
    Flaw,
    InvalidField,
    NewInvoice,
    OutcomeUnknown,
    TellsLinkOnce,
    read_asked_amount,
)
from .providers.model import Invoice, InvoiceStatus, ProviderError
from .providers.push import CanPush
from .webhook import webhook_address

_LOGGER = logging.getLogger(__name__)

ATTR_AMOUNT = "amount"
ATTR_CURRENCY = "currency"
ATTR_DESCRIPTION = "description"
ATTR_END_DATE = "end_date"
ATTR_LIFETIME = "lifetime"
ATTR_PAYMENT_METHOD = "payment_method"
ATTR_START_DATE = "start_date"

# Where no answer came, the invoice is looked for after so many seconds each: a slow
# server may make it after we stopped listening.
LOOK_AFTER = (0, 3, 10)
# How far a provider's clock may be behind.
_CLOCKS_APART = timedelta(minutes=2)
# A provider that can't look an order ID up has its lists looked through, for so many seconds.
_LOOKING_TIMEOUT = 30


async def async_create_invoice(call: ServiceCall) -> ServiceResponse:
    """Create an invoice and watch it. One attempt, which nobody repeats."""
    entry = async_get_account(call)
    provider = entry.runtime_data.provider
    if not isinstance(provider, CanCreateInvoice):
        raise refusal("cannot_create", account=entry.title)
    try:
        new = _read_new_invoice(call, entry)
    except ProviderError as err:
        raise provider_failure(entry, err) from err
    # A script that is stopped meanwhile must not leave an invoice that nobody watches.
    creation = call.hass.async_create_task(
        _async_create_and_track(call.hass, entry, provider, new),
        f"{entry.title} creates an invoice",
    )
    return await asyncio.shield(creation)


def _read_new_invoice(call: ServiceCall, entry: CryptoInvoicesConfigEntry) -> NewInvoice:
    """Return what was asked for; empty is not given. Raises InvalidField."""

    def text(key: str) -> str | None:
        return call.data.get(key, "").strip() or None

    provider = entry.runtime_data.provider
    posts = isinstance(provider, CanPush) and provider.accepts_push
    return NewInvoice(
        amount=_read_amount(call.data[ATTR_AMOUNT]),
        currency=call.data[ATTR_CURRENCY].strip().upper(),
        order_id=text(ATTR_ORDER_ID),
        description=text(ATTR_DESCRIPTION),
        lifetime=_read_lifetime(call.data.get(ATTR_LIFETIME)),
        payment_method=text(ATTR_PAYMENT_METHOD),
        callback_url=webhook_address(call.hass, entry.data) if posts else None,
    )


def _read_amount(value: object) -> Decimal:
    """Return an amount: of a number, every digit counts. Raises InvalidField."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = plain_digits(value)
    return read_asked_amount(value if isinstance(value, str) else "")


def _read_lifetime(value: Any) -> timedelta | None:
    """Return a duration in any of Home Assistant's forms. Raises a ServiceValidationError."""
    if value is None:
        return None
    try:
        lifetime: timedelta = cv.time_period(value)
    except (vol.Invalid, OverflowError) as err:
        raise refusal("lifetime_invalid") from err
    return lifetime


async def _async_create_and_track(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    provider: CanCreateInvoice,
    new: NewInvoice,
) -> JsonObjectType:
    """Create an invoice, watch it, and return what there is to tell of it."""
    coordinator = entry.runtime_data
    try:
        invoice = await _async_create(coordinator, provider, new)
    except ProviderError as err:
        raise provider_failure(entry, err) from err
    if hass.config_entries.async_get_entry(entry.entry_id) is not None:
        # Whatever it is by now, only that it was created is known to anybody.
        links = provider.links if isinstance(provider, TellsLinkOnce) else {}
        async_add_invoices(hass, entry, [invoice], InvoiceStatus.PENDING, links)
        await coordinator.async_begin([invoice])
    return async_describe(hass, entry, invoice)


async def _async_create(
    coordinator: CryptoInvoicesCoordinator, provider: CanCreateInvoice, new: NewInvoice
) -> Invoice:
    """Return a new invoice, which has to be looked for if no answer came.

    Raises a ProviderError or a HomeAssistantError.
    """
    began, before = dt_util.utcnow(), tracked_invoices(coordinator.config_entry).keys()
    try:
        return await provider.async_create_invoice(new)
    except OutcomeUnknown as err:
        if new.order_id is None or not isinstance(provider, CanListInvoices):
            raise
        for seconds in LOOK_AFTER:
            await asyncio.sleep(seconds)
            if invoice := await _async_find(coordinator, provider, new.order_id, began, before):
                return invoice
        raise failure(
            "outcome_unknown_order",
            account=coordinator.config_entry.title,
            order_id=quote(new.order_id),
        ) from err


async def _async_find(
    coordinator: CryptoInvoicesCoordinator,
    provider: CanListInvoices,
    order_id: str,
    began: datetime,
    before: Container[str],
) -> Invoice | None:
    """Return an invoice for an order that was made just now, or None if there is none yet.

    It is none of those that were watched ``before``; it may be watched by now, where the
    account is followed.
    """
    try:
        async with asyncio.timeout(_LOOKING_TIMEOUT):
            async for invoice in provider.async_list_invoices(
                since=began - _CLOCKS_APART, order_id=order_id
            ):
                if invoice.order_id == order_id and invoice.id not in before:
                    return invoice
    except (ProviderError, TimeoutError) as err:
        _LOGGER.debug("%s: can't look for an order: %r", coordinator.name, err)
    return None


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
    coordinator = entry.runtime_data
    if not isinstance(coordinator.provider, CanCancelInvoice):
        raise refusal("cannot_cancel", account=entry.title)
    known = coordinator.data.invoices.get(invoice_id)
    if known is not None and not known.status.is_open:
        raise refusal("no_longer_open", account=entry.title)
    try:
        await coordinator.provider.async_cancel_invoice(invoice_id)
    except ProviderError as err:
        # It may have been paid a moment ago.
        coordinator.async_hint((invoice_id,))
        raise provider_failure(entry, err) from err
    try:
        await async_read_now(coordinator, [invoice_id])
    except HomeAssistantError as err:
        _LOGGER.debug("%s: canceled, but not read again: %r", coordinator.name, err)
    return async_answer(call.hass, entry, invoice_id)


async def async_get_statistics(call: ServiceCall) -> ServiceResponse:
    """Return how many invoices there were in a period, and what they add up to."""
    entry = async_get_account(call)
    provider: Provider = entry.runtime_data.provider
    if not isinstance(provider, CanReadStatistics):
        raise refusal("no_statistics", account=entry.title)
    start, end = (_read_date(call.data[key]) for key in (ATTR_START_DATE, ATTR_END_DATE))
    try:
        if end < start:
            raise InvalidField(ATTR_END_DATE, Flaw.BEFORE_START)
        found = await provider.async_get_statistics(start, end)
    except ProviderError as err:
        raise provider_failure(entry, err) from err
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


def _read_date(value: Any) -> date:
    """Return a day. Raises a ServiceValidationError."""
    try:
        return cv.date(value)
    except vol.Invalid as err:
        raise refusal("date_invalid") from err
