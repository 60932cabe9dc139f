"""Stops watching invoices that ended long ago. What they brought stays in the books."""

import asyncio
from datetime import datetime, timedelta
from itertools import batched

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util

from .const import CONF_TIDY_AFTER, DEFAULT_TIDY_AFTER
from .coordinator import CryptoInvoicesCoordinator

INTERVAL = timedelta(hours=1)
# So many are removed before others get their turn.
_AT_ONCE = 10


@callback
def async_setup_tidy(hass: HomeAssistant, coordinator: CryptoInvoicesCoordinator) -> None:
    """Look each hour, and when the option was changed, for what has been final long enough."""
    entry = coordinator.config_entry
    days = tidy_after(entry)

    @callback
    def tidy(now: datetime | None = None) -> None:
        if days:
            entry.async_create_background_task(
                hass, _async_tidy(hass, coordinator, days), f"{coordinator.name} tidy"
            )

    async def async_entry_updated(hass: HomeAssistant, entry: ConfigEntry) -> None:
        nonlocal days
        # Each invoice that is added or removed is an update, too.
        if days != (days := tidy_after(entry)):
            tidy()

    entry.async_on_unload(async_track_time_interval(hass, tidy, INTERVAL))
    entry.async_on_unload(entry.add_update_listener(async_entry_updated))
    tidy()


def tidy_after(entry: ConfigEntry) -> int:
    """Return after how many days a final invoice is no longer watched, or 0 for never."""
    days: int = entry.options.get(CONF_TIDY_AFTER, DEFAULT_TIDY_AFTER)
    return days


async def _async_tidy(
    hass: HomeAssistant, coordinator: CryptoInvoicesCoordinator, days: int
) -> None:
    """Stop watching what has been final for so many days, but for what is still worth a look, or told."""
    entry = coordinator.config_entry
    before = dt_util.utcnow() - timedelta(days=days)
    ended = [
        coordinator.tracked[invoice_id]
        for invoice_id, record in coordinator.books.records.items()
        if record.final_since is not None
        and record.final_since <= before
        and invoice_id in coordinator.tracked
        and not coordinator.is_worth_a_look(invoice_id)
        and not coordinator.ledger.is_in_flight(coordinator.tracked[invoice_id])
    ]
    for some in batched(ended, _AT_ONCE, strict=False):
        for subentry_id in some:
            # Somebody else may have been faster.
            if subentry_id in entry.subentries:
                hass.config_entries.async_remove_subentry(entry, subentry_id)
        await asyncio.sleep(0)
