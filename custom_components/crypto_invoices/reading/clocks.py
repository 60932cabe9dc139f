"""Which clock for what: durations by the monotonic one, moments by the provider's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import math

# What a clock drifts, or a slow answer makes of its date, is no jump.
_JUMP = timedelta(seconds=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A clock that nobody has set for this many seconds is likely to be right.
_STEADY = 60 * 60.0
# A server's clock may be behind a proxy's: what matters is the day.
_SERVER_JUMP = timedelta(hours=1)
# Outside of these years, a server doesn't know what time it is.
_YEARS = range(2026, 2100)


class Clocks:
    """The clocks of one account. The wall's is only used where a provider has none."""

    def __init__(self, monotonic: Callable[[], float], wall: Callable[[], datetime]) -> None:
        """Keep a clock in seconds that never goes back, and one that may be set at any time."""
        self.monotonic = monotonic
        self.wall = wall
        self._server: tuple[datetime, float] | None = None
        self._offset = self._wall_offset()
        self._jumped_at = monotonic()
        self._server_jumped_at = -math.inf

    @property
    def steady_for(self) -> float:
        """For how many seconds the wall clock has not been set, as far as anybody noticed."""
        return self.monotonic() - self._jumped_at

    @property
    def is_certain(self) -> bool:
        """Whether nobody is likely to find out soon that it is another day."""
        since = self._server_jumped_at if self.is_server_known else self._jumped_at
        return self.monotonic() - since >= _STEADY

    def note_server_time(self, date: datetime, at: float) -> None:
        """Note what the provider's clock said at a moment of the monotonic one."""
        if date.year not in _YEARS:
            return
        if self._server is not None:
            before, then = self._server
            if abs(date - before - timedelta(seconds=at - then)) >= _SERVER_JUMP:
                self._server_jumped_at = self.monotonic()
        self._server = (date, at)

    @property
    def is_server_known(self) -> bool:
        """Whether the provider says what time it is."""
        return self._server is not None

    def now(self) -> datetime:
        """Return the time: the provider's where it is known."""
        if self._server is None:
            return self.wall()
        date, at = self._server
        return date + timedelta(seconds=self.monotonic() - at)

    def take_jump(self) -> timedelta:
        """Return how far the wall clock jumped since the last time, zero if it didn't."""
        jump = self._wall_offset() - self._offset
        if abs(jump) < _JUMP:
            return timedelta()
        self._offset += jump
        self._jumped_at = self.monotonic()
        return jump

    def _wall_offset(self) -> timedelta:
        """Return how far the wall clock is ahead of the monotonic one."""
        return self.wall() - _EPOCH - timedelta(seconds=self.monotonic())
