"""The system's Chromium, driven by Playwright."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
import shutil

from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    async_playwright,
    expect,
)

from demo import HOST

from .eyes import DESKTOP

# In milliseconds; a machine may have much else to do.
PATIENCE = 30_000
# As in script/browser.
NAMES = ("chromium", "google-chrome")
# Nothing is asked for over the network: what the browser wants for itself, and brands' images.
FLAGS = (
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """Start the browser."""
    async with async_playwright() as playwright:
        path = next(filter(None, map(shutil.which, NAMES)), None)
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visitor(
    browser: Browser, folder: Path, language: str, wrong: Sequence[str]
) -> AsyncGenerator[Page]:
    """Open a page as somebody with a language; what was seen last is kept if it goes wrong.

    So is what was found to be ``wrong`` until then.
    """
    context = await browser.new_context(
        viewport=DESKTOP,
        locale=language,
        reduced_motion="reduce",
        # Home Assistant's, where it is encrypted, is known to nobody else.
        ignore_https_errors=True,
    )
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    await context.tracing.start(snapshots=True)
    page = await context.new_page()
    try:
        yield page
    except BaseException as error:
        for text in wrong:
            error.add_note(text)
        await _keep(context, page, folder)
        raise
    finally:
        await context.close()


async def _keep(context: BrowserContext, page: Page, folder: Path) -> None:
    """Keep a picture and the trace, which `playwright show-trace` opens."""
    await page.screenshot(path=folder / "last-seen.png")
    await context.tracing.stop(path=folder / "playwright-trace.zip")
