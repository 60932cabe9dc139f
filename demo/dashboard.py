"""The dashboard of the invoices."""

from collections.abc import Iterable, Sequence

from . import pages
from .accounts import Account, WatchedInvoice
from .client import Client
from .websocket import Json

PATH = "crypto-invoices"
TITLE = "Invoices"
CARDS_PATH = "shop"
ICON = "mdi:receipt-text-clock"


async def show(client: Client, accounts: Iterable[Account], pay_page: str) -> None:
    """Save the dashboard and make it the one that opens first."""
    await client.ws.command(
        "lovelace/dashboards/create", url_path=PATH, title=TITLE, icon=ICON, mode="storage"
    )
    config = dashboard(accounts, pay_page)
    await client.ws.command("lovelace/config/save", url_path=PATH, config=config)
    first = {"default_panel": PATH}
    await client.ws.command("frontend/set_system_data", key="core", value=first)


def dashboard(accounts: Iterable[Account], pay_page: str) -> Json:
    """Return a dashboard: the cards, a section for each account, and the pages of the docs."""
    accounts = list(accounts)
    hint = f"Pay one of them in the [sandbox]({pay_page}), and see what happens here."
    view = {
        "type": "sections",
        "title": TITLE,
        "path": "invoices",
        "header": {"card": {"type": "markdown", "text_only": True, "content": hint}},
        "sections": [_section(account) for account in accounts],
    }
    open_invoices = pages.overview_view(account.device_id for account in accounts)
    open_invoices["title"] = "Open"
    return {"title": TITLE, "views": [cards_view(accounts), view, pages.till_view(), open_invoices]}


def cards_view(accounts: Sequence[Account]) -> Json:
    """Return the view with the cards that come with the integration; the first account asks."""
    till = {
        "type": "custom:crypto-invoices-till",
        "account": accounts[0].entry_id,
        "currency": "EUR",
        "amounts": ["Coffee 2.50", "Cake 3.20"],
    }
    cards: list[Json] = [till, {"type": "custom:crypto-invoices-list"}]
    return {
        "type": "sections",
        "title": "Shop",
        "path": CARDS_PATH,
        "sections": [{"type": "grid", "cards": [card]} for card in cards],
    }


def _section(account: Account) -> Json:
    heading = {"type": "heading", "heading": account.provider.name, "icon": ICON}
    tiles = [tile for watched in account.watched for tile in _tiles(watched)]
    return {"type": "grid", "cards": [heading, *tiles]}


def _tiles(watched: WatchedInvoice) -> list[Json]:
    """Return an invoice's status, and beside it its amount where the provider tells it."""
    status: Json = {"type": "tile", "entity": watched.status}
    if watched.amount is None:
        return [status | {"grid_options": {"columns": 12}}]
    return [status, {"type": "tile", "entity": watched.amount, "name": "Amount"}]
