"""Build automations in the visual editor, and see them run.

The frontend's own words are English here: only the trigger's are ours, and those are looked at.
"""

import re

from playwright.async_api import Locator, expect

from demo.sandbox import SandboxInvoice

from .frontend import INTEGRATION, Frontend
from .pressing import press_until

EDITOR = "ui.panel.config.automation.editor"
TRACE = "ui.panel.config.automation.trace"
MESSAGE = "{{ trigger.text }}"
ANY, ONE = "triggers.any_paid", "triggers.paid"


async def open_triggers(frontend: Frontend) -> Locator:
    """Begin an automation, and open the dialog that adds a trigger."""
    await frontend.open("/config/automation/edit/new")
    await frontend.press(f"{EDITOR}.triggers.add")
    return frontend.page.locator("add-automation-element-dialog")


async def look_at_triggers(frontend: Frontend) -> None:
    """Look at what the triggers are called when they are searched for."""
    picker = await open_triggers(frontend)
    await _search(frontend, picker)
    await frontend.eyes.look(picker, "triggers", fits=False)


async def build(frontend: Frontend, name: str, device: str | None) -> str:
    """Build an automation that tells when an invoice is paid, and return its id.

    Without a device it listens to all invoices.
    """
    picker = await open_triggers(frontend)
    name_of_trigger = frontend.words(f"{ANY if device is None else ONE}.name")
    paid = picker.get_by_role("button", name=re.compile(f"^{name_of_trigger}"))
    if device is None:
        await _search(frontend, picker)
        await expect(paid.first).to_be_visible()
    else:
        services = picker.get_by_role("treeitem", name=frontend.words(f"{EDITOR}.services"))
        await services.locator("[part=expand-button]").first.click()
        # What there is for it is asked for when it is chosen, and only then.
        await press_until(picker.get_by_role("treeitem", name=device, exact=True).click, paid.first)
    await frontend.eyes.look(picker, "triggers" if device is None else "trigger", fits=False)
    await paid.first.click()
    await _add_notification(frontend, picker)
    await frontend.press("ui.common.save")
    dialog = frontend.page.locator("ha-dialog-automation-save")
    await dialog.get_by_role("textbox").fill(name)
    await frontend.press("ui.common.save", dialog)
    await frontend.page.wait_for_url(re.compile(r"/config/automation/edit/\d+"))
    await frontend.eyes.look(frontend.page.locator("ha-panel-config"), "automation", fits=False)
    url: str = frontend.page.url
    return url.rpartition("/")[2]


async def _search(frontend: Frontend, picker: Locator) -> None:
    """Search for the trigger."""
    await picker.get_by_role("textbox").fill(frontend.words(f"{ANY}.name"))
    shown = picker.get_by_text(frontend.words(f"{ANY}.description"))
    await expect(shown).to_be_visible()


async def _add_notification(frontend: Frontend, picker: Locator) -> None:
    """Add an action that tells about the invoice."""
    await frontend.press(f"{EDITOR}.actions.add")
    await picker.get_by_role("textbox").fill("persistent")
    await picker.get_by_role("button", name="Create persistent notification").click()
    settings = frontend.page.locator("ha-service-control ha-settings-row")
    await settings.filter(has_text="Message").get_by_role("textbox").fill(MESSAGE)


async def pay(frontend: Frontend, invoice: SandboxInvoice, url: str) -> None:
    """Pay an invoice at the sandbox's page."""
    page = await frontend.page.context.new_page()
    await page.goto(f"{url}/pay/{invoice.provider}/{invoice.id}")
    await page.get_by_role("button", name=f"Pay: {invoice.order_id}", exact=True).click()
    await expect(page.get_by_text("Paid", exact=True)).to_be_visible()
    await frontend.eyes.picture(page, "paid-at-the-sandbox")
    await page.close()


async def expect_notifications(frontend: Frontend, invoice: SandboxInvoice, number: int) -> None:
    """Wait until each automation has told that the invoice is paid."""
    # Its name goes on with how many there are.
    name = frontend.words("ui.notification_drawer.title")
    await frontend.page.get_by_role("button", name=name).click()
    told = frontend.page.get_by_text(re.compile(f"^{re.escape(str(invoice.order_id))} was paid: "))
    await expect(told).to_have_count(number)
    await frontend.eyes.picture(frontend.page, "notifications")


async def expect_trace(frontend: Frontend, automation: str, invoice: SandboxInvoice) -> None:
    """See the run in the automation's trace."""
    await frontend.open(f"/config/automation/trace/{automation}")
    tab = frontend.page.get_by_role("tab", name=frontend.words(f"{TRACE}.tabs.timeline"))
    await tab.click()
    because = frontend.page.get_by_text(f"{invoice.order_id} was paid")
    await expect(because.first).to_be_visible()
    await frontend.eyes.look(frontend.page.locator("ha-panel-config"), "trace", fits=False)


async def look_at_device(frontend: Frontend, device: str) -> None:
    """Look at what a device shows of its invoice."""
    await frontend.open(INTEGRATION)
    await frontend.devices().filter(has_text=device).click()
    paid = frontend.words("entity.sensor.status.state.paid")
    await expect(frontend.page.get_by_text(paid, exact=True).first).to_be_visible()
    await frontend.eyes.look(frontend.page.locator("ha-panel-config"), "device", fits=False)
