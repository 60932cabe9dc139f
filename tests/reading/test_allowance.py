"""How many requests a reading may make, and what it leaves for others."""

import pytest

from custom_components.crypto_invoices.providers.budget import WINDOW
from custom_components.crypto_invoices.reading.allowance import Allowance

from .world import InBatches, OneByOne, Unlimited, World


def allowance_of(world: World) -> Allowance:
    """Return the allowance of an account that has made no requests yet."""
    return Allowance(world.provider, world.loop.time)


def test_slow_answers() -> None:
    """Where each answer takes nine seconds, what was read is published soon, and little asked."""
    world = World(Unlimited)
    allowance = allowance_of(world)
    for seconds, rounds in ((None, 2), (60.0, 1), (9.0, 1), (2.0, 5), (0.04, 250)):
        world.provider.http.answer_seconds = seconds
        assert allowance.for_poll(is_failing=False) == rounds * world.provider.concurrency
        assert allowance.for_hints() == rounds * world.provider.concurrency


def test_reserve_is_for_hints() -> None:
    """What polling leaves is there for hints and actions, and these don't stop the polling."""
    world = World(OneByOne)
    allowance, budget = allowance_of(world), world.provider.budget

    def poll(invoices: int) -> None:
        allowance.count_poll(invoices)
        budget.count(invoices)

    assert allowance.for_poll(is_failing=False) == 48
    poll(48)
    assert allowance.for_poll(is_failing=False) == 0
    assert allowance.for_hints() == budget.left == 12
    assert allowance.seconds_until_poll() == pytest.approx(WINDOW)
    world.loop.passed += WINDOW
    # Where others take more than what is left to them, polling takes what is left of its own.
    budget.count(40)
    assert allowance.for_poll(is_failing=False) == 20
    poll(20)
    assert allowance.for_poll(is_failing=False) == 10
    poll(10)
    assert allowance.for_poll(is_failing=False) == 0
    assert allowance.for_hints() == 12
    assert allowance.seconds_in_line(1) == pytest.approx(WINDOW)


def test_somebody_has_to_ask() -> None:
    """After a failure one asks whatever was spent, or an empty reading would pass for a success."""
    world = World(InBatches)
    allowance = allowance_of(world)
    world.provider.budget.count(60)
    allowance.count_poll(60 * 100)
    assert allowance.for_poll(is_failing=False) == 0
    assert allowance.for_poll(is_failing=True) == 100
