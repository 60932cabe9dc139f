"""Those who pay: many at once, and who buys what has a price."""

from .people import scan
from .shop import TILL, Shop, cards
from .till import Till

# Cards on one page; one more is on another tablet.
MANY, FEW = 9, 2


async def sell_coffee(shop: Shop) -> None:
    """Sell a product at a provider that has no use for its name."""
    account = shop.entries["cryptocloud"]
    config = {"account": account, "title": "Kiosk", "amounts": ["Coffee 2.50"]}
    url = await shop.hang("coffee-till", shop.till(**config))
    async with shop.screen("waiter") as page:
        await page.goto(url)
        till = Till(shop, cards(page, TILL))
        await till.button("Coffee €2.50").dblclick()
        await till.button("Ask for €5.00").click()
        await till.expect_code()
        await shop.act(await shop.asked("Kiosk"), "pay")
        await till.expect("€5.00")
        await till.expect("Paid")
    shop.stage.step("two coffees are sold")


async def use_many(shop: Shop) -> None:
    """Serve many customers at once, at two tablets, who pay in the other order."""
    number = FEW if shop.stage.short else MANY
    url = await shop.hang("many-tills", *(shop.till(title="Bar") for _ in range(number)))
    async with shop.screen() as page, shop.screen("waiter") as other_page:
        for each in (page, other_page):
            await each.goto(url)
        tills = [Till(shop, cards(page, TILL).nth(index)) for index in range(number)]
        tills.append(Till(shop, cards(other_page, TILL).first))
        for index, till in enumerate(tills, start=1):
            # What others asked for is of no interest here.
            await till.expect_amount("€0.00")
            await till.ask(f"{index}.10")
            await till.expect_code()
        await shop.check(tills[0].root, "many-tills")
        asked = list(zip(tills, await shop.all_asked("Bar"), strict=True))
        for till, invoice in asked:
            await till.root.scroll_into_view_if_needed()
            read = await scan(till.root.page)
            if not any(invoice.id in text for text in read):
                shop.wrong.append(f"many tills: instead of {invoice.id}, the codes read {read}")
        while asked:
            till, invoice = asked.pop()
            await shop.act(invoice, "pay")
            await till.expect("Paid")
            for waiting, _ in asked[-1:]:
                await waiting.expect_code()
    shop.stage.step(f"{number + 1} customers pay at two tablets in the other order")
