"""Setting an account up: as a whole, with its first reading, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.entity_platform import async_get_platforms
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
        if isinstance(err, asyncio.CancelledError) and not hass.is_stopping:
            hass.config_entries.async_schedule_reload(entry.entry_id)
        raise


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


def _not_ready(failed: BaseException | None) -> ConfigEntryNotReady:
    """Return the error of an account that can't be set up now, in the words of its reading."""
    key, placeholders = "server_error", {"account": ""}
    if isinstance(failed, UpdateFailed):
        key = failed.translation_key or key
        placeholders = failed.translation_placeholders or placeholders
    return ConfigEntryNotReady(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )
