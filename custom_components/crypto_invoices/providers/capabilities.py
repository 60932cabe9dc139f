"""What some providers can do beyond reading invoices: make, cancel and list them, and add up.

Each capability is a protocol of its own. Money can only come in: there is none to send any.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from .model import Balance, Invoice, ProviderError
from .new_invoice import NewInvoice


class PermissionMissing(ProviderError):
    """The key is good for reading, but not for this."""

    def __init__(self, permission: str) -> None:
        """Keep the permission's name as the provider writes it."""
        super().__init__(f"the permission {permission} is missing")
        self.permission = permission


class Rejected(ProviderError):
    """The provider doesn't do what was asked; the text is its reason, or ours."""


class NoLongerOpen(Rejected):
    """The invoice can no longer be canceled: something was paid, or it is over already."""


class OutcomeUnknown(ProviderError):
    """Nobody knows whether the invoice was made: no answer came, or one that says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How many invoices in a status, and what they add up to."""

    count: int
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """A period's invoices by the provider's word for their status, all in one currency."""

    currency: str
    totals: dict[str, Total]


@runtime_checkable
class CanCreateInvoice(Protocol):
    """A provider that can make an invoice."""

    @property
    def supported_fields(self) -> frozenset[str]:
        """The optional fields of ``NewInvoice`` that mean something to it."""

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice, with one request that is never repeated.

        Raises InvalidField or SettingNeeded before the request, Rejected, PermissionMissing or
        another ProviderError after it; OutcomeUnknown where the invoice may exist anyway.
        """


@runtime_checkable
class KeepsPaymentLinks(Protocol):
    """A provider that returns a payment link when an invoice is made, and never again."""

    links: dict[str, str]
    """Where to pay, by invoice ID; its owner keeps them from one start to the next."""


@runtime_checkable
class CanCancelInvoice(Protocol):
    """A provider that can take an unpaid invoice back."""

    async def async_cancel_invoice(self, invoice_id: str) -> None:
        """Cancel an invoice. Raises NoLongerOpen, Rejected or another ProviderError."""


@runtime_checkable
class CanListInvoices(Protocol):
    """A provider that says which invoices there are."""

    def async_list_invoices(
        self, *, since: datetime, until: datetime | None = None, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the invoices made since then, and until then, page by page, in the provider's order.

        Mostly that is the newest first. One may come twice where new ones push it to the
        next page. Stop iterating to make no more requests. Raises ListIncomplete in the end where
        some of them could not be read, and another ProviderError where nothing could.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticWallet:
    """An address that takes any amount of one coin, any number of times."""

    id: str | None
    address: str
    currency: str
    network: str | None
    identify: str
    """The user's own reference, which is the order ID of each deposit."""


@runtime_checkable
class CanCreateStaticWallet(Protocol):
    """A provider with static wallets, whose deposits it posts, signed."""

    def check_can_create_static_wallet(self) -> None:
        """Raise SettingNeeded where a setting is missing to create one, or to believe deposits."""

    async def async_create_static_wallet(self, currency: str, identify: str) -> StaticWallet:
        """Create a wallet. Raises InvalidField, Rejected or another ProviderError."""


@runtime_checkable
class CanReadBalance(Protocol):
    """A provider that says what the account holds."""

    async def async_get_balances(self) -> tuple[Balance, ...]:
        """Return what the account holds, by currency. Raises a ProviderError."""


@runtime_checkable
class CanReadStatistics(Protocol):
    """A provider that counts and adds up."""

    async def async_get_statistics(self, start: date, end: date) -> Statistics:
        """Return the totals from the first to the last day. Raises a ProviderError."""
