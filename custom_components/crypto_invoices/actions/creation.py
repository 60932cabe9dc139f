"""Creates an invoice and watches it: in one attempt, which nobody repeats."""

import asyncio
from collections.abc import Container
from datetime import datetime, timedelta
import logging

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from ..book.database import StorageError
from ..book.loading import async_leave_for_book
from ..book.record import Record
from ..coordinator import CryptoInvoicesCoordinator
from ..errors import quote
from ..notifications.address import webhook_address
from ..providers.capabilities import CanCreateInvoice, CanListInvoices, OutcomeUnknown
from ..providers.model import Invoice, InvoiceStatus, ProviderError
from ..providers.new_invoice import NewInvoice
from ..providers.push import CanPush
from ..runtime import CryptoInvoicesConfigEntry
from ..watching import async_watch
from .common import failure

_LOGGER = logging.getLogger(__name__)

# Where no answer came, the invoice is looked for after this many seconds each: a slow
# server may make it after we stopped listening.
LOOK_AFTER = (0, 3, 10)
# How far a provider's clock may be behind.
_CLOCKS_APART = timedelta(minutes=2)
# A provider that can't look an order ID up has its lists looked through, for this many seconds.
_LOOKING_TIMEOUT = 30
# An account that is reloaded while an invoice is created is waited for, in seconds.
_LOADING_TIMEOUT = 30
_CHANGING = frozenset({ConfigEntryState.SETUP_IN_PROGRESS, ConfigEntryState.UNLOAD_IN_PROGRESS})


def callback_url(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> str | None:
    """Return where the provider may post to about a new invoice, if it does that."""
    provider = entry.runtime_data.provider
    posts = isinstance(provider, CanPush) and provider.accepts_push
    return webhook_address(hass, entry.data) if posts else None


async def async_create_and_watch(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    provider: CanCreateInvoice,
    new: NewInvoice,
) -> Invoice:
    """Create an invoice, watch it, and return it, also if the caller leaves.

    Raises a ProviderError, or a HomeAssistantError where it may exist or isn't watched.
    """
    # A script that is stopped meanwhile must not leave an invoice that nobody watches.
    creation = hass.async_create_task(
        _async_create_and_watch(hass, entry, provider, new), f"{entry.title} creates an invoice"
    )
    return await asyncio.shield(creation)


async def _async_create_and_watch(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    provider: CanCreateInvoice,
    new: NewInvoice,
) -> Invoice:
    """Create an invoice and watch it."""
    invoice = await _async_make(entry.runtime_data.coordinator, provider, new)
    # Whatever it is by now, only that it was created is known to anybody.
    try:
        await _async_watch(hass, entry, invoice)
    except StorageError as err:
        raise failure(
            "created_not_watched", account=entry.title, invoice=quote(invoice.id)
        ) from err
    return invoice


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


async def _async_make(
    coordinator: CryptoInvoicesCoordinator, provider: CanCreateInvoice, new: NewInvoice
) -> Invoice:
    """Return a new invoice, which has to be looked for if no answer came.

    Raises a ProviderError or a HomeAssistantError.
    """
    # By the clock that dates the invoice.
    began, before = coordinator.clocks.now(), set(coordinator.book.records)
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
