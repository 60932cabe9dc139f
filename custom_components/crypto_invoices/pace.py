"""How fast an account is read: its schedule, its budget and its back-off."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import math
import random
from typing import Any

from .providers.base import Provider
from .providers.budget import Budget
from .providers.model import (
    Invoice,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from .schedule import MISSING_INTERVAL, YOUNG_INTERVAL, Known, Schedule, next_look

# The first wait after a failure, in seconds; each further one is twice as long.
FIRST_BACK_OFF = 30.0
LONGEST_BACK_OFF = 15 * 60.0
# A provider that asks for a month is asked again after an hour all the same.
LONGEST_RETRY_AFTER = 60 * 60.0
SHORTEST_RETRY_AFTER = 5.0
# Requests that polling leaves for hints and actions, and those that it makes however
# many these make: it waits in line with them then.
_RESERVED = 0.2
_POLLING = 0.5
# Invoices that had ended are read after the others at a start, a batch a second,
# but for so many batches that go along at once.
_AT_ONCE_AT_START = 10
# Where requests are slow, what was read is published after so many seconds, not at the end.
_LONGEST_READING = 10.0
# As long as nobody knows whether they are slow, so many rounds tell.
_FIRST_ROUNDS = 2
# Home Assistant's timers may ring so much too early or too late.
_EARLY, _LATE = 1.0, 0.5
# Somebody has to notice when the clock on the wall is set, or the machine was asleep.
_LONGEST_SLEEP = 5 * 60.0
_JUMP = timedelta(seconds=30)
# Then all open invoices are looked at within so many seconds.
_AFTER_JUMP = 5 * 60.0


def _utcnow() -> datetime:
    """Return the time on the wall."""
    return datetime.now(UTC)


class Pace:
    """Which invoices of an account to read now, and when to read again."""

    def __init__(
        self,
        clock: Callable[[], float],
        provider: Provider,
        rng: random.Random | None = None,
        wall: Callable[[], datetime] = _utcnow,
    ) -> None:
        """Begin with nothing to read.

        ``clock`` is in seconds and never goes back; ``wall`` may be set at any time.
        """
        self._clock = clock
        self._wall = wall
        self._began = self._beginning()
        self._provider = provider
        self._random = rng or random.Random()
        self._schedule = Schedule(provider.batch_size, self._random)
        self._known: dict[str, Known] = {}
        self._misses: dict[str, int] = {}
        self._last_hint: dict[str, float] = {}
        self._added: set[str] = set()
        self._failures = 0
        self._retry_at = 0.0
        self._polled = Budget(max(1, int(provider.budget.per_minute * _POLLING)), clock)

    def start(self, statuses: Mapping[str, InvoiceStatus | None]) -> None:
        """Plan the first looks: what can still be paid at once, what had ended after it."""
        now = self._clock()
        ended = 0
        for invoice_id, status in statuses.items():
            delay = 0
            if status is not None and not status.is_open:
                delay = max(0, ended // self._provider.batch_size - _AT_ONCE_AT_START)
                ended += 1
            self._schedule.plan(invoice_id, now, delay)

    def add(self, invoice_ids: Iterable[str]) -> None:
        """Plan a look at invoices that were added: they are young, whatever their age."""
        for invoice_id in invoice_ids:
            self._added.add(invoice_id)
            self._schedule.plan(invoice_id, self._clock(), 0)

    def forget(self, invoice_id: str) -> None:
        """Stop looking at an invoice."""
        self._schedule.forget(invoice_id)
        self._known.pop(invoice_id, None)
        self._misses.pop(invoice_id, None)
        self._last_hint.pop(invoice_id, None)
        self._added.discard(invoice_id)

    def take_due(self) -> list[str]:
        """Return what to read now, as much as the budget has room for."""
        self._follow_wall()
        left, owed = self._provider.budget.left, self._polled.left
        if left > 0:
            # What can be read at once doesn't wait for what has to wait in line.
            owed = min(owed, left)
        requests = min(max(left - self._reserved, owed), self._requests_in_time())
        # Whether a provider is back shows only when it is asked.
        requests = max(requests, 1 if self._failures else 0)
        due = self._schedule.take_due(
            self._clock() + _EARLY + _LATE, requests * self._provider.batch_size
        )
        self._polled.count(math.ceil(len(due) / self._provider.batch_size))
        return due

    @property
    def _reserved(self) -> int:
        """How many requests per minute polling leaves for hints and actions."""
        return int(self._provider.budget.per_minute * _RESERVED)

    def _requests_in_time(self) -> int:
        """Return how many requests a reading may make without taking too long."""
        seconds = self._provider.answer_seconds
        if seconds is None:
            rounds = _FIRST_ROUNDS
        else:
            rounds = max(1, int(_LONGEST_READING / max(seconds, 0.001)))
        return rounds * self._provider.concurrency

    def _beginning(self) -> datetime:
        """Return when the clock began, as the wall tells it now."""
        return self._wall() - timedelta(seconds=self._clock())

    def _follow_wall(self) -> None:
        """Notice that the wall's clock was set: ages go on, and what is open is looked at."""
        jump = self._beginning() - self._began
        if abs(jump) < _JUMP:
            return
        self._began += jump
        now, at = self._clock(), self._wall()
        for invoice_id, known in self._known.items():
            if not known.invoice.status.is_open:
                continue
            first_seen, created_at = known.first_seen + jump, known.invoice.created_at
            if created_at is not None and invoice_id not in self._added:
                first_seen = min(at, created_at)
            moved = replace(known, first_seen=first_seen, status_since=known.status_since + jump)
            self._known[invoice_id] = moved
            self._schedule.hasten(invoice_id, now, min(next_look(moved, at) or 0, _AFTER_JUMP))

    def take_hinted(self, hinted: Iterable[str], interval: float) -> tuple[list[str], float]:
        """Return which of these to read now, and in how many seconds the next of the others.

        Where the budget is short, those that come first go first.
        """
        now, provider = self._clock(), self._provider
        left = provider.budget.left
        requests = min(
            left if left > 0 else max(1, self._reserved),
            self._requests_in_time(),
        )
        waits = {id_: self._last_hint.get(id_, now - interval) + interval - now for id_ in hinted}
        ready = [id_ for id_, wait in waits.items() if wait <= 0][: requests * provider.batch_size]
        for invoice_id in ready:
            del waits[invoice_id]
            self._schedule.forget(invoice_id)
            # Only what was read for a hint counts: a poll just before it says nothing of it.
            self._last_hint[invoice_id] = now
        return ready, max(0.0, min(waits.values(), default=0.0))

    def plan_at_once(self, invoice_id: str) -> None:
        """Make an invoice due."""
        self._schedule.plan_at_once(invoice_id, self._clock())

    def stay_due(self, invoice_ids: Iterable[str]) -> None:
        """Keep what could not be read due."""
        for invoice_id in invoice_ids:
            self.plan_at_once(invoice_id)

    def plan(self, found: Mapping[str, Invoice | ProviderError], at: datetime) -> None:
        """Plan the next look at what was read at a time; good and bad entries may be mixed."""
        self._follow_wall()
        together: defaultdict[float | None, list[str]] = defaultdict(list)
        trouble: ProviderError | None = None
        for invoice_id, entry in found.items():
            known = self._known.get(invoice_id)
            if known is not None and entry is known.invoice:
                if self._misses:
                    self._misses.pop(invoice_id, None)
            elif isinstance(entry, Invoice):
                self._misses.pop(invoice_id, None)
                known = self._know(invoice_id, entry, at)
            else:
                together[self._interval_after_miss(invoice_id, entry)].append(invoice_id)
                if isinstance(entry, RateLimited) or _asks_to_wait(entry):
                    trouble = entry
                continue
            together[next_look(known, at)].append(invoice_id)
        now = self._clock()
        for interval, invoice_ids in together.items():
            self._schedule.plan_together(invoice_ids, now, interval)
        if trouble is not None:
            self.back_off(trouble)
        elif found and not self.is_backing_off:
            # An answer to an earlier question doesn't shorten the wait.
            self.recovered()

    def _interval_after_miss(self, invoice_id: str, error: ProviderError) -> float:
        """Return in how many seconds to look again at an invoice that could not be read."""
        misses = self._misses[invoice_id] = self._misses.get(invoice_id, 0) + 1
        # A provider that is down for one is back sooner than what it doesn't know.
        twice = misses - 1 if isinstance(error, ProviderUnavailable | RateLimited) else misses
        return min(YOUNG_INTERVAL * 2.0 ** min(twice, 10), MISSING_INTERVAL)

    def _know(self, invoice_id: str, invoice: Invoice, at: datetime) -> Known:
        """Return what is known of an invoice with this reading."""
        before = self._known.get(invoice_id)
        if before is None:
            first_seen = at
            if invoice.created_at is not None and invoice_id not in self._added:
                first_seen = min(at, invoice.created_at)
            ended = invoice.paid_at or invoice.expires_at
            status_since = min(at, ended) if ended and not invoice.status.is_open else at
        else:
            first_seen = before.first_seen
            is_same = before.invoice.status is invoice.status
            status_since = before.status_since if is_same else at
        known = Known(invoice, first_seen, status_since, self._provider.can_revert)
        self._known[invoice_id] = known
        return known

    @property
    def is_backing_off(self) -> bool:
        """Whether the provider is left alone for a while."""
        return self._clock() < self._retry_at

    def back_off(self, err: Exception) -> float:
        """Return how many seconds to leave the provider alone after a failure."""
        retry_after = None
        if isinstance(err, RateLimited | ProviderUnavailable):
            retry_after = err.retry_after
        if retry_after is None:
            longest = min(FIRST_BACK_OFF * 2.0**self._failures, LONGEST_BACK_OFF)
            seconds = longest * (1 - 0.3 * self._random.random())
        else:
            seconds = min(max(retry_after, SHORTEST_RETRY_AFTER), LONGEST_RETRY_AFTER)
        self._failures = min(self._failures + 1, 10)
        self._retry_at = self._clock() + seconds
        return seconds + _EARLY

    def stop(self) -> None:
        """Leave the provider alone until the account is loaded anew."""
        self._retry_at = math.inf

    def recovered(self) -> None:
        """Forget the failures at the first success."""
        self._failures = 0
        self._retry_at = 0.0

    def diagnostics(self) -> dict[str, Any]:
        """Return what may be shared; times are in seconds."""
        budget, wait = self._provider.budget, self._retry_at - self._clock()
        return {
            "requests_per_minute": budget.per_minute,
            "requests_left": budget.left,
            "failures_in_a_row": self._failures,
            "backs_off_for": round(wait) if 0 < wait < math.inf else None,
            "is_stopped": wait == math.inf,
            "invoices_planned": len(self._schedule),
            "next_look_in": self._until(self._schedule.next_due()),
        }

    def is_worth_a_look(self, invoice_id: str) -> bool:
        """Whether an invoice is still worth looking at, as one is that was never read."""
        known = self._known.get(invoice_id)
        return known is None or next_look(known, self._wall()) is not None

    def diagnostics_of(self, invoice_id: str) -> dict[str, Any]:
        """Return what may be shared of one invoice's looks; times are in seconds."""
        return {
            "next_look_in": self._until(self._schedule.due_of(invoice_id)),
            "misses_in_a_row": self._misses.get(invoice_id, 0),
        }

    def _until(self, due: float | None) -> int | None:
        """Return in how many seconds something is due."""
        return None if due is None else max(0, round(due - self._clock()))

    def seconds_until_due(self) -> float | None:
        """Return in how many seconds to read again, or None while nothing is planned."""
        due = self._schedule.next_due()
        if due is None:
            return None
        now, budget = self._clock(), self._provider.budget
        may_ask_in = min(budget.seconds_until(self._reserved + 1), self._polled.seconds_until(1))
        wait = max(1.0, due - now - _LATE, may_ask_in)
        return max(min(wait, _LONGEST_SLEEP), self._retry_at - now + _EARLY)


def _asks_to_wait(error: ProviderError) -> bool:
    """Whether a provider that has a trouble says when to come back."""
    return isinstance(error, ProviderUnavailable) and error.retry_after is not None
