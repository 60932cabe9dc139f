"""What is paid is on a to-do list, and is ticked there: on a desktop, and on a phone."""

from playwright.async_api import expect

from demo import DOMAIN, DemoError
from demo.client import Client
from tests.e2e.story import Figure, Outcome, Stage
from tests.e2e.to_do import items, read_open, switch_on
from tests.e2e.world import World, make_invoices, track_in_two_steps, until, world

from .chromium import chromium, visitor
from .eyes import DESKTOP, PHONE, Eyes
from .frontend import Frontend
from .words import Words

PROVIDER = "cryptocloud"


async def run(stage: Stage) -> Outcome:
    """Sell two things, and tick each on its own kind of screen."""
    pictures = stage.folder / "pictures"
    pictures.mkdir()
    async with world(stage) as running, chromium() as browser:
        stage.step("Home Assistant and Chromium have started")
        words = Words("en")
        eyes = Eyes(pictures, words, words)
        async with (
            Client.login(running.hass.url) as client,
            visitor(browser, stage.folder, "en", eyes.wrong) as page,
        ):
            await client.ws.wait_until_started()
            await _sell(stage, running, client)
            frontend = Frontend(page=page, url=running.hass.url, eyes=eyes)
            await frontend.log_in()
            for name, screen in (("desktop", DESKTOP), ("phone", PHONE)):
                await page.set_viewport_size(screen)
                await _tick(frontend, client, name)
                stage.step(f"an item is ticked on a {name}")
            owed, done = await items(client)
        complaints = running.hass.complaints()
    return Outcome(
        figures=(
            Figure("ticked", len(done), must_be=2),
            Figure("still open", len(owed), must_be=0),
            Figure("errors in the log", len(complaints), must_be=0),
        ),
        wrong=tuple(complaints),
    )


async def _sell(stage: Stage, running: World, client: Client) -> None:
    """Let two invoices be paid in an account that keeps what is to be fulfilled."""
    invoices = await make_invoices(running.sandbox, stage.dice("invoices"), PROVIDER, 2)
    await switch_on(client, await track_in_two_steps(running, client, PROVIDER, invoices))
    for invoice in invoices:
        await running.sandbox.act(invoice, "pay")
    await read_open(client)

    async def are_owed() -> bool:
        return len((await items(client))[0]) == len(invoices)

    if not await until(are_owed):
        raise DemoError("what was paid is not on the list")
    stage.step("two invoices are paid, and owed")


async def _tick(frontend: Frontend, client: Client, name: str) -> None:
    """Open the list as a user does, and tick the first item."""
    entities = await client.registered_entities(DOMAIN)
    [to_do] = [one["entity_id"] for one in entities if one["entity_id"].startswith("todo.")]
    page = frontend.page
    await page.goto(f"{frontend.url}/todo?entity_id={to_do}")
    boxes = page.locator("hui-todo-list-card ha-check-list-item:not(.completed)")
    await expect(boxes.first).to_be_visible()
    await frontend.eyes.picture(page, f"to-do-{name}")
    before: int = await boxes.count()
    # The box is drawn over what is checked.
    await boxes.first.locator("[part=control]").click()
    await expect(boxes).to_have_count(before - 1)
    await frontend.eyes.picture(page, f"to-do-{name}-ticked")

    async def is_done() -> bool:
        return len((await items(client))[0]) == before - 1

    if not await until(is_done):
        raise DemoError("ticking an item did not fulfill it")
