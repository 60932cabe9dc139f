"""A loop whose time passes when the test says so."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from itertools import count
import selectors
from typing import Any, override

_EPOCH = datetime(2026, 11, 1, 12, tzinfo=UTC)
# So many turns are more than anything takes that ends by itself.
_MOST_TURNS = 5000
# More timers than ring in a day.
_MOST_RINGS = 50_000


class _NoWait(selectors.SelectSelector):
    """Waits for nothing: what is not ready now only becomes ready by moving time."""

    @override
    def select(self, timeout: float | None = None) -> Any:
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own."""

    # What the standard library's own loop keeps.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        """Begin at some moment."""
        self.passed = 1000.0
        self._wall_offset = timedelta()
        self.was_set = False
        """Whether the clock on the wall was ever wrong."""
        super().__init__(_NoWait())

    @override
    def time(self) -> float:
        return self.passed

    @property
    def wall_offset(self) -> timedelta:
        """How far the clock on the wall is ahead."""
        return self._wall_offset

    @wall_offset.setter
    def wall_offset(self, offset: timedelta) -> None:
        """Set the clock on the wall."""
        self._wall_offset = offset
        self.was_set = self.was_set or bool(offset)

    def wall(self) -> datetime:
        """Return what the clock on the wall says."""
        return _EPOCH + timedelta(seconds=self.passed) + self.wall_offset

    def right(self) -> datetime:
        """Return what time it is, whatever the clock on the wall says."""
        return _EPOCH + timedelta(seconds=self.passed)

    def run[T](self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine, and whatever else is ready, without letting time pass."""
        result = self.run_until_complete(coroutine)
        self.settle()
        return result

    def settle(self) -> None:
        """Run what is ready until nothing is."""
        for _ in range(_MOST_TURNS):
            if not self._ready:
                return
            self.call_soon(self.stop)
            self.run_forever()
        raise AssertionError("something never comes to rest")

    def advance(self, seconds: float) -> None:
        """Let time pass, and each timer ring when it is its turn."""
        until = self.passed + seconds
        for turn in count():
            assert turn < _MOST_RINGS, "timers ring again and again"
            self.settle()
            due = [handle.when() for handle in self._scheduled if not handle.cancelled()]
            following = min(due, default=until)
            if following > until:
                break
            self.passed = max(self.passed, following) + 1e-6
            # One turn moves what is due to what is ready.
            self.call_soon(self.stop)
            self.run_forever()
            if following == until and not due:
                break
        self.passed = max(self.passed, until)
        self.settle()

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are going to ring."""
        return [handle for handle in self._scheduled if not handle.cancelled()]

    def drop_timers(self) -> None:
        """Let no timer ring that was set before."""
        for handle in self._scheduled:
            handle.cancel()

    def settle_quietly(self) -> None:
        """Run what is ready, for a while."""
        for _ in range(100):
            self.call_soon(self.stop)
            self.run_forever()
