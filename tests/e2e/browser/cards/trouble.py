"""What goes wrong at a till, whatever becomes of an invoice."""

from dataclasses import replace

from playwright.async_api import expect

from demo.client import Client

from .shop import TILL, Shop, cards
from .till import Till

PROVIDER = "cryptocloud"
MACHINE = "switch.machine"
# Let a card ask for a code once before the account has one.
TOO_EARLY = """card => {
    card.scan = () => {
        delete card.scan;
        return Promise.reject(new Error("There is nothing to pay"));
    };
}"""


async def use(shop: Shop) -> None:
    """Name a currency that there isn't, and lose the account for a while."""
    account = shop.entries[PROVIDER]
    strange = shop.till(account=account, title="Bazaar", currency="doubloon")
    url = await shop.hang("in-trouble", strange, shop.till(account=account, title="Stall"))
    async with shop.screen("waiter") as page:
        await page.goto(url)
        bazaar, stall = (Till(shop, cards(page, TILL).nth(number)) for number in (0, 1))
        await bazaar.ask("5")
        currency = shop.words("services.create_invoice.fields.currency.name")
        await expect(bazaar.root.locator("ha-alert")).to_contain_text(currency)
        await bazaar.expect_amount("5 DOUBLOON")
        if made := await shop.all_asked("Bazaar"):
            shop.wrong.append(f"{len(made)} invoices were made in a currency that there isn't")
        await shop.check(bazaar.root, "till-no-currency")
        await _be_disabled(stall, account)
    shop.stage.step("a currency that there isn't, and an account that isn't loaded")


async def _be_disabled(till: Till, account: str) -> None:
    """Lose the account with an amount typed, and with a code shown."""
    shop = till.shop
    [title] = [
        entry["title"]
        for entry in await shop.client.config_entries("crypto_invoices")
        if entry["entry_id"] == account
    ]
    await till.type("3")
    await _disable(shop, account, is_off=True)
    await till.expect(shop.text("not_loaded", account=title))
    await till.expect_amount("€3.00")
    await expect(till.ask_button).to_be_disabled()
    await shop.check(till.root, "till-not-loaded")
    await _disable(shop, account, is_off=False)
    await till.ask_for()
    await till.expect_code()
    await _disable(shop, account, is_off=True)
    await till.expect(shop.text("unavailable", account=title))
    await till.expect_no_code()
    await till.root.evaluate(TOO_EARLY)
    await _disable(shop, account, is_off=False)
    await till.expect_code()
    await till.button(shop.words("ui.common.cancel")).click()
    await till.expect("Canceled")


async def _disable(shop: Shop, account: str, *, is_off: bool) -> None:
    """Switch an account off, or on again."""
    await shop.client.ws.command(
        "config_entries/disable", entry_id=account, disabled_by="user" if is_off else None
    )


async def restart(shop: Shop) -> None:
    """Restart Home Assistant while a code is shown: it is gone, and comes when all is there."""
    account = shop.entries[PROVIDER]
    await shop.set_state(MACHINE, "off", "Machine")
    url = await shop.hang("one-restart", shop.till(account=account, title="Kiosk", ready=MACHINE))
    async with shop.screen("waiter") as page:
        await page.goto(url)
        till = Till(shop, cards(page, TILL))
        await till.ask("8")
        await till.expect_code()
        before = await shop.all_asked("Kiosk")
        await shop.running.hass.stop()
        await till.expect(shop.text("offline"))
        await till.expect_no_code()
        await shop.check(till.root, "till-stopped")
        await shop.running.hass.start()
        async with Client.login(shop.url) as client:
            await client.ws.wait_until_started()
            shop = replace(shop, client=client)
            # Nobody has said anything of it since the start.
            await till.expect(shop.text("not_ready", entities=MACHINE))
            await shop.set_state(MACHINE, "off", "Machine")
            await till.expect_code()
            await shop.act(before[-1], "pay")
            await till.expect("Paid")
            if len(await shop.all_asked("Kiosk")) != len(before):
                shop.wrong.append("an invoice was made twice because of a restart")
    shop.stage.step("a till outlives a restart")
