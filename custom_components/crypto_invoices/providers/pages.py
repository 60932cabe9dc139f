"""Lists that come in pages, while new invoices push the rest to later ones."""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Set as AbstractSet,
)
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from .model import AnswerTooLarge, Invoice, ListIncomplete, ProviderError

PAGE = 100
# Nobody has made more since the last list, and a server that never ends is left alone.
MOST_PAGES = 100
# What a list is sorted by may be a little off what it returns.
_AS_GOOD_AS_ONE = timedelta(seconds=10)


class Page(NamedTuple):
    """What came with one request."""

    rows: int
    """How many there were, readable or not."""
    found: Mapping[str, Invoice | ProviderError]
    total: object
    """How many the provider says that there are in all."""

    def is_short(self, offset: int, size: int) -> bool:
        """Whether there are fewer than were asked for, though the provider says there are more."""
        return self.rows < size and isinstance(self.total, int) and offset + self.rows < self.total


async def each_once(
    read: Callable[[int, int], Awaitable[Page]],
    *,
    since: datetime,
    until: datetime | None = None,
    order_id: str | None,
    size: int = PAGE,
) -> AsyncIterator[Invoice]:
    """Yield the invoices made since then, each once.

    ``read`` gets the page that starts at an offset, and how many rows it may have: fewer where
    an answer was too large. Reads 100 pages at most. Raises ListIncomplete in the end where
    there was a row that can't be read, or more than that many pages, and a ProviderError.
    """
    seen: set[str] = set()
    unread: set[str] = set()
    turns = _Turns(since)
    offset = 0
    for _ in range(MOST_PAGES):
        try:
            page = await read(offset, size)
        except AnswerTooLarge:
            if size == 1:
                raise
            size = smaller(size)
            continue
        for id_, invoice in page.found.items():
            if not isinstance(invoice, Invoice):
                unread.add(id_)
                continue
            if invoice.id in seen:
                continue
            seen.add(invoice.id)
            if _is_within(invoice, since, until) and order_id in (None, invoice.order_id):
                yield invoice
        if (following := turns.next_offset(page, offset, size)) is None:
            break
        offset = following
    else:
        raise ListIncomplete(f"more than {MOST_PAGES} pages")
    # What is read on a second page was spoiled by the first.
    if unread - seen:
        raise ListIncomplete(f"{len(unread - seen)} rows can't be read")


class _Turns:
    """Which page to read next, by what those so far were like.

    Each begins with the last row of the one before: where that is gone, rows have
    moved up, and some of them past what was read.
    """

    def __init__(self, since: datetime) -> None:
        """Begin with a list of which nothing is known."""
        self._since = since
        self._order = _Order()
        self._known: set[str] = set()
        self._last_page: AbstractSet[str] | None = None
        self._overlaps = False
        self._gaps: set[int] = set()
        self._read_to: int | None = None
        """Up to where the list was read before its end was read; None while that is not so."""

    def next_offset(self, page: Page, offset: int, size: int) -> int | None:
        """Return where the next page begins, None where no more of them matter."""
        if self._read_to is not None:
            return self._back(page, offset, size, self._read_to)
        names, total, end = page.found.keys(), page.total, offset + page.rows
        if self._is_after_gap(names) and offset not in self._gaps:
            # Once for each place: the row that should be there may be one that can't be read.
            self._gaps.add(offset)
            self._last_page = None
            self._order.begin_anew()
            return max(0, offset - size)
        self._known |= names
        is_older = self._order.is_older(page.found.values(), self._since)
        is_last = isinstance(total, int) and end >= total
        # A page twice is one of a server that doesn't turn pages.
        if is_last or not page.rows or names == self._last_page:
            return None
        if is_older and self._order.is_newest_first:
            # All that come after these are older still.
            return None
        self._last_page, self._overlaps = names, page.rows > 1
        if isinstance(total, int) and self._order.is_oldest_first and end + size < total:
            # What matters is at the end.
            self._read_to = end
            return total - size
        return end - self._overlaps

    def _is_after_gap(self, names: AbstractSet[str]) -> bool:
        """Whether a page should begin with a row that was read, and doesn't."""
        return self._overlaps and bool(names) and self._known.isdisjoint(names)

    def _back(self, page: Page, offset: int, size: int, read_to: int) -> int | None:
        """Return where the page before begins, None where all before it is older or was read."""
        self._order.begin_anew()
        is_older = self._order.is_older(page.found.values(), self._since)
        if is_older and self._order.is_oldest_first:
            return None
        least = 0 if offset < read_to and self._is_after_gap(page.found.keys()) else read_to - 1
        before = max(least, offset - size + (size > 1))
        return before if before < offset else None


@dataclass(slots=True)
class _Order:
    """In which order a list is, as far as it was read; rows of a few seconds say nothing."""

    is_rising: bool = False
    is_falling: bool = False
    _earliest: datetime | None = None
    _latest: datetime | None = None

    def begin_anew(self) -> None:
        """Go on with rows that don't follow those before."""
        self._earliest = self._latest = None

    @property
    def is_newest_first(self) -> bool:
        """Whether each was made before the one above it."""
        return self.is_falling and not self.is_rising

    @property
    def is_oldest_first(self) -> bool:
        """Whether each was made after the one above it."""
        return self.is_rising and not self.is_falling

    def is_older(self, rows: Iterable[Invoice | ProviderError], since: datetime) -> bool:
        """Take the rows of a page in, and return whether all of them were made before."""
        made = [row.created_at for row in rows if isinstance(row, Invoice) and row.created_at]
        for moment in made:
            self._earliest = min(moment, self._earliest or moment)
            self._latest = max(moment, self._latest or moment)
            self.is_rising |= moment > self._earliest + _AS_GOOD_AS_ONE
            self.is_falling |= moment < self._latest - _AS_GOOD_AS_ONE
        return bool(made) and max(made) < since


def _is_within(invoice: Invoice, since: datetime, until: datetime | None) -> bool:
    """Whether an invoice was made in a period, as far as that is known."""
    made = invoice.created_at
    return made is None or (since <= made and (until is None or made <= until))


def smaller(size: int) -> int:
    """Return how many rows to ask for after an answer that was too large."""
    return max(1, size // 4)
