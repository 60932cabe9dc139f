"""Budgets: no window of a minute ever has more requests than it may have."""

import asyncio

from hypothesis import given, strategies as st
import pytest

from custom_components.crypto_invoices.providers.budget import WINDOW, Budget


class Time:
    """A clock that goes on only while somebody sleeps, and rings as early as loops do."""

    def __init__(self) -> None:
        """Begin anywhere."""
        self.now = 1_000.0
        self.early = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += max(0.0, seconds - self.early)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Return the clock, which budgets wait by."""
    time = Time()
    monkeypatch.setattr(asyncio, "sleep", time.sleep)
    return time


def most_in_a_window(moments: list[float]) -> int:
    """Return how many of these moments lie in one window, at most."""
    return max(
        sum(begin <= moment < begin + WINDOW for moment in moments) for begin in moments or [0.0]
    )


@given(
    per_minute=st.integers(1, 12),
    pauses=st.lists(st.one_of(st.just(0.0), st.floats(0, 100)), max_size=60),
    early=st.sampled_from([0.0, 1e-6, 0.01]),
)
def test_never_exceeded(per_minute: int, pauses: list[float], early: float) -> None:
    """Whoever asks whenever, no window has more than the budget, and nobody waits for nothing."""
    time = Time()
    time.early = early
    budget = Budget(per_minute, time)
    moments: list[float] = []

    async def spend() -> None:
        for pause in pauses:
            time.now += pause
            free = budget.left > 0
            before = time.now
            await budget.async_spend()
            assert not free or time.now == before
            moments.append(budget._spent[-1])
            assert abs(moments[-1] - time.now) <= early + 1e-9

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", time.sleep)
        asyncio.run(spend())
    assert most_in_a_window(moments) <= per_minute
    assert len(budget._spent) <= 2 * per_minute + 1


async def test_everybody_gets_a_turn(time: Time) -> None:
    """Those who wait are served in the order they came."""
    budget = Budget(2, time)
    served: list[int] = []

    async def spend(number: int) -> None:
        await budget.async_spend()
        served.append(number)

    await asyncio.gather(*(spend(number) for number in range(9)))
    assert served == list(range(9))
    assert time.now == 1_000.0 + 4 * WINDOW


async def test_a_cancelled_turn_costs_nothing(time: Time) -> None:
    """Who gives up while waiting neither spends nor holds up the next."""
    budget = Budget(1, time)
    await budget.async_spend()
    async with budget._turn:
        waiting = asyncio.ensure_future(budget.async_spend())
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert list(budget._spent) == [1_000.0]
    time.now += WINDOW
    assert budget.left == 1


@pytest.mark.parametrize(("requests", "seconds"), [(0, 0.0), (1, 50.0), (2, 55.0), (9, 55.0)])
async def test_seconds_until(time: Time, requests: int, seconds: float) -> None:
    """It is known how long it takes until so many requests may be made; never more than all."""
    budget = Budget(2, time)
    await budget.async_spend()
    time.now += 5
    await budget.async_spend()
    time.now += 5
    assert budget.left == 0
    assert budget.seconds_until(requests) == seconds
