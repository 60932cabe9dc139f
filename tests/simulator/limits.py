"""P7: nothing grows without a bound, and a day begins when it begins; seen once a day."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Set as AbstractSet
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
import gc
import logging
import sqlite3
from typing import override

from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.runtime import AccountRuntime
from custom_components.crypto_invoices.upkeep.cleanup import cleanup_after

from .bills import PAID, Bills
from .home import ShopHome
from .losses import Losses
from .plan import ACCOUNTS
from .weather import HourDown, Weather

_LOGGER = logging.getLogger(f"custom_components.{DOMAIN}")
# What is final is cleaned up; it may be open for two days before, and nothing is cleaned up in
# the hour after a start or while a clock is wrong.
_MARGIN = timedelta(days=4)
_TOMBSTONES_KEPT = timedelta(days=32)
# An account can be unable to load for days.
_REMOVED_KEPT = timedelta(days=30) + _MARGIN
# In a day, for all accounts together: a provider may come and go for hours.
_MOST_LINES = 2000
# In an hour in which a provider has been down for an hour already, a start included.
_MOST_LINES_WHEN_DOWN = 6
_MOST_TASKS = 60
# A hundred payments may be found at once, and be announced for ten seconds.
BUSY_FOR = 600.0
_MOST_TIMERS = 400
_MOST_FACTS = 30
# In such an hour: polls, six requests each where each invoice needs its own, lists, a stream.
_MOST_REQUESTS_WHEN_DOWN = 90
# After so many days, as much is kept as ever will be: what was removed is forgotten after 30.
_SETTLED_AFTER = 45
# Of the objects in memory then. How many invoices there are is chance; Home Assistant's own caches
# may keep one that is dead.
_MOST_GROWTH = 1.5
# A minute for each reading and each announcement after midnight.
AFTER_MIDNIGHT = 600.0


class Lines(logging.Handler):
    """Counts what is logged that somebody has to read."""

    def __init__(self, weather: Weather) -> None:
        """Begin with none."""
        super().__init__(logging.WARNING)
        self._weather = weather
        self.counted = Counter[str]()
        """By where they come from."""
        self.when_down = Counter[tuple[str, HourDown]]()
        """By provider and hour."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        self.counted[f"{record.name}:{record.lineno}"] += 1
        text = record.getMessage()
        for account in ACCOUNTS.values():
            hour = self._weather.hour_down(account.key)
            if hour is not None and account.name in text:
                self.when_down[account.key, hour] += 1


@contextmanager
def counted_lines(weather: Weather) -> Iterator[Lines]:
    """Count lines, and show none."""
    lines, before = Lines(weather), (_LOGGER.level, _LOGGER.propagate)
    _LOGGER.addHandler(lines)
    _LOGGER.setLevel(logging.WARNING)
    _LOGGER.propagate = False
    try:
        yield lines
    finally:
        _LOGGER.removeHandler(lines)
        _LOGGER.setLevel(before[0])
        _LOGGER.propagate = before[1]


