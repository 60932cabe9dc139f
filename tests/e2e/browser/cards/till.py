"""At the till: every state that an invoice can be in, and what can go wrong with it."""

from dataclasses import dataclass
from itertools import product
import re

from playwright.async_api import Locator, ViewportSize, expect

from tests.e2e.browser.eyes import DESKTOP, PHONE

from .people import scan
from .shop import TILL, Shop, cards

TABLET = ViewportSize(width=820, height=1180)
SCREENS = {"phone": PHONE, "tablet": TABLET, "desktop": DESKTOP}
SHORT = {("phone", "dark"), ("tablet", "light"), ("desktop", "dark")}
# Let the clock of the page go forward by an hour, which is longer than any lifetime.
HOUR_LATER = "const now = Date.now; Date.now = () => now() + 3600e3"

# What is typed, what it becomes, and whether it can be asked for.
TYPED = {
    "0": ("€0.00", False),
    "x": ("€0.00", False),
    "0.001": ("€0.00", False),
    "007": ("€7.00", True),
    "1000000": ("€1,000,000.00", True),
    "12,345z": ("€12.34", True),
    "1.2.3": ("€1.23", True),
}
# Let Home Assistant have another version of the cards, whenever it says which.
UPDATED = """till => {
    Object.defineProperty(till.feed, "version", { get: () => "newer", set() {} });
    till.update();
}"""


@dataclass(frozen=True, slots=True)
class Till:
    """What a person does at a till."""

    shop: Shop
    root: Locator

    async def type(self, amount: str) -> None:
        """Tap an amount."""
        for digit in amount:
            name = self.shop.text("point") if digit == "." else digit
            await self.root.get_by_role("button", name=name, exact=True).click()

    async def ask(self, amount: str) -> None:
        """Type an amount and ask for it, impatiently."""
        for key in amount:
            await self.root.locator(".keys button").first.press(key)
        await self.ask_for()

    async def ask_for(self) -> None:
        """Ask for what is there, impatiently."""
        await self.ask_button.dblclick()

    @property
    def ask_button(self) -> Locator:
        """Return the button that asks for an amount."""
        before, after = map(re.escape, self.shop.words("common.card_ask").split("{amount}"))
        return self.button(re.compile(f"^{before}.+{after}$"))

    async def press(self, key: str) -> None:
        """Press a button of the card."""
        await self.button(self.shop.text(key)).click()

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """Return a button of the card."""
        return self.root.get_by_role("button", name=name)

    async def expect(self, text: str) -> None:
        """Wait until a text is shown."""
        await expect(self.root.locator("ha-card").get_by_text(text).first).to_be_visible()

    async def expect_amount(self, amount: str) -> None:
        """Wait until the pad shows an amount."""
        await expect(self.root.locator("output")).to_have_text(amount)

    async def expect_code(self) -> None:
        """Wait until a code is shown."""
        await expect(self.root.get_by_role("img")).to_be_visible()

    async def expect_no_code(self) -> None:
        """Check that no code is shown."""
        await expect(self.root.locator(".code")).to_have_count(0)


async def use(shop: Shop) -> None:
    """Go through everything at a till."""
    url = await shop.hang("one-till", shop.till(return_after=600, amounts=["Coffee 2.50", 10]))
    async with shop.screen("waiter") as page:
        await page.goto(url)
        till = Till(shop, cards(page, TILL))
        await _type_anything(till)
        await _be_paid(till)
        shop.stage.step(
            "paid at the till, in part, seen, and in full, by a user who is no administrator"
        )
        await _be_over(till)
        shop.stage.step("expired, canceled, late, deleted elsewhere")
        await _be_lost(till)
        await _be_old(till)
        if not shop.stage.short:
            await _be_unknown(till)
        shop.stage.step(
            "refused, slow, unknown and found again, without a provider, without a connection"
        )
    await _be_without_rights(shop, url)


async def _type_anything(till: Till) -> None:
    """Type what isn't an amount, and what hardly is."""
    page = till.root.page
    await till.expect_amount("€0.00")
    await expect(till.button(till.shop.text("no_amount"))).to_be_disabled()
    await till.shop.check(till.root, "till-pad")
    for typed, (shown, may_ask) in TYPED.items():
        await page.keyboard.type(typed)
        await till.expect_amount(shown)
        ask = till.ask_button if may_ask else till.button(till.shop.text("no_amount"))
        await expect(ask).to_be_enabled(enabled=may_ask)
        await page.keyboard.press("Escape")
    await till.type("12.34")
    await till.button(till.shop.text("backspace")).click()
    await till.expect_amount("€12.30")
    await till.button("Coffee €2.50").click()
    await till.button("€10.00").click()
    await till.expect_amount("€24.80")
    await page.keyboard.press("Escape")
    await till.expect_amount("€0.00")


