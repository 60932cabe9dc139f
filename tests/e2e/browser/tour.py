"""The tour through everything that a user clicks."""

from demo.sandbox import SandboxProvider
from tests.e2e.story import Figure, Outcome, Stage
from tests.e2e.world import World, world

from .chromium import chromium, visitor
from .eyes import Eyes
from .frontend import Dialog, Frontend
from .words import Words

ENGLISH = "en"


async def run(stage: Stage) -> Outcome:
    """Click through everything."""
    pictures = stage.folder / "pictures"
    pictures.mkdir()
    words = Words(ENGLISH)
    eyes = Eyes(pictures, words, words)
    async with world(stage, demo_invoices=True) as running, chromium() as browser:
        stage.step("Home Assistant and Chromium have started")
        async with visitor(browser, stage.folder, locale="en-US") as page:
            frontend = Frontend(page=page, url=running.hass.url, words=words, eyes=eyes)
            await frontend.log_in()
            stage.step("logged in")
            for provider in await running.sandbox.providers():
                await set_up(stage, running, frontend, provider)
        complaints = running.hass.complaints()
    return Outcome(
        figures=(
            Figure("pictures", eyes.pictures),
            Figure("texts that are wrong", len(eyes.wrong), must_be=0),
            Figure("errors in the log", len(complaints), must_be=0),
        ),
        wrong=(*eyes.wrong, *complaints),
    )


async def set_up(
    stage: Stage, running: World, frontend: Frontend, provider: SandboxProvider
) -> None:
    """Add an account, with wrong keys first and with a wrong invoice among the others."""
    dialog = await frontend.add_integration()
    await dialog.expect("config.step.user.title")
    await dialog.look(f"{provider.key}-menu")
    await dialog.choose(f"config.step.user.menu_options.{provider.key}")
    await enter_keys(frontend, dialog, provider, running.sandbox.url)
    await enter_invoices(dialog, provider)
    for invoice in provider.invoices:
        await frontend.expect_device(invoice)
    await frontend.eyes.picture(frontend.page, f"{provider.key}-devices")
    stage.step(f"{provider.name} is set up, with wrong keys and wrong invoices first")


async def enter_keys(
    frontend: Frontend, dialog: Dialog, provider: SandboxProvider, url: str
) -> None:
    """Enter a wrong key, read what is said of it, and enter the right one."""
    step = frontend.words.tree["config"]["step"][provider.key]
    await dialog.expect(f"config.step.{provider.key}.title")
    for section in step.get("sections", {}).values():
        await dialog.unfold(section["name"])
    await dialog.look(f"{provider.key}-keys")
    wrong = {name: f"not-{value}" for name, value in provider.credentials.items()}
    await dialog.fill_in(step, {**wrong, "url": url})
    await dialog.submit()
    await dialog.expect("config.error.invalid_auth")
    await dialog.look(f"{provider.key}-wrong-keys")
    await dialog.fill_in(step, provider.credentials)
    await dialog.submit()


async def enter_invoices(dialog: Dialog, provider: SandboxProvider) -> None:
    """Paste invoices, one of them wrong, then only the right ones."""
    ids = [invoice.id for invoice in provider.invoices]
    await dialog.expect("config.step.invoices.title")
    await dialog.look(f"{provider.key}-invoices")
    field = dialog.field(dialog.frontend.words("config.step.invoices.data.invoices"))
    await field.fill("\n".join((*ids, "not an invoice")))
    await dialog.submit()
    await dialog.expect("config.error.ids_malformed")
    await dialog.look(f"{provider.key}-wrong-invoices")
    await field.fill("\n".join(ids))
    await dialog.submit()
    await dialog.finish()
