"""Each automation runs once for each payment that it is to hear, or again after a cut."""

from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest

from .conftest import LONG, PAID, SLOW, Home, reporting, turns

type Scene = Callable[[Home], Awaitable[list[tuple[str, int]]]]
"""Plays, and returns what the automation "a" should have heard, with the attempts."""

CUT = (LONG, reporting("a"))


def once(*orders: str) -> list[tuple[str, int]]:
    """Return orders that are heard at the first attempt."""
    return [(order, 1) for order in orders]


async def is_there(home: Home) -> list[tuple[str, int]]:
    """Nothing happens but payments."""
    await home.save("a")
    return once(*await home.pay(3))


async def saved_meanwhile(home: Home) -> list[tuple[str, int]]:
    """It is paid while the saved automation is not armed yet."""
    await home.save("a")
    await home.begin_to_save("a", triggers=[PAID, SLOW])
    paid = await home.pay(2)
    assert not home.heard()
    assert home.unannounced == 2
    return once(*paid)


async def saved_twice_meanwhile(home: Home) -> list[tuple[str, int]]:
    """It is saved again before it is armed."""
    await home.save("a")
    await home.begin_to_save("a", triggers=[SLOW, PAID])
    paid = await home.pay()
    await home.begin_to_save("a", triggers=[PAID])
    return once(*paid, *await home.pay())


async def cut_by_a_save(home: Home) -> list[tuple[str, int]]:
    """Its run is cut when it is saved."""
    await home.save("a", *CUT)
    [order] = await home.pay()
    await home.save("a")
    return [(order, 2)]


async def cut_by_a_reload(home: Home) -> list[tuple[str, int]]:
    """Its run is cut by a reload of all automations."""
    await home.save("a", *CUT)
    [order] = await home.pay()
    await home.change_all()
    return [(order, 2)]


async def cut_in_a_delay(home: Home) -> list[tuple[str, int]]:
    """Its run is cut while it waits."""
    await home.save("a", {"delay": 5}, reporting("a"))
    [order] = await home.pay()
    await home.save("a", reporting("a"))
    return [(order, 2)]


async def cut_in_its_last_delay(home: Home) -> list[tuple[str, int]]:
    """Its run is cut when nothing is left to do."""
    await home.save("a", reporting("a"), {"delay": 5})
    paid = await home.pay()
    await home.save("a", reporting("a"))
    return once(*paid)


async def cut_by_two_saves(home: Home) -> list[tuple[str, int]]:
    """Its run is cut, and so is the one that came after it."""
    await home.save("a", *CUT)
    [order] = await home.pay()
    await home.save("a")
    assert not home.heard()
    await turns()
    await home.save("a")
    return [(order, 3)]


async def cut_while_another_is_heard(home: Home) -> list[tuple[str, int]]:
    """Two automations with the same trigger, one of them is cut: the other one hears once."""
    await home.save("a", *CUT)
    await home.save("b", LONG, reporting("b"))
    [order] = await home.pay()
    await home.save("a")
    home.may_end.set()
    await turns()
    assert home.heard("b") == [(order, 1)]
    return [(order, 2)]


async def edited_away(home: Home) -> list[tuple[str, int]]:
    """It is saved with another trigger, which doesn't match what was paid meanwhile."""
    await home.save("a")
    expired = {"trigger": "crypto_invoices.expired"}
    await home.begin_to_save("a", triggers=[expired, SLOW])
    await home.pay()
    home.may_arm.set()
    await turns()
    await home.save("a", triggers=[PAID])
    await home.save("a", triggers=[PAID, {"trigger": "crypto_invoices.status_changed"}])
    return []


async def edited_to_match(home: Home) -> list[tuple[str, int]]:
    """It is saved with a trigger that matches what was paid meanwhile."""
    await home.save("a", triggers=[{"trigger": "crypto_invoices.expired"}])
    await home.begin_to_save("a", triggers=[PAID, SLOW])
    return once(*await home.pay())


async def saved_with_one_more_trigger(home: Home) -> list[tuple[str, int]]:
    """What it has heard is old when it gets another trigger."""
    await home.save("a")
    await home.begin_to_save("a", triggers=[PAID, SLOW])
    paid = await home.pay()
    home.may_arm.set()
    await turns()
    assert home.orders() == paid
    await home.save("a", triggers=[PAID, {"trigger": "crypto_invoices.status_changed"}])
    return once(*paid)


async def two_triggers(home: Home) -> list[tuple[str, int]]:
    """Both of its triggers match: one run for each, also when one is armed much later."""
    triggers = [PAID, {"trigger": "crypto_invoices.status_changed"}]
    await home.save("a", triggers=triggers)
    await home.begin_to_save("a", triggers=[triggers[0], SLOW, triggers[1]])
    [order] = await home.pay()
    return once(order, order)


