"""The blueprints that deliver: one switches something on, the other reminds until it is ticked."""

from pathlib import Path
import shutil
from typing import Any

from homeassistant.setup import async_setup_component
import pytest

from tests.delivery.conftest import turns
from tests.test_blueprints import FOLDER, SHIP, SWITCH_ON, using

from .conftest import Shop

DEVICE = "input_boolean.wash"


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Have the blueprints where a user has them after the import."""
    shutil.copytree(FOLDER, Path(hass_tmp_config_dir, "blueprints", "automation", FOLDER.name))
    return hass_tmp_config_dir


async def plug_in(shop: Shop) -> None:
    """Let the device be there."""
    assert await async_setup_component(shop.hass, "input_boolean", {"input_boolean": {"wash": {}}})
    await turns()


def is_on(shop: Shop) -> bool:
    """Whether the device is on."""
    return shop.hass.states.is_state(DEVICE, "on")


async def use(shop: Shop, blueprint: str, **inputs: Any) -> None:
    """Make an automation from a blueprint."""
    assert await async_setup_component(shop.hass, "homeassistant", {})
    shop.home.automations["a"] = {"id": "a", "alias": "a", **using(blueprint, **inputs)}
    await shop.home.reload(id="a")


@pytest.mark.parametrize(
    ("inputs", "minutes"),
    [({}, 5), ({"minutes": 2}, 2), ({"price": 5, "currency": "usd"}, 5)],
    ids=["as it comes", "a fixed time", "25 USD at 5 a minute"],
)
async def test_switched_on(shop: Shop, inputs: dict[str, Any], minutes: int) -> None:
    """It is on for as long as was paid for, and fulfilled as soon as it is on."""
    await plug_in(shop)
    await use(shop, SWITCH_ON, device=DEVICE, **inputs)
    assert not is_on(shop)
    await shop.pay()
    assert is_on(shop)
    assert await shop.open() == []
    await shop.wait(minutes=minutes - 0.5)
    assert is_on(shop)
    await shop.wait(minutes=1)
    assert not is_on(shop)


async def test_it_stays_on(shop: Shop) -> None:
    """With no time it is never switched off."""
    await plug_in(shop)
    await use(shop, SWITCH_ON, device=DEVICE, minutes=0)
    await shop.pay()
    await shop.wait(hours=1)
    assert is_on(shop)


async def test_unavailable(shop: Shop) -> None:
    """A device that isn't there is tried again, and its payment is open until it is on."""
    await use(shop, SWITCH_ON, device=DEVICE)
    paid = await shop.pay()
    await shop.wait(seconds=11)
    assert list(await shop.items("needs_action")) == [paid]
    await plug_in(shop)
    await shop.wait(minutes=1)
    assert is_on(shop)
    assert await shop.open() == []


async def test_too_late(shop: Shop) -> None:
    """When nobody waits for it any more, nothing is switched on; the payment is still open."""
    await use(shop, SWITCH_ON, device=DEVICE)
    paid = await shop.pay()
    await shop.wait(seconds=11)
    await shop.wait(minutes=20)
    await plug_in(shop)
    await shop.wait(hours=1)
    assert not is_on(shop)
    assert list(await shop.items("needs_action")) == [paid]


async def test_in_another_currency(shop: Shop) -> None:
    """Nothing is switched on for money that buys something else."""
    await plug_in(shop)
    await use(shop, SWITCH_ON, device=DEVICE, price=1, currency="EUR")
    await shop.pay()
    assert not is_on(shop)


async def test_shipped(shop: Shop) -> None:
    """It tells of a payment, and again after a time, but not of one that is ticked."""
    report = {
        "action": "test.report",
        "data": {
            "automation": "a",
            "order": "{{ message }}",
            "attempt": 1,
            "id": "{{ trigger.announcement_id }}",
            "trigger": "{{ title }}",
        },
    }
    await use(shop, SHIP, reminder={"hours": 2}, actions=[report])
    first, second = await shop.pay(), await shop.pay()
    told = [f"{shop.home.order(one)} was paid: $25.00" for one in (first, second)]
    assert shop.home.orders() == told
    await shop.tick(first)
    await shop.wait(hours=2)
    reminded = f"{shop.home.order(second)} is paid, but not fulfilled: $25.00"
    assert shop.home.orders() == [*told, reminded]
    assert {run.trigger for run in shop.home.runs()} == {shop.entry.title}
