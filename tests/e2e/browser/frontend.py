"""The frontend's pages, as far as a user of the integration meets them."""

from dataclasses import dataclass
from functools import partial
import re
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page, expect

from demo import DOMAIN
from demo.config_dir import PASSWORD, USER
from demo.sandbox import SandboxInvoice

from .dialog import Dialog
from .eyes import Eyes
from .pressing import press_until
from .words import Words

LOGIN = "ui.panel.page-authorize.form"
ENTRY = "ui.panel.config.integrations.config_entry"
INTEGRATIONS = "/config/integrations/dashboard"
INTEGRATION = f"/config/integrations/integration/{DOMAIN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontend:
    """A user at the frontend, with what it is called there and with eyes."""

    page: Page
    url: str
    eyes: Eyes

    @property
    def words(self) -> Words:
        """Return what everything is called."""
        return self.eyes.words

    async def open(self, path: str) -> None:
        """Go to a page, unless it is open."""
        if urlsplit(self.page.url).path != path:
            await self.page.goto(self.url + path)

    async def press(self, key: str, scope: Locator | None = None) -> None:
        """Press the button with a text."""
        button = (scope or self.page).get_by_role("button", name=self.words(key), exact=True)
        await button.click()

    async def choose(self, key: str, row: Locator) -> None:
        """Choose from the menu of a row."""
        name = self.words("ui.common.menu")
        await row.get_by_role("button", name=name, exact=True).first.click()
        await self.choose_item(key)

    async def choose_item(self, key: str) -> None:
        """Choose from a menu that is open."""
        item = self.page.get_by_role("menuitem", name=self.words(key), exact=True)
        await item.click()

    async def log_in(self) -> None:
        """Log in at the first page."""
        await self.open("/")
        fields = f"{LOGIN}.providers.homeassistant.step.init.data"
        for field, value in {"username": USER, "password": PASSWORD}.items():
            label = self.words(f"{fields}.{field}")
            await self.page.get_by_role("textbox", name=label).fill(value)
        await self.press(f"{LOGIN}.next")
        await self.page.get_by_role("link", name=self.words("panel.config")).wait_for()

    async def add_integration(self) -> Dialog:
        """Find the integration by its name among all there are, and begin to set it up."""
        await self.open(INTEGRATIONS)
        await self.press("ui.panel.config.integrations.add_integration")
        search = self.page.locator("dialog-add-integration")
        await search.get_by_role("textbox").fill("crypto inv")
        await search.get_by_role("button", name="Crypto Invoices", exact=True).click()
        return self.dialog()

    async def add_account(self) -> Dialog:
        """Begin to add another account, from the page of the integration."""
        await self.open(INTEGRATION)
        await self.press("ui.panel.config.integrations.integration_page.add_service")
        return self.dialog()

    def dialog(self) -> Dialog:
        """Return the dialog of a flow."""
        root = self.page.locator("dialog-data-entry-flow")
        return Dialog(root=root, eyes=self.eyes)

    def account(self) -> Locator:
        """Return the row of the first account."""
        return self.page.locator("ha-config-entry-row").first

    def invoice(self, invoice: SandboxInvoice) -> Locator:
        """Return the row of an invoice of any account, which is named by its order ID or the end of its own."""
        names = "|".join(re.escape(name) for name in (invoice.order_id, invoice.id[-6:]) if name)
        rows = self.page.locator("ha-config-entry-device-row")
        return rows.filter(has_text=re.compile(names))

    def devices(self) -> Locator:
        """Return the rows of the first account's devices: its own, and one for each invoice."""
        return self.account().locator("ha-config-entry-device-row")

    async def expect_invoices(self, *invoices: SandboxInvoice) -> None:
        """Wait until invoices are among those of the accounts."""
        for invoice in invoices:
            await expect(self.invoice(invoice)).to_be_visible()

    async def delete(self, key: str, row: Locator) -> None:
        """Choose from the menu of a row to delete it, and say that it is meant."""
        question = self.page.locator("dialog-box").get_by_role("button").first
        await press_until(partial(self.choose, key, row), question)
        await self.confirm_deletion()

    async def confirm_deletion(self) -> None:
        """Say that it is meant."""
        await self.press("ui.common.delete", self.page.locator("dialog-box"))
