"""People at their own screens, and what goes wrong there."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from io import BytesIO
import json
from pathlib import Path
from time import time
from typing import Any

import aiohttp
from axe_playwright_python.async_playwright import Axe
from PIL import Image
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Error,
    Locator,
    Page,
    ViewportSize,
    expect,
)
import zxingcpp

from demo.client import Client, log_in
from tests.e2e.browser.chromium import PATIENCE
from tests.e2e.browser.eyes import DESKTOP

# What is wrong in the console, except what a network says that a scene takes away.
_NETWORK = (
    "Failed to load resource",
    "WebSocket connection to",
    "net::ERR_",
    "Failed to fetch dynamically imported module",
)
# How bad a fault of accessibility has to be.
_BAD = ("serious", "critical")
_AXE = "element => axe.run(element, {resultTypes: ['violations']})"


async def add_user(client: Client, name: str, group: str) -> None:
    """Make a user of a group; the password is the name."""
    user = await client.ws.command("config/auth/create", name=name, group_ids=[group])
    await client.ws.command(
        "config/auth_provider/homeassistant/create",
        user_id=user["user"]["id"],
        username=name,
        password=name,
    )


@asynccontextmanager
async def at_screen(
    browser: Browser,
    url: str,
    folder: Path,
    wrong: list[str],
    *,
    user: str = "demo",
    viewport: ViewportSize = DESKTOP,
    script: str = "",
    language: str = "en",
) -> AsyncGenerator[Page]:
    """Open a page as somebody who is logged in; what the console says is added to ``wrong``.

    What was seen last is kept if it goes wrong.
    """
    context = await browser.new_context(
        viewport=viewport, locale=language, reduced_motion="reduce", service_workers="block"
    )
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    await context.add_init_script(_logged_in(await _tokens(url, user)) + script)
    page = await context.new_page()

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and not _is_network(message.text):
            wrong.append(f"console of {user}: {message.text}")

    def fail(error: Error) -> None:
        # What the frontend itself asked for when the connection was lost is an object.
        if error.message != "Object" and not _is_network(error.message):
            wrong.append(f"page of {user}: {error}")

    async def dismiss(dialog: Dialog) -> None:
        # What a stranger wrote was run.
        wrong.append(f"page of {user} says {dialog.message}")
        await dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("console", hear)
    page.on("pageerror", fail)
    try:
        yield page
    except BaseException as error:
        for text in wrong:
            error.add_note(text)
        await page.screenshot(path=folder / "last-seen.png")
        raise
    finally:
        await context.close()


def _is_network(text: str) -> bool:
    """Whether it is only said that something could not be loaded."""
    return any(part in text for part in _NETWORK)


async def _tokens(url: str, user: str) -> dict[str, Any]:
    """Log somebody in."""
    async with aiohttp.ClientSession() as session:
        return await log_in(session, url, user, user)


def _logged_in(tokens: dict[str, Any]) -> str:
    """Return the script that makes the frontend's page find a login."""
    expires = (time() + tokens["expires_in"]) * 1000
    kept = json.dumps(tokens | {"expires": expires})
    return f"""
        const url = location.origin;
        const tokens = {{...{kept}, hassUrl: url, clientId: `${{url}}/`}};
        localStorage.setItem("hassTokens", JSON.stringify(tokens));
    """


async def scan(page: Page) -> set[str]:
    """Return what a wallet reads from the screen."""
    picture = Image.open(BytesIO(await page.screenshot(animations="disabled")))
    return {code.text for code in zxingcpp.read_barcodes(picture)}


async def find_faults(card: Locator, where: str) -> list[str]:
    """Return what keeps people from using a card."""
    if not await card.page.evaluate("Boolean(window.axe)"):
        await card.page.evaluate(Axe().axe_script)
    found = await card.evaluate(_AXE)
    return [
        f"{where}: {fault['id']}: {node['html']}"
        for fault in found["violations"]
        if fault["impact"] in _BAD
        for node in fault["nodes"]
    ]
