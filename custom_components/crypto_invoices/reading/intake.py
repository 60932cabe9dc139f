"""From answers to records: what is watched, what was read of it, and when to poll it next."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
import math
import random

from ..book.book import Book
from ..book.record import Record
from ..book.transitions import enter
from ..errors import error_key
from ..providers.model import Answer, Invoice, InvoiceStatus, ProviderError
from ..providers.provider import Provider
from .clocks import Clocks
from .evidence import Doubt, Verdict, judge
from .interval import interval_for
from .problems import note_problem
from .schedule import plan_together
from .watched import AllWatched, Taken, Watched

# At a start, what had ended is read after the others, a batch a second, but for this many batches.
_ALONG_AT_START = 10
# When the clock was set, or the machine slept, all open ones are read in this time.
_AFTER_JUMP = 5 * 60.0
# This many rows are entered before others get their turn.
_TAKEN_AT_ONCE = 100


class Intake:
    """The watched invoices of an account while it is loaded, compared with its book."""

    def __init__(self, provider: Provider, book: Book, clocks: Clocks, rng: random.Random) -> None:
        """Begin with what the book watches: what is open is due, what ended comes after it."""
        self._provider = provider
        self._book = book
        self._clocks = clocks
        self._random = rng
        self.watched = AllWatched()
        self.planned: dict[Watched, None] = {}
        """Those that are polled again."""
        self.version: int | None = None
        """Which version of the book is watched."""
        ended = 0
        for one in self._begin(book.records.values(), at_start=True):
            if one.record.is_over and not one.record.has_device:
                # It is here for its announcement only.
                continue
            delay = 0.0
            if not one.record.status.is_open:
                delay = float(max(0, ended // provider.batch_size - _ALONG_AT_START))
                ended += 1
            one.plan(clocks.monotonic() + delay)

    def follow_book(self) -> bool:
        """Watch what the book does, and nothing else; return whether that is something new."""
        if self.version == self._book.version:
            return False
        self.version = self._book.version
        records = self._book.records
        for invoice_id in [
            id_ for id_, one in self.watched.items() if records.get(id_) is not one.record
        ]:
            self.watched.pop(invoice_id).leave()
        new = [record for id_, record in records.items() if id_ not in self.watched]
        for one in self._begin(new, at_start=False):
            one.plan(self._clocks.monotonic())
        self._provider.keep_only(self.watched.keys())
        return True

    def _begin(self, records: Iterable[Record], *, at_start: bool) -> list[Watched]:
        """Begin to watch: what was just added is young, whatever its age."""
        now = self._clocks.monotonic()
        begun = []
        for record in records:
            one = self.watched[record.id] = Watched(
                record, now, now, is_new=not at_start, planned=self.planned
            )
            begun.append(one)
        return begun

    def take_given(self, invoices: Iterable[Invoice]) -> Taken:
        """Take readings that invoices were added with; nothing is asked for."""
        now = self._clocks.monotonic()
        rows: dict[str, Invoice | ProviderError] = {
            invoice.id: invoice for invoice in invoices if invoice.id in self.watched
        }
        return self.take([Answer(asked=now, received=now, rows=rows)])

    def take(self, answers: Iterable[Answer]) -> Taken:
        """Enter answers into the book and plan the next polls; return what is new."""
        taken = Taken()
        for _ in self._take_some(answers, taken):
            pass
        return taken

    async def async_take(self, answers: Iterable[Answer]) -> Taken:
        """Do the same, and let others have their turn in between."""
        taken = Taken()
        for _ in self._take_some(answers, taken):
            await asyncio.sleep(0)
        return taken

    def _take_some(self, answers: Iterable[Answer], taken: Taken) -> Iterator[None]:
        """Enter answers, and stop every now and then."""
        together: defaultdict[float | None, list[Watched]] = defaultdict(list)
        if (server_time := self._provider.server_time) is not None:
            self._clocks.note_server_time(*server_time)
        now, number = self._clocks.monotonic(), 0
        for answer in answers:
            for invoice_id, row in answer.rows.items():
                # Where invoices are read one by one, each has an answer of its own.
                number += 1
                if number % _TAKEN_AT_ONCE == 0:
                    yield
                one = self.watched.get(invoice_id)
                if one is None:
                    continue
                had_error = one.error is not None
                if self._take(one, row, answer):
                    taken.note(one, had_error=had_error)
                    one.news_at = -math.inf
                interval = interval_for(
                    one, self._clocks, now, can_revert=self._provider.can_revert
                )
                together[interval].append(one)
        for interval, some in together.items():
            plan_together(some, now, interval, self._provider.batch_size, self._random)
            for one in some:
                self._note_over(one, is_over=interval is None)
            yield

    def _take(self, one: Watched, row: Invoice | ProviderError, answer: Answer) -> bool:
        """Enter what an answer says of an invoice; return whether that is news."""
        is_plain = one.doubt is None and one.problem is None
        if row is one.invoice and answer.asked >= one.known_at and is_plain:
            one.known_at = max(one.known_at, answer.received)
            one.misses = 0
            return False
        if not isinstance(row, Invoice):
            return self._take_error(one, row, answer)
        record = one.record
        verdict = Verdict.BELIEVED
        if record.announced is not None:
            verdict = judge(
                record.status,
                row.status,
                asked=answer.asked,
                known_at=one.known_at,
                doubt=one.doubt,
            )
        if verdict is Verdict.IGNORED:
            return False
        one.misses = 0
        note_problem(one, row, self._clocks.monotonic())
        if verdict is Verdict.DOUBTED:
            if one.doubt is None:
                one.doubt = Doubt(answer.received)
            # What is known stays; where nothing is shown yet, that is better than nothing.
            return self._show(one, one.invoice or replace(row, status=record.status))
        if row.status is not InvoiceStatus.UNKNOWN:
            if one.doubt is not None:
                one.doubted_at = self._clocks.monotonic()
            one.doubt = None
        one.known_at = max(one.known_at, answer.received)
        if row != one.invoice:
            self._enter(one, row)
        return self._show(one, row)

    def _show(self, one: Watched, invoice: Invoice) -> bool:
        """Let an invoice be this; return whether that is news."""
        is_news = one.error is not None or invoice != one.invoice
        one.error = None
        if is_news:
            one.invoice = invoice
        return is_news

    def _enter(self, one: Watched, invoice: Invoice) -> None:
        """Enter a believed reading into the record."""
        record, before = one.record, replace(one.record)
        enter(
            record,
            invoice,
            self._clocks.now(),
            is_dated_here=not self._clocks.is_server_known,
        )
        if (record.status, record.ended_at) != (before.status, before.ended_at):
            one.since = self._clocks.monotonic()
        if record != before:
            self._book.changed(record)

    def _take_error(self, one: Watched, error: ProviderError, answer: Answer) -> bool:
        """Note that an invoice can't be read; what came later is better known."""
        if answer.asked < one.known_at:
            return False
        one.misses += 1
        note_problem(one, error, self._clocks.monotonic())
        is_news = one.error is None or error_key(one.error) != error_key(error)
        one.error, one.invoice = error, None
        return is_news

    def _note_over(self, one: Watched, *, is_over: bool) -> None:
        """Take down whether anything of an invoice can still change."""
        # An outage says nothing about what is over.
        if one.record.is_over is not is_over and (is_over or one.error is None):
            one.record.is_over = is_over
            self._book.changed(one.record)

    def follow_jump(self, jump: timedelta) -> None:
        """Read what is open soon, and move what this machine dated, as its clock was set."""
        now = self._clocks.monotonic()
        for one in self.watched.values():
            record = one.record
            # A word that nobody knows keeps open what was paid.
            status = one.invoice.status if one.invoice else record.status
            if one.due is not None and status.is_open:
                one.plan(min(one.due, now + _AFTER_JUMP * self._random.random()))
            if record.is_dated_here and record.ended_at is not None:
                record.ended_at += jump
                self._book.changed(record)
            if record.item is not None and not self._clocks.is_server_known:
                record.item = record.item.moved(jump)
                self._book.changed(record)
