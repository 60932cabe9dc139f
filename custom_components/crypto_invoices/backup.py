"""Backups: the books are not written while one is made, so that it has them whole."""

from collections.abc import Callable
from datetime import datetime

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .runtime import CryptoInvoicesConfigEntry

# The end of a backup may never be told.
LONGEST_BACKUP = 10 * 60
_RELEASE: HassKey[Callable[[], None]] = HassKey(f"{DOMAIN}_backup")


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Write what there is, and then nothing for a while; announcing goes on."""
    for entry in _loaded(hass):
        await entry.runtime_data.book.async_hold()
    if (cancel := hass.data.pop(_RELEASE, None)) is not None:
        cancel()

    @callback
    def give_up(now: datetime) -> None:
        hass.data.pop(_RELEASE, None)
        _release(hass)

    hass.data[_RELEASE] = async_call_later(hass, LONGEST_BACKUP, give_up)


async def async_post_backup(hass: HomeAssistant) -> None:
    """Write again."""
    if (cancel := hass.data.pop(_RELEASE, None)) is not None:
        cancel()
    _release(hass)


@callback
def _release(hass: HomeAssistant) -> None:
    """Write what waited."""
    for entry in _loaded(hass):
        book = entry.runtime_data.book
        book.release()
        entry.async_create_task(hass, book.async_commit(), f"{entry.title} writes after a backup")


def _loaded(hass: HomeAssistant) -> list[CryptoInvoicesConfigEntry]:
    """Return the accounts that are loaded."""
    return hass.config_entries.async_loaded_entries(DOMAIN)
