"""A newcomer: an API in no preset is described with nothing but its documentation page."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import escape
import re

from aiohttp import web
from playwright.async_api import expect

from demo import HOST
from demo.server import free_ports

from .dialog import Dialog
from .frontend import INTEGRATION, Frontend

KEY = "kiosk-key-0123456789"
ORDER = "ck_0001"
# From the menu of providers to a watched invoice; each field that is filled in counts, too.
MOST_CLICKS = 15
STEP = "config.step.{}"

# What the page says of each thing that a newcomer has to know.
_FACTS = {
    "url": "{url}/v1/orders/{{id}}",
    "api_key": KEY,
    "sample_id": ORDER,
    "status_path": "order.state",
    "words_paid": "handed_over",
    "amount_path": "order.total.value",
    "currency_path": "order.total.currency",
}
_PAGE = """<!doctype html><title>Coin Kiosk: its API</title>
<h1>Get an order</h1>
<p>GET <code id="url">{url}</code>, with <code>Authorization: Bearer</code> and your key. In our
sandbox it is <code id="api_key">{api_key}</code>, and there is an order
<code id="sample_id">{sample_id}</code>.</p>
<p>The state of the order is at <code id="status_path">{status_path}</code>:
<code id="words_paid">{words_paid}</code> once the money is here for good. Its total is at
<code id="amount_path">{amount_path}</code>, in the currency at
<code id="currency_path">{currency_path}</code>.</p>"""


@asynccontextmanager
async def kiosk() -> AsyncGenerator[str]:
    """Serve an API that nobody here knows, and its documentation page; yield its address."""
    (port,) = free_ports(1)
    url = f"http://{HOST}:{port}"

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": "key"}, status=401)
        if request.match_info["id"] != ORDER:
            return web.json_response({"error": "order"}, status=404)
        total = {"value": "24.90", "currency": "EUR"}
        return web.json_response({"order": {"id": ORDER, "state": "waiting", "total": total}})

    async def page(request: web.Request) -> web.Response:
        facts = {name: escape(fact.format(url=url)) for name, fact in _FACTS.items()}
        return web.Response(text=_PAGE.format(**facts), content_type="text/html")

    app = web.Application()
    app.router.add_get("/v1/orders/{id}", answer)
    app.router.add_get("/docs", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    try:
        yield url
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Newcomer:
    """Somebody with the documentation page of an API beside them."""

    frontend: Frontend
    dialog: Dialog
    facts: dict[str, str]
    clicks: int = 0
    wrong: list[str] = field(default_factory=list)

    async def choose(self, key: str) -> None:
        """Choose from a menu."""
        self.clicks += 1
        await self.dialog.choose(key)

    async def fill_in(self, step: str, *names: str) -> None:
        """Fill in fields with what the page says."""
        for name in names:
            self.clicks += 1
            label = self.frontend.words(f"{STEP.format(step)}.data.{name}")
            await self.dialog.field(label).fill(self.facts[name])

    async def submit(self) -> None:
        """Press the button that goes on."""
        self.clicks += 1
        await self.dialog.submit()


async def describe(frontend: Frontend) -> list[str]:
    """Come from the menu to a watched invoice; return what is wrong with the way."""
    async with kiosk() as url:
        facts = await _read_page(frontend, f"{url}/docs")
        dialog = await frontend.add_integration()
        await dialog.expect("config.step.user.title")
        newcomer = Newcomer(frontend, dialog, facts)
        await newcomer.choose("config.step.user.menu_options.another_api")
        await dialog.expect("config.step.preset.title")
        await dialog.look("newcomer-presets")
        await newcomer.choose("config.step.preset.menu_options.preset_none")
        await dialog.expect("config.step.another_api.description")
        await dialog.look("newcomer-access")
        await newcomer.fill_in("another_api", "url", "api_key")
        await newcomer.submit()
        await dialog.expect("config.step.preview.title")
        await newcomer.fill_in(
            "preview", "sample_id", "status_path", "words_paid", "amount_path", "currency_path"
        )
        await newcomer.submit()
        await dialog.expect("config.step.read.description")
        await expect(dialog.root.get_by_text("24.90 EUR")).to_be_visible()
        await dialog.look("newcomer-read")
        if KEY in (await dialog.root.inner_text()):
            newcomer.wrong.append("the key is shown beside the answer")
        await newcomer.choose("config.step.read.menu_options.accept")
        await dialog.expect("config.step.invoices.title")
        # Whoever leaves before the account is there breaks its set-up off.
        async with frontend.page.expect_response(re.compile("/config_entries/flow/")):
            await newcomer.submit()
        newcomer.clicks += 1
        await dialog.finish()
        await frontend.open(INTEGRATION)
        await expect(frontend.devices().filter(has_text=ORDER[-6:])).to_be_visible()
        if newcomer.clicks >= MOST_CLICKS:
            newcomer.wrong.append(f"a newcomer needs {newcomer.clicks} clicks")
    return newcomer.wrong


async def _read_page(frontend: Frontend, url: str) -> dict[str, str]:
    """Return what the documentation page says, by what it is about."""
    page = await frontend.page.context.new_page()
    await page.goto(url)
    facts = {name: await page.locator(f"#{name}").inner_text() for name in _FACTS}
    await page.close()
    return facts
