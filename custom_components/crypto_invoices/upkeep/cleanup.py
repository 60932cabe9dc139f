"""Stops watching invoices that ended long ago. Their money stays in the sums."""

from contextlib import suppress
from datetime import datetime, timedelta

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval

from ..book.book import REMEMBERED_FOR, Book
from ..book.database import StorageError
from ..book.record import Record
from ..const import CONF_CLEANUP_AFTER, DEFAULT_CLEANUP_AFTER, DOMAIN
from ..coordinator import CryptoInvoicesCoordinator
from ..reading.interval import unchanged_for
from ..watching import async_unwatch
from .removed import async_forget_removed

INTERVAL = timedelta(hours=1)
# Of those that are on disk only; the rest is for the next time.
_WOKEN_AT_ONCE = 500


def cleanup_after(entry: ConfigEntry) -> int:
    """Return after how many days a final invoice is no longer watched, or 0 for never."""
    days: int = entry.options.get(CONF_CLEANUP_AFTER, DEFAULT_CLEANUP_AFTER)
    return days


@callback
def async_setup_cleanup(
    hass: HomeAssistant,
    entry: ConfigEntry,
    coordinator: CryptoInvoicesCoordinator,
) -> None:
    """Clean up each hour, and when the option is changed."""
    days = cleanup_after(entry)

    @callback
    def clean_up(now: datetime | None = None) -> None:
        entry.async_create_background_task(
            hass,
            _async_clean_up(hass, entry, coordinator),
            f"{DOMAIN} {entry.title} cleanup",
        )

    async def async_entry_updated(hass: HomeAssistant, entry: ConfigEntry) -> None:
        nonlocal days
        if (changed := cleanup_after(entry)) != days:
            days = changed
            clean_up()

    entry.async_on_unload(async_track_time_interval(hass, clean_up, INTERVAL))
    entry.async_on_unload(entry.add_update_listener(async_entry_updated))


async def _async_clean_up(
    hass: HomeAssistant, entry: ConfigEntry, coordinator: CryptoInvoicesCoordinator
) -> None:
    """Stop watching what ended long ago, but for what is still polled, owed, or not announced."""
    book, clocks = coordinator.book, coordinator.clocks
    coordinator.reader.check_clock()
    days = 0
    if clocks.is_certain:
        book.forget_before(clocks.now() - REMEMBERED_FOR)
        async_forget_removed(hass, entry)
        days = cleanup_after(entry)
    if days:
        longest = timedelta(days=days).total_seconds()
        with suppress(StorageError):
            await _async_wake_ended(book, clocks.now() - timedelta(days=days))
            coordinator.reader.async_follow_book()
        ended = [
            id_
            for id_, one in coordinator.data.items()
            if one.record.is_over
            and one.record.is_announced
            and not one.record.is_owed
            and unchanged_for(one, clocks) >= longest
        ]
        if ended:
            await async_unwatch(coordinator, ended)
    if await book.async_commit() and book.rest():
        await coordinator.async_follow_book()


async def _async_wake_ended(book: Book, before: datetime) -> None:
    """Take invoices into memory that are on disk only and ended then. Raises StorageError."""
    ids = await book.writer.async_ask(lambda storage: storage.ended(before, _WOKEN_AT_ONCE))
    stored = await book.async_find(ids)
    await book.async_add(one for one in stored.values() if isinstance(one, Record))
