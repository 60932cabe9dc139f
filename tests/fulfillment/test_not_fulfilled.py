"""Automations that are to hear of what has been owed for a time hear it once."""

from datetime import datetime, timedelta
from typing import Any

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CoreState
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.trigger import async_validate_trigger_config
import pytest
import voluptuous as vol

from custom_components.crypto_invoices.const import DOMAIN
from tests.conftest import async_settle
from tests.delivery.conftest import LONG, PAID, SLOW, reporting, turns

from .conftest import Shop


def after(**time: int) -> dict[str, Any]:
    """Return a trigger."""
    return {"trigger": "crypto_invoices.not_fulfilled", "options": {"for": time}}


HOUR = after(hours=1)


async def test_once(shop: Shop) -> None:
    """At its time, once for each payment; several times are several."""
    await shop.home.save("a", triggers=[HOUR])
    await shop.home.save("b", triggers=[after(minutes=90), {**HOUR, "id": "hour"}])
    paid = await shop.pay()
    order = shop.home.order(paid)
    await shop.wait(minutes=59)
    assert not shop.home.heard()
    await shop.wait(minutes=1)
    assert shop.home.heard() == [(order, 1)]
    assert [run.trigger for run in shop.home.runs("b")] == ["hour"]
    await shop.wait(hours=1)
    await shop.wait(hours=30)
    assert shop.home.heard() == [(order, 1)]
    assert [run.trigger for run in shop.home.runs("b")] == ["hour", "0"]
    ids = {run.id for run in shop.home.runs("b")}
    assert len(ids) == 2
    assert shop.records[paid].item.announcement_id not in ids


async def test_not_for_what_is_fulfilled(shop: Shop) -> None:
    """Nor does anybody else hear it as a payment."""
    await shop.home.save("a", triggers=[HOUR])
    await shop.home.save("paid", triggers=[PAID, {"trigger": "crypto_invoices.status_changed"}])
    paid, owed = await shop.pay(), await shop.pay()
    heard = len(shop.home.heard("paid"))
    await shop.fulfill(invoice_id=paid)
    await shop.wait(hours=1)
    assert shop.home.orders() == [shop.home.order(owed)]
    assert len(shop.home.heard("paid")) == heard


async def test_over_a_reload(shop: Shop) -> None:
    """What came due while the account was not loaded is said then, and once."""
    await shop.home.save("a", triggers=[HOUR])
    await shop.pay()
    await shop.hass.config_entries.async_unload(shop.entry.entry_id)
    await shop.wait(hours=2)
    assert not shop.home.heard()
    await shop.hass.config_entries.async_setup(shop.entry.entry_id)
    await async_settle(shop.hass)
    await turns()
    assert len(shop.home.heard()) == 1
    await shop.reload()
    await shop.wait(hours=1)
    assert len(shop.home.heard()) == 1


async def test_while_it_is_saved(shop: Shop) -> None:
    """An automation that is being saved when the time is over hears it after that."""
    await shop.home.save("a", triggers=[HOUR])
    paid = await shop.pay()
    await shop.wait(minutes=59, seconds=50)
    await shop.home.begin_to_save("a", triggers=[HOUR, SLOW])
    await shop.wait(seconds=15)
    assert not shop.home.heard()
    await shop.home.rest()
    assert shop.home.orders() == [shop.home.order(paid)]


async def test_a_new_automation(shop: Shop) -> None:
    """What was overdue before it was made is no news."""
    await shop.pay()
    await shop.wait(hours=3)
    await shop.home.save("a", triggers=[HOUR])
    paid = await shop.pay()
    await shop.wait(hours=1)
    assert shop.home.orders() == [shop.home.order(paid)]


async def test_cut_by_a_stop(shop: Shop) -> None:
    """What is on its way when Home Assistant stops comes again after the start."""
    await shop.home.save("a", LONG, reporting("a"), triggers=[HOUR])
    await shop.pay()
    await shop.wait(hours=1)
    assert shop.home.begun == 1
    shop.hass.set_state(CoreState.stopping)
    shop.hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await turns()
    book = shop.entry.runtime_data.book
    [item] = [record.item for record in book.items.owed.values()]
    due = item.since + timedelta(hours=1)
    assert datetime.fromisoformat(book.fact("reminded_until")) < due


@pytest.mark.parametrize("time", [None, {"seconds": 0}, {"hours": -1}, "soon"])
async def test_not_a_time(shop: Shop, time: object) -> None:
    """A time is needed, and more than none."""
    options = {} if time is None else {"for": time}
    with pytest.raises(vol.Invalid):
        await async_validate_trigger_config(
            shop.hass,
            cv.TRIGGER_SCHEMA([{"trigger": f"{DOMAIN}.not_fulfilled", "options": options}]),
        )
