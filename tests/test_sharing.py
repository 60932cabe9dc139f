"""Polls, hints and actions of an account share its budget, in simulated time."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
import random
import selectors
from typing import Any, ClassVar, override
from unittest.mock import Mock

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.crypto_invoices.hints import HINT_GATHERING, HINT_INTERVAL
from custom_components.crypto_invoices.pace import Pace
from custom_components.crypto_invoices.providers.base import Provider
from custom_components.crypto_invoices.providers.budget import WINDOW, Budget
from custom_components.crypto_invoices.providers.model import (
    Account,
    Invoice,
    InvoiceStatus,
    ProviderError,
)

BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)


class _NoWaiting(selectors.DefaultSelector):
    """Lets the time pass that others would wait."""

    now = 0.0

    @override
    def select(self, timeout: float | None = None) -> Any:
        """Return at once; nobody is there to wait for."""
        self.now += timeout or 0.0
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock goes on as soon as everybody waits."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._passes = _NoWaiting()
        super().__init__(self._passes)

    @override
    def time(self) -> float:
        """Return the seconds that passed."""
        return self._passes.now


class OneByOne(Provider):
    """A provider that needs a request for each invoice."""

    key = "made_up"
    name = "Made up"
    fields = ()
    requests_per_minute: ClassVar[int] = 60

    takes: float = 0.0

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Take anything."""
        return text

    @override
    async def async_get_account(self) -> Account:
        """Prove nothing."""
        raise NotImplementedError

    async def async_act(self) -> None:
        """Make a request of any kind."""
        await self.budget.async_spend()
        await asyncio.sleep(self.takes)
        self.answer_seconds = self.takes

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Make a request, and tell that nothing was paid."""
        await self.async_act()
        return {
            id_: Invoice(id=id_, status=InvoiceStatus.PENDING, provider_status="x") for id_ in ids
        }


class InBatches(OneByOne):
    """A provider that reads ten at once."""

    batch_size: ClassVar[int] = 10


class Watched(Budget):
    """A budget that remembers when it was spent."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        """Begin with nothing spent."""
        super().__init__(per_minute, clock)
        self.moments: list[float] = []

    @override
    async def async_spend(self) -> None:
        """Spend, and remember when."""
        await super().async_spend()
        self.moments.append(self._spent[-1])


@dataclass
class Day:
    """What happened, and when."""

    looks: dict[str, list[float]]
    readings: list[float] = field(default_factory=list)
    """How long each reading of a poll took."""
    hints: list[float] = field(default_factory=list)
    """How long each hint waited."""
    actions: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)

    @property
    def longest_gap(self) -> float:
        """The longest time that any invoice was not looked at."""
        return max(
            after - before for looks in self.looks.values() for before, after in pairwise(looks)
        )

    @property
    def most_in_a_window(self) -> int:
        """How many requests there were in a minute, at most."""
        return max(
            sum(begin <= moment < begin + WINDOW for moment in self.spent) for begin in self.spent
        )


class Simulation:
    """An account as its coordinator drives it, in a loop of its own."""

    def __init__(self, provider: type[OneByOne], size: int, answer_seconds: float = 0.0) -> None:
        """Begin with so many young invoices."""
        self.ids = [f"i{number}" for number in range(size)]
        self.provider = provider(Mock(), {"url": "http://made.up"})
        self.provider.takes = answer_seconds
        self.day = Day({id_: [0.0] for id_ in self.ids})

    def run(self, seconds: float, *others: Callable[[], Coroutine[Any, Any, None]]) -> Day:
        """Let time pass with polls, and with what others do."""
        with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
            runner.run(self._async_run(seconds, others))
        for looks in self.day.looks.values():
            looks.append(seconds)
        return self.day

    async def _async_run(
        self, seconds: float, others: tuple[Callable[[], Coroutine[Any, Any, None]], ...]
    ) -> None:
        """Do everything at once, for so long."""
        self.now = asyncio.get_running_loop().time
        budget = Watched(self.provider.requests_per_minute, self.now)
        self.provider.budget = budget
        self.pace = Pace(self.now, self.provider, random.Random(1), self._wall)
        self.pace.start(dict.fromkeys(self.ids))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for everybody in (self._async_poll, *others):
                    group.create_task(everybody())
        self.day.spent = budget.moments

    def _wall(self) -> datetime:
        return BEGIN + timedelta(seconds=self.now())

    async def _async_poll(self) -> None:
        """Read what is due, again and again."""
        while True:
            begin = self.now()
            await self._async_read(self.pace.take_due())
            self.day.readings.append(self.now() - begin)
            await asyncio.sleep(self.pace.seconds_until_due() or WINDOW)

    async def _async_read(self, ids: list[str]) -> None:
        """Read invoices."""
        if not ids:
            return
        found = await self.provider.async_get_invoices(ids)
        self.pace.plan(found, self._wall())
        for id_ in found:
            self.day.looks[id_].append(self.now())

    async def hint_all_the_time(self) -> None:
        """Hint at half of the invoices as often as hints are followed."""
        came = dict.fromkeys(self.ids[::2], 0.0)
        while True:
            await asyncio.sleep(HINT_GATHERING)
            ready, delay = self.pace.take_hinted(came, HINT_INTERVAL)
            await self._async_read(ready)
            for id_ in ready:
                self.day.hints.append(self.now() - came.pop(id_))
                came[id_] = self.now()
            await asyncio.sleep(delay)

    async def act_all_the_time(self) -> None:
        """Act again as soon as the last action is over."""
        while True:
            begin = self.now()
            await self.provider.async_act()
            self.day.actions.append(self.now() - begin)
            await asyncio.sleep(0.001)


@settings(max_examples=25, deadline=None)
@given(
    provider=st.sampled_from([OneByOne, InBatches]),
    size=st.integers(2, 120),
    answer_seconds=st.sampled_from([0.0, 0.1, 2.0]),
    is_hinted=st.booleans(),
    acts=st.booleans(),
)
def test_shared(
    provider: type[OneByOne], size: int, answer_seconds: float, *, is_hinted: bool, acts: bool
) -> None:
    """Whoever wants all of the budget, it is never exceeded, and everybody gets a part."""
    simulation = Simulation(provider, size, answer_seconds)
    others = [simulation.hint_all_the_time] * is_hinted + [simulation.act_all_the_time] * acts
    day = simulation.run(800, *others)
    assert day.most_in_a_window <= provider.requests_per_minute
    # What polls make for certain is a half of it, hints a fifth, in line with those before them.
    batches = -(-size // provider.batch_size)
    assert day.longest_gap <= (batches // (0.5 * provider.requests_per_minute) + 3) * WINDOW
    if is_hinted:
        assert max(day.hints) <= (batches // (0.2 * provider.requests_per_minute) + 3) * WINDOW
    if acts:
        assert max(day.actions) <= WINDOW + 2


def test_a_quiet_account_is_at_once() -> None:
    """Where the budget is enough for everybody, nobody waits."""
    simulation = Simulation(OneByOne, 10)

    async def act() -> None:
        while True:
            begin = simulation.now()
            await simulation.provider.async_act()
            simulation.day.actions.append(simulation.now() - begin)
            await asyncio.sleep(6)

    day = simulation.run(600, act)
    assert max(day.actions) == 0
    assert day.longest_gap <= 30


def test_nine_seconds_an_answer() -> None:
    """A provider that takes nine seconds is asked all the time, and published all the time."""
    simulation = Simulation(OneByOne, 100, answer_seconds=9.0)
    day = simulation.run(890, simulation.hint_all_the_time)
    assert day.most_in_a_window <= OneByOne.requests_per_minute
    # Two rounds tell at first how slow it is; from then on, each is published.
    assert day.readings[0] == pytest.approx(18)
    assert max(day.readings[1:]) <= 20
    # Four at once: a hundred take twenty-five rounds.
    assert day.longest_gap <= 2 * 25 * 10
