"""Actions of a till: create an invoice, cancel one, and what came in."""

import asyncio
from collections.abc import Container
from datetime import date, datetime, timedelta
from decimal import Decimal
import logging
from typing import Any

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, callback
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonObjectType
import voluptuous as vol

from ..book.database import StorageError
from ..book.loading import async_leave_for_book
from ..book.record import Record
from ..coordinator import CryptoInvoicesCoordinator
from ..errors import quote
from ..money import exact, plain_digits
from ..notifications.address import webhook_address
from ..providers.capabilities import (
    CanCancelInvoice,
    CanCreateInvoice,
    CanListInvoices,
    CanReadStatistics,
    OutcomeUnknown,
)
from ..providers.model import Invoice, InvoiceStatus, ProviderError
from ..providers.new_invoice import Flaw, InvalidField, NewInvoice, read_asked_amount
from ..providers.push import CanPush
from ..runtime import CryptoInvoicesConfigEntry
from ..watching import async_watch
from .common import (
    ATTR_INVOICE_ID,
    ATTR_ORDER_ID,
    async_answer,
    async_describe,
    async_get_account,
    async_get_chosen,
    async_may_control,
    async_read_now,
    failure,
    provider_failure,
    refusal,
)

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
# An account that is loaded anew while an invoice is created is waited for, in seconds.
_LOADING_TIMEOUT = 30
_CHANGING = frozenset({ConfigEntryState.SETUP_IN_PROGRESS, ConfigEntryState.UNLOAD_IN_PROGRESS})


async def async_create_invoice(call: ServiceCall) -> ServiceResponse:
    """Create an invoice and watch it. One attempt, which nobody repeats."""
    entry = await async_get_account(call)
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
    try:
        invoice = await _async_create(entry.runtime_data.coordinator, provider, new)
    except ProviderError as err:
        raise provider_failure(entry, err) from err
    # Whatever it is by now, only that it was created is known to anybody.
    try:
        await _async_watch(hass, entry, invoice)
    except StorageError as err:
        raise failure(
            "created_not_watched", account=entry.title, invoice=quote(invoice.id)
        ) from err
    return async_describe(hass, entry, invoice)


async def _async_watch(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry, invoice: Invoice
) -> None:
    """Watch an invoice that was created, now or when its account is loaded again.

    Raises StorageError.
    """
    await _async_wait_for_change(entry)
    if entry.state is ConfigEntryState.LOADED:
        await async_watch(entry.runtime_data.coordinator, [invoice], baseline=InvoiceStatus.PENDING)
    elif hass.config_entries.async_get_entry(entry.entry_id) is not None:
        async_leave_for_book(hass, entry, Record.begin(invoice, InvoiceStatus.PENDING))


async def _async_wait_for_change(entry: CryptoInvoicesConfigEntry) -> None:
    """Wait for an account that is being loaded or unloaded right now, but not for ever."""
    settled = asyncio.Event()

    @callback
    def state_changed() -> None:
        if entry.state not in _CHANGING:
            settled.set()

    stop = entry.async_on_state_change(state_changed)
    state_changed()
    try:
        async with asyncio.timeout(_LOADING_TIMEOUT):
            await settled.wait()
    except TimeoutError:
        _LOGGER.debug("%s is still %s", entry.title, entry.state)
    finally:
        stop()


async def _async_create(
    coordinator: CryptoInvoicesCoordinator, provider: CanCreateInvoice, new: NewInvoice
) -> Invoice:
    """Return a new invoice, which has to be looked for if no answer came.

    Raises a ProviderError or a HomeAssistantError.
    """
    began, before = dt_util.utcnow(), set(coordinator.book.records)
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
        raise provider_failure(entry, err) from err
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
