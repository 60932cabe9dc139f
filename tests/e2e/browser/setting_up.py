"""Set up accounts, and add and remove invoices."""

from playwright.async_api import expect

from demo.sandbox import SandboxInvoice, SandboxProvider

from .dialog import Dialog
from .frontend import ENTRY, INTEGRATION, Frontend

# No provider's ID, and too long for a word.
NONSENSE = "what-is-this-0123456789"
LIST_INVOICES = frozenset({"btcpay", "cryptocloud"})
ADD = "config_subentries.invoice"
LABEL = f"{ADD}.step.user.data.invoices"


async def begin(frontend: Frontend) -> Dialog:
    """Add the integration, and look at the menu of providers."""
    dialog = await frontend.add_integration()
    await dialog.expect("config.step.user.title")
    await dialog.look("menu")
    return dialog


async def set_up(
    frontend: Frontend, dialog: Dialog, provider: SandboxProvider, url: str, *, wrongly: bool
) -> None:
    """Add an account: ``wrongly`` at first, with wrong keys and a wrong invoice among the others."""
    await dialog.choose(f"config.step.user.menu_options.{provider.key}")
    await _enter_keys(dialog, provider, url, wrongly=wrongly)
    await dialog.expect("config.step.invoices.title")
    label = frontend.words("config.step.invoices.data.invoices")
    if provider.key in LIST_INVOICES:
        # Only those that are pasted: what else there is would come while the dialog closes.
        await dialog.turn(frontend.words("config.step.invoices.data.auto_watch"))
    await _paste(dialog, label, "config", provider.invoices, wrongly=wrongly)
    await dialog.finish()
    await frontend.open(INTEGRATION)
    await frontend.expect_invoices(*provider.invoices)
    await frontend.eyes.look(frontend.account(), f"{provider.key}-devices", fits=False)


async def _enter_keys(
    dialog: Dialog, provider: SandboxProvider, url: str, *, wrongly: bool
) -> None:
    """Enter the right key, and before that a wrong one to read what is said of it."""
    step = dialog.words.tree["config"]["step"][provider.key]
    await dialog.expect(f"config.step.{provider.key}.title")
    await dialog.unfold_all(step)
    await dialog.look(f"{provider.key}-keys")
    if wrongly:
        wrong = {name: f"not-{value}" for name, value in provider.credentials.items()}
        await dialog.fill_in(step, {**wrong, "url": url})
        await dialog.submit()
        # Which of two is wrong, a provider doesn't say.
        error = "key_or_secret" if "api_secret" in wrong else "invalid_auth"
        await dialog.expect(f"config.error.{error}")
        await dialog.look(f"{provider.key}-wrong-keys")
    await dialog.fill_in(step, {**provider.credentials, "url": url})
    await dialog.submit()


async def _paste(
    dialog: Dialog,
    label: str,
    texts: str,
    invoices: tuple[SandboxInvoice, ...],
    *,
    wrongly: bool = True,
) -> None:
    """Paste invoices, and before that some with something among them that isn't one."""
    ids = [invoice.id for invoice in invoices]
    if wrongly:
        await dialog.field(label).fill("\n".join((NONSENSE, *ids)))
        await dialog.submit()
        await dialog.expect(f"{texts}.error.ids_malformed")
        await dialog.look(f"{invoices[0].provider}-{texts}-wrong-invoices")
    await dialog.field(label).fill(", ".join(ids))
    await dialog.submit()


async def begin_to_add(frontend: Frontend) -> Dialog:
    """Open the dialog that adds invoices."""
    await frontend.open(INTEGRATION)
    await frontend.press(f"{ADD}.initiate_flow.user")
    dialog = frontend.dialog()
    await dialog.expect(f"{ADD}.step.user.description")
    return dialog


async def add_later(frontend: Frontend, invoice: SandboxInvoice) -> None:
    """Add one more invoice to the account."""
    dialog = await begin_to_add(frontend)
    await dialog.look("add-invoices")
    await _paste(dialog, frontend.words(LABEL), ADD, (invoice,))
    await dialog.end(f"{ADD}.abort.invoice_added", "added")
    await frontend.expect_invoices(invoice)


async def remove(frontend: Frontend, invoice: SandboxInvoice) -> None:
    """Remove an invoice from the account."""
    await frontend.open(INTEGRATION)
    await frontend.delete(f"{ENTRY}.device.delete", frontend.invoice(invoice))
    await expect(frontend.invoice(invoice)).to_have_count(0)
