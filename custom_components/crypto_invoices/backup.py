"""Backups: no book is written while one is made, so that it has them whole."""

from datetime import datetime

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .book.writer import HELD
from .const import DOMAIN
from .runtime import CryptoInvoicesConfigEntry

# The end of a backup may never be reported.
LONGEST_BACKUP = 10 * 60


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Write what there is, and then nothing for a while; announcing continues."""
    await _async_commit_all(hass)
    if (cancel := hass.data.pop(HELD, None)) is not None:
        cancel()

    @callback
    def give_up(now: datetime) -> None:
        _release(hass)

    hass.data[HELD] = async_call_later(hass, LONGEST_BACKUP, give_up)
    # What began before comes to its end.
    await _async_commit_all(hass)


async def async_post_backup(hass: HomeAssistant) -> None:
    """Write again."""
    _release(hass)


async def _async_commit_all(hass: HomeAssistant) -> None:
    """Write what there is of each account; one that is unloaded meanwhile does so then."""
    for book in [entry.runtime_data.book for entry in _loaded(hass)]:
        await book.async_commit()


@callback
def _release(hass: HomeAssistant) -> None:
    """Write what waited."""
    if (cancel := hass.data.pop(HELD, None)) is not None:
        cancel()
    for entry in _loaded(hass):
        writing = entry.runtime_data.book.async_commit()
        entry.async_create_task(hass, writing, f"{entry.title} writes after a backup")


def _loaded(hass: HomeAssistant) -> list[CryptoInvoicesConfigEntry]:
    """Return the accounts that are loaded."""
    return hass.config_entries.async_loaded_entries(DOMAIN)
