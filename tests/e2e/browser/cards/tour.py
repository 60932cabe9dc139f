"""The story of the cards, from the picker to the last account's end."""

from playwright.async_api import expect

from demo.client import Client
from tests.e2e.browser.chromium import chromium
from tests.e2e.story import Figure, Outcome, Stage
from tests.e2e.world import world

from . import customers, delivery, invoices, till, trouble
from .shop import LIST, TILL, Shop, cards

MOST_CLICKS = 5
# What is logged of a provider that is down, and of one that refuses.
EXPECTED_ERRORS = ("Error fetching", "Error during service call")


async def run(stage: Stage) -> Outcome:
    """Tell it."""
    async with world(stage, demo_invoices=True) as running, chromium() as browser:
        stage.step("Home Assistant and Chromium have started")
        async with Client.login(running.hass.url) as client:
            await client.ws.wait_until_started()
            shop = await Shop.open(stage, running, client, browser)
            stage.step("accounts and users are there")
            clicks = await _pick(shop)
            await _generate(shop)
            await till.use(shop)
            await customers.use_many(shop)
            await customers.sell_coffee(shop)
            await delivery.use(shop)
            await trouble.use(shop)
            await invoices.use(shop)
            drawn, touched = await invoices.hold_many(shop)
            await _lose_account(shop)
            complaints = running.hass.complaints()
            if not stage.short:
                await trouble.restart(shop)
                complaints += running.hass.complaints()
    complaints = [
        each for each in complaints if not any(expected in each for expected in EXPECTED_ERRORS)
    ]
    return Outcome(
        figures=(
            Figure("pictures", len(list(shop.eyes.folder.iterdir()))),
            Figure("clicks to set a till up", clicks, must_be=min(clicks, MOST_CLICKS)),
            Figure("ms of script until many invoices are there", round(drawn)),
            Figure("too slow", int(drawn > invoices.MOST), must_be=0),
            Figure("rows that a payment touches", touched, must_be=1),
            Figure("faults", len(shop.wrong), must_be=0),
        ),
        wrong=(*shop.wrong, *complaints),
    )


async def _pick(shop: Shop) -> int:
    """Set a till up by clicking; return how many clicks it took."""
    await shop.hang("my-shop")
    view = {
        "type": "sections",
        "title": "Shop",
        "path": "view",
        "sections": [{"type": "grid", "cards": []}],
    }
    await shop.client.ws.command(
        "lovelace/config/save", url_path="my-shop", config={"views": [view]}
    )
    async with shop.screen() as page:
        await page.goto(f"{shop.url}/my-shop/view")
        await page.evaluate(
            "addEventListener('click', () => { window.clicks = (window.clicks ?? 0) + 1 }, true)"
        )
        await page.get_by_role("button", name="Edit dashboard").click()
        await page.get_by_role("button", name="Add card").first.click()
        await page.get_by_text("By card", exact=True).click()
        picker = page.locator("hui-card-picker")
        await picker.get_by_text(shop.text("name_till")).scroll_into_view_if_needed()
        await shop.eyes.picture(page, "picker")
        await (
            picker.locator(".card")
            .filter(has_text=shop.text("name_till"))
            .locator(".overlay")
            .click()
        )
        await expect(
            page.locator("ha-form").get_by_text(shop.text("field_currency"))
        ).to_be_visible()
        await shop.eyes.picture(page, "editor")
        await page.get_by_role("button", name=shop.words("ui.common.save"), exact=True).click()
        clicks: int = await page.evaluate("window.clicks")
        await page.get_by_role("button", name="Done").click()
        await expect(cards(page, TILL).locator("output")).to_have_text("€0.00")
    shop.stage.step(f"a till is set up with {clicks} clicks")
    return clicks


async def _generate(shop: Shop) -> None:
    """Look at the dashboard that makes itself."""
    await shop.save("auto-shop", {"strategy": {"type": "custom:crypto-invoices"}})
    async with shop.screen() as page:
        await page.goto(f"{shop.url}/auto-shop/till")
        for tag in (TILL, LIST):
            await expect(cards(page, tag).first.locator("ha-card > *").first).to_be_visible()
        await shop.eyes.picture(page, "dashboard-till")
        await page.goto(f"{shop.url}/auto-shop/sums")
        await expect(page.locator("hui-statistics-graph-card")).to_be_visible()
        await expect(page.locator("hui-logbook-card")).to_be_visible()
        await expect(page.get_by_text("Configuration error")).to_have_count(0)
        await shop.eyes.picture(page, "dashboard-sums")
    shop.stage.step("a dashboard makes itself")


async def _lose_account(shop: Shop) -> None:
    """Remove the account of a till that somebody looks at."""
    async with shop.screen() as page:
        await page.goto(f"{shop.url}/one-till/view")
        at = till.Till(shop, cards(page, TILL))
        await at.expect_amount("€0.00")
        await shop.client.delete_config_entry(shop.entries["btcpay"])
        await at.expect(shop.text("no_account"))
        await shop.check(at.root, "till-no-account")
    shop.stage.step("the account of a till is removed")
