"""A shop with accounts at the sandbox, dashboards with cards, and people."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

from playwright.async_api import Browser, Locator, Page, ViewportSize

from demo.accounts import add_account
from demo.client import ENTRIES, Client
from demo.sandbox import Sandbox, SandboxInvoice
from demo.websocket import Json
from tests.e2e.browser.eyes import DESKTOP, Eyes
from tests.e2e.browser.words import Words
from tests.e2e.story import Stage
from tests.e2e.world import World

from .people import add_user, at_screen, find_faults

TILL, LIST = "crypto-invoices-till", "crypto-invoices-list"
# Whose webhook is there as soon as the account is.
PUSHING = ("btcpay",)
USERS = {"waiter": "system-users", "guest": "system-read-only"}


@dataclass(slots=True)
class Shop:
    """What all scenes share."""

    stage: Stage
    running: World
    client: Client
    browser: Browser
    words: Words
    eyes: Eyes
    entries: dict[str, str] = field(default_factory=dict)
    """The accounts by their providers."""
    wrong: list[str] = field(default_factory=list)

    @classmethod
    async def open(cls, stage: Stage, running: World, client: Client, browser: Browser) -> Shop:
        """Set up the accounts and the people."""
        words = Words("en")
        pictures = stage.folder / "pictures"
        pictures.mkdir()
        shop = cls(stage, running, client, browser, words, Eyes(pictures, words, words))
        shop.wrong = shop.eyes.wrong
        for provider in await running.sandbox.providers():
            if provider.key in ("btcpay", "cryptocloud"):
                account = await add_account(client, provider, running.sandbox.url)
                shop.entries[provider.key] = account.entry_id
        for name, group in USERS.items():
            await add_user(client, name, group)
        return shop

    @property
    def sandbox(self) -> Sandbox:
        """Return where it is paid."""
        return self.running.sandbox

    @property
    def url(self) -> str:
        """Return where Home Assistant is."""
        return self.running.hass.url

    def screen(
        self,
        user: str = "demo",
        *,
        viewport: ViewportSize = DESKTOP,
        script: str = "",
    ) -> AbstractAsyncContextManager[Page]:
        """Sit down at a screen of one's own."""
        return at_screen(
            self.browser,
            self.url,
            self.stage.folder,
            self.wrong,
            user=user,
            viewport=viewport,
            script=script,
            language=self.words.language,
        )

    def speaking(self, language: str) -> Shop:
        """Return the same shop in another language."""
        words = Words(language)
        eyes = replace(self.eyes, words=words, english=self.words)
        return replace(self, words=words, eyes=eyes)

    def text(self, key: str, **gaps: str) -> str:
        """Return a text of the cards."""
        return self.words(f"common.card_{key}").format(**gaps)

    def status(self, key: str) -> str:
        """Return what a status is called."""
        return self.words(f"entity.sensor.status.state.{key}")

    async def hang(self, path: str, *cards: Json) -> str:
        """Make a dashboard with a section for each card; return its address."""
        sections = [{"type": "grid", "cards": [card]} for card in cards]
        view = {"type": "sections", "title": path, "path": "view", "sections": sections}
        await self.save(path, {"views": [view]})
        return f"{self.url}/{path}/view"

    async def save(self, path: str, config: Json) -> None:
        """Make a dashboard."""
        await self.client.ws.command(
            "lovelace/dashboards/create", url_path=path, title=path, mode="storage"
        )
        await self.client.ws.command("lovelace/config/save", url_path=path, config=config)

    def till(self, **config: object) -> Json:
        """Return the configuration of a till."""
        account = self.entries["btcpay"]
        return {"type": f"custom:{TILL}", "account": account, "currency": "EUR", **config}

    async def asked(self, title: str = "Till") -> SandboxInvoice:
        """Return the invoice that a till asked for last."""
        return (await self.all_asked(title))[-1]

    async def all_asked(self, title: str = "Till") -> list[SandboxInvoice]:
        """Return the invoices that a till asked for."""
        return [
            invoice
            for provider in await self.sandbox.providers()
            for invoice in provider.invoices
            if (invoice.order_id or "").startswith(f"{title} ")
        ]

    async def act(self, invoice: SandboxInvoice, action: str) -> None:
        """Pay an invoice or the like, and have it read where the provider doesn't push that.

        What was read a moment ago would be read again only after two seconds.
        """
        await self.sandbox.act(invoice, action)
        if invoice.provider not in PUSHING:
            await self.read(invoice.provider)

    async def set_state(self, entity_id: str, state: str | None, name: str = "") -> None:
        """Let an entity have a state, or not be there."""
        path = f"/api/states/{entity_id}"
        if state is None:
            await self.client.request("DELETE", path)
        else:
            about = {"state": state, "attributes": {"friendly_name": name}}
            await self.client.request("POST", path, about)

    async def read(self, provider: str) -> None:
        """Read an account now."""
        data = {"config_entry_id": self.entries[provider]}
        await self.client.call("crypto_invoices.refresh", data)

    async def reload(self, provider: str) -> None:
        """Reload an account."""
        await self.client.request("POST", f"{ENTRIES}/entry/{self.entries[provider]}/reload")

    async def look(self, card: Locator, name: str) -> None:
        """Look at a card, and read every text of it, on a desktop and on a phone."""
        await self.eyes.look(card.locator("ha-card"), name)
        self.wrong += await find_faults(card, name)

    async def check(self, card: Locator, name: str) -> None:
        """Look at a card as anybody can, and as those who can't see it well."""
        await self.eyes.picture(card.page, name)
        self.wrong += await find_faults(card, name)


def cards(page: Page, tag: str) -> Locator:
    """Return the cards of a kind."""
    return page.locator(tag)
