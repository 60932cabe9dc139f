"""Automations that repeat a payment run again until it is fulfilled."""

from collections.abc import Awaitable, Callable

from homeassistant.core import ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.crypto_invoices.const import CONF_TO_FULFILL, DOMAIN
from tests.conftest import async_settle
from tests.delivery.conftest import LONG, PAID, reporting, turns

from .conftest import FULFILL, REPEATED, Shop


async def test_until_it_is_fulfilled(shop: Shop) -> None:
    """After 1, 5, 15 and 60 minutes, then hourly, with the same ID; then no more."""
    await shop.home.save("a", triggers=[REPEATED])
    paid = await shop.pay()
    minutes = 0
    for attempt, due in enumerate([1, 5, 15, 60, 120, 180], start=2):
        await shop.wait(minutes=due - minutes - 0.1)
        assert len(shop.home.heard()) == attempt - 1
        await shop.wait(minutes=0.1)
        minutes = due
        assert shop.home.heard()[-1] == (shop.home.order(paid), attempt)
    await shop.fulfill(invoice_id=paid)
    heard = shop.home.runs()
    assert len({run.id for run in heard}) == 1
    await shop.wait(hours=2)
    assert shop.home.runs() == heard


async def test_for_a_day(shop: Shop) -> None:
    """What nobody can fulfill isn't tried for ever."""
    await shop.home.save("a", triggers=[REPEATED])
    await shop.pay()
    for _ in range(30):
        await shop.wait(hours=1)
    heard = len(shop.home.heard())
    assert heard >= 24
    await shop.wait(hours=3)
    assert len(shop.home.heard()) == heard


async def test_a_failing_action_comes_again(shop: Shop) -> None:
    """An action that fails, and a switch that is unavailable, are tried until it works."""
    failures = 2

    async def deliver(call: ServiceCall) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise HomeAssistantError("unavailable")

    shop.hass.services.async_register("test", "deliver", deliver)
    await shop.home.save("a", {"action": "test.deliver"}, FULFILL, triggers=[REPEATED])
    await shop.pay()
    await shop.wait(minutes=1)
    assert len(await shop.open()) == 1
    await shop.wait(minutes=4)
    await turns()
    assert await shop.open() == []
    assert failures == 0


type Scene = Callable[[Shop], Awaitable[None]]


async def _other_trigger(shop: Shop) -> None:
    """It is saved without the option."""
    await shop.home.save("a", triggers=[PAID])


async def _deleted(shop: Shop) -> None:
    """It is deleted."""
    await shop.home.delete("a")


async def _switched_off(shop: Shop) -> None:
    """It is switched off."""
    await shop.home.switch("a", on=False)


async def _option_off(shop: Shop) -> None:
    """The account keeps no list any more."""
    await shop.switch(**{CONF_TO_FULFILL: False})


async def _reverted(shop: Shop) -> None:
    """The payment is taken back between two attempts."""
    [paid] = await shop.items()
    await shop.revert(paid)


async def _ticked(shop: Shop) -> None:
    """Somebody ticks it."""
    [paid] = await shop.items()
    await shop.tick(paid)


@pytest.mark.parametrize(
    "scene", [_other_trigger, _deleted, _switched_off, _option_off, _reverted, _ticked]
)
async def test_no_more(shop: Shop, scene: Scene) -> None:
    """Nothing is run again that need not, or can't."""
    await shop.home.save("a", triggers=[REPEATED])
    await shop.pay()
    before = len(shop.home.heard())
    await scene(shop)
    after = len(shop.home.heard())
    assert after - before <= 1, "while its payment was doubted, it came once more at most"
    await shop.wait(minutes=20)
    await shop.wait(hours=2)
    assert len(shop.home.heard()) == after


async def test_only_who_heard_it(shop: Shop) -> None:
    """An automation that is made later has nothing to do with it; a saved one goes on."""
    await shop.home.save("a", triggers=[REPEATED])
    await shop.home.save("once")
    paid = await shop.pay()
    await shop.home.save("a", triggers=[REPEATED])
    await shop.home.save("new", triggers=[REPEATED])
    await shop.wait(minutes=1)
    order = shop.home.order(paid)
    assert shop.home.heard("a") == [(order, 1), (order, 2)]
    assert shop.home.heard("once") == [(order, 1)] or not shop.home.heard("once")
    assert shop.home.heard("new") == []


async def test_a_long_run_is_not_begun_twice(shop: Shop) -> None:
    """As long as it still runs for a payment, it isn't run for that again."""
    await shop.home.save("a", LONG, reporting("a"), FULFILL, triggers=[REPEATED])
    await shop.pay()
    await shop.wait(minutes=1)
    await shop.wait(minutes=4)
    assert shop.home.begun == 1
    shop.home.may_end.set()
    await turns()
    assert len(shop.home.heard()) == 1
    assert await shop.open() == []


async def test_over_a_reload(shop: Shop) -> None:
    """It goes on after a reload, and what came due several times meanwhile comes once."""
    await shop.home.save("a", triggers=[REPEATED])
    await shop.pay()
    await shop.hass.config_entries.async_unload(shop.entry.entry_id)
    await shop.wait(minutes=20)
    assert len(shop.home.heard()) == 1
    await shop.hass.config_entries.async_setup(shop.entry.entry_id)
    await async_settle(shop.hass)
    await turns()
    assert len(shop.home.heard()) == 2
    await shop.wait(minutes=30)
    assert len(shop.home.heard()) == 2
    await shop.wait(minutes=11)
    assert len(shop.home.heard()) == 3


async def test_without_a_list(plain_shop: Shop, issue_registry: ir.IssueRegistry) -> None:
    """It runs once, and a repair issue says what it needs, until that is there."""
    shop, key = plain_shop, f"repeat_impossible_{plain_shop.entry.entry_id}"
    await shop.home.save("a", triggers=[REPEATED])
    await shop.home.save("b")
    await shop.pay()
    issue = issue_registry.async_get_issue(DOMAIN, key)
    assert issue
    assert issue.translation_placeholders == {"account": shop.entry.title, "automations": "a"}
    await shop.wait(hours=2)
    assert len(shop.home.heard()) == 1
    await shop.switch(**{CONF_TO_FULFILL: True})
    assert issue_registry.async_get_issue(DOMAIN, key) is None


async def test_saved_without_the_option(plain_shop: Shop, issue_registry: ir.IssueRegistry) -> None:
    """The next payment finds that no automation needs the list."""
    shop, key = plain_shop, f"repeat_impossible_{plain_shop.entry.entry_id}"
    await shop.home.save("a", triggers=[REPEATED])
    await shop.pay()
    await shop.home.save("a", triggers=[PAID])
    await shop.pay()
    assert issue_registry.async_get_issue(DOMAIN, key) is None
