"""The list: what is in it, how it is used, and how fast it is with a thousand invoices."""

from playwright.async_api import Locator, expect

from demo.accounts import add_invoices
from tests.e2e.browser.eyes import PHONE

from .shop import LIST, Shop, cards

MANY, MANY_SHORT = 1000, 200
AT_ONCE = 100
# In milliseconds of script, until many invoices are there.
MOST = 200
EVIL = "<img src=x onerror=alert(1)> & Sons"
# Adds up how long the list takes to draw.
TIMED = """
    window.drawn = 0;
    customElements.whenDefined("crypto-invoices-list").then(() => {
      const { prototype } = customElements.get("crypto-invoices-list");
      const { draw } = prototype;
      prototype.draw = function (...given) {
        const began = performance.now();
        draw.apply(this, given);
        window.drawn += performance.now() - began;
      };
    });
"""
# Waits until what is scrolled to is there.
DRAWN = """async () => {
    for (let frame = 0; frame < 5; frame += 1) await new Promise(requestAnimationFrame);
}"""
# Collects the rows that anything changes in.
WATCHED = """list => {
    window.touched = new Set();
    new MutationObserver((changes) => {
      for (const { target } of changes) {
        const row = target.nodeType === 1 ? target.closest("li") : target.parentElement?.closest("li");
        window.touched.add(row ?? "list");
      }
    }).observe(list, { childList: true, subtree: true, attributes: true, characterData: true });
}"""


async def use(shop: Shop) -> None:
    """Use the list as an administrator, and as somebody who may only look."""
    (evil,) = await shop.sandbox.create("cryptocloud", order_id=EVIL, amount="9.99")
    await add_invoices(shop.client, shop.entries["cryptocloud"], [evil.id])
    url = await shop.hang("one-list", {"type": f"custom:{LIST}", "title": "Invoices"})
    async with shop.screen() as page:
        await page.goto(url)
        card = cards(page, LIST)
        await expect(row(card, EVIL)).to_be_visible()
        await shop.check(card, "list-desktop")
        await page.get_by_role("searchbox").fill("& sons")
        await expect(card.locator("li")).to_have_count(1)
        await row(card, EVIL).click()
        await card.get_by_role("button", name=shop.text("show_code")).click()
        await expect(card.get_by_role("img")).to_be_visible()
        await shop.check(card, "list-more")
        await shop.act(evil, "pay")
        await expect(card.locator("li")).to_contain_text("Paid")
        await card.get_by_role("button", name=shop.text("show_open")).click()
        await expect(card.locator("li")).to_have_count(0)
        await card.get_by_role("button", name=shop.text("show_paid")).click()
        stop = card.get_by_role("button", name=shop.text("untrack"))
        await stop.click()
        await card.get_by_role(
            "button", name=shop.text("sure", action=shop.text("untrack"))
        ).click()
        await expect(card.locator("li")).to_have_count(0)
        await page.set_viewport_size(PHONE)
        await page.get_by_role("searchbox").fill("")
        await card.get_by_role("button", name=shop.text("show_all")).click()
        await page.emulate_media(color_scheme="dark")
        await shop.check(card, "list-phone-dark")
    async with shop.screen("guest") as page:
        await page.goto(url)
        card = cards(page, LIST)
        await card.locator("li button").first.click()
        await expect(card.get_by_role("button", name=shop.text("more_info"))).to_be_visible()
        for forbidden in (shop.text("untrack"), shop.words("ui.common.cancel")):
            await expect(card.get_by_role("button", name=forbidden, exact=True)).to_have_count(0)
        await shop.check(card, "list-guest")
    shop.stage.step("the list is searched, filtered and used")


async def hold_many(shop: Shop) -> tuple[float, int]:
    """Return how long the first paint of many invoices takes, and how many rows a payment touches."""
    made = [
        invoice
        for _ in range((MANY_SHORT if shop.stage.short else MANY) // AT_ONCE)
        for invoice in await shop.sandbox.create("cryptocloud", count=AT_ONCE)
    ]
    await add_invoices(shop.client, shop.entries["cryptocloud"], [each.id for each in made])
    shop.stage.step(f"{len(made)} invoices are added")
    config = {"type": f"custom:{LIST}", "account": shop.entries["cryptocloud"]}
    url = await shop.hang("many-invoices", config)
    async with shop.screen(script=TIMED) as page:
        await page.goto(url)
        card = cards(page, LIST)
        await expect(card.locator("li").nth(30)).to_be_attached()
        drawn: float = await page.evaluate("window.drawn")
        last = card.locator("li").last
        for _ in range(3):
            await last.scroll_into_view_if_needed()
        await expect(card.locator("li").nth(60)).to_be_attached()
        # Rows that are made because somebody scrolled aren't touched by the payment.
        await card.locator("li").first.scroll_into_view_if_needed()
        await page.evaluate(DRAWN)
        await card.locator("ul").evaluate(WATCHED)
        newest = made[-1]
        await shop.act(newest, "pay")
        await expect(card.locator("li.paid").first).to_be_attached()
        touched: int = await page.evaluate("window.touched.size")
        await shop.check(card, "list-many")
    shop.stage.step(f"{len(made)} invoices are drawn in {drawn:.0f} ms")
    return drawn, touched


def row(card: Locator, text: str) -> Locator:
    """Return a row by what it says."""
    return card.locator("li button").filter(has_text=text)