async def cut_in_one_of_two_triggers(home: Home) -> list[tuple[str, int]]:
    """Only the run that was cut comes again, for the same trigger."""
    wait_for_second = {
        "if": [{"condition": "trigger", "id": "second"}],
        "then": [LONG],
    }
    triggers = [
        {**PAID, "id": "first"},
        {"trigger": "crypto_invoices.status_changed", "id": "second"},
    ]
    await home.save("a", wait_for_second, reporting("a"), triggers=triggers)
    [order] = await home.pay()
    await home.save("a", reporting("a"))
    await turns()
    assert [run.trigger for run in home.runs()] == ["first", "second"]
    return [(order, 1), (order, 2)]


async def deleted(home: Home) -> list[tuple[str, int]]:
    """It is deleted while it runs: nobody is waited for."""
    await home.save("a", *CUT)
    await home.pay()
    await home.delete("a")
    await turns()
    assert home.unannounced == 0
    await home.save("a")
    return []


async def deleted_while_absent(home: Home) -> list[tuple[str, int]]:
    """It is deleted before it was armed again."""
    await home.save("a")
    await home.drop("a")
    await home.pay()
    assert home.unannounced == 1
    er.async_get(home.hass).async_remove(home.entity_id("a"))
    await turns()
    assert home.unannounced == 0
    await home.save("a")
    return []


async def dropped_for_long(home: Home) -> list[tuple[str, int]]:
    """It was taken out of the file, and comes back when it is expected no more."""
    await home.save("a")
    await home.drop("a")
    await home.pay()
    await home.wait(31)
    assert home.unannounced == 0
    await home.save("a")
    return once(*await home.pay())


async def dropped_for_a_moment(home: Home) -> list[tuple[str, int]]:
    """It was taken out of the file, and comes back soon."""
    await home.save("a")
    await home.drop("a")
    paid = await home.pay()
    await home.wait(20)
    await home.save("a")
    return once(*paid)


async def switched_off(home: Home) -> list[tuple[str, int]]:
    """What is paid while it is off it never hears."""
    await home.save("a")
    await home.switch("a", on=False)
    await home.pay()
    assert home.unannounced == 0
    await home.switch("a", on=True)
    return once(*await home.pay())


async def switched_off_in_a_run(home: Home) -> list[tuple[str, int]]:
    """A run that is cut by switching off doesn't come again."""
    await home.save("a", *CUT)
    await home.pay()
    await home.switch("a", on=False)
    await turns()
    assert home.unannounced == 0
    await home.switch("a", on=True)
    return []


async def switched_off_and_saved(home: Home) -> list[tuple[str, int]]:
    """Off, paid, saved and on again: it was off when that was paid."""
    await home.save("a", *CUT)
    await home.pay()
    await home.switch("a", on=False)
    await home.pay()
    await home.save("a", reporting("a"))
    await home.pay()
    await home.switch("a", on=True)
    return once(*await home.pay())


async def switched_off_but_running(home: Home) -> list[tuple[str, int]]:
    """A run that switching off lets go on is heard."""
    await home.save("a", *CUT)
    paid = await home.pay()
    await home.switch("a", on=False, stop_actions=False)
    home.may_end.set()
    return once(*paid)


async def renamed(home: Home) -> list[tuple[str, int]]:
    """It gets another entity ID while it is off the stage for a moment, which cuts its run."""
    await home.save("a", *CUT)
    [order] = await home.pay()
    await home.rename("a", "cashier")
    home.may_end.set()
    await turns()
    return [(order, 2), *once(*await home.pay())]


async def renamed_while_arming(home: Home) -> list[tuple[str, int]]:
    """It is paid while the renamed automation is not armed yet."""
    home.may_arm.set()
    await home.save("a", triggers=[PAID, SLOW])
    home.may_arm.clear()
    await home.rename("a", "cashier")
    paid = await home.pay()
    assert not home.heard()
    return once(*paid)


async def renamed_while_dropped(home: Home) -> list[tuple[str, int]]:
    """It gets another entity ID while it is waited for."""
    await home.save("a")
    await home.drop("a")
    paid = await home.pay()
    await home.rename("a", "cashier")
    await home.save("a")
    return once(*paid)


async def alias_changed(home: Home) -> list[tuple[str, int]]:
    """It is saved under another name."""
    await home.save("a", *CUT)
    [order] = await home.pay()
    await home.save("a", reporting("a"), alias="Cashier")
    return [(order, 2)]


async def restart_mode(home: Home) -> list[tuple[str, int]]:
    """Ten are paid: each run cuts the one before, as its user wants it."""
    await home.save("a", *CUT, mode="restart")
    paid = await home.pay(10)
    home.may_end.set()
    return once(paid[-1])


async def queued_mode(home: Home) -> list[tuple[str, int]]:
    """Ten are paid: one run after the other, in order."""
    await home.save("a", *CUT, mode="queued", max=10)
    paid = await home.pay(10)
    home.may_end.set()
    return once(*paid)


