"""Which invoices are due for a look, and when to look again. Pure: no clock, no I/O."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
import heapq
from itertools import batched, count
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
_NEAR_EXPIRY = 10 * _MINUTE
_BUSY_FOR = _HOUR
# Late money is real: an invoice that ended unpaid is looked at for a day more.
_GRACE = _DAY
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
# So much may be left over in the schedule, beyond twice what is planned.
_LEFT_OVER = 64

_BUSY = frozenset({InvoiceStatus.PROCESSING, InvoiceStatus.PARTIALLY_PAID})
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
        return _GRACE_INTERVAL if _is_in_grace(known, now) else None
    if invoice.status.is_paid and known.can_revert:
        left = LAST_LOOK - (now - known.status_since).total_seconds()
        # One that came as early as looks do was the last one.
        return min(left, LAST_LOOK) if left > LAST_LOOK * _SPREAD else None
    return None


def _is_in_grace(known: Known, now: datetime) -> bool:
    """Whether an invoice that ended unpaid may still see late money."""
    if known.invoice.monitored_until is not None:
        return now < known.invoice.monitored_until
    expires_at = known.invoice.expires_at or known.status_since
    expires_in = (expires_at - known.status_since).total_seconds()
    # An expiry in a far future says nothing about when the invoice ended.
    grace = min(max(expires_in, 0.0), _GRACE) + _GRACE
    return (now - known.status_since).total_seconds() < grace


def _open_interval(known: Known, now: datetime) -> float:
    """Return the interval of an invoice that can still be paid."""
    invoice = known.invoice
    interval = _INTERVALS[bisect_right(_AGES, (now - known.first_seen).total_seconds())]
    if interval == YOUNG_INTERVAL:
        return interval
    is_busy = invoice.status in _BUSY
    if is_busy and (now - known.status_since).total_seconds() < _BUSY_FOR:
        return min(interval, _BUSY_INTERVAL)
    expires_at = invoice.expires_at
    if expires_at is None:
        return interval
    until_expiry = (expires_at - now).total_seconds()
    if abs(until_expiry) <= _NEAR_EXPIRY:
        return min(interval, _BUSY_INTERVAL)
    if until_expiry < 0:
        return max(interval, _GRACE_INTERVAL)
    # Look when it gets near its expiry, however far away the next look would be.
    return min(interval, max(until_expiry - _NEAR_EXPIRY, YOUNG_INTERVAL))


@dataclass(slots=True, eq=False)
class _Look:
    """A look that is planned, at one invoice or at a batch of them."""

    due: float
    soonest: float
    """From when on it may come along with a request that is made anyway."""
    invoice_ids: list[str]
    live: int
    """How many of them are not planned anew."""


type _Heap = list[tuple[float, int, _Look]]


class Schedule:
    """When to look at each invoice; times are seconds on any clock that never goes back."""

    def __init__(self, batch_size: int, rng: random.Random | None = None) -> None:
        """Plan nothing yet."""
        self._batch_size = batch_size
        self._random = rng or random.Random()
        self._planned: dict[str, _Look] = {}
        self._by_due: _Heap = []
        self._by_soonest: _Heap = []
        self._order = count()
        # What is planned anew stays in its old look until that comes up.
        self._left_over = 0

    def plan(self, invoice_id: str, now: float, interval: float | None) -> None:
        """Plan the next look at an invoice, instead of the one planned before."""
        self.plan_together((invoice_id,), now, interval)

    def plan_together(self, invoice_ids: Sequence[str], now: float, interval: float | None) -> None:
        """Plan the next looks at invoices, a batch at a time: what was read together stays so."""
        for invoice_id in invoice_ids:
            if invoice_id in self._planned:
                self.forget(invoice_id)
        if interval is None:
            return
        for batch in batched(invoice_ids, self._batch_size, strict=False):
            due = now + interval * (1 - _SPREAD * self._random.random())
            self._push(_Look(due, due - interval * _JOIN, list(batch), len(batch)))

    def plan_at_once(self, invoice_id: str, now: float) -> None:
        """Plan a look for now; one that is due already keeps its turn."""
        planned = self._planned.get(invoice_id)
        if planned is None or planned.due > now:
            self.plan(invoice_id, now, 0)

    def hasten(self, invoice_id: str, now: float, within: float) -> None:
        """Plan a look at any moment of the next seconds, unless one comes sooner."""
        due = now + within * self._random.random()
        planned = self._planned.get(invoice_id)
        if planned is not None and planned.due > due:
            self.forget(invoice_id)
            self._push(_Look(due, due, [invoice_id], 1))

    def forget(self, invoice_id: str) -> None:
        """Plan no look at an invoice."""
        if (look := self._planned.pop(invoice_id, None)) is not None:
            look.live -= 1
            self._left_over += 1
            self._tidy()

    def take_due(self, now: float, most: int) -> list[str]:
        """Return what is due, longest due first, and what may come early to fill a batch.

        At most ``most`` invoices; the rest stays due. What is returned has to be
        planned again.
        """
        taken: list[str] = []
        while len(taken) < most and (look := _first(self._by_due)) and look.due <= now:
            taken += self._take(look, most - len(taken))
        # A batch has room for more at no cost.
        most = min(most, len(taken) + -len(taken) % self._batch_size)
        while len(taken) < most and (look := _first(self._by_soonest)) and look.soonest <= now:
            taken += self._take(look, most - len(taken))
        return taken

    def next_due(self) -> float | None:
        """Return when the next look is due, or None."""
        look = _first(self._by_due)
        return None if look is None else look.due

    def due_of(self, invoice_id: str) -> float | None:
        """Return when the next look at an invoice is due, or None."""
        look = self._planned.get(invoice_id)
        return None if look is None else look.due

    def __len__(self) -> int:
        """Return at how many invoices another look is planned."""
        return len(self._planned)

    def _push(self, look: _Look) -> None:
        """Add a look."""
        self._planned.update(dict.fromkeys(look.invoice_ids, look))
        order = next(self._order)
        heapq.heappush(self._by_due, (look.due, order, look))
        if self._batch_size > 1:
            heapq.heappush(self._by_soonest, (look.soonest, order, look))
        self._tidy()

    def _take(self, look: _Look, most: int) -> list[str]:
        """Take invoices out of a look; the rest stays."""
        live = [id_ for id_ in look.invoice_ids if self._planned.get(id_) is look]
        self._left_over -= len(look.invoice_ids) - len(live)
        taken, look.invoice_ids = live[:most], live[most:]
        look.live = len(look.invoice_ids)
        for invoice_id in taken:
            del self._planned[invoice_id]
        return taken

    def _tidy(self) -> None:
        """Throw away what is left over once it is more than what is planned."""
        most = 2 * len(self._planned) + _LEFT_OVER
        if max(len(self._by_due), len(self._by_soonest), self._left_over) <= most:
            return
        self._by_due = [entry for entry in self._by_due if entry[2].live]
        for _, _, look in self._by_due:
            look.invoice_ids = [id_ for id_ in look.invoice_ids if self._planned.get(id_) is look]
        heapq.heapify(self._by_due)
        if self._batch_size > 1:
            self._by_soonest = [(look.soonest, order, look) for _, order, look in self._by_due]
            heapq.heapify(self._by_soonest)
        self._left_over = 0


def _first(heap: _Heap) -> _Look | None:
    """Return the first look of a heap that is still to come."""
    while heap and not heap[0][2].live:
        heapq.heappop(heap)
    return heap[0][2] if heap else None