class Limits:
    """Sees whether anything grows that should not."""

    def __init__(
        self,
        home: ShopHome,
        bills: Bills,
        losses: Losses,
        weather: Weather,
        lines: Lines,
        dated: AbstractSet[str],
    ) -> None:
        """Begin on the first day; the providers of the accounts in ``dated`` say what time it is."""
        self._dated = dated
        self._home = home
        self._bills = bills
        self._losses = losses
        self._weather = weather
        self._lines = lines
        self.objects: list[tuple[int, int]] = []
        """How many objects there were in memory, by day."""

    def note_memory(self, day: int) -> None:
        """Count what is in memory just after garbage was collected, and check that it is flat."""
        now = len(gc.get_objects())
        self.objects.append((day, now))
        settled = [number for day, number in self.objects if day >= _SETTLED_AFTER]
        if settled:
            assert now <= settled[0] * _MOST_GROWTH, f"{now} objects, first {settled[0]}"

    def at_the_end_of_a_day(self) -> None:
        """Check what is kept, and how much of it."""
        lines = self._lines.counted
        assert lines.total() <= _MOST_LINES, f"logged in a day: {lines.most_common(3)}"
        lines.clear()
        worst = max(self._lines.when_down.values(), default=0)
        assert worst <= _MOST_LINES_WHEN_DOWN, f"{worst} lines an hour about who is down"
        self._lines.when_down.clear()
        timers = len(self._home.loop.timers)
        assert timers <= _MOST_TIMERS, f"{timers} timers"
        hours = self._weather.requests_when_down
        worst = max(hours.values(), default=0)
        assert worst <= _MOST_REQUESTS_WHEN_DOWN, f"{worst} requests an hour to who is down"
        hours.clear()
        for key, account in self._home.loaded():
            self._check_file(key, account)
        if self._home.is_running:
            self._check_registry()

    @property
    def is_busy(self) -> bool:
        """Whether more is going on than usual, as when a provider is back after days."""
        return len(asyncio.all_tasks(self._home.loop)) > _MOST_TASKS

    def check_tasks(self) -> None:
        """Check that what was going on ten minutes ago has come to its end."""
        names = Counter(task.get_name() for task in asyncio.all_tasks(self._home.loop))
        total, most = names.total(), names.most_common(3)
        assert total <= _MOST_TASKS, f"{total} tasks for {BUSY_FOR:g} seconds: {most}"

    def _check_registry(self) -> None:
        """Check that Home Assistant keeps nothing of what was removed long ago."""
        oldest = self._home.loop.right() - _REMOVED_KEPT
        removed = er.async_get(self._home.hass).deleted_entities.values()
        kept = [one.unique_id for one in removed if one.modified_at < oldest]
        assert not kept, f"{len(kept)} entities were removed before {oldest}: {kept[0]}"

    def _check_file(self, key: str, account: AccountRuntime) -> None:
        """Check that what is over is gone from the file."""
        entry, now = self._home.entry(key), self._home.loop.right()
        assert entry is not None
        kept = timedelta(days=max(cleanup_after(entry), 7)) + _MARGIN
        oldest = now - kept
        # What was found again is as new as that.
        lost_at = self._losses.accounts.get(key)
        is_new = lost_at is not None and now < lost_at + kept
        path = account.book.writer._storage.path
        with suppress(sqlite3.OperationalError):
            database = sqlite3.connect(path)
            made = _oldest(database, "SELECT min(created_at) FROM records WHERE item_since IS NULL")
            gone = _oldest(database, "SELECT min(gone_at) FROM tombstones")
            (facts,) = database.execute("SELECT count(*) FROM facts").fetchone()
            database.close()
            is_due = made is not None and made < oldest and not is_new
            assert not is_due, f"{key}: a record since {made} at {now}"
            assert gone is None or gone >= now - _TOMBSTONES_KEPT, f"{key}: gone since {gone}"
            assert facts <= _MOST_FACTS, f"{key}: {facts} facts"

    def after_midnight(self) -> None:
        """Check that no more are counted as paid today than were."""
        home = self._home
        if not home.is_running or home.loop.wall_offset:
            return
        since = home.loop.passed - AFTER_MIDNIGHT
        registry = er.async_get(home.hass)
        for key, entry_id in home.entry_ids.items():
            if home.loop.was_set and key not in self._dated:
                # It is dated by a clock that was wrong, and may have been set right in a stop.
                continue
            entity_id = registry.async_get_entity_id("sensor", DOMAIN, f"{entry_id}_paid_today")
            state = home.hass.states.get(entity_id) if entity_id else None
            if state is None or not state.state.isdigit():
                continue
            seen = sum(
                1
                for (of, _), announced in home.heard.by_invoice.items()
                if of == entry_id
                for one in announced
                if one.is_payment and one.at >= since
            )
            waiting = sum(
                bill.invoice.state in PAID
                and not any(
                    one.is_payment
                    for one in home.heard.by_invoice.get((entry_id, bill.invoice.id), [])
                )
                for bill in self._bills.of(key)
            )
            assert int(state.state) <= seen + waiting, (
                f"{key}: {state.state} are paid today, ten minutes after midnight, not {seen}"
            )


def midnights(begin: datetime, days: float) -> Iterator[float]:
    """Yield when local days begin, in seconds from the beginning."""
    day = dt_util.as_local(begin).date()
    while True:
        day += timedelta(days=1)
        seconds = (dt_util.start_of_local_day(day) - begin).total_seconds()
        if seconds > days * 86_400:
            return
        yield seconds


def _oldest(database: sqlite3.Connection, query: str) -> datetime | None:
    """Return a moment that is in a file."""
    (text,) = database.execute(query).fetchone()
    return None if text is None else datetime.fromisoformat(text)
