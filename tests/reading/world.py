"""An account's reader in a time of its own, and a provider that is made up."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
import gc
from itertools import pairwise
import random
import time
from types import SimpleNamespace
from typing import Any, ClassVar, override
from unittest.mock import Mock

from custom_components.crypto_invoices.book.book import Book
from custom_components.crypto_invoices.book.contents import Contents
from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.providers.budget import WINDOW
from custom_components.crypto_invoices.providers.model import (
    Invoice,
    InvoiceStatus,
    ProviderError,
)
from custom_components.crypto_invoices.reading.back_off import BackOff
from custom_components.crypto_invoices.reading.clocks import Clocks
from custom_components.crypto_invoices.reading.intake import Intake
from custom_components.crypto_invoices.reading.reader import Reader
from custom_components.crypto_invoices.reading.watched import Taken, Watched
from tests.explorer.virtual import VirtualLoop
from tests.made_up import TakesAnything

HOUR = 3600.0
DAY = 24 * HOUR
# How late Home Assistant's timers may ring.
LATE = 0.5
# When the loop begins.
NOW = datetime(2026, 11, 1, 12, 16, 40, tzinfo=UTC)


def invoice(id_: str, status: InvoiceStatus = InvoiceStatus.PENDING, **more: Any) -> Invoice:
    """Return an invoice."""
    return Invoice(id=id_, status=status, provider_status="x", **more)


class OneByOne(TakesAnything):
    """A provider that needs a request for each invoice."""

    requests_per_minute: ClassVar[int] = 60
    world: World

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        await self.budget.async_spend()
        self.world.requests.append(self.clock())
        for id_ in ids:
            self.world.polls.setdefault(id_, []).append(self.clock())
        return await self.world.answer(ids)


class InBatches(OneByOne):
    """A provider that reads a hundred at once, and can take payments back."""

    batch_size: int = 100
    can_revert: ClassVar[bool] = True


class Unlimited(OneByOne):
    """A provider that takes anything."""

    requests_per_minute: ClassVar[int] = 1_000_000


class World:
    """An account with a real reader; what is around that is made up."""

    begun: ClassVar[list[World]] = []

    def __init__(
        self,
        provider: type[OneByOne] = Unlimited,
        seed: int = 1,
        *,
        late: float = LATE,
        answer_seconds: float = 0.0,
    ) -> None:
        """Begin with nothing watched."""
        self.begun.append(self)
        self.loop = VirtualLoop()
        self.provider = provider(Mock(), {"url": "http://made.up"}, self.loop.time)
        self.provider.world = self
        self.provider.http.answer_seconds = answer_seconds
        self.answer: Callable[[tuple[str, ...]], Awaitable[Mapping[str, Invoice | ProviderError]]]
        self.answer = self.async_answer
        self.answers: dict[str, Invoice | ProviderError] = {}
        self.answer_seconds = answer_seconds
        self.down: ProviderError | Exception | None = None
        """What it answers with whatever it is asked for."""
        self.polls: dict[str, list[float]] = {}
        self.requests: list[float] = []
        self.failures: list[ProviderError] = []
        self.taken: list[Taken] = []
        self._random = random.Random(seed)
        self._hass = self._make_hass(late)
        self.clocks = Clocks(self.loop.time, self.loop.wall)
        self.book: Book
        self.reader: Reader

    def _make_hass(self, late: float) -> Any:
        """Return what the reader needs of Home Assistant, with timers that ring late."""
        loop = self.loop

        async def run(job: Callable[..., Any], *_: object) -> dict[str, Record]:
            return {}

        return Mock(
            data={},
            loop=SimpleNamespace(
                time=loop.time,
                call_soon=loop.call_soon,
                create_future=loop.create_future,
                call_at=lambda when, *job: loop.call_at(when + late, *job),
            ),
            async_create_background_task=lambda work, name, eager_start: loop.create_task(work),
            async_create_task=lambda work, name: loop.create_task(work),
            async_run_hass_job=lambda job, *given: job.target(*given),
            async_add_executor_job=run,
        )

    def start(self, *invoices: Invoice, begin: Callable[[Invoice], Record] = Record.begin) -> None:
        """Watch these from before, and begin to poll."""
        self.answers |= {made.id: made for made in invoices}
        records = {made.id: begin(made) for made in invoices}
        self.book = Book(self._hass, "entry", Mock(), Contents(records=records))
        self.intake = Intake(self.provider, self.book, self.clocks, self._random)
        self.reader = Reader(
            self._hass,
            "made up",
            provider=self.provider,
            intake=self.intake,
            clocks=self.clocks,
            back_off=BackOff(self.loop.time, self._random),
            poll=self._async_poll,
            done=self._async_note,
            failed=self._note_failure,
        )
        self.loop.call_soon(self.reader.async_start)
        self.loop.settle()

    def end(self) -> None:
        """End all that goes on."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(_async_end(tasks))
        self.loop.close()

    def add(self, *invoices: Invoice) -> None:
        """Watch more, as dialogs and actions do: with a reading that was made just now."""
        self.answers |= {made.id: made for made in invoices}
        self.loop.run(self.async_add(*invoices))

    async def async_add(self, *invoices: Invoice) -> None:
        """Watch more."""
        await self.book.async_add(Record.begin(made) for made in invoices)
        self.reader.async_follow_book()
        self.intake.take_given(invoices)
        self.reader.async_arm()

    def remove(self, id_: str) -> None:
        """Watch one no more."""
        self.book.remove(id_, self.clocks.now())
        self.loop.call_soon(self.reader.async_follow_book)
        self.loop.settle()

    async def async_answer(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Answer what is so, after some time."""
        if self.answer_seconds:
            await asyncio.sleep(self.answer_seconds)
        if self.down is not None:
            raise self.down
        rows = {id_: self.answers[id_] for id_ in ids}
        if len(ids) == 1 and isinstance(error := rows[ids[0]], ProviderError):
            raise error
        return rows

    async def _async_poll(self) -> None:
        try:
            await self.reader.async_poll()
        except ProviderError:
            return

    async def _async_note(self, taken: Taken) -> None:
        self.taken.append(taken)

    def _note_failure(self, err: ProviderError, wanted: list[Watched]) -> None:
        self.failures.append(err)

    @property
    def now(self) -> float:
        """The time of the loop."""
        return self.loop.passed

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.advance(seconds)

    def hint(self, *ids: str, is_news: bool = False) -> list[asyncio.Future[ProviderError | None]]:
        """Hint at invoices."""
        return self.loop.run(self.async_hint(*ids, is_news=is_news))

    async def async_hint(
        self, *ids: str, is_news: bool = False
    ) -> list[asyncio.Future[ProviderError | None]]:
        """Hint at invoices."""
        return self.reader.hints.async_add(ids, is_news=is_news)

    def status(self, id_: str) -> InvoiceStatus:
        """Return what is believed of an invoice."""
        return self.book.records[id_].status

    def gaps(self, id_: str) -> list[float]:
        """Return how long an invoice was not polled, each time."""
        return [after - before for before, after in pairwise(self.polls[id_])]

    def is_planned(self) -> bool:
        """Whether anything is polled again without anybody asking."""
        return self.reader.is_timer_armed

    def polled_since(self, id_: str, moment: float) -> int:
        """Return how often an invoice was polled since then."""
        return sum(poll > moment for poll in self.polls[id_])


def most_in_a_window(moments: Iterable[float]) -> int:
    """Return how many of these moments lie in one window, at most."""
    moments = list(moments)
    ends = 0
    most = 0
    for number, begin in enumerate(moments):
        while ends < len(moments) and moments[ends] < begin + WINDOW:
            ends += 1
        most = max(most, ends - number)
    return most


async def _async_end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


# Seconds: 0.05 are meant, and a slow machine takes three times as long.
LONGEST_STALL = 0.15


class Stalls:
    """How long others had to wait for their turn, in time that this thread was at work."""

    def __init__(self) -> None:
        """Begin to watch; what other tests left behind is not swept up meanwhile."""
        gc.collect()
        gc.freeze()
        self.longest = 0.0
        self._task = asyncio.get_running_loop().create_task(self._async_watch())

    async def _async_watch(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now

    async def async_end(self) -> float:
        """Return the longest stall in seconds."""
        self._task.cancel()
        await asyncio.wait((self._task,))
        gc.unfreeze()
        return self.longest
