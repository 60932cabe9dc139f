"""Paid means delivered: no money for what isn't ready, and what is owed, fulfilled; in German."""

from playwright.async_api import Locator, expect

from tests.e2e.to_do import items, switch_on

from .invoices import row
from .shop import LIST, TILL, Shop, cards
from .till import Till

PROVIDER = "btcpay"
WASHER, NAME = "switch.washer", "Waschstraße"
# Let a card know no more than it does, as one that is behind.
BEHIND = """card => {
    const { hass } = card;
    Object.defineProperty(card, "hass", { get: () => hass, set() {}, configurable: true });
}"""
UP_TO_DATE = """card => {
    delete card.hass;
    card.hass = document.querySelector("home-assistant").hass;
}"""


async def use(shop: Shop) -> None:
    """Sell a car wash that isn't always there, and wash the cars."""
    german = shop.speaking("de")
    await switch_on(shop.client, shop.entries[PROVIDER])
    await _sell(german)
    shop.stage.step("no money is asked for while what is sold isn't ready, in German")
    await _fulfill(german)
    shop.stage.step("what is owed is fulfilled, in German")


async def _sell(shop: Shop) -> None:
    """Ask for money when the washer is ready, and not before."""
    await shop.set_state(WASHER, "unavailable", NAME)
    # What is in the middle of a sentence isn't a name of ours.
    url = await shop.hang("car-wash", shop.till(title="Autos", ready=[WASHER]))
    async with shop.screen("waiter") as page:
        await page.goto(url)
        till = Till(shop, cards(page, TILL))
        await till.expect(shop.text("not_ready", entities=NAME))
        await expect(till.root.locator("output")).to_have_count(0)
        await shop.look(till.root, "till-not-ready")
        await shop.set_state(WASHER, "off", NAME)
        await till.type("7")
        await till.expect_amount("7,00 €")
        await shop.look(till.root, "till-pad")
        await shop.set_state(WASHER, "unknown", NAME)
        await till.expect(shop.text("not_ready", entities=NAME))
        await shop.set_state(WASHER, None)
        # As after a start: it isn't there yet, and nobody knows its name.
        await till.expect(shop.text("not_ready", entities=WASHER))
        await shop.set_state(WASHER, "off", NAME)
        await till.expect_amount("7,00 €")
        await _be_behind(till)
        await till.ask_for()
        await till.expect_code()
        await shop.look(till.root, "till-pay")
        await shop.set_state(WASHER, "unavailable", NAME)
        await till.expect(shop.text("not_ready", entities=NAME))
        await till.expect_no_code()
        await shop.set_state(WASHER, "off", NAME)
        await till.expect_code()
        await shop.act(await shop.asked("Autos"), "pay")
        await till.expect(shop.status("paid"))
        await shop.look(till.root, "till-paid")


async def _be_behind(till: Till) -> None:
    """Ask at a tablet that doesn't know yet: Home Assistant does, and no invoice is made."""
    shop = till.shop
    await till.root.evaluate(BEHIND)
    await shop.set_state(WASHER, "unavailable", NAME)
    await till.ask_for()
    refused = shop.words("exceptions.not_ready.message").format(entities=WASHER)
    await expect(till.root.locator("ha-alert")).to_have_text(refused)
    await till.expect_amount("7,00 €")
    if made := await shop.all_asked("Autos"):
        shop.wrong.append(f"{len(made)} invoices were made for what isn't ready")
    await till.root.evaluate(UP_TO_DATE)
    await till.expect(shop.text("not_ready", entities=NAME))
    await shop.set_state(WASHER, "off", NAME)
    await till.expect_amount("7,00 €")
    await expect(till.root.locator("ha-alert")).to_have_count(0)


async def _fulfill(shop: Shop) -> None:
    """See what is owed, and fulfill it, who may."""
    [paid] = await shop.all_asked("Autos")
    config = {"type": f"custom:{LIST}", "title": "Autos", "filter": "to_fulfill"}
    url = await shop.hang("to-wash", config)
    fulfill = shop.text("fulfill")
    async with shop.screen("guest") as page:
        await page.goto(url)
        card = cards(page, LIST)
        await row(card, "Autos").click()
        await expect(card.get_by_role("button", name=shop.text("more_info"))).to_be_visible()
        await expect(card.get_by_role("button", name=fulfill)).to_have_count(0)
    async with shop.screen("waiter") as page:
        await page.goto(url)
        card = cards(page, LIST)
        await expect(card.locator("li")).to_have_count(1)
        await row(card, "Autos").click()
        await expect(card.get_by_role("button", name=fulfill)).to_be_visible()
        await shop.look(card, "list-to-fulfill")
        await card.get_by_role("button", name=fulfill).click()
        await expect(card.locator("li")).to_have_count(0)
        await _expect_nothing_owed(card, shop)
    owed, done = await items(shop.client)
    if paid.id in owed or paid.id not in done:
        shop.wrong.append(f"{paid.id} was fulfilled in the list, and is still owed")


async def _expect_nothing_owed(card: Locator, shop: Shop) -> None:
    """Find it among all, with nothing more to fulfill."""
    await card.get_by_role("button", name=shop.text("show_all")).click()
    await row(card, "Autos").click()
    await expect(card.locator("li", has_text="Autos")).to_contain_text(shop.status("paid"))
    await expect(card.get_by_role("button", name=shop.text("fulfill"))).to_have_count(0)