async def parallel_mode(home: Home) -> list[tuple[str, int]]:
    """Ten are paid: ten runs."""
    await home.save("a", *CUT, mode="parallel", max=10)
    paid = await home.pay(10)
    assert home.begun == 10
    home.may_end.set()
    return once(*paid)


async def single_mode(home: Home) -> list[tuple[str, int]]:
    """Ten are paid: it is asked again until it has time."""
    await home.save("a", reporting("a"), {"delay": 0.5}, mode="single")
    paid = await home.pay(10)
    for _ in range(9):
        await home.wait(0.6)
        await home.wait(1.1)
    # Whoever asks first after a run has ended has its turn.
    assert sorted(home.orders()) == sorted(paid)
    return once(*home.orders())


async def saved_while_busy(home: Home) -> list[tuple[str, int]]:
    """It was busy, and is saved with another mode."""
    await home.save("a", *CUT, mode="single")
    first, second = await home.pay(2)
    await home.save("a", mode="queued")
    await home.wait(1.1)
    home.may_end.set()
    return [(first, 2), (second, 2)]


async def fails(home: Home) -> list[tuple[str, int]]:
    """An action that fails is not repeated."""
    await home.save("a", reporting("a"), {"action": "test.nonsense"})
    paid = await home.pay()
    await home.save("a")
    return once(*paid)


async def runs_for_an_hour(home: Home) -> list[tuple[str, int]]:
    """It has had its ten seconds when it is saved."""
    await home.save("a", reporting("a"), LONG)
    paid = await home.pay()
    assert home.unannounced == 1
    await home.wait(10.1)
    assert home.unannounced == 0
    await home.save("a")
    return once(*paid)


async def stops_itself(home: Home) -> list[tuple[str, int]]:
    """Its conditions or its actions end the run."""
    stop: dict[str, Any] = {"stop": "enough"}
    await home.save("a", reporting("a"), stop, LONG)
    paid = await home.pay()
    assert home.unannounced == 0
    await home.save("a")
    return once(*paid)


async def reloads_the_account(home: Home) -> list[tuple[str, int]]:
    """Its action reloads the account."""
    reload = {
        "action": "homeassistant.reload_config_entry",
        "data": {"entry_id": home.entry.entry_id},
    }
    assert await async_setup_component(home.hass, "homeassistant", {})
    await home.save("a", reporting("a"), reload)
    paid = await home.pay()
    await home.rest()
    assert home.unannounced == 0
    return once(*paid)


async def account_reloaded(home: Home) -> list[tuple[str, int]]:
    """The account is reloaded while it is paid and heard of."""
    await home.save("a", *CUT)
    first = await home.pay()
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    await turns()
    home.may_end.set()
    await home.rest()
    assert home.unannounced == 0
    return once(*first)


async def account_reloaded_while_saved(home: Home) -> list[tuple[str, int]]:
    """The account is reloaded while the automation is being saved."""
    await home.save("a")
    await home.begin_to_save("a", triggers=[PAID, SLOW])
    paid = await home.pay()
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    await turns()
    return once(*paid)


async def account_removed(home: Home) -> list[tuple[str, int]]:
    """The account is removed while it is heard of."""
    await home.save("a", *CUT)
    paid = await home.pay()
    await home.hass.config_entries.async_remove(home.entry.entry_id)
    home.may_end.set()
    return once(*paid)


SCENES: tuple[Scene, ...] = (
    is_there,
    saved_meanwhile,
    saved_twice_meanwhile,
    cut_by_a_save,
    cut_by_a_reload,
    cut_in_a_delay,
    cut_in_its_last_delay,
    cut_by_two_saves,
    cut_while_another_is_heard,
    edited_away,
    edited_to_match,
    saved_with_one_more_trigger,
    two_triggers,
    cut_in_one_of_two_triggers,
    deleted,
    deleted_while_absent,
    dropped_for_long,
    dropped_for_a_moment,
    switched_off,
    switched_off_in_a_run,
    switched_off_and_saved,
    switched_off_but_running,
    renamed,
    renamed_while_arming,
    renamed_while_dropped,
    alias_changed,
    restart_mode,
    queued_mode,
    parallel_mode,
    single_mode,
    saved_while_busy,
    fails,
    runs_for_an_hour,
    stops_itself,
    reloads_the_account,
    account_reloaded,
    account_reloaded_while_saved,
    account_removed,
)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_heard(home: Home, scene: Scene) -> None:
    """It has heard what it should, and there is nothing left to announce."""
    expected = await scene(home)
    await home.rest()
    assert home.heard() == expected
    assert home.unannounced == 0
    ids: dict[str, set[str]] = {}
    for run in home.runs():
        ids.setdefault(run.order, set()).add(run.id)
    assert all(len(same) == 1 for same in ids.values())
