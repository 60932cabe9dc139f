"""Lists that come in pages, while new invoices push the rest to later ones."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from .model import AnswerTooLarge, Invoice, ProviderError

PAGE = 100
# Nobody has made more since the last list, and a server that never ends is left alone.
MOST_PAGES = 100


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
    an answer was too large. What can't be read is left out: the next list may have it. Ends
    after 100 pages at the latest.
    """
    seen: set[str] = set()
    order = _Order()
    offset, last_page = 0, None
    for _ in range(MOST_PAGES):
        try:
            page = await read(offset, size)
        except AnswerTooLarge:
            if size == 1:
                raise
            size = smaller(size)
            continue
        for invoice in page.found.values():
            if not isinstance(invoice, Invoice) or invoice.id in seen:
                continue
            seen.add(invoice.id)
            if _is_within(invoice, since, until) and order_id in (None, invoice.order_id):
                yield invoice
        offset += page.rows
        is_last = isinstance(page.total, int) and offset >= page.total
        if order.ends_with(page.found.values(), since):
            # All that come after these are older still.
            return
        # A page twice is one of a server that doesn't turn pages.
        if is_last or not page.rows or page.found.keys() == last_page:
            return
        last_page = page.found.keys()


@dataclass(slots=True)
class _Order:
    """In which order a list is, as far as it was read."""

    is_newest_first: bool | None = None
    """None as long as nobody knows: rows of one second say nothing."""
    last: datetime | None = None
    """When the last one was made whose time is told."""

    def ends_with(self, rows: Iterable[Invoice | ProviderError], since: datetime) -> bool:
        """Whether a page, all of it made before, is the last that matters."""
        is_older = False
        for row in rows:
            if isinstance(row, Invoice) and row.created_at is not None:
                if self.last is not None and row.created_at != self.last:
                    is_older_than_last = row.created_at < self.last
                    self.is_newest_first = is_older_than_last and self.is_newest_first is not False
                self.last = row.created_at
                if row.created_at >= since:
                    return False
                is_older = True
        return is_older and self.is_newest_first is True


def _is_within(invoice: Invoice, since: datetime, until: datetime | None) -> bool:
    """Whether an invoice was made in a period, as far as that is known."""
    made = invoice.created_at
    return made is None or (since <= made and (until is None or made <= until))


def smaller(size: int) -> int:
    """Return how many rows to ask for after an answer that was too large."""
    return max(1, size // 4)
