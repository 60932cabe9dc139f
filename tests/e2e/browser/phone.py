"""A payment on the phone: an automation from the blueprint, with few clicks, and two paid at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
import re
import shutil
from typing import Any

from aiohttp import web
from playwright.async_api import expect

from demo import CHECKOUT, DOMAIN, HOST
from demo.accounts import add_account
from demo.client import Client
from demo.server import free_ports
from tests.e2e.story import Figure, Outcome, Stage
from tests.e2e.world import World, make_invoices, provider_with, until

from .everyday import Clicks
from .frontend import Frontend

# What the app of a phone needs, beyond what the demo has.
CONFIGURATION = "mobile_app:\n"
# From the list of automations to one that is saved.
MOST_CLICKS = 8
AUTOMATION = "ui.panel.config.automation"
BLUEPRINT = "Notify when an invoice is paid"
PHONE = "Anna's phone"
PROVIDER = "cryptocloud"
_FILE = f"blueprints/automation/{DOMAIN}/invoice_paid_notify.yaml"


@asynccontextmanager
async def push_service() -> AsyncGenerator[tuple[str, list[dict[str, Any]]]]:
    """Serve what passes notifications on to phones; yield its address and what it was given."""
    (port,) = free_ports(1)
    given: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        given.append(await request.json())
        return web.json_response({}, status=201)

    app = web.Application()
    app.router.add_post("/push", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    try:
        yield f"http://{HOST}:{port}/push", given
    finally:
        await runner.cleanup()


async def run(stage: Stage, running: World, client: Client, frontend: Frontend) -> Outcome:
    """Have payments on a phone: build the automation, let two invoices be paid at the same time."""
    invoices = await make_invoices(running.sandbox, stage.dice("phone"), PROVIDER, 2)
    provider = await provider_with(running.sandbox, PROVIDER, invoices)
    account = await add_account(client, provider, running.sandbox.url)
    # As if somebody had imported it.
    file = running.hass.folder / _FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(CHECKOUT / _FILE, file)
    clicks = Clicks()
    await clicks.count(frontend.page.context)
    async with push_service() as (url, given):
        await _register_phone(client, url)
        await frontend.log_in()
        await _automate(frontend, clicks)
        stage.step(f"an automation for the phone is built with {clicks.number} clicks")
        await asyncio.gather(*(running.sandbox.act(invoice, "pay") for invoice in invoices))
        await client.call(f"{DOMAIN}.refresh", {"config_entry_id": account.entry_id})

        async def both_are_there() -> bool:
            return len(given) >= len(invoices)

        await until(both_are_there)
        stage.step("two invoices are paid at the same time")
    await client.delete_config_entry(account.entry_id)
    told = sorted(str(notification["message"]) for notification in given)
    due = sorted(f"{invoice.order_id} was paid: " for invoice in invoices)
    wrong = [
        f"the phone was told {text!r}, not {start!r}"
        for text, start in zip(told, due, strict=False)
        if not text.startswith(start)
    ]
    if clicks.number > MOST_CLICKS:
        wrong.append(f"payments on the phone take more than {MOST_CLICKS} clicks")
    return Outcome(
        figures=(
            Figure("clicks until payments are on the phone", clicks.number),
            Figure("notifications on the phone", len(told), must_be=len(due)),
        ),
        wrong=tuple(wrong),
    )


async def _register_phone(client: Client, url: str) -> None:
    """Register a phone as its app does, which gets its notifications from an address."""
    phone = {
        "app_id": "io.robbie.HomeAssistant",
        "app_name": "Home Assistant",
        "app_version": "2026.11",
        "device_id": "annas-phone",
        "device_name": PHONE,
        "manufacturer": "Nobody",
        "model": "Phone",
        "os_name": "Android",
        "os_version": "16",
        "supports_encryption": False,
        "app_data": {"push_token": "token", "push_url": url},
    }
    await client.request("POST", "/api/mobile_app/registrations", phone)


async def _automate(frontend: Frontend, clicks: Clicks) -> None:
    """Build the automation, and count from the list of automations on."""
    page = frontend.page
    await frontend.open("/config/automation/dashboard")
    create = page.get_by_role("button", name=frontend.words(f"{AUTOMATION}.picker.add_automation"))
    await create.first.wait_for()
    clicks.number = 0
    await create.first.click()
    await page.get_by_text(BLUEPRINT).first.click()
    phones = page.locator("ha-selector-device")
    await phones.get_by_role("button").first.click()
    await page.get_by_text(PHONE, exact=True).last.click()
    await expect(phones.get_by_text(PHONE, exact=True)).to_be_visible()
    await frontend.eyes.picture(page, "phone-automation")
    await frontend.press("ui.common.save")
    await frontend.press("ui.common.save", page.locator("ha-dialog-automation-save"))
    await page.wait_for_url(re.compile(r"/config/automation/edit/\d+"))
