"""Loading returns a book or raises; what was lost is rebuilt before anything is derived from it."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
import logging
from pathlib import Path
from typing import Any, NamedTuple

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.hass_dict import HassKey

from ..const import CONF_INVOICES, DOMAIN
from ..identifiers import invoice_of_device
from ..providers.model import Invoice, InvoiceStatus
from .book import Book
from .contents import Contents
from .database import StorageError, StorageLost
from .record import Money, Record
from .storage import Storage

_LOGGER = logging.getLogger(__name__)

# Payments of so long ago are in no count of today's, in whatever time zone.
_LATELY = timedelta(days=3)
# Written with all that the book begins with: a file without it is one that was never finished.
_BEGUN = "begun"
_CLOSING: HassKey[dict[str, asyncio.Task[None]]] = HassKey(f"{DOMAIN}_closing_books")


class LoadedBook(NamedTuple):
    """A book, and whether what it should have said was lost."""

    book: Book
    is_rebuilt: bool


def book_storage(hass: HomeAssistant, entry_id: str) -> Storage:
    """Return where the book of an account is kept."""
    return Storage(Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry_id}.db")))


async def async_load_book(hass: HomeAssistant, entry: ConfigEntry) -> LoadedBook:
    """Load the book of an account, which then contains what its dialog looked up.

    Raises ConfigEntryNotReady where that may work later: nothing is kept of the attempt.
    """
    await _async_wait_until_closed(hass, entry.entry_id)
    # Tracked, and never cancelled: the file must not stay open with nobody to close it.
    loading = hass.async_create_task(_async_load(hass, entry), f"{entry.title} loads its book")
    try:
        return await asyncio.shield(loading)
    except asyncio.CancelledError:
        async_close_book(hass, entry, _async_close_unused(loading))
        raise
    except (OSError, StorageError) as err:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="book_unavailable",
            translation_placeholders={"account": entry.title, "reason": str(err)},
        ) from err


@callback
def async_close_book(
    hass: HomeAssistant, entry: ConfigEntry, closing: Coroutine[Any, Any, None]
) -> asyncio.Task[None]:
    """Close a book in a task that nobody cancels; whoever opens it again waits for that."""
    all_closing = hass.data.setdefault(_CLOSING, {})
    task = hass.async_create_task(closing, f"{entry.title} closes its book", eager_start=False)
    all_closing[entry.entry_id] = task

    @callback
    def closed(_: asyncio.Task[None]) -> None:
        if all_closing.get(entry.entry_id) is task:
            del all_closing[entry.entry_id]

    task.add_done_callback(closed)
    return task


async def _async_wait_until_closed(hass: HomeAssistant, entry_id: str) -> None:
    """Wait for whoever has the book open: two at the same time would write one over the other."""
    while (closing := hass.data.get(_CLOSING, {}).get(entry_id)) is not None:
        await asyncio.wait((closing,))


async def async_delete_book(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete the book of an account, and what was set aside of it."""
    await _async_wait_until_closed(hass, entry.entry_id)
    await hass.async_add_executor_job(book_storage(hass, entry.entry_id).delete)


async def _async_close_unused(loading: asyncio.Task[LoadedBook]) -> None:
    """Close a book that nobody waits for."""
    await asyncio.wait((loading,))
    if not loading.cancelled() and loading.exception() is None:
        await loading.result().book.async_close()


async def _async_load(hass: HomeAssistant, entry: ConfigEntry) -> LoadedBook:
    """Open the file, or begin a new one with what is known otherwise."""
    storage = book_storage(hass, entry.entry_id)
    devices = list(_from_devices(hass, entry))
    is_new = CONF_INVOICES in entry.data and not devices
    is_rebuilt = False
    try:
        try:
            contents = await _async_open(hass, storage, must_exist=not is_new)
        except StorageLost as err:
            _LOGGER.warning("%s is lost and set aside: %s", storage.path, err)
            await hass.async_add_executor_job(storage.set_aside)
            is_rebuilt = True
            contents = await _async_open(hass, storage, must_exist=False)
        book = Book(hass, entry.entry_id, storage, contents)
        if is_rebuilt:
            await book.async_add(devices)
        book.set_fact(_BEGUN, "yes")
        await async_take_over(hass, entry, book)
        await book.async_write()
    except BaseException:
        # A rebuilt one begins with all of its devices or not at all.
        await hass.async_add_executor_job(storage.discard if is_rebuilt else storage.close)
        raise
    return LoadedBook(book, is_rebuilt)


async def async_take_over(hass: HomeAssistant, entry: ConfigEntry, book: Book) -> None:
    """Watch what a dialog or an action left in the entry's data, but for what is known already.

    It leaves the data once it is on disk. Raises StorageError.
    """
    while (left := entry.data.get(CONF_INVOICES)) is not None:
        records = {stored["id"]: _read_looked_up(stored) for stored in left}
        known = await book.async_find(records) if records else {}
        await book.async_add(record for id_, record in records.items() if id_ not in known)
        await book.async_write()
        if entry.data.get(CONF_INVOICES) == left:
            data = {key: value for key, value in entry.data.items() if key != CONF_INVOICES}
            hass.config_entries.async_update_entry(entry, data=data)


@callback
def async_leave_for_book(hass: HomeAssistant, entry: ConfigEntry, record: Record) -> None:
    """Leave an invoice in the data of an account that isn't loaded: its book takes it over."""
    left = [*entry.data.get(CONF_INVOICES, ()), _looked_up(record)]
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_INVOICES: left})


async def _async_open(hass: HomeAssistant, storage: Storage, *, must_exist: bool) -> Contents:
    """Open the file in the executor."""
    since = datetime.now(UTC) - _LATELY

    def read() -> Contents:
        contents = storage.open(must_exist=must_exist, paid_since=since)
        if must_exist and _BEGUN not in contents.facts:
            storage.close()
            raise StorageLost("what it begins with was never written")
        return contents

    return await hass.async_add_executor_job(read)


def _from_devices(hass: HomeAssistant, entry: ConfigEntry) -> Iterable[Record]:
    """Return records for the invoices that have a device: each begins with its next reading."""
    for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id):
        if invoice_id := invoice_of_device(entry.entry_id, device.identifiers):
            yield Record(id=invoice_id, status=InvoiceStatus.UNKNOWN, announced=None)


def looked_up(invoice: Invoice) -> dict[str, Any]:
    """Return what travels in an entry's data of an invoice that its dialog looked up."""
    return _looked_up(Record.begin(invoice))


def _looked_up(record: Record) -> dict[str, Any]:
    """Return what travels in an entry's data of a record that no book has yet."""
    asked = record.asked
    return {
        "id": record.id,
        "status": record.status.value,
        "order_id": record.order_id,
        "memo": record.memo,
        "amount": str(asked.amount) if asked else None,
        "currency": asked.currency if asked else None,
        "payment_url": record.payment_url,
        "is_test": record.is_test,
    }


def _read_looked_up(stored: Mapping[str, Any]) -> Record:
    """Return the record of an invoice that a dialog looked up."""
    status, amount = InvoiceStatus(stored["status"]), stored["amount"]
    return Record(
        id=stored["id"],
        order_id=stored["order_id"],
        memo=stored.get("memo"),
        asked=None if amount is None else Money(Decimal(amount), stored["currency"]),
        status=status,
        announced=status,
        payment_url=stored.get("payment_url"),
        is_test=stored.get("is_test", False),
    )
