"""Which invoices are due for a look, and when to look again. Pure: no clock, no I/O."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
import heapq
from itertools import count
import random

from .providers.model import Invoice, InvoiceStatus

_MINUTE = 60.0
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

# How often an open invoice is looked at, by its age: most are paid at once or never.
_AGES = (15 * _MINUTE, _HOUR, 6 * _HOUR, _DAY, 7 * _DAY)
_INTERVALS = (30.0, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR)
YOUNG_INTERVAL = _INTERVALS[0]
# Where something is happening: near expiry, partly paid, processing.
_BUSY_INTERVAL = _MINUTE
_NEAR_EXPIRY = timedelta(minutes=10)
_BUSY_FOR = _HOUR
# Late money is real: an invoice that ended unpaid is looked at for a day more.
_GRACE = timedelta(days=1)
_GRACE_INTERVAL = _HOUR
# One last look at a paid invoice, where its provider can take a payment back.
LAST_LOOK = _HOUR
# An invoice that can't be read: gone for good, most likely, or unreadable for a while.
MISSING_INTERVAL = 15 * _MINUTE

# Looks come up to this much early, so that invoices that were added together
# don't stay together for ever; never late.
_SPREAD = 0.15
# How much early an invoice may be looked at to fill a batch.
_JOIN = 0.5

_ENDED_UNPAID = frozenset(
    {
        InvoiceStatus.EXPIRED,
        InvoiceStatus.CANCELED,
        InvoiceStatus.FAILED,
        InvoiceStatus.UNDERPAID,
    }
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the schedule has to know of an invoice: as read, and since when."""

    invoice: Invoice
    first_seen: datetime
    """When it was first read, or made where the provider says so and that is later."""
    status_since: datetime
    can_revert: bool
    """Whether its provider can take a payment back."""


def next_look(known: Known, now: datetime) -> float | None:
    """Return in how many seconds an invoice is worth another look, or None for never."""
    invoice = known.invoice
    if invoice.status.is_open:
        return _open_interval(known, now)
    if invoice.status in _ENDED_UNPAID:
        until = invoice.monitored_until
        if until is None:
            until = max(known.status_since, invoice.expires_at or known.status_since) + _GRACE
            # An expiry in a far future says nothing about when the invoice ended.
            until = min(until, known.status_since + 2 * _GRACE)
        return _GRACE_INTERVAL if now < until else None
    if invoice.status.is_paid and known.can_revert:
        left = LAST_LOOK - (now - known.status_since).total_seconds()
        return left if left > 0 else None
    return None


def _open_interval(known: Known, now: datetime) -> float:
    """Return the interval of an invoice that can still be paid."""
    invoice = known.invoice
    age = (now - known.first_seen).total_seconds()
    interval = _INTERVALS[bisect_right(_AGES, age)]
    expires_at = invoice.expires_at
    if expires_at is not None:
        if abs(now - expires_at) <= _NEAR_EXPIRY:
            return min(interval, _BUSY_INTERVAL)
        if now > expires_at:
            return max(interval, _GRACE_INTERVAL)
        # Look when it gets near its expiry, however far away the next look would be.
        near = (expires_at - _NEAR_EXPIRY - now).total_seconds()
        if 0 < near < interval:
            interval = max(near, YOUNG_INTERVAL)
    is_busy = invoice.status in (InvoiceStatus.PROCESSING, InvoiceStatus.PARTIALLY_PAID)
    if is_busy and (now - known.status_since).total_seconds() < _BUSY_FOR:
        return min(interval, _BUSY_INTERVAL)
    return interval


@dataclass(frozen=True, slots=True, order=True)
class _Look:
    """A look that is planned."""

    due: float
    order: int
    invoice_id: str
    interval: float


class Schedule:
    """When to look at each invoice; times are seconds on any clock that never goes back."""

    def __init__(self, batch_size: int, rng: random.Random | None = None) -> None:
        """Plan nothing yet."""
        self._batch_size = batch_size
        self._random = rng or random.Random()
        self._planned: dict[str, _Look] = {}
        self._heap: list[_Look] = []
        self._order = count()

    def plan(self, invoice_id: str, now: float, interval: float | None) -> None:
        """Plan the next look at an invoice, instead of the one planned before."""
        self.forget(invoice_id)
        if interval is None:
            return
        due = now + interval * (1 - _SPREAD * self._random.random())
        look = _Look(due, next(self._order), invoice_id, interval)
        self._planned[invoice_id] = look
        heapq.heappush(self._heap, look)

    def plan_at_once(self, invoice_id: str, now: float) -> None:
        """Plan a look for now; one that is due already keeps its turn."""
        planned = self._planned.get(invoice_id)
        if planned is None or planned.due > now:
            self.plan(invoice_id, now, 0)

    def forget(self, invoice_id: str) -> None:
        """Plan no look at an invoice."""
        # What is left of it in the heap is passed over when its turn comes.
        self._planned.pop(invoice_id, None)

    def take_due(self, now: float, most: int) -> list[str]:
        """Return what is due, longest due first, and what may come early to fill a batch.

        At most ``most`` invoices; the rest stays due. What is returned has to be
        planned again.
        """
        taken: list[str] = []
        for look in self._in_order():
            is_due = look.due <= now
            has_room = bool(len(taken) % self._batch_size)
            if len(taken) == most or not (
                is_due or (has_room and look.due <= now + look.interval * _JOIN)
            ):
                heapq.heappush(self._heap, look)
                break
            del self._planned[look.invoice_id]
            taken.append(look.invoice_id)
        return taken

    def next_due(self) -> float | None:
        """Return when the next look is due, or None."""
        for look in self._in_order():
            heapq.heappush(self._heap, look)
            return look.due
        return None

    def __len__(self) -> int:
        """Return at how many invoices another look is planned."""
        return len(self._planned)

    def _in_order(self) -> Iterator[_Look]:
        """Take planned looks off the heap, the next one first."""
        while self._heap:
            look = heapq.heappop(self._heap)
            if self._planned.get(look.invoice_id) is look:
                yield look
