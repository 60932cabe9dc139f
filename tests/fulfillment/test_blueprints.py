"""The blueprints that deliver: to a device, to a person, to a broker."""

import json
from pathlib import Path
import shutil
from typing import Any

from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, MqttMockPahoClient

from tests.delivery.conftest import turns
from tests.test_blueprints import FOLDER, MQTT, SHIP, SWITCH_ON, using

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
    # Its time begins when that is on the disk.
    await shop.entry.runtime_data.book.async_commit()
    await turns()
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


@pytest.fixture
def mock_hass_config() -> None:
    """Leave the configuration alone when MQTT is set up: the automation is in it."""


def published(mqtt_mock: MqttMockHAClient) -> list[tuple[str, str]]:
    """Return the topics and payloads of what was published, all of it retained."""
    told = [call.args for call in mqtt_mock.async_publish.mock_calls]
    assert all(
        isinstance(payload, str) and (qos, retain) == (1, True) for _, payload, qos, retain in told
    )
    return [(topic, payload) for topic, payload, _, _ in told]


async def come_back(shop: Shop, topic: str, payload: str) -> None:
    """Let the broker send what it has."""
    async_fire_mqtt_message(shop.hass, topic, payload, qos=1, retain=True)
    await turns()


async def test_forwarded(shop: Shop, mqtt_mock: MqttMockHAClient) -> None:
    """Each payment has a topic of its own, and is fulfilled when the broker has it."""
    await use(shop, MQTT)
    paid = await shop.pay()
    [(topic, payload)] = published(mqtt_mock)
    message = json.loads(payload)
    assert topic == f"crypto_invoices/paid/{message['announcement_id']}"
    assert {name: message[name] for name in ("invoice_id", "status", "amount", "currency")} == {
        "invoice_id": paid,
        "status": "paid",
        "amount": 25,
        "currency": "USD",
    }
    assert message["text"] == f"{shop.home.order(paid)} was paid: $25.00"
    assert message["is_test"] is False
    assert list(await shop.items("needs_action")) == [paid]
    await come_back(shop, topic, payload)
    assert await shop.open() == []
    await shop.wait(hours=2)
    assert len(published(mqtt_mock)) == 1


async def test_broker_is_silent(shop: Shop, mqtt_mock: MqttMockHAClient) -> None:
    """What was sent into the void comes again, and is the same message."""
    await use(shop, MQTT, topic="shop")
    await shop.pay()
    await shop.wait(seconds=31)
    await shop.wait(seconds=30)
    first, again = published(mqtt_mock)
    assert first == again
    assert first[0].startswith("shop/")
    await come_back(shop, *again)
    assert await shop.open() == []


async def test_broker_is_away(
    shop: Shop, mqtt_mock: MqttMockHAClient, mqtt_client_mock: MqttMockPahoClient
) -> None:
    """What can't be sent is kept by the client, and fulfilled as soon as the broker has it."""
    mqtt_client_mock.publish.side_effect = lambda *_: type("Info", (), {"mid": 1, "rc": 4})
    await use(shop, MQTT)
    await shop.pay()
    [(topic, payload)] = published(mqtt_mock)
    assert len(await shop.open()) == 1
    await come_back(shop, topic, payload)
    assert await shop.open() == []
