"""The frontend's pages and dialogs, as far as a user of the integration meets them."""

from collections.abc import Mapping
from dataclasses import dataclass
import re
from typing import Any

from playwright.async_api import Locator, Page, expect

from demo import DOMAIN
from demo.config_dir import PASSWORD, USER
from demo.sandbox import SandboxInvoice

from .eyes import Eyes
from .words import Words

FLOW = "ui.panel.config.integrations.config_flow"
INTEGRATIONS = "/config/integrations/dashboard"
INTEGRATION = f"/config/integrations/integration/{DOMAIN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontend:
    """A user at the frontend, with what it is called there and with eyes."""

    page: Page
    url: str
    words: Words
    eyes: Eyes

    async def open(self, path: str) -> None:
        """Go to a page."""
        await self.page.goto(self.url + path)

    async def log_in(self) -> None:
        """Log in at the first page."""
        await self.open("/")
        await self.page.get_by_role("textbox", name="Username").fill(USER)
        await self.page.get_by_role("textbox", name="Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.get_by_role("link", name=self.words("panel.config")).wait_for()

    async def press(self, key: str, scope: Locator | None = None) -> None:
        """Press the button with a text of the frontend or of ours."""
        button = (scope or self.page).get_by_role("button", name=self.words(key), exact=True)
        await button.click()

    async def add_integration(self) -> Dialog:
        """Find the integration by its name among all there are, and begin to set it up."""
        await self.open(INTEGRATIONS)
        await self.press("ui.panel.config.integrations.add_integration")
        search = self.page.locator("dialog-add-integration")
        await search.get_by_role("textbox").fill("crypto inv")
        await search.get_by_role("button", name="Crypto Invoices", exact=True).click()
        return self.dialog()

    async def expect_device(self, invoice: SandboxInvoice) -> None:
        """Wait until the invoice's device is shown; it is named by its order if that is told."""
        names = "|".join(re.escape(name) for name in (invoice.order_id, invoice.id) if name)
        shown = self.page.get_by_text(re.compile(rf"^Invoice ({names})$")).first
        await expect(shown).to_be_visible()

    def dialog(self) -> Dialog:
        """Return the dialog of a flow."""
        return Dialog(self, self.page.locator("dialog-data-entry-flow"))


@dataclass(frozen=True, slots=True)
class Dialog:
    """The dialog of a flow, step by step."""

    frontend: Frontend
    root: Locator

    async def expect(self, key: str) -> None:
        """Wait until a text of ours is shown; with several paragraphs, its first one."""
        await expect(
            self.root.get_by_text(self.frontend.words.paragraphs(key)[0]).first
        ).to_be_visible()

    async def look(self, name: str) -> None:
        """Look at it."""
        await self.frontend.eyes.look(self.root, name)

    async def choose(self, key: str) -> None:
        """Choose from a menu."""
        await self.root.get_by_text(self.frontend.words(key), exact=True).click()

    async def fill_in(self, step: Mapping[str, Any], values: Mapping[str, str]) -> None:
        """Fill in the fields of a step that there are values for, those in sections too."""
        for key, label in step.get("data", {}).items():
            if key in values:
                await self.field(label).fill(values[key])
        for section in step.get("sections", {}).values():
            if any(key in values for key in section["data"]):
                await self.unfold(section["name"])
                await self.fill_in(section, values)

    async def unfold(self, section: str) -> None:
        """Unfold a section, unless it is."""
        button = self.root.get_by_role("button", name=section, exact=True)
        if await button.get_attribute("aria-expanded") != "true":
            await button.click()

    def field(self, label: str) -> Locator:
        """Return the field with a label, which a star may follow."""
        return self.root.get_by_role("textbox", name=re.compile(rf"^{re.escape(label)}\*?$"))

    async def submit(self) -> None:
        """Press the button."""
        await self.frontend.press(f"{FLOW}.submit", self.root)

    async def finish(self) -> None:
        """Leave the names of the devices as they are, and go to the integration's page."""
        await self.frontend.press(f"{FLOW}.finish_skip", self.root)
        # Where it leads to by itself depends on how many devices there are already.
        page = self.frontend.page
        await page.wait_for_url(re.compile(r"/config/(devices/device|integrations/integration)/"))
        await self.frontend.open(INTEGRATION)
