"""Stops watching invoices that ended long ago. What they brought stays in the sums."""

from datetime import datetime, timedelta

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval

from ..book.book import REMEMBERED_FOR
from ..const import CONF_CLEANUP_AFTER, DEFAULT_CLEANUP_AFTER, DOMAIN
from ..coordinator import CryptoInvoicesCoordinator
from ..watching import async_unwatch

INTERVAL = timedelta(hours=1)


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
    """Clean up each hour: never in the hour after a start, as the clock may still be wrong."""

    @callback
    def clean_up(now: datetime) -> None:
        coordinator.reader.check_clock()
        # Nor in the hour after the clock was set; timers come a little early or late.
        if coordinator.clocks.steady_for >= 0.95 * INTERVAL.total_seconds():
            entry.async_create_background_task(
                hass,
                _async_clean_up(entry, coordinator),
                f"{DOMAIN} {entry.title} cleanup",
            )

    entry.async_on_unload(async_track_time_interval(hass, clean_up, INTERVAL))


async def _async_clean_up(entry: ConfigEntry, coordinator: CryptoInvoicesCoordinator) -> None:
    """Stop watching what ended long ago, but for what is still polled, or not announced."""
    book, now = coordinator.book, coordinator.clocks.now()
    book.forget_before(now - REMEMBERED_FOR)
    if days := cleanup_after(entry):
        before = now - timedelta(days=days)
        # What its provider has forgotten can't change any more either.
        gone = set(coordinator.problems.gone(coordinator.data.values()))
        ended = [
            record.id
            for record in book.records.values()
            if (record.is_over or record.id in gone)
            and record.is_announced
            and record.ended_at is not None
            and record.ended_at <= before
        ]
        if ended:
            await async_unwatch(coordinator, ended)
    await book.async_commit()
