"""Reads many invoices, in batches and several of these at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import batched, count

from .cache import Cache
from .http import request_times
from .model import (
    Answer,
    AnswerTooLarge,
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnavailableReason,
)

# A server that is down costs this many time-outs, however many invoices there are.
_FAILURES_IN_A_ROW = 3
# How long, and with how many requests, one call continues splitting batches; what is left over is
# split in the next one. Where nothing at all can be read, a few requests are enough.
_SPLIT_SECONDS = 25.0
_SPLIT_REQUESTS = 40
_VAIN_REQUESTS = 4

type Batch = tuple[str, ...]
type Read = Callable[[Batch], Awaitable[Mapping[str, Invoice | ProviderError]]]
"""Reads one batch; an invoice that is left out was not found. Raises a ProviderError."""


class Batches:
    """Reads an account's invoices, and remembers which batches failed.

    What failed together is read together next time, behind everything else. If it fails again,
    it is split, down to the invoices that spoil it. Those are read alone until they succeed.
    """

    def __init__(
        self, read: Read, may_split: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        """Begin without failures; ``may_split`` says if there is budget for more requests."""
        self.read = read
        self.may_split = may_split
        self.clock = clock
        self.failed: Cache[int] = Cache()
        """By invoice, the number of the failure that it was part of."""
        self.alone: Cache[bool] = Cache()
        """The invoices that the provider refuses to answer for beside others."""
        self._numbers = count()

    async def async_read(self, ids: Iterable[str], size: int, concurrency: int) -> list[Answer]:
        """Read invoices: each is in one answer, however many requests it takes.

        Raises an error only if it concerns the whole account: the credentials,
        or a provider that answered for none of them.
        """
        call = _Call(self)
        batches = self._arrange(tuple(dict.fromkeys(ids)), size)
        await asyncio.gather(*(call.async_read(batches) for _ in range(concurrency)))
        raise_if_nothing_was_read(row for answer in call.answers for row in answer.rows.values())
        return call.answers

    def _arrange(self, ids: Batch, size: int) -> Iterator[Batch]:
        """Make batches; those that failed are kept together, apart from the others."""
        failed = self.failed
        alone = [id_ for id_ in ids if id_ in self.alone] if self.alone else []
        ids = tuple(id_ for id_ in ids if id_ not in self.alone) if alone else ids
        # Read now, not on the way: this call may add to it.
        groups: dict[int, list[str]] = {}
        if failed:
            asked = frozenset(ids)
            for id_, number in failed.items():
                if id_ in asked:
                    groups.setdefault(number, []).append(id_)
            ids = tuple(id_ for id_ in ids if id_ not in failed)
        for group in (ids, *(groups[number] for number in sorted(groups))):
            yield from batched(group, size, strict=False)
        for id_ in alone:
            yield (id_,)

    def remember(self, batch: Batch) -> None:
        """Remember that a batch failed, in this order."""
        number = next(self._numbers)
        for id_ in batch:
            self.failed.pop(id_, None)
            self.failed[id_] = number

    def forget(self, rows: Mapping[str, Invoice | ProviderError]) -> None:
        """Forget the failures of what was read."""
        for id_ in [id_ for id_ in self.failed if isinstance(rows.get(id_), Invoice)]:
            del self.failed[id_]


class _Call:
    """One reading of many invoices."""

    def __init__(self, batches: Batches) -> None:
        """Begin with nothing read."""
        self.answers: list[Answer] = []
        self._batches = batches
        self._stopped_by: ProviderError | None = None
        self._failures_in_a_row = 0
        self._is_reachable = False
        self._requests_left = _SPLIT_REQUESTS
        self._vain_requests_left = _VAIN_REQUESTS
        self._split_until = batches.clock() + _SPLIT_SECONDS
        self._one_split = asyncio.Lock()

    async def async_read(self, batches: Iterator[Batch]) -> None:
        """Read one batch after the other; others take from the same ones."""
        for batch in batches:
            if self._stopped_by is not None:
                self._give_up(batch, self._stopped_by)
                continue
            error = await self._async_read_batch(batch)
            if isinstance(error, ProviderUnavailable):
                self._failures_in_a_row += 1
            else:
                self._failures_in_a_row = 0
            if (
                isinstance(error, AuthError | RateLimited)
                or self._failures_in_a_row >= _FAILURES_IN_A_ROW
            ):
                self._stopped_by = error

    async def _async_read_batch(self, batch: Batch) -> ProviderError | None:
        """Read a batch; return the error that may keep the next ones from being read."""
        failed_before = all(id_ in self._batches.failed for id_ in batch)
        answer, error = await self._async_ask(batch)
        if error is None or not _may_be_spoiled(error):
            self.answers.append(answer)
            return error or _stopping_row(answer.rows)
        if failed_before and len(batch) > 1:
            return await self._async_split(batch, error)
        self.answers.append(answer)
        self._batches.remember(batch)
        return error

    async def _async_ask(self, batch: Batch) -> tuple[Answer, ProviderError | None]:
        """Read a whole batch; return its answer, and the error if it failed as a whole."""
        error: ProviderError | None = None
        begin = self._batches.clock()
        with request_times() as times:
            try:
                found = await self._batches.read(batch)
            except ProviderError as err:
                error = err
                rows: dict[str, Invoice | ProviderError] = dict.fromkeys(batch, err)
            else:
                rows = {id_: found.get(id_) or InvoiceNotFound(id_) for id_ in batch}
        asked = begin if times.asked is None else times.asked
        received = self._batches.clock() if times.received is None else times.received
        if error is None:
            self._is_reachable = self._is_reachable or _stopping_row(rows) is None
            if self._batches.failed:
                self._batches.forget(rows)
        return Answer(asked, received, rows), error

    async def _async_split(self, batch: Batch, error: ProviderError) -> ProviderError | None:
        """Read a batch that failed twice in halves, and what fails of these in halves again."""
        parts, alone, succeeded = _halves(batch), list[Batch](), False
        async with self._one_split:
            while parts and self._may_split():
                part = parts.pop()
                answer, part_error = await self._async_ask(part)
                self._requests_left -= 1
                if part_error is None:
                    succeeded = True
                else:
                    self._vain_requests_left -= 1
                    if _may_be_spoiled(part_error):
                        if len(part) > 1:
                            parts += _halves(part)
                            continue
                        alone.append(part)
                    elif isinstance(part_error, AuthError | RateLimited):
                        self._stopped_by = part_error
                self.answers.append(answer)
        for part in parts:
            self._give_up(part, self._stopped_by or error)
        if self._is_reachable:
            for part in (*parts, *alone):
                self._batches.remember(part)
        else:
            # Next time, it is cut elsewhere.
            third = -(-len(batch) // 3)
            self._batches.remember(batch[third:] + batch[:third])
        return None if succeeded else self._stopped_by or error

    def _may_split(self) -> bool:
        """Whether to make one more request to find out what spoils a batch."""
        return (
            self._stopped_by is None
            and self._requests_left > 0
            and (self._is_reachable or self._vain_requests_left > 0)
            and self._batches.clock() < self._split_until
            and self._batches.may_split()
        )

    def _give_up(self, batch: Batch, error: ProviderError) -> None:
        """Report the same error for all that is no longer read."""
        now = self._batches.clock()
        self.answers.append(Answer(now, now, dict.fromkeys(batch, error)))


def _halves(batch: Batch) -> list[Batch]:
    """Return the halves of a batch, the first one last, where it is taken from."""
    middle = len(batch) // 2
    return [batch[middle:], batch[:middle]]


def _may_be_spoiled(error: ProviderError) -> bool:
    """Whether a batch may have failed because of one of its invoices."""
    return isinstance(error, AnswerTooLarge) or (
        isinstance(error, ProviderUnavailable)
        and error.reason in (UnavailableReason.SERVER_ERROR, UnavailableReason.TIMEOUT)
    )


def _stopping_row(rows: Mapping[str, Invoice | ProviderError]) -> ProviderError | None:
    """Return the error in an answer that keeps the next batches from being asked for."""
    for row in rows.values():
        if isinstance(row, Invoice):
            continue
        if isinstance(row, AuthError | ProviderUnavailable | RateLimited):
            return row
    return None


def raise_if_nothing_was_read(rows: Iterable[Invoice | ProviderError]) -> None:
    """Raise the error that kept everything from being read, or that is about the credentials."""
    errors: list[ProviderError] = []
    has_invoice = False
    for row in rows:
        if isinstance(row, Invoice):
            has_invoice = True
        else:
            errors.append(row)
    for error in errors:
        if isinstance(error, AuthError):
            raise error
    if not errors or has_invoice:
        return
    for error in errors:
        if isinstance(error, ProviderUnavailable | RateLimited):
            raise error
    # Where nothing makes sense, it is the provider that is broken, not each invoice.
    if all(isinstance(error, BadResponse) for error in errors):
        # Not that one itself: who remembers it would gather a traceback with each reading.
        raise BadResponse(str(errors[0])) from errors[0]
