"""When to poll which invoice. Pure: no clock, no I/O; times are monotonic seconds."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import batched
import math
import random

from ..providers.model import Invoice, InvoiceStatus
from .watched import Watched

_MINUTE = 60.0
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

# How often an open invoice is polled, by its age: most are paid immediately or never.
_AGES = (15 * _MINUTE, _HOUR, 6 * _HOUR, _DAY, 7 * _DAY)
_INTERVALS = (30.0, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR)
YOUNG_INTERVAL = _INTERVALS[0]
# Where something is happening: near expiry, partly paid, processing.
_BUSY_INTERVAL = _MINUTE
_NEAR_EXPIRY = 10 * _MINUTE
_BUSY_FOR = _HOUR
# Late money is real: an invoice that ended unpaid is polled for a day more.
GRACE = _DAY
_GRACE_INTERVAL = _HOUR
# One last poll of a paid invoice, where its provider can take a payment back.
LAST_POLL = _HOUR
# An invoice that can't be read: gone for good, most likely, or unreadable for a while.
_MISSING_INTERVAL = 15 * _MINUTE
# Polls come up to this much early, so that invoices that were added together
# don't stay together for ever; never late.
SPREAD = 0.15
# How much early an invoice may be polled to fill a batch.
_JOIN = 0.5

_BUSY = frozenset({InvoiceStatus.PROCESSING, InvoiceStatus.PARTIALLY_PAID})
_ENDED_UNPAID = frozenset(
    {
        InvoiceStatus.EXPIRED,
        InvoiceStatus.CANCELED,
        InvoiceStatus.FAILED,
        InvoiceStatus.UNDERPAID,
    }
)


def next_poll(
    invoice: Invoice,
    *,
    age: float,
    unchanged_for: float,
    now: datetime,
    is_certain: bool = True,
    can_revert: bool,
) -> float | None:
    """Return in how many seconds an invoice is worth another poll, or None for never.

    ``age`` and ``unchanged_for`` are in seconds; ``now`` is by the provider's clock, or else by one
    that may be wrong, which is not ``is_certain`` to have seen an invoice's last day.
    """
    if invoice.status.is_open:
        return _open_interval(invoice, age, unchanged_for, now)
    if invoice.status in _ENDED_UNPAID:
        is_watched = not is_certain or _is_in_grace(invoice, unchanged_for, now)
        return _GRACE_INTERVAL if is_watched else None
    if invoice.status.is_paid and can_revert:
        left = LAST_POLL - unchanged_for
        # One that came as early as polls do was the last one.
        return min(left, LAST_POLL) if left > LAST_POLL * SPREAD else None
    return None


def _is_in_grace(invoice: Invoice, unchanged_for: float, now: datetime) -> bool:
    """Whether an invoice that ended unpaid may still see late money."""
    if invoice.monitored_until is not None:
        return now < invoice.monitored_until
    grace = GRACE
    if invoice.expires_at is not None:
        # An expiry in a far future says nothing about when the invoice ended.
        expires_in = (invoice.expires_at - now).total_seconds() + unchanged_for
        grace += min(max(expires_in, 0.0), GRACE)
    return unchanged_for < grace


def _open_interval(invoice: Invoice, age: float, unchanged_for: float, now: datetime) -> float:
    """Return the interval of an invoice that can still be paid."""
    interval = _INTERVALS[bisect_right(_AGES, age)]
    if interval == YOUNG_INTERVAL:
        return interval
    if invoice.status in _BUSY and unchanged_for < _BUSY_FOR:
        return min(interval, _BUSY_INTERVAL)
    if invoice.expires_at is None:
        return interval
    until_expiry = (invoice.expires_at - now).total_seconds()
    if abs(until_expiry) <= _NEAR_EXPIRY:
        return min(interval, _BUSY_INTERVAL)
    if until_expiry < 0:
        return max(interval, _GRACE_INTERVAL)
    # Poll when it gets near its expiry, however far away the next poll would be.
    return min(interval, max(until_expiry - _NEAR_EXPIRY, YOUNG_INTERVAL))


def interval_after_miss(misses: int, *, is_outage: bool) -> float:
    """Return in how many seconds to poll an invoice that could not be read so often in a row."""
    # A provider that is down for one is back sooner than what it doesn't know.
    twice = misses - 1 if is_outage else misses
    return min(YOUNG_INTERVAL * 2.0 ** min(twice, 10), _MISSING_INTERVAL)


def plan_together(
    invoices: Sequence[Watched],
    now: float,
    interval: float | None,
    batch_size: int,
    rng: random.Random,
) -> None:
    """Plan the next polls, a batch at a time: what was read together stays together."""
    if interval is None:
        for one in invoices:
            one.plan(None)
        return
    for batch in batched(invoices, batch_size, strict=False):
        due = now + interval * (1 - SPREAD * rng.random())
        soonest = due - interval * _JOIN if batch_size > 1 else due
        for one in batch:
            one.plan(due, soonest)


def take_due(
    watched: Collection[Watched],
    now: float,
    most: int,
    batch_size: int,
    *,
    lease: float,
) -> list[Watched]:
    """Return what is due, longest due first, and what may come early to fill a batch.

    At most ``most``; the rest stays due. What is returned is planned in ``lease`` seconds:
    whatever becomes of the reading, it comes again.
    """
    due = sorted((one for one in watched if _is_due(one.due, now)), key=lambda one: one.due or 0.0)
    taken = due[: max(most, 0)]
    room = min(most - len(taken), -len(taken) % batch_size)
    if room > 0:
        early = sorted(
            (one for one in watched if one.soonest <= now and not _is_due(one.due, now)),
            key=lambda one: one.soonest,
        )
        taken += early[:room]
    for one in taken:
        one.plan(now + lease)
    return taken


def find_company(wanted: Iterable[Watched], watched: Iterable[Watched]) -> list[Watched]:
    """Return one that could be read last time where all that are wanted could not.

    If it can be read now, it is not the provider that is down.
    """
    if not all(one.misses for one in wanted):
        return []
    fine = [one for one in watched if one.invoice is not None]
    return [min(fine, key=lambda one: math.inf if one.due is None else one.due)] if fine else []


def _is_due(due: float | None, now: float) -> bool:
    """Whether a poll is due."""
    return due is not None and due <= now


def next_due(watched: Iterable[Watched]) -> float | None:
    """Return when the next poll is due, or None while nothing is planned."""
    return min((one.due for one in watched if one.due is not None), default=None)
