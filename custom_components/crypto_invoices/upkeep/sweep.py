"""Lists again, a piece at a time, what the list of new invoices leaves behind. Pure.

That is what a provider lists late, what could not be read, and open invoices for which there
is no place.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
import math

# Every this many seconds, and more often while something is known to be missing.
_EVERY = 60 * 60.0
_EVERY_WITH_GAPS = 15 * 60.0
# How far back an invoice may be listed late.
LATE = timedelta(days=1)
_PIECE = timedelta(hours=6)


class Gap(StrEnum):
    """Why an invoice may be missing that was listed."""

    UNPLACED = "unplaced_from"
    """There was no place for it."""
    UNREAD = "unread_from"
    """It could not be read."""


class Sweep:
    """How far the list was read again, and since when something in it is missing."""

    def __init__(
        self, gaps: Mapping[Gap, datetime], clock: Callable[[], float], longest: timedelta
    ) -> None:
        """Begin with what the book knows; ``clock`` is in seconds and never goes back."""
        self._clock = clock
        self._longest = longest
        self._done_at = -math.inf
        self._next: datetime | None = None
        self._left: dict[Gap, datetime] = {}
        self.gaps = dict(gaps)
        """When the oldest invoice may have been made that is missing for each reason."""

    def note(self, gap: Gap, made: datetime) -> None:
        """Take down when an invoice that is missing was made, at the earliest."""
        for gaps in (self.gaps, self._left):
            gaps[gap] = min(made, gaps.get(gap, made))

    def next_piece(self, now: datetime) -> tuple[datetime, datetime | None] | None:
        """Return from when to when to list now, without an end for the last piece.

        None where it isn't time for that.
        """
        if self._next is None:
            every = _EVERY_WITH_GAPS if self.gaps else _EVERY
            if self._clock() - self._done_at < every:
                return None
            # What is found from here on is what is left.
            self._left = {}
            start = min(now - LATE, *self.gaps.values(), now)
            self._next = max(start, now - self._longest)
        end = self._next + _PIECE
        return self._next, end if end < now else None

    def listed(self, end: datetime | None) -> None:
        """Take down that a piece was listed."""
        self._next = end
        if end is None:
            self._done_at = self._clock()
            self.gaps = self._left.copy()
