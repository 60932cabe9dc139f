"""Lists anew, a piece at a time, what the list of new invoices leaves behind. Pure.

That is what a provider lists late, and open invoices for which there is no place.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
import math

# Every so many seconds, and more often while invoices wait for a place.
_EVERY = 60 * 60.0
_EVERY_WHILE_FULL = 15 * 60.0
# How far back an invoice may be listed late.
LATE = timedelta(days=1)
_PIECE = timedelta(hours=6)


class Sweep:
    """How far the list was read anew, and since when there are invoices without a place."""

    def __init__(
        self, unplaced: datetime | None, clock: Callable[[], float], longest: timedelta
    ) -> None:
        """Begin with what the book knows; ``clock`` is in seconds and never goes back."""
        self._clock = clock
        self._longest = longest
        self._done_at = -math.inf
        self._next: datetime | None = None
        self._left: datetime | None = None
        self.unplaced = unplaced
        """When the oldest was made that has no place, None where each has one."""

    def note_unplaced(self, made: datetime) -> None:
        """Take down when one was made that has no place."""
        self.unplaced = min(made, self.unplaced or made)
        self._left = min(made, self._left or made)

    def next_piece(self, now: datetime) -> tuple[datetime, datetime | None] | None:
        """Return from when to when to list now, without an end for the last piece.

        None where it isn't time for that.
        """
        if self._next is None:
            every = _EVERY if self.unplaced is None else _EVERY_WHILE_FULL
            if self._clock() - self._done_at < every:
                return None
            # What is found from here on is what is left.
            self._left = None
            start = min(now - LATE, self.unplaced or now)
            self._next = max(start, now - self._longest)
        end = self._next + _PIECE
        return self._next, end if end < now else None

    def listed(self, end: datetime | None) -> None:
        """Take down that a piece was listed."""
        self._next = end
        if end is None:
            self._done_at = self._clock()
            self.unplaced = self._left
