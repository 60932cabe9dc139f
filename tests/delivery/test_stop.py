"""Home Assistant stops: what that cuts is announced again after the start, with the same ID."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
import sqlite3

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CoreState, Event, ServiceCall
import pytest

from .conftest import LONG, PAID, SLOW, Home, reporting, turns

type Scene = Callable[[Home], Awaitable[int]]
"""Plays, and returns how many payments are left for the next start."""


def on_disk(home: Home) -> int:
    """Return how much the next start will announce."""
    path = home.hass.config.path(f".storage/crypto_invoices.{home.entry.entry_id}.db")
    with closing(sqlite3.connect(path)) as database:
        [[number]] = database.execute(
            "SELECT count(*) FROM records WHERE status IS NOT announced"
        ).fetchall()
    return int(number)


async def heard(home: Home) -> int:
    """Everything was heard before."""
    await home.save("a")
    await home.pay(2)
    return 0


async def cut(home: Home) -> int:
    """An action is cut."""
    await home.save("a", LONG)
    await home.pay(2)
    return 2


async def cut_in_a_delay(home: Home) -> int:
    """A delay is cut."""
    await home.save("a", {"delay": 5})
    await home.pay()
    return 1


async def one_of_two_is_cut(home: Home) -> int:
    """One automation has heard it, another one is cut."""
    await home.save("a")
    await home.save("b", LONG)
    await home.pay()
    return 1


async def has_had_its_time(home: Home) -> int:
    """An action that runs for an hour counts as heard after ten seconds."""
    await home.save("a", LONG)
    await home.pay()
    await home.wait(10.1)
    return 0


async def queued(home: Home) -> int:
    """What waits behind another run has not begun."""
    await home.save("a", LONG, mode="queued", max=10)
    await home.pay(3)
    return 3


async def busy(home: Home) -> int:
    """What a busy automation didn't take is not heard."""
    await home.save("a", LONG, mode="single")
    await home.pay(2)
    return 2


async def being_saved(home: Home) -> int:
    """The automation is not armed yet."""
    await home.save("a")
    await home.begin_to_save("a", triggers=[PAID, SLOW])
    await home.pay()
    return 1


async def stops_it(home: Home) -> int:
    """The action itself stops Home Assistant, and goes on."""

    async def stop(call: ServiceCall) -> None:
        # As the action `homeassistant.stop` does it.
        home.hass.async_create_task(home.hass.async_stop(force=True))

    home.hass.services.async_register("test", "stop", stop)
    await home.save("a", {"action": "test.stop"}, LONG, reporting("a"))
    await home.pay()
    return 1


async def paid_while_it_stops(home: Home) -> int:
    """Nothing is read any more: the next start finds it."""
    await home.save("a")

    async def pay(event: Event) -> None:
        await home.pay()

    home.hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, pay)
    return 0


@pytest.mark.parametrize(
    "scene",
    [
        heard,
        cut,
        cut_in_a_delay,
        one_of_two_is_cut,
        has_had_its_time,
        queued,
        busy,
        being_saved,
        stops_it,
        paid_while_it_stops,
    ],
    ids=lambda scene: scene.__name__,
)
async def test_stop(home: Home, scene: Scene) -> None:
    """Nothing is taken down as delivered that a stop has cut."""
    left = await scene(home)
    before = home.heard()
    home.may_arm.set()
    await home.hass.async_stop(force=True)
    await turns()
    assert on_disk(home) == left
    assert home.heard() == before, "nothing is begun that the stop would cut"


async def test_nothing_is_read_after_a_stop(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """A poll that a stop cuts comes again after the start, not before the end."""
    reader = home.entry.runtime_data.coordinator.reader
    home.hass.set_state(CoreState.running)
    polling = asyncio.ensure_future(home.pay())
    await turns(3)
    await home.hass.async_stop(force=True)
    asked = home.sandbox.requests("cryptocloud")
    for _ in range(3):
        await home.wait(400)
    await polling
    assert home.sandbox.requests("cryptocloud") == asked
    assert not reader.is_timer_armed
    assert "Error fetching" not in caplog.text
