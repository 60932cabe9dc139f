"""Deposits to static wallets: each is a payment that nobody asked for, and is announced once."""

from .book.book import Book
from .coordinator import CryptoInvoicesCoordinator
from .providers.model import Invoice, InvoiceStatus
from .watching import async_watch

_WALLET = "static_wallet/"


async def async_keep_wallet(book: Book, identify: str) -> None:
    """Take down that what is paid under this reference is a deposit. Raises StorageError."""
    book.set_fact(f"{_WALLET}{identify}", "kept")
    await book.async_write()


async def async_take_deposit(coordinator: CryptoInvoicesCoordinator, deposit: Invoice) -> bool:
    """Announce a payment to a wallet of ours once, even if it is reported again.

    Returns whether it is one, and is on disk. Raises StorageError.
    """
    book = coordinator.book
    if book.fact(f"{_WALLET}{deposit.order_id}") is None:
        return False
    if deposit.id not in book.records and not await book.async_find([deposit.id]):
        await async_watch(coordinator, [deposit], baseline=InvoiceStatus.PENDING, is_automatic=True)
    # Also where it is reported again because this failed before.
    await book.async_write()
    return True
