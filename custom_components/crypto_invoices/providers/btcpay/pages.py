"""Reads the invoices of a store at BTCPay Server in pages, the newest first."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from ..http import request_times
from ..model import Answer, AnswerTooLarge, BadResponse, InvoiceNotFound
from ..pages import smaller
from .invoices import parse_rows
from .late import LatePayments

# A page of this many rows is far from what one answer may hold. It costs one
# request, and is worth it for this many invoices at least.
PAGE = 200
WORTH_A_PAGE = 4


class InvoicePages:
    """A store's pages, whose size is what its server can answer."""

    def __init__(
        self,
        get_page: Callable[[str], Awaitable[list[Any]]],
        late: LatePayments,
        clock: Callable[[], float],
    ) -> None:
        """Ask for a page with ``get_page``, which takes a query; ``clock`` is in seconds."""
        self._get_page = get_page
        self._late = late
        self._clock = clock
        self._size = PAGE

    async def async_read(self, words: tuple[str, ...], wanted: set[str]) -> list[Answer]:
        """Read the newest invoices of these statuses, for as long as there are enough of ours.

        What is not found there, or can't be read there, is left out.
        """
        answers: list[Answer] = []
        missing, skip = set(wanted), 0
        while len(missing) >= WORTH_A_PAGE:
            # Without ``take``, all the invoices there ever were would come.
            size = self._size
            query = [*(("status", word) for word in words), ("skip", skip), ("take", size)]
            with request_times() as times:
                try:
                    rows = await self._get_page(urlencode(query))
                    page = await self._late.async_check(parse_rows(rows, missing))
                except AnswerTooLarge:
                    if self._size == 1:
                        break
                    self._size = smaller(self._size)
                    continue
                except BadResponse, InvoiceNotFound:
                    break
            answers.append(Answer(times.asked or 0.0, times.received or self._clock(), page))
            missing -= page.keys()
            skip += size
            if len(rows) < size or len(page) < WORTH_A_PAGE:
                break
        return answers
