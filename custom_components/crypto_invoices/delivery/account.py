"""What one account announces: the difference between what is known and what was announced."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.start import async_at_started
from homeassistant.util.hass_dict import HassKey

from ..book.book import Book
from ..book.record import Money, Record
from ..book.transitions import Transition
from ..const import CONF_PROVIDER, DOMAIN
from ..texts import attribute_text
from .announcement import Announcement
from .deliveries import async_get_deliveries
from .wording import announcement_text, written_money


class Follow(Protocol):
    """Does what follows from an announcement, when it begins and when it is done."""

    def __call__(
        self,
        announcement: Announcement,
        transition: Transition,
        heard_by: tuple[str, ...],
        *,
        is_done: bool,
    ) -> None:
        """Do it, given the keys of the automations that hear the announcement."""


_ACCOUNTS: HassKey[dict[str, AccountAnnouncer]] = HassKey(f"{DOMAIN}_announcers")
_DELIVERED: HassKey[dict[str, list[_Sent]]] = HassKey(f"{DOMAIN}_delivered")


class AccountAnnouncer:
    """Announces what is new in the book of one account, once Home Assistant has started."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        book: Book,
        now: Callable[[], datetime],
        follow: Follow,
    ) -> None:
        """Hold back everything until ``async_start``; ``now`` is the account's clock."""
        self._now = now
        self._hass = hass
        self._entry = entry
        self._book = book
        self._follow = follow
        self._is_started = False

    @callback
    def async_start(self) -> None:
        """Announce from when Home Assistant has started: automations arm late."""
        self._hass.data.setdefault(_ACCOUNTS, {})[self._entry.entry_id] = self
        # What was delivered while the account was not loaded.
        for sent in self._hass.data.get(_DELIVERED, {}).pop(self._entry.entry_id, ()):
            self._note_announced(sent)

        @callback
        def started(_: HomeAssistant) -> None:
            self._is_started = True
            self.async_compare()

        self._entry.async_on_unload(async_at_started(self._hass, started))
        self._entry.async_on_unload(self._stop)

    @callback
    def _stop(self) -> None:
        """Announce nothing more; what is under way continues without the account."""
        self._is_started = False
        self._hass.data[_ACCOUNTS].pop(self._entry.entry_id, None)

    @callback
    def async_compare(self) -> None:
        """Announce what differs, oldest first."""
        now = self._now()

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
            announcement = make_announcement(
                self._hass, self._entry, self._book.records[invoice_id], transition, self._now
            )
            deliveries.announce(announcement, _Sent(self._hass, announcement, transition))

    @callback
    def note_begun(self, sent: _Sent) -> None:
        """Let follow what automations rely on while they hear it."""
        self._follow(sent.announcement, sent.transition, sent.heard_by, is_done=False)

    @callback
    def note_delivered(self, sent: _Sent) -> None:
        """Take a delivery down, and announce what came meanwhile."""
        self._note_announced(sent)
        self._entry.async_create_task(
            self._hass, self._book.async_commit(), f"{self._entry.title} keeps a delivery"
        )
        self._announce(sent.announcement.invoice_id)

    @callback
    def _note_announced(self, sent: _Sent) -> None:
        """Take a delivery down, with what follows: it may have begun in another book."""
        self._follow(sent.announcement, sent.transition, sent.heard_by, is_done=True)
        self._book.note_announced(sent.announcement.invoice_id, sent.transition)


@dataclass(slots=True)
class _Sent:
    """An announcement on its way, for whichever book is loaded at each step."""

    hass: HomeAssistant
    announcement: Announcement
    transition: Transition
    heard_by: tuple[str, ...] = ()

    @callback
    def begun(self, heard_by: tuple[str, ...]) -> None:
        """Let follow what automations rely on; a book that is loaded later knows it by the end."""
        self.heard_by = heard_by
        if account := self._account:
            account.note_begun(self)

    @callback
    def delivered(self) -> None:
        """Take it down in whichever book is loaded now, or else is loaded next."""
        if account := self._account:
            account.note_delivered(self)
        elif self.hass.config_entries.async_get_entry(entry_id := self.announcement.entry_id):
            waiting = self.hass.data.setdefault(_DELIVERED, {})
            waiting.setdefault(entry_id, []).append(self)

    @property
    def _account(self) -> AccountAnnouncer | None:
        """The account, while it is loaded."""
        return self.hass.data.get(_ACCOUNTS, {}).get(self.announcement.entry_id)


def make_announcement(
    hass: HomeAssistant,
    entry: ConfigEntry,
    record: Record,
    transition: Transition,
    now: Callable[[], datetime],
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
        now=now,
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
        "fulfilled_at": _fulfilled_at(record, transition),
    }


def _fulfilled_at(record: Record, transition: Transition) -> str | None:
    """Return when it was fulfilled what was paid for, which is not yet known of a new payment."""
    item = record.item
    if item is None or item.fulfilled_at is None:
        return None
    is_new = transition.is_payment and item.announcement_id != transition.id
    return None if is_new else item.fulfilled_at.isoformat()


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
def async_forget_deliveries(hass: HomeAssistant, entry_id: str) -> None:
    """Forget what was delivered for an account that is removed."""
    hass.data.get(_DELIVERED, {}).pop(entry_id, None)
