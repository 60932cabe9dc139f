"""What is done every day: an account is set up without pasting IDs, and somebody asks for money."""

from dataclasses import dataclass

from playwright.async_api import BrowserContext, expect

from demo import DOMAIN
from demo.client import Client
from demo.sandbox import Sandbox, SandboxProvider
from tests.e2e.story import Figure

from . import upkeep
from .dialog import Dialog
from .frontend import ENTRY, INTEGRATION, Frontend

MONEY = "config_subentries.ask_for_money"
# As many as there are buttons on the way; nothing is clicked to enter or to paste something.
CLICKS = {"cryptocloud": 6, "btcpay": 8}
# A click without a detail is one of the keyboard.
_COUNT = "addEventListener('click', event => event.detail && countClick(), true)"


@dataclass
class Clicks:
    """How often somebody clicked, on whichever page."""

    number: int = 0

    async def count(self, context: BrowserContext) -> None:
        """Begin to count."""
        await context.expose_function("countClick", self._add)
        await context.add_init_script(_COUNT)

    def _add(self) -> None:
        self.number += 1


async def run(frontend: Frontend, url: str, client: Client, sandbox: Sandbox) -> tuple[Figure, ...]:
    """Set up accounts with as few clicks as it takes, and ask for money; ``url`` is encrypted."""
    providers = {provider.key: provider for provider in await sandbox.providers()}
    clicks = Clicks()
    await clicks.count(frontend.page.context)
    await frontend.log_in()
    await frontend.open("/config/integrations/dashboard")
    clicks.number = 0
    await _choose_what_was_found(frontend, providers["cryptocloud"], sandbox.url)
    figures = [_figure(frontend, "cryptocloud", clicks)]
    await upkeep.delete(frontend, remaining=0)

    secure = Frontend(page=frontend.page, url=url, eyes=frontend.eyes)
    await secure.page.goto(url)
    await secure.log_in()
    await secure.open("/config/integrations/dashboard")
    clicks.number = 0
    await _let_the_server_make_a_key(secure, sandbox.url)
    figures.append(_figure(frontend, "btcpay", clicks))
    await _get_a_key_that_may_create(secure)
    await _ask_for_money(secure, client, sandbox)
    await upkeep.delete(secure, remaining=0)
    return tuple(figures)


def _figure(frontend: Frontend, provider: str, clicks: Clicks) -> Figure:
    """Return how many clicks it took."""
    name = f"{frontend.words.language}, clicks until {provider} is watched"
    return Figure(name, clicks.number, must_be=CLICKS[provider])


async def _choose_what_was_found(frontend: Frontend, provider: SandboxProvider, url: str) -> None:
    """Set up an account with the open invoices that the provider lists."""
    dialog = await frontend.add_integration()
    await dialog.choose(f"config.step.user.menu_options.{provider.key}")
    step = frontend.words.tree["config"]["step"][provider.key]
    await dialog.expect(f"config.step.{provider.key}.title")
    # Only the sandbox has an address of its own: it is reached without a click.
    hidden = step["sections"]["advanced"]["name"]
    await dialog.root.get_by_role("button", name=hidden, exact=True).press("Enter")
    await dialog.fill_in(step, {**provider.credentials, "url": url})
    await dialog.submit()
    await dialog.expect("config.step.invoices.title")
    await dialog.look("invoices-found")
    await dialog.submit()
    await dialog.finish()
    await frontend.open(INTEGRATION)
    is_open = [invoice for invoice in provider.invoices if invoice.state == "pending"]
    await frontend.expect_invoices(*is_open)


async def _confirm(dialog: Dialog, name: str) -> None:
    """Submit what the key may do, and confirm on the page of the server that opens."""
    page = dialog.root.page
    async with page.expect_popup() as opening:
        await dialog.submit()
    server = await opening.value
    await dialog.expect("config.step.key_page.description")
    await dialog.look(name)
    async with server.expect_event("close"):
        await server.get_by_role("button", name="Authorize app").click()


async def _let_the_server_make_a_key(frontend: Frontend, url: str) -> None:
    """Set up an account at BTCPay Server without a key at hand."""
    step = frontend.words.tree["config"]["step"]["request_key"]
    dialog = await frontend.add_integration()
    await dialog.choose("config.step.user.menu_options.btcpay")
    await dialog.expect("config.step.user_key.title")
    await dialog.look("key-source")
    await dialog.choose("config.step.user_key.menu_options.request_key")
    await dialog.expect("config.step.request_key.title")
    await dialog.fill_in(step, {"url": url})
    await dialog.look("request-key")
    await _confirm(dialog, "key-page")
    await dialog.expect("config.step.invoices.title")
    await dialog.submit()
    await dialog.finish()


async def _get_a_key_that_may_create(frontend: Frontend) -> None:
    """Get a new key for the account, which may create invoices."""
    await frontend.open(INTEGRATION)
    await frontend.choose(f"{ENTRY}.reconfigure", frontend.account())
    dialog = frontend.dialog()
    await dialog.expect("config.step.reconfigure_key.title")
    await dialog.look("reconfigure-key")
    await dialog.choose("config.step.reconfigure_key.menu_options.request_key")
    await dialog.expect("config.step.request_key.title")
    await dialog.turn(frontend.words("config.step.request_key.data.may_create"))
    await _confirm(dialog, "new-key-page")
    await dialog.end("config.abort.reconfigure_successful", "new-key")


async def _ask_for_money(frontend: Frontend, client: Client, sandbox: Sandbox) -> None:
    """Ask for money, see the code, pay, and see that it is paid."""
    step = frontend.words.tree["config_subentries"]["ask_for_money"]["step"]["user"]
    await frontend.open(INTEGRATION)
    await frontend.press(f"{MONEY}.initiate_flow.user")
    dialog = frontend.dialog()
    await dialog.expect(f"{MONEY}.step.user.description")
    await dialog.look("ask-for-money")
    await dialog.fill_in(step, {"amount": "4,25", "purpose": "Honey, 3 jars"})
    await dialog.submit()
    await dialog.expect(f"{MONEY}.error.field_not_a_number")
    await dialog.look("ask-for-money-wrong")
    await dialog.fill_in(step, {"amount": "4.25"})
    await dialog.submit()
    await dialog.expect(f"{MONEY}.progress.scan")
    await expect(dialog.root.locator("img")).to_be_visible()
    await dialog.look("scan")
    [made] = [
        invoice
        for provider in await sandbox.providers()
        for invoice in provider.invoices
        if invoice.order_id == "Honey, 3 jars"
        and str(invoice.amount) == "4.25"
        and invoice.state == "pending"
    ]
    await sandbox.act(made, "pay")
    [account] = await client.config_entries(DOMAIN)
    await client.call(f"{DOMAIN}.refresh", {"config_entry_id": account["entry_id"]})
    await dialog.end(f"{MONEY}.abort.paid", "paid")
