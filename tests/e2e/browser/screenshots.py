"""Make the pictures of the docs: `python -m tests.e2e.browser.screenshots`."""

import asyncio
from collections.abc import Sequence
import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.async_api import Locator, ViewportSize, expect

from demo import CHECKOUT, dashboard, say
from demo.command_line import demo
from demo.sandbox import Sandbox, SandboxInvoice
from demo.server import free_ports
from tests.e2e.story import Stage

from . import tour
from .chromium import chromium, visitor
from .eyes import Eyes
from .frontend import Frontend
from .words import Words

FOLDER = CHECKOUT / "docs/images"
# What is taken of which picture of the tour: left, upper, right and lower edge.
OF_TOUR = {
    "set-up": ("cryptocloud-config-wrong-invoices-desktop", (330, 82, 950, 818)),
    "triggers": ("triggers-desktop", (112, 0, 1168, 300)),
    "trace": ("trace-desktop", (256, 0, 1280, 300)),
    "invoice": ("device-desktop", (256, 0, 1280, 640)),
    "phone": ("device-phone", (0, 0, 390, 844)),
}
# The texts that can be read in each picture: a test compares them with today's.
_INVOICE = (
    "entity.sensor.amount.name",
    "entity.sensor.amount_received.name",
    "entity.sensor.status.state.paid",
)
SHOWS = {
    "set-up": (
        "config.step.invoices.title",
        "config.step.invoices.description",
        "config.step.invoices.data.open_invoices",
        "config.step.invoices.data.auto_watch",
        "config.step.invoices.data.invoices",
        "config.step.invoices.data_description.open_invoices",
        "config.step.invoices.data_description.auto_watch",
        "config.step.invoices.data_description.invoices",
        "config.error.ids_malformed",
    ),
    "triggers": ("triggers.any_paid.name", "triggers.any_paid.description"),
    "trace": ("common.text_paid", "common.text_with_amount"),
    "invoice": _INVOICE,
    "phone": _INVOICE,
    "till": (
        "common.card_ask",
        "common.card_no_amount",
        "common.card_pay_here",
        "common.card_please_pay",
        "common.card_time_left",
        "common.card_next",
    ),
}
TABLET = ViewportSize(width=1180, height=740)
# What is beside the sidebar.
CONTENT = (256, 56, 1180, 740)
# How long each picture of the animation is seen, in milliseconds.
FRAMES = (1500, 1200, 3500, 3500)


async def take(folder: Path) -> None:
    """Take all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    stage = Stage(name="screenshots", folder=folder / "tour", seed=1, short=True)
    stage.folder.mkdir()
    outcome = await tour.run(stage, [tour.ENGLISH])
    if outcome.failures:
        sys.exit("\n".join(("script/screenshots: the tour failed", *outcome.failures)))
    pictures = sorted((stage.folder / "pictures").iterdir())
    for name, (source, box) in OF_TOUR.items():
        found = (each for each in pictures if each.stem[3:] == f"{source}-{tour.ENGLISH}")
        _save(Image.open(next(found)).crop(box), name)
    (folder / "demo").mkdir()
    await _use_till(folder / "demo")


def _save(picture: Image.Image, name: str) -> None:
    """Save a picture."""
    file = FOLDER / f"{name}.png"
    info = PngInfo()
    info.add_text("comment", _texts(name))
    picture.convert("RGB").save(file, optimize=True, pnginfo=info)
    _report(file)


def _texts(name: str) -> str:
    """Return the texts that can be read in a picture, by their keys, as JSON."""
    words = Words(tour.ENGLISH)
    return json.dumps({key: words(key) for key in SHOWS[name]})


def _report(file: Path) -> None:
    """Print the size of a picture."""
    say(f"{file.relative_to(CHECKOUT)}, {file.stat().st_size / 1000:.0f} kB")


async def _use_till(folder: Path) -> None:
    """Ask for money at the demo's till and pay it, in an animated picture."""
    words = Words(tour.ENGLISH)
    eyes = Eyes(folder, words, words)
    async with (
        demo(folder, *free_ports(2)) as running,
        chromium() as browser,
        visitor(browser, folder, tour.ENGLISH, ()) as page,
    ):
        frontend = Frontend(page=page, url=running.hass.url, eyes=eyes)
        await frontend.log_in()
        await page.set_viewport_size(TABLET)
        await frontend.open(f"/{dashboard.PATH}/{dashboard.CARDS_PATH}")
        till = page.locator("crypto-invoices-till")
        frames = [await _frame(eyes, till, "Enter an amount")]
        for key in ("4", "Decimal separator", "2", "5"):
            await till.get_by_role("button", name=key, exact=True).click()
        frames.append(await _frame(eyes, till, "Ask for €4.25"))
        await till.get_by_role("button", name="Ask for").click()
        await expect(till.get_by_role("img")).to_be_visible()
        frames.append(await _frame(eyes, till, "Pay on this device"))
        await running.sandbox.act(await _asked(running.sandbox), "pay")
        account = {"config_entry_id": running.accounts[0].entry_id}
        await running.client.call("crypto_invoices.refresh", account)
        frames.append(await _frame(eyes, till, "Paid"))
    _animate(frames)


async def _asked(sandbox: Sandbox) -> SandboxInvoice:
    """Return the invoice that the till made."""
    invoices = [each for provider in await sandbox.providers() for each in provider.invoices]
    return next(each for each in invoices if (each.order_id or "").startswith("Till "))


async def _frame(eyes: Eyes, till: Locator, text: str) -> Path:
    """Take a picture when the till shows a text."""
    await expect(till.locator("ha-card").get_by_text(text).first).to_be_visible()
    # Nothing is in focus, as on a tablet.
    await till.page.mouse.move(0, 0)
    return await eyes.picture(till.page, "till")


def _animate(files: Sequence[Path]) -> None:
    """Save pictures as one that moves."""
    first, *others = (
        Image.open(each).convert("RGB").crop(CONTENT).quantize(dither=Image.Dither.NONE)
        for each in files
    )
    file = FOLDER / "till.gif"
    first.save(
        file,
        save_all=True,
        append_images=others,
        duration=FRAMES,
        loop=0,
        optimize=True,
        comment=_texts("till").encode(),
    )
    _report(file)


def main() -> None:
    """Take the pictures in a folder that is thrown away."""
    with TemporaryDirectory(prefix="crypto-invoices-screenshots-") as folder:
        asyncio.run(take(Path(folder)))


if __name__ == "__main__":
    main()
