"""In how many seconds to poll a watched invoice again, by all that is known of it. Pure."""

import math

from ..providers.model import InvoiceNotFound, ProviderUnavailable, RateLimited
from .clocks import Clocks
from .schedule import GRACE, LAST_POLL, SPREAD, YOUNG_INTERVAL, interval_after_miss, next_poll
from .watched import Watched

_AFTER_DOUBT = 1.0
# What a provider reports may be read there a moment later: after some 4 seconds, 8 and 16.
# A timer may ring early, and an invoice is not read sooner than pushes may have it read.
_AFTER_NEWS = 4.0
_NEWS_FOR = 10.0


def interval_for(one: Watched, clocks: Clocks, now: float, *, can_revert: bool) -> float | None:
    """Return in how many seconds to poll an invoice again, or None for never.

    ``now`` is in monotonic seconds.
    """
    if one.error is not None:
        if _is_gone(one, now):
            return None
        is_outage = isinstance(one.error, ProviderUnavailable | RateLimited)
        return interval_after_miss(one.misses, is_outage=is_outage)
    if one.doubt is not None:
        confirmed_in = one.doubt.until + _AFTER_DOUBT - now
        return confirmed_in / (1 - SPREAD) if confirmed_in > 0 else YOUNG_INTERVAL
    if one.invoice is None:
        return 0.0
    interval = None
    if not one.invoice.is_final:
        interval = next_poll(
            one.invoice,
            age=_age(one, clocks),
            unchanged_for=unchanged_for(one, clocks),
            now=clocks.now(),
            is_certain=clocks.is_certain,
            can_revert=can_revert,
        )
        if interval is not None:
            interval = min(interval, _until_news(now - one.news_at))
    if interval is None and now - one.doubted_at < LAST_POLL:
        # Of two answers, the last one need not be the right one.
        return LAST_POLL
    return interval


def _until_news(known_for: float) -> float:
    """Return in how many seconds what a provider reported so long ago may be read there."""
    return max(known_for, _AFTER_NEWS) if known_for <= _NEWS_FOR else math.inf


def unchanged_for(one: Watched, clocks: Clocks) -> float:
    """Return for how many seconds an invoice is certain to be as it is.

    Nothing is forgotten because the clock on the wall was wrong: where the provider doesn't
    say what time it is, only the time that passed while the account was loaded counts.
    """
    seen, record = clocks.monotonic() - one.since, one.record
    if record.ended_at is None or record.is_dated_here or not clocks.is_server_known:
        return seen
    return max(seen, (clocks.now() - record.ended_at).total_seconds())


def _age(one: Watched, clocks: Clocks) -> float:
    """Return how old an invoice is, in seconds: what was just added is young."""
    seen, created_at = clocks.monotonic() - one.born, one.record.created_at
    if one.is_new or created_at is None:
        return seen
    return max(seen, (clocks.now() - created_at).total_seconds())


def _is_gone(one: Watched, now: float) -> bool:
    """Whether an invoice that ended was deleted at its provider since: one answer says nothing."""
    return (
        isinstance(one.error, InvoiceNotFound)
        and not one.record.status.is_open
        and one.problem is not None
        and one.problem.has_lasted(GRACE, now)
    )
