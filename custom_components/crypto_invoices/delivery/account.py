"""What one account announces: the difference between what is known and what was announced."""

from dataclasses import replace
from functools import partial

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.start import async_at_started
from homeassistant.util.hass_dict import HassKey

from ..book.book import Book
from ..const import CONF_PROVIDER, DOMAIN
from .announcement import Announcement
from .deliveries import async_get_deliveries

_ACCOUNTS: HassKey[dict[str, AccountAnnouncer]] = HassKey(f"{DOMAIN}_announcers")
_DELIVERED: HassKey[dict[str, list[Announcement]]] = HassKey(f"{DOMAIN}_delivered")


class AccountAnnouncer:
    """Announces what is new in the book of one account, once Home Assistant has started."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, book: Book) -> None:
        """Hold back everything until ``async_start``."""
        self._hass = hass
        self._entry = entry
        self._book = book
        self._is_started = False

    @callback
    def async_start(self) -> None:
        """Announce from when Home Assistant has started: automations arm late."""
        self._hass.data.setdefault(_ACCOUNTS, {})[self._entry.entry_id] = self
        # What was delivered while the account was not loaded.
        for announcement in self._hass.data.get(_DELIVERED, {}).pop(self._entry.entry_id, ()):
            self._book.note_announced(announcement.invoice_id, announcement.transition)

        @callback
        def started(_: HomeAssistant) -> None:
            self._is_started = True
            self.async_compare()

        self._entry.async_on_unload(async_at_started(self._hass, started))
        self._entry.async_on_unload(self._stop)

    @callback
    def _stop(self) -> None:
        """Announce nothing more; what is under way goes on without the account."""
        self._is_started = False
        self._hass.data[_ACCOUNTS].pop(self._entry.entry_id, None)

    @callback
    def async_compare(self) -> None:
        """Announce what differs, unless that is under way."""
        if not self._is_started:
            return
        deliveries = async_get_deliveries(self._hass)
        for invoice_id in tuple(self._book.unannounced):
            transition = self._book.pending(invoice_id)
            # One after the other: what comes next of an invoice waits until this is delivered.
            if transition is None or deliveries.is_under_way(self._entry.entry_id, invoice_id):
                continue
            deliveries.announce(
                Announcement(
                    entry_id=self._entry.entry_id,
                    account=self._entry.title,
                    provider=self._entry.data[CONF_PROVIDER],
                    transition=transition,
                    record=replace(self._book.records[invoice_id]),
                ),
                partial(async_note_delivered, self._hass),
            )

    @callback
    def note_delivered(self, announcement: Announcement) -> None:
        """Take a delivery down, and announce what came meanwhile."""
        self._book.note_announced(announcement.invoice_id, announcement.transition)
        self._entry.async_create_task(
            self._hass, self._book.async_commit(), f"{self._entry.title} keeps a delivery"
        )
        self.async_compare()


@callback
def async_note_delivered(hass: HomeAssistant, announcement: Announcement) -> None:
    """Take a delivery down in whichever book is loaded now, or else is loaded next."""
    if account := hass.data.get(_ACCOUNTS, {}).get(announcement.entry_id):
        account.note_delivered(announcement)
    elif hass.config_entries.async_get_entry(announcement.entry_id) is not None:
        waiting = hass.data.setdefault(_DELIVERED, {})
        waiting.setdefault(announcement.entry_id, []).append(announcement)


@callback
def async_forget_deliveries(hass: HomeAssistant, entry_id: str) -> None:
    """Forget what was delivered for an account that is removed."""
    hass.data.get(_DELIVERED, {}).pop(entry_id, None)
