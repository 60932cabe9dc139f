"""What comes after the set-up: other keys, diagnostics, repairs, the end."""

import json
from pathlib import Path

from playwright.async_api import expect

from demo import DOMAIN, DemoError
from demo.client import Client
from demo.sandbox import Sandbox, SandboxProvider

from .chromium import PATIENCE
from .frontend import ENTRY, INTEGRATION, Frontend

RELOADED = f"{ENTRY}.reload_confirm"
# A second answer has to say it so much later, in milliseconds.
KEY_DOUBTED_FOR = 120_000


async def reconfigure(frontend: Frontend, provider: SandboxProvider) -> None:
    """Change nothing, but try a wrong key first."""
    step = frontend.words.tree["config"]["step"]["reconfigure"]
    await frontend.open(INTEGRATION)
    await frontend.choose(f"{ENTRY}.reconfigure", frontend.account())
    dialog = frontend.dialog()
    await dialog.expect("config.step.reconfigure.title")
    await dialog.unfold_all(step)
    await dialog.look("reconfigure")
    await dialog.fill_in(step, {"api_key": "not-the-key"})
    await dialog.submit()
    await dialog.expect("config.error.invalid_auth")
    await dialog.look("reconfigure-wrong")
    await dialog.fill_in(step, {"api_key": provider.credentials["api_key"]})
    await dialog.submit()
    await dialog.end("config.abort.reconfigure_successful", "reconfigured")


async def set_options(frontend: Frontend) -> None:
    """Look at the options, and leave them as they are."""
    await frontend.open(INTEGRATION)
    await frontend.press(f"{ENTRY}.configure", frontend.account())
    dialog = frontend.dialog()
    await dialog.expect("options.step.init.title")
    await dialog.look("options")
    await dialog.submit()
    await dialog.end("ui.dialogs.options_flow.success.description", "options-set")


async def refuse_key(frontend: Frontend, provider: SandboxProvider, sandbox: Sandbox) -> None:
    """Let the provider refuse the key, and have it read."""
    await frontend.open(INTEGRATION)
    await sandbox.switch_fault(provider.key, "unauthorized")
    await _reload(frontend)


async def _reload(frontend: Frontend) -> None:
    """Reload the first account."""
    await frontend.choose(f"{ENTRY}.reload", frontend.account())
    # Whoever leaves before that breaks it off.
    await expect(frontend.page.get_by_text(frontend.words(RELOADED)).first).to_be_visible()


async def reauthenticate(frontend: Frontend, provider: SandboxProvider, sandbox: Sandbox) -> None:
    """Enter a refused key anew when asked, which is two minutes later."""
    await frontend.open(INTEGRATION)
    name = frontend.words("ui.panel.config.integrations.reconfigure")
    button = frontend.page.get_by_role("button", name=name, exact=True)
    await expect(button).to_be_visible(timeout=KEY_DOUBTED_FOR + PATIENCE)
    await frontend.eyes.look(frontend.page.locator("ha-panel-config"), "attention", fits=False)
    await sandbox.switch_fault(provider.key, None)
    await button.click()
    step = frontend.words.tree["config"]["step"]["reauth_confirm"]
    dialog = frontend.dialog()
    await dialog.expect("config.step.reauth_confirm.title")
    await dialog.look("reauth")
    await dialog.fill_in(step, {"api_key": "not-the-key"})
    await dialog.submit()
    await dialog.expect("config.error.invalid_auth")
    await dialog.look("reauth-wrong")
    await dialog.fill_in(step, provider.credentials)
    await dialog.submit()
    await dialog.end("config.abort.reauth_successful", "reauthenticated")


async def download_diagnostics(frontend: Frontend, provider: SandboxProvider) -> None:
    """Download the diagnostics, which tell no key."""
    await frontend.open(INTEGRATION)
    async with frontend.page.expect_download() as downloading:
        await frontend.choose(f"{ENTRY}.download_diagnostics", frontend.account())
    text = (await (await downloading.value).path()).read_text()
    if not json.loads(text)["data"]:
        raise DemoError("the diagnostics are empty")
    if any(key in text for key in provider.credentials.values()):
        raise DemoError("the diagnostics tell a key")


async def repair(frontend: Frontend, storage: Path) -> None:
    """Lose what is known of the invoices, and read about it in repairs."""
    issue = "issues.book_lost"
    await frontend.open(INTEGRATION)
    for file in _files(storage):
        file.unlink()
    await _reload(frontend)
    await frontend.open("/config/repairs")
    title = frontend.words.paragraphs(f"{issue}.title")[0]
    await frontend.page.get_by_role("button", name=title).click()
    dialog = frontend.dialog()
    await dialog.expect(f"{issue}.fix_flow.step.confirm.description")
    await dialog.look("repair")
    await dialog.submit()
    await dialog.end("ui.dialogs.repair_flow.success.description", "repaired")
    await expect(frontend.page.get_by_role("button", name=title)).to_have_count(0)


async def delete(frontend: Frontend, *, remaining: int) -> None:
    """Delete the first account."""
    await frontend.open(INTEGRATION)
    await frontend.delete(f"{ENTRY}.delete", frontend.account())
    await expect(frontend.page.locator("ha-config-entry-row")).to_have_count(remaining)


async def left_behind(client: Client, storage: Path) -> list[str]:
    """Return what is there of the integration when all accounts are deleted."""
    devices = await client.ws.command("config/device_registry/list")
    issues = (await client.ws.command("repairs/list_issues"))["issues"]
    return [
        *(entry["title"] for entry in await client.config_entries(DOMAIN)),
        *(entity["entity_id"] for entity in await client.registered_entities(DOMAIN)),
        *(device["name"] for device in devices if DOMAIN in str(device["identifiers"])),
        *(issue["issue_id"] for issue in issues if issue["domain"] == DOMAIN),
        *(file.name for file in _files(storage)),
    ]


def _files(storage: Path) -> list[Path]:
    """Return the integration's own files."""
    return list(storage.glob(f"{DOMAIN}.*"))
