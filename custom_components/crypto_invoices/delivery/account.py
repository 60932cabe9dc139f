"""What one account announces: the difference between what is known and what was announced."""

from datetime import datetime
from functools import partial
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.start import async_at_started
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..book.book import Book
from ..book.record import Money, Record
from ..book.transitions import Transition
from ..const import CONF_PROVIDER, DOMAIN
from ..texts import attribute_text
from .announcement import Announcement
from .deliveries import async_get_deliveries
from .wording import announcement_text, written_money

type _Delivered = tuple[str, Transition]
"""Of which invoice, and what."""

_ACCOUNTS: HassKey[dict[str, AccountAnnouncer]] = HassKey(f"{DOMAIN}_announcers")
_DELIVERED: HassKey[dict[str, list[_Delivered]]] = HassKey(f"{DOMAIN}_delivered")


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
        for delivered in self._hass.data.get(_DELIVERED, {}).pop(self._entry.entry_id, ()):
            self._book.note_announced(*delivered)

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
        """Announce what differs, oldest first."""
        now = dt_util.utcnow()

        def happened_at(invoice_id: str) -> datetime:
            return _happened_at(self._book.records[invoice_id]) or now

        for invoice_id in sorted(self._book.unannounced, key=happened_at):
            self._announce(invoice_id)

    @callback
    def _announce(self, invoice_id: str) -> None:
        """Announce what differs of an invoice, unless that is under way."""
        # A stop cuts whatever it would begin: the next start announces it.
        if not self._is_started or self._hass.is_stopping:
            return
        # One after the other: what comes next of an invoice waits until this is delivered.
        deliveries = async_get_deliveries(self._hass)
        if deliveries.is_under_way(self._entry.entry_id, invoice_id):
            return
        if (transition := self._book.pending(invoice_id)) is not None:
            deliveries.announce(
                _announcement(self._hass, self._entry, self._book.records[invoice_id], transition),
                partial(
                    async_note_delivered,
                    self._hass,
                    self._entry.entry_id,
                    (invoice_id, transition),
                ),
            )

    @callback
    def note_delivered(self, delivered: _Delivered) -> None:
        """Take a delivery down, and announce what came meanwhile."""
        invoice_id, transition = delivered
        self._book.note_announced(invoice_id, transition)
        self._entry.async_create_task(
            self._hass, self._book.async_commit(), f"{self._entry.title} keeps a delivery"
        )
        self._announce(invoice_id)


def _announcement(
    hass: HomeAssistant, entry: ConfigEntry, record: Record, transition: Transition
) -> Announcement:
    """Return a transition as Home Assistant hears of it, with the invoice as it is now."""
    return Announcement(
        id=transition.id,
        entry_id=entry.entry_id,
        invoice_id=record.id,
        kind=transition.kind,
        previous=transition.previous,
        status=transition.status,
        is_test=record.is_test,
        happened_at=_happened_at(record),
        values=_values(hass, entry, record, transition),
    )


def _values(
    hass: HomeAssistant, entry: ConfigEntry, record: Record, transition: Transition
) -> dict[str, Any]:
    """Return what is announced, as plain values."""
    return {
        "text": announcement_text(hass, entry, record, transition.kind, transition.status),
        "amount_text": written_money(hass, record.asked) if record.asked else None,
        "announcement_id": transition.id,
        "invoice_id": record.id,
        "provider": entry.data[CONF_PROVIDER],
        "account": entry.title,
        "status": transition.status.value,
        "previous_status": transition.previous.value,
        "amount": _number(record.asked),
        "currency": record.asked.currency if record.asked else None,
        # Not what came in another currency: nobody should compare euros with dollars.
        "amount_received": _number(record.received) if _is_comparable(record) else None,
        "order_id": attribute_text(record.order_id),
        "created_at": record.created_at.isoformat() if record.created_at else None,
        "paid_at": record.paid_at.isoformat() if record.paid_at else None,
        "is_test": record.is_test,
    }


def _is_comparable(record: Record) -> bool:
    """Whether what has arrived is said in the currency that was asked for."""
    if record.received is None or record.asked is None:
        return True
    return record.received.currency == record.asked.currency


def _happened_at(record: Record) -> datetime | None:
    """Return when an invoice became what it is, as far as that is known."""
    since = record.paid_at or record.ended_at
    if record.paid_at is None and since and record.expires_at and not record.counts:
        # It was never seen to expire, so that it was paid before.
        return min(since, record.expires_at)
    return since


def _number(money: Money | None) -> float | None:
    """Return an amount as templates compare it."""
    return None if money is None else float(money.amount)


@callback
def async_note_delivered(hass: HomeAssistant, entry_id: str, delivered: _Delivered) -> None:
    """Take a delivery down in whichever book is loaded now, or else is loaded next."""
    if account := hass.data.get(_ACCOUNTS, {}).get(entry_id):
        account.note_delivered(delivered)
    elif hass.config_entries.async_get_entry(entry_id) is not None:
        waiting = hass.data.setdefault(_DELIVERED, {})
        waiting.setdefault(entry_id, []).append(delivered)


@callback
def async_forget_deliveries(hass: HomeAssistant, entry_id: str) -> None:
    """Forget what was delivered for an account that is removed."""
    hass.data.get(_DELIVERED, {}).pop(entry_id, None)
