"""How many requests an account may make."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
import time

WINDOW = 60.0


class Budget:
    """At most this many requests in any minute, whoever makes them."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing spent."""
        self.per_minute = per_minute
        self._clock = clock
        self._spent: deque[float] = deque()
        self._turn = asyncio.Lock()

    @property
    def left(self) -> int:
        """How many requests may be made right now."""
        now = self._clock()
        while self._spent and self._spent[0] <= now - WINDOW:
            self._spent.popleft()
        return self.per_minute - len(self._spent)

    def seconds_until(self, requests: int) -> float:
        """Return how long it takes until this many requests may be made."""
        missing = min(requests, self.per_minute) - self.left
        if missing <= 0:
            return 0.0
        return max(0.0, self._spent[missing - 1] + WINDOW - self._clock())

    def count(self, requests: int) -> None:
        """Count requests as made now, whether there was room for them or not."""
        self._spent.extend([self._clock()] * requests)

    async def async_spend(self) -> None:
        """Wait until one more request may be made, and count it."""
        async with self._turn:
            wait = self.seconds_until(1)
            free_at = self._clock() + wait
            if wait > 0:
                await asyncio.sleep(wait)
            # A timer may ring a little early.
            self._spent.append(max(free_at, self._clock()))


_pace: ContextVar[Budget | None] = ContextVar("request_pace", default=None)


@contextmanager
def paced(budget: Budget) -> Iterator[None]:
    """Let all requests that are made within wait for a budget of their own, too."""
    token = _pace.set(budget)
    try:
        yield
    finally:
        _pace.reset(token)


async def async_keep_pace() -> None:
    """Wait as long as the pace of what is being done asks for."""
    if (pace := _pace.get()) is not None:
        await pace.async_spend()
