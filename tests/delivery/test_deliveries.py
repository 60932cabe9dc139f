"""In which order announcements come, what is left of them, and who is waited for."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.delivery.listeners import async_get_listeners
from tests.conftest import (
    async_delete_device,
    async_open_add_invoices,
    async_submit_ids,
    watched,
)

from .conftest import LONG, PAID, SLOW, Home, reporting, turns


async def test_many_automations(hass: HomeAssistant, home: Home) -> None:
    """All are reloaded when it is paid, the first is slow to arm: each hears it once."""
    home.may_arm.set()
    names = [f"a{number}" for number in range(150)]
    for name in names:
        home.add(name, triggers=[PAID, SLOW] if name == "a0" else [PAID])
    await home.change_all()
    home.may_arm.clear()
    await home.begin("a0", home.change_all())
    [order] = await home.pay()
    assert not home.heard("a0")
    await home.rest()
    assert {name: home.heard(name) for name in names} == {name: [(order, 1)] for name in names}


async def restart(
    hass: HomeAssistant, home: Home, meanwhile: Callable[[], Awaitable[None]]
) -> None:
    """Let something happen to the account while Home Assistant starts."""
    hass.set_state(CoreState.starting)
    assert await hass.config_entries.async_reload(home.entry.entry_id)
    await meanwhile()
    # What is loaded is in no particular order.
    assert await hass.config_entries.async_reload(home.entry.entry_id)
    assert not home.heard()
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await turns()


async def test_oldest_first(
    hass: HomeAssistant, home: Home, freezer: FrozenDateTimeFactory
) -> None:
    """What was paid first is announced first."""
    await home.save("a")
    ids = watched(home.entry)

    async def pay() -> None:
        for invoice_id in (ids[7], ids[2], ids[5]):
            await home.pay_these([invoice_id])
            freezer.tick(timedelta(seconds=2))

    await restart(hass, home, pay)
    assert home.orders() == ["HA-7", "HA-2", "HA-5"]


async def test_late(hass: HomeAssistant, home: Home, freezer: FrozenDateTimeFactory) -> None:
    """What is announced long after it was paid is late, and old for who wants no such."""
    for name, options in (("a", {}), ("new", {"not_older_than": {"minutes": 15}})):
        await home.save(
            name,
            {"condition": "template", "value_template": "{{ trigger.is_late }}"},
            reporting(name),
            triggers=[{**PAID, "options": options}],
        )

    async def pay() -> None:
        await home.pay()
        freezer.tick(timedelta(minutes=61))

    await restart(hass, home, pay)
    await home.save("a", reporting("a"))
    await home.save("new", reporting("new"))
    assert home.orders() == ["HA-0"]
    assert not home.heard("new")
    await home.pay()
    assert home.orders() == ["HA-0", "HA-1"]
    assert home.orders("new") == ["HA-1"]


async def test_busy(hass: HomeAssistant, home: Home) -> None:
    """An automation that was busy for too long is named in the repairs until it is saved."""
    issues = ir.async_get(hass)
    await home.save("a", LONG, mode="single", alias="Ring the bell")
    await home.pay(2)
    assert home.unannounced == 2
    await home.wait(10.1)
    assert home.unannounced == 0
    issue = issues.async_get_issue(DOMAIN, "automation_busy_a")
    assert issue
    assert issue.translation_placeholders == {
        "automation": "Ring the bell",
        "edit": "/config/automation/edit/a",
    }
    await home.save("a", mode="queued")
    assert issues.async_get_issue(DOMAIN, "automation_busy_a") is None


async def test_nobody_waits_for_a_script(hass: HomeAssistant, home: Home) -> None:
    """A script that waits for a trigger hears it, and a cut of it is nobody's business."""
    sequence = [{"wait_for_trigger": [PAID]}, LONG]
    assert await async_setup_component(hass, "script", {"script": {"s": {"sequence": sequence}}})
    await hass.services.async_call("script", "s", blocking=False)
    await turns()
    await home.pay()
    assert home.begun == 1
    assert home.unannounced == 0
    await hass.services.async_call("script", "turn_off", {"entity_id": "script.s"}, blocking=True)


async def test_invoice_is_added_again(hass: HomeAssistant, home: Home) -> None:
    """What is still being heard of an invoice says nothing of the one that came after it."""
    await home.save("a", LONG, reporting("a"))
    invoice_id = watched(home.entry)[0]
    await home.pay()
    await async_delete_device(hass, home.entry, invoice_id)
    adding = await async_open_add_invoices(hass, home.entry)
    await async_submit_ids(hass, adding, invoice_id)
    assert invoice_id in watched(home.entry)
    home.may_end.set()
    await home.rest()
    assert home.heard() == [("HA-0", 1)]
    assert home.unannounced == 0


@pytest.mark.parametrize("ending", ["delete", "drop", "off"])
async def test_nothing_is_left(hass: HomeAssistant, home: Home, ending: str) -> None:
    """Nothing is kept of an automation that is gone."""
    await home.save("a", LONG)
    await home.pay()
    await home.save("a", reporting("a"))
    await home.pay()
    if ending == "off":
        await home.switch("a", on=False)
    else:
        await getattr(home, ending)("a")
    await home.rest()
    assert home.orders() == ["HA-0", "HA-1"]
    assert not async_get_listeners(hass).automations
