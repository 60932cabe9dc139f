"""Clocks: durations by the monotonic one, moments by the provider's, the wall's for the rest."""

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.crypto_invoices.reading.clocks import Clocks

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class World:
    """Two clocks that go on together, unless one is set."""

    def __init__(self) -> None:
        """Begin."""
        self.monotonic = 50.0
        self.wall = NOW
        self.clocks = Clocks(lambda: self.monotonic, lambda: self.wall)

    def pass_time(self, seconds: float) -> None:
        """Let both go on."""
        self.monotonic += seconds
        self.wall += timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "jump",
    [timedelta(minutes=-1), timedelta(hours=7), timedelta(days=365), timedelta(days=-20_000)],
)
def test_jump(jump: timedelta) -> None:
    """When the wall clock is set, that is noticed once, however long ago it was."""
    world = World()
    world.pass_time(5_000)
    assert world.clocks.take_jump() == timedelta()
    assert world.clocks.steady_for == 5_000
    world.wall += jump
    world.pass_time(200)
    assert world.clocks.take_jump() == jump
    assert world.clocks.take_jump() == timedelta()
    world.pass_time(10)
    assert world.clocks.steady_for == 10


def test_small_steps_are_no_jump() -> None:
    """A clock that is corrected by seconds is steady; one that drifts away is not."""
    world = World()
    for _ in range(3):
        world.wall += timedelta(seconds=5)
        world.pass_time(300)
        assert world.clocks.take_jump() == timedelta()
    for _ in range(20):
        world.wall += timedelta(seconds=5)
        world.pass_time(300)
    assert world.clocks.take_jump() == timedelta(seconds=115)


def test_provider_knows_what_time_it_is() -> None:
    """Once the provider has told the time, the wall clock may say what it likes."""
    world = World()
    assert world.clocks.now() == NOW
    assert not world.clocks.is_server_known
    told = NOW + timedelta(days=10)
    world.clocks.note_server_time(told, world.monotonic - 5)
    world.wall -= timedelta(days=400)
    world.pass_time(25)
    assert world.clocks.now() == told + timedelta(seconds=30)
    assert world.clocks.is_server_known


@pytest.mark.parametrize("error", [timedelta(days=365), timedelta(days=-3)])
def test_provider_that_is_wrong_for_a_while(error: timedelta) -> None:
    """After it has told another time than before, nobody knows for an hour which is right."""
    world, certain = World(), []
    for passes, told in (
        (0, timedelta()),
        (300, timedelta(seconds=320)),
        (0, error),
        (1800, timedelta(seconds=2100)),
        (3599, timedelta(seconds=5700)),
        (1, timedelta(seconds=5701)),
    ):
        world.pass_time(passes)
        world.clocks.note_server_time(NOW + told, world.monotonic)
        certain.append(world.clocks.is_certain)
    assert certain == [True, True, False, False, False, True]


@pytest.mark.parametrize("date", [datetime(year, 1, 1, tzinfo=UTC) for year in (1, 1970, 9999)])
def test_provider_without_a_clock(date: datetime) -> None:
    """A server that doesn't know what year it is, is not asked for the time."""
    world = World()
    world.clocks.note_server_time(date, world.monotonic)
    world.pass_time(10)
    assert world.clocks.now() == world.wall
    assert not world.clocks.is_server_known