async def _be_paid(till: Till) -> None:
    """Ask twice in a hurry, be paid in part, then seen, then paid; go on by itself."""
    shop, page = till.shop, till.root.page
    await till.ask("4.25")
    await till.expect_code()
    [invoice] = await shop.all_asked()
    screens = SHORT if shop.stage.short else set(product(SCREENS, ("dark", "light")))
    for name, scheme in sorted(screens):
        await page.set_viewport_size(SCREENS[name])
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await till.root.scroll_into_view_if_needed()
        read = await scan(page)
        if not any(invoice.id in text for text in read):
            shop.wrong.append(f"{name}, {scheme}: the code reads {read}")
        await shop.check(till.root, f"till-pay-{name}-{scheme}")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(DESKTOP)
    await page.reload()
    await till.expect_code()
    await shop.act(invoice, "partly_pay")
    await till.expect("€2.13 of €4.25 paid")
    await till.expect_code()
    await shop.check(till.root, "till-part")
    await shop.act(invoice, "process")
    await till.expect(shop.text("seen"))
    await till.expect_no_code()
    await shop.check(till.root, "till-seen")
    await shop.act(invoice, "pay")
    await till.expect("Paid")
    await shop.check(till.root, "till-paid")
    await page.evaluate(HOUR_LATER)
    await till.expect_amount("€0.00")
    await page.reload()


async def _be_over(till: Till) -> None:
    """Let invoices end in every other way."""
    shop, page = till.shop, till.root.page
    for action, said in {"expire": "Expired", "mark_invalid": "Canceled"}.items():
        await till.ask("1")
        await till.expect_code()
        await shop.act(await shop.asked(), action)
        await till.expect(said)
        await till.expect_no_code()
        await shop.check(till.root, f"till-{action}")
        await till.press("next")
    await till.ask("2")
    await till.expect_code()
    await till.button(shop.words("ui.common.cancel")).click()
    await till.expect("Canceled")
    await till.press("next")
    await till.ask("2.50")
    await till.expect_code()
    await shop.sandbox.act(await shop.asked(), "delete")
    await shop.read("btcpay")
    await till.expect(shop.status("not_found"))
    await till.expect_no_code()
    await shop.check(till.root, "till-not-found")
    await till.press("next")
    await till.ask("3")
    await till.expect_code()
    await page.evaluate(HOUR_LATER)
    await till.expect(shop.text("late"))
    await till.expect_no_code()
    await shop.check(till.root, "till-late")
    await page.reload()
    await till.expect_code()
    invoice = await shop.asked()
    await shop.client.call("crypto_invoices.untrack_invoices", {"invoice_ids": invoice.id})
    await till.expect(shop.text("gone"))
    await shop.check(till.root, "till-gone")
    await till.press("next")


async def _be_lost(till: Till) -> None:
    """Let the provider fail, then the connection."""
    shop, page = till.shop, till.root.page
    await shop.sandbox.switch_fault("btcpay", "unauthorized", count=1)
    await till.ask("5")
    await expect(till.root.get_by_role("alert")).to_be_visible()
    await till.expect_amount("€5.00")
    await shop.check(till.root, "till-refused")
    before = len(await shop.all_asked())
    await shop.sandbox.switch_fault("btcpay", "cut_connection", count=1)
    await till.ask_button.click()
    await till.expect_code()
    made = (await shop.all_asked())[before:]
    if len(made) != 1:
        shop.wrong.append(f"an invoice whose answer was lost was made {len(made)} times")
    await shop.sandbox.switch_fault("btcpay", "server_error")
    await shop.reload("btcpay")
    await till.expect("can't be reached right now")
    await till.expect_no_code()
    await shop.check(till.root, "till-unavailable")
    await shop.sandbox.switch_fault("btcpay", None)
    await shop.reload("btcpay")
    await till.expect_code()
    await page.context.set_offline(offline=True)
    await page.evaluate("document.querySelector('home-assistant').hass.connection.socket.close()")
    await till.expect(shop.text("offline"))
    await till.expect_no_code()
    await shop.check(till.root, "till-offline")
    await shop.act(made[0], "pay")
    await page.context.set_offline(offline=False)
    await till.expect("Paid")
    await till.press("next")


async def _be_unknown(till: Till) -> None:
    """Ask and hear nothing for long: what was made is found, and what may have been needs a person."""
    shop = till.shop
    before = len(await shop.all_asked())
    await shop.sandbox.switch_fault("btcpay", "late_answer", count=1)
    await till.ask("7")
    await till.expect(shop.text("asking_slow"))
    await shop.check(till.root, "till-slow")
    await till.expect_code()
    if len(await shop.all_asked()) != before + 1:
        shop.wrong.append("an invoice that took long was made more than once")
    await till.button(shop.words("ui.common.cancel")).click()
    await till.press("next")
    await shop.sandbox.switch_fault("btcpay", "server_error", count=1)
    await till.ask("6")
    await till.expect(shop.text("asking_slow"))
    await till.expect("check at the provider")
    await shop.check(till.root, "till-unknown")
    await till.press("next")


async def _be_old(till: Till) -> None:
    """Be older than the integration, after an update."""
    await till.root.evaluate(UPDATED)
    await till.expect(till.shop.text("newer"))
    await till.shop.check(till.root, "till-old")
    await till.press("reload")
    await till.expect_amount("€0.00")
    await expect(till.root.get_by_text(till.shop.text("newer"))).to_have_count(0)


async def _be_without_rights(shop: Shop, url: str) -> None:
    """Look at a till that one may not use."""
    async with shop.screen("guest") as page:
        await page.goto(url)
        till = Till(shop, cards(page, TILL))
        await till.type("1")
        await till.expect("can't create invoices, or you may not")
        await expect(till.ask_button).to_be_disabled()
        await shop.check(till.root, "till-guest")
    shop.stage.step("who may only look can't ask")
