"""Many invoices in one account: add them, see them all, and delete some in Home Assistant's ways."""

from playwright.async_api import expect

from demo.sandbox import Sandbox, SandboxProvider

from .frontend import INTEGRATION, Frontend
from .setting_up import ADD, LABEL, begin_to_add

DEVICES = "ui.panel.config.devices"
# How many are called what: the first stay, one is deleted on its page, the last in the table.
NUMBERS = {"Book": 39, "Poster": 1, "Concert ticket": 20}


async def add(frontend: Frontend, provider: SandboxProvider, sandbox: Sandbox) -> None:
    """Add them to the first account; the dialog says how many these are."""
    ids = [
        invoice.id
        for name, number in NUMBERS.items()
        for invoice in await sandbox.create(provider.key, order_id=name, count=number)
    ]
    dialog = await begin_to_add(frontend)
    before = await frontend.devices().count()
    await dialog.field(frontend.words(LABEL)).fill("\n".join(ids))
    await dialog.submit()
    # One that was removed is offered, too, but not chosen.
    number = len(ids)
    closing = frontend.words(f"{ADD}.abort.invoices_added").format(count=number)
    await expect(dialog.root.get_by_text(closing, exact=True)).to_be_visible()
    await dialog.look("added-many")
    await dialog.finish()
    await expect(frontend.devices()).to_have_count(before + number)
    await frontend.eyes.look(frontend.account(), "many-devices", fits=False)


async def delete_one_on_its_page(frontend: Frontend) -> None:
    """Stop watching an invoice on the page of its device."""
    await frontend.open(INTEGRATION)
    before = await frontend.devices().count()
    await frontend.devices().filter(has_text="Poster").click()
    actions = frontend.page.locator("ha-device-info-card .card-actions")
    await frontend.delete(f"{DEVICES}.delete_device", actions)
    gone = frontend.page.get_by_text(frontend.words(f"{DEVICES}.device_not_found"))
    await expect(gone).to_be_visible()
    await frontend.open(INTEGRATION)
    await expect(frontend.devices()).to_have_count(before - 1)


async def delete_some_in_table(frontend: Frontend) -> None:
    """Stop watching many invoices in the table of all devices."""
    name, number = list(NUMBERS.items())[-1]
    await frontend.open(INTEGRATION)
    before = await frontend.devices().count()
    await frontend.open("/config/devices/dashboard")
    table = frontend.page.locator("hass-tabs-subpage-data-table")
    await table.get_by_role("textbox").fill(name)
    # The last row is one without cells.
    rows = table.locator(".mdc-data-table__row:has(.mdc-data-table__cell)")
    others = rows.filter(has_not_text=name)
    await expect(others).to_have_count(0)
    # The second one is in the head of a narrow screen.
    await table.locator(".select-mode-chip").first.click()
    await table.locator("ha-checkbox").first.click()
    selected = frontend.words("ui.components.subpage-data-table.selected")
    await expect(table.get_by_text(selected.format(selected=number), exact=True)).to_be_visible()
    await frontend.press("ui.panel.config.automation.picker.bulk_action", table)
    await frontend.eyes.picture(frontend.page, "many-selected")
    await frontend.choose_item(f"{DEVICES}.picker.bulk_actions.delete_selected.button")
    await frontend.confirm_deletion()
    await expect(table.get_by_text(name)).to_have_count(0)
    await frontend.open(INTEGRATION)
    await expect(frontend.devices()).to_have_count(before - number)


async def end(sandbox: Sandbox) -> None:
    """Let those expire that are still open: whoever sets up an account has fewer to choose from."""
    for provider in await sandbox.providers():
        for invoice in provider.invoices:
            if invoice.order_id in NUMBERS and "expire" in invoice.actions:
                await sandbox.act(invoice, "expire")
