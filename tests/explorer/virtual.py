"""A loop whose time passes when the test says so."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
import selectors
from typing import Any, override

_EPOCH = datetime(2026, 11, 1, 12, tzinfo=UTC)
# So many turns are more than anything takes that ends by itself.
_MOST_TURNS = 5000
# More timers than ring in a day.
_MOST_RINGS = 50_000


class _NoWait(selectors.SelectSelector):
    """Waits for nothing: what is not ready now only becomes ready by moving time."""

    loop: VirtualLoop

    @override
    def select(self, timeout: float | None = None) -> Any:
        if self.loop.is_virtual:
            # Nothing comes from outside: whoever ends in a thread makes something ready.
            self.loop._turn(is_quiet=timeout != 0)
            return []
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own."""

    # What the standard library's own loop keeps.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, begin: datetime = _EPOCH) -> None:
        """Begin at some moment."""
        self._begin = begin
        self._until: float | None = None
        """How far time may move; None while it must not."""
        self._turns = self._rings = 0
        self._turns_left: int | None = None
        self.is_halted = False
        """Whether it was ended before its time."""
        self.passed = 1000.0
        self._wall_offset = timedelta()
        self.was_set = False
        """Whether the clock on the wall was ever wrong."""
        selector = _NoWait()
        selector.loop = self
        super().__init__(selector)

    @override
    def time(self) -> float:
        return self.passed

    @override
    def run_in_executor[*Given, T](
        self, executor: Executor | None, func: Callable[[*Given], T], *args: *Given
    ) -> asyncio.Future[T]:
        """Do it now: what a thread does comes at no certain moment."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as err:  # noqa: BLE001 - it is whoever waits for it who handles it
            future.set_exception(err)
        return future

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
        return self.right() + self.wall_offset

    def right(self) -> datetime:
        """Return what time it is, whatever the clock on the wall says."""
        return self._begin + timedelta(seconds=self.passed)

    def run[T](self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine, and whatever else is ready, without letting time pass."""
        result = self.run_until_complete(coroutine)
        self.settle()
        return result

    def settle(self) -> None:
        """Run what is ready until nothing is."""
        self.advance(0)

    def advance(self, seconds: float) -> None:
        """Let time pass, and each timer ring when it is its turn."""
        self._until = until = self.passed + seconds
        self._turns = self._rings = 0
        self.is_halted = False
        try:
            self.run_forever()
        finally:
            self._until = None
        if not self.is_halted:
            self.passed = max(self.passed, until)

    def halt_in(self, turns: int | None) -> None:
        """End the next advance after so many turns, in the middle of what is under way."""
        self._turns_left = turns

    def halt(self) -> None:
        """End the advance that is under way."""
        self.is_halted, self._turns_left = True, None
        self.stop()

    @property
    def is_virtual(self) -> bool:
        """Whether time moves when nothing is ready."""
        return self._until is not None

    def _turn(self, *, is_quiet: bool) -> None:
        """Let time move to the next timer where nothing is ready, up to where it may."""
        assert self._until is not None
        if self._turns_left is not None:
            self._turns_left -= 1
            if self._turns_left <= 0:
                self.halt()
                return
        if not is_quiet:
            self._turns += 1
            assert self._turns < _MOST_TURNS, "something never comes to rest"
            return
        following = self._scheduled[0].when() if self._scheduled else None
        if following is None or following > self._until:
            self.stop()
            return
        self._turns, self._rings = 0, self._rings + 1
        assert self._rings < _MOST_RINGS, "timers ring again and again"
        self.passed = max(self.passed, following) + 1e-6

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
