"""Follows up on what is owed: runs automations again, and reminds of it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from ..book.book import Book
from ..book.item import Item
from ..book.record import Record
from ..book.transitions import Transition
from ..delivery.account import make_announcement
from ..delivery.announcement import NOT_FULFILLED, Announcement, Reminder
from ..delivery.deliveries import async_get_deliveries
from ..delivery.listeners import async_get_listeners
from ..delivery.wording import announcement_text

# Up to when it is known what has become long overdue; what came after has to be said.
_REMINDED_UNTIL = "reminded_until"
_MOMENT = timedelta(microseconds=1)
# More than two answers of a provider differ in what time it is.
_SET_BACK = timedelta(minutes=2)


class FollowUps:
    """Comes back to what one account owes, as long as it is owed."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, book: Book, now: Callable[[], datetime]
    ) -> None:
        """Begin where the book says that it was left."""
        self._hass = hass
        self._entry = entry
        self._book = book
        self._now = now
        known = book.fact(_REMINDED_UNTIL)
        self._reminded_until = datetime.fromisoformat(known) if known else now()
        self._on_their_way: set[_Reminding] = set()
        # Also those of automations that are being saved right now.
        self._times: set[timedelta] = set()

    @callback
    def async_compare(self, *, is_repeating: bool) -> float | None:
        """Do what is due; return in how many seconds something is, None while nothing is owed."""
        now, owed = self._now(), tuple(self._book.items.owed.values())
        self._times |= async_get_listeners(self._hass).reminded_after
        # A clock that was set back is no reason to be silent until it is there again.
        if self._reminded_until - now > _SET_BACK:
            self._reminded_until = now
        waits = [float("inf")]
        for record in owed:
            if (item := record.item) is None:
                continue
            due = item.next_attempt if is_repeating else None
            if due is not None and due <= now:
                self._repeat(record, item, now)
            elif due is not None:
                waits.append((due - now).total_seconds())
            for after in self._times:
                due = item.since + after
                if self._reminded_until < due <= now:
                    self._remind(record, item, after, due)
                elif due > now:
                    waits.append((due - now).total_seconds())
        self._reminded_until = max(now, self._reminded_until)
        return min(waits) if owed else None

    def _repeat(self, record: Record, item: Item, now: datetime) -> None:
        """Run the automations that repeat a payment, unless that is being announced now."""
        is_paid = record.status.is_paid and record.announced and record.announced.is_paid
        if self._hass.is_stopping or not is_paid:
            return
        record.item = item.tried(now)
        self._book.changed(record)
        async_get_deliveries(self._hass).repeat(
            self._announcement(record, item), record.item.attempts, item.heard_by
        )
        self._entry.async_create_task(
            self._hass, self._book.async_commit(), f"{self._entry.title} keeps an attempt"
        )

    def _remind(self, record: Record, item: Item, after: timedelta, due: datetime) -> None:
        """Remind of a payment that has been owed for a time."""
        if not self._hass.is_stopping:
            self._on_their_way.add(progress := _Reminding(self, due))
            text = announcement_text(self._hass, self._entry, record, NOT_FULFILLED, record.status)
            payment = self._announcement(record, item)
            reminder = Reminder.of(payment, text, item.since, after)
            async_get_deliveries(self._hass).announce(reminder, progress)

    def _announcement(self, record: Record, item: Item) -> Announcement:
        """Return what was announced of a payment, with the invoice as it is now."""
        payment = Transition(
            id=item.announcement_id,
            counted_as="payment",
            previous=item.previous,
            status=record.status,
        )
        return make_announcement(self._hass, self._entry, record, payment, self._now)

    @callback
    def note_reminded(self, reminding: _Reminding) -> None:
        """Take down that everybody was reminded."""
        self._on_their_way.discard(reminding)
        if not self._on_their_way:
            self.async_write_down()

    @callback
    def async_write_down(self) -> None:
        """Take down who was reminded; what is on its way is cut by a stop, and comes again."""
        on_their_way = (one.due - _MOMENT for one in self._on_their_way)
        until = min(on_their_way, default=self._reminded_until)
        self._book.set_fact(_REMINDED_UNTIL, until.isoformat())

    @callback
    def async_leave(self) -> None:
        """Take down who was reminded: what is on its way arrives without the account."""
        self._book.set_fact(_REMINDED_UNTIL, self._reminded_until.isoformat())


class _Reminding:
    """A reminder on its way."""

    def __init__(self, follow_ups: FollowUps, due: datetime) -> None:
        """Keep who wants to know that it arrived, and when it was due."""
        self._follow_ups = follow_ups
        self.due = due

    def begun(self, heard_by: tuple[str, ...]) -> None:
        """Nothing follows from that."""

    def delivered(self) -> None:
        """Take it down."""
        self._follow_ups.note_reminded(self)
