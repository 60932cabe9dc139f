"""Begins and ends the watching of invoices: in dialogs, in actions, and automatically."""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import batched
from types import MappingProxyType

from .book.book import Book
from .book.record import Record
from .const import CONF_EVERY_DEVICE
from .coordinator import CryptoInvoicesCoordinator
from .providers.capabilities import KeepsPaymentLinks
from .providers.model import Invoice, InvoiceStatus

# This many are taken out of the book before others get their turn.
_UNWATCHED_AT_ONCE = 100
_NO_LINKS: Mapping[str, str] = MappingProxyType({})


async def async_watch(
    coordinator: CryptoInvoicesCoordinator,
    invoices: Iterable[Invoice],
    *,
    baseline: InvoiceStatus | None = None,
    is_automatic: bool = False,
) -> list[Invoice]:
    """Watch invoices with the readings that are given; return those that were not watched before.

    ``baseline`` is the status that announces nothing, by default the one that each has. Returns
    when they are on disk, as far as that is possible. Raises StorageError.
    """
    given = {invoice.id: invoice for invoice in invoices}
    job = _async_watch(coordinator, given, baseline, is_automatic=is_automatic)
    # Also if the caller leaves: what is in the book is read, too.
    return await asyncio.shield(coordinator.async_start_job(job, "watch"))


async def _async_watch(
    coordinator: CryptoInvoicesCoordinator,
    given: Mapping[str, Invoice],
    baseline: InvoiceStatus | None,
    *,
    is_automatic: bool,
) -> list[Invoice]:
    """Watch invoices with the readings that are given."""
    provider = coordinator.provider
    links = dict(provider.links) if isinstance(provider, KeepsPaymentLinks) else _NO_LINKS
    records = [Record.begin(invoice, baseline) for invoice in given.values()]
    every_device = not is_automatic or coordinator.config_entry.options.get(CONF_EVERY_DEVICE)
    for record in records:
        record.is_automatic = is_automatic
        invoice = given[record.id]
        # One that is over before anybody saw it has its line in the activity, and no page.
        record.has_device = invoice.status.is_open or (bool(every_device) and not invoice.is_final)
        record.payment_url = links.get(record.id)
    added = await coordinator.book.async_add(records)
    if not is_automatic:
        added += _give_devices(coordinator.book, given)
    if isinstance(provider, KeepsPaymentLinks):
        provider.links.update({one.id: one.payment_url for one in added if one.payment_url})
    new = [given[record.id] for record in added]
    await coordinator.async_begin(new)
    return new


def with_devices(book: Book) -> set[str]:
    """Return the IDs of the invoices that have a device: others may be added to have one."""
    return {id_ for id_, record in book.records.items() if record.has_device}


def _give_devices(book: Book, invoice_ids: Iterable[str]) -> list[Record]:
    """Let watched invoices have a device that had none; return those."""
    records = [record for id_ in invoice_ids if (record := book.records.get(id_))]
    given = [record for record in records if not record.has_device]
    for record in given:
        record.has_device = True
        book.changed(record)
    book.version += bool(given)
    return given


async def async_unwatch(coordinator: CryptoInvoicesCoordinator, invoice_ids: Iterable[str]) -> None:
    """Stop watching invoices, also if the caller leaves; their money stays in the sums."""
    job = _async_unwatch(coordinator, tuple(invoice_ids))
    await asyncio.shield(coordinator.async_start_job(job, "unwatch"))


async def _async_unwatch(
    coordinator: CryptoInvoicesCoordinator, invoice_ids: tuple[str, ...]
) -> None:
    """Stop watching invoices, a few at a time."""
    now = coordinator.clocks.now()
    for some in batched(invoice_ids, _UNWATCHED_AT_ONCE, strict=False):
        for invoice_id in some:
            coordinator.book.remove(invoice_id, now)
        if len(invoice_ids) > _UNWATCHED_AT_ONCE:
            await asyncio.sleep(0)
    await coordinator.async_follow_book()
