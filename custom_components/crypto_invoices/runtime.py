"""An account while it is loaded: its parts. Whoever needs one part gets that part."""

from dataclasses import dataclass

from homeassistant.config_entries import ConfigEntry

from .book.book import Book
from .coordinator import CryptoInvoicesCoordinator
from .fulfillment.account import Fulfillment
from .notifications.webhook import WebhookManager
from .providers.provider import Provider
from .reading.clocks import Clocks
from .upkeep.auto_watch import AutoWatch
from .upkeep.balances import BalanceCoordinator


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRuntime:
    """The parts of a loaded account."""

    provider: Provider
    book: Book
    clocks: Clocks
    coordinator: CryptoInvoicesCoordinator
    fulfillment: Fulfillment
    auto_watch: AutoWatch | None
    """None where the provider can't list invoices."""
    balances: BalanceCoordinator | None
    """None where the provider says nothing of what the account holds."""
    webhook: WebhookManager | None
    """None where the provider makes no pushes that can be believed."""


type CryptoInvoicesConfigEntry = ConfigEntry[AccountRuntime]
