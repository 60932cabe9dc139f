"""Setting an account up: as a whole, with its first reading, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.helpers.start import async_at_start
from homeassistant.helpers.update_coordinator import UpdateFailed

from .book.book import Book
from .const import DOMAIN
from .coordinator import CryptoInvoicesCoordinator

# How long the set-up of an account waits for its very first reading.
_FIRST_READING = 10


@asynccontextmanager
async def set_up_as_a_whole(hass: HomeAssistant, entry: ConfigEntry) -> AsyncIterator[None]:
    """Leave no platform behind when the set-up of an account fails, and begin anew if it is cut.

    Whoever closes the page after the last form, or during a reload, cancels it.
    """
    try:
        yield
    except BaseException as err:
        begun = {
            platform.domain
            for platform in async_get_platforms(hass, DOMAIN)
            if platform.config_entry is entry
        }
        await hass.config_entries.async_unload_platforms(entry, begun)
        if isinstance(err, asyncio.CancelledError):
            async_at_start(hass, partial(_async_begin_anew, entry=entry))
        raise


@callback
def _async_begin_anew(hass: HomeAssistant, *, entry: ConfigEntry) -> None:
    """Set an account up again, unless it was deleted meanwhile; Home Assistant does not end."""
    if hass.config_entries.async_get_entry(entry.entry_id) is not None:
        hass.config_entries.async_schedule_reload(entry.entry_id)


async def async_read_first(
    entry: ConfigEntry, book: Book, coordinator: CryptoInvoicesCoordinator
) -> None:
    """Wait for the first reading of an account that was never read."""
    if book.was_read or not book.records:
        return
    try:
        async with asyncio.timeout(_FIRST_READING):
            await coordinator.async_refresh()
    except TimeoutError:
        # It continues without anybody waiting.
        return
    if not coordinator.last_update_success and not coordinator.reader.standing.is_key_doubted:
        raise _not_ready(coordinator.last_exception)
    coordinator.log_first_failure()


def _not_ready(failed: BaseException | None) -> ConfigEntryNotReady:
    """Return the error of an account that can't be set up now, in the words of its reading."""
    key, placeholders = "server_error", {"account": ""}
    if isinstance(failed, UpdateFailed):
        key = failed.translation_key or key
        placeholders = failed.translation_placeholders or placeholders
    return ConfigEntryNotReady(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )
