"""What every provider speaks in: invoices, accounts and the five errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType


class InvoiceStatus(StrEnum):
    """The common status of an invoice, whatever its provider calls it."""

    PENDING = "pending"
    PROCESSING = "processing"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    OVERPAID = "overpaid"
    UNDERPAID = "underpaid"
    EXPIRED = "expired"
    CANCELED = "canceled"
    FAILED = "failed"
    REFUNDED = "refunded"
    UNKNOWN = "unknown"

    @property
    def is_paid(self) -> bool:
        """Whether at least what was asked for has arrived for good."""
        return self in _PAID

    @property
    def is_open(self) -> bool:
        """Whether the provider still expects a change."""
        return self in _OPEN


_PAID = frozenset({InvoiceStatus.PAID, InvoiceStatus.OVERPAID})
_OPEN = frozenset(
    {
        InvoiceStatus.PENDING,
        InvoiceStatus.PROCESSING,
        InvoiceStatus.PARTIALLY_PAID,
        InvoiceStatus.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """One request for payment, as its provider last described it.

    ``None`` is what the provider doesn't say. ``amount`` and ``amount_received``
    are in ``currency``, the one the invoice was issued in; ``pay_amount`` is in
    ``pay_currency``, the coin the payer picked. Times are aware.
    """

    id: str
    status: InvoiceStatus
    provider_status: str
    amount: Decimal | None = None
    currency: str | None = None
    amount_received: Decimal | None = None
    pay_amount: Decimal | None = None
    pay_currency: str | None = None
    network: str | None = None
    order_id: str | None = None
    memo: str | None = field(default=None, repr=False)
    """The first words of what the payer reads: between payer and payee, unless a user allows it."""
    address: str | None = None
    payment_url: str | None = None
    payment_text: str | None = None
    transaction_id: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    paid_at: datetime | None = None
    monitored_until: datetime | None = None
    """Until when the provider itself looks for late money."""
    is_test: bool | None = None
    is_final: bool = False
    """Whether nothing more is ever said of it, so that there is nothing to poll."""
    local_times: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Times as the provider wrote them, where it names no time zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One set of credentials at a provider, proven to work."""

    unique_id: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account holds in one currency."""

    amount: Decimal
    currency: str


class ProviderError(Exception):
    """Base of everything that leaves a provider; never carries a secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request brought: a row for each invoice that it was about, and when.

    Both times are those of the monotonic clock. Where several requests made one answer,
    ``asked`` is that of the first: too old is safe, too new is not.
    """

    asked: float
    """Right before the request was sent, after waiting for the budget."""
    received: float
    """When the answer was complete."""
    rows: Mapping[str, Invoice | ProviderError]


class AuthError(ProviderError):
    """The provider doesn't accept the credentials."""


class KeyCanSpend(AuthError):
    """The key works, but it could send money: a weaker one is enough."""


class ClockWrong(AuthError):
    """The provider refuses the time in a request: this machine's clock is off, not the key."""


class SettingNeeded(AuthError):
    """The credentials work, but a setting is needed beside them."""

    def __init__(self, key: str) -> None:
        """Keep the key of the field."""
        super().__init__(f"{key} is needed")
        self.key = key


class InvoiceNotFound(ProviderError):
    """The provider doesn't know this invoice, or not for this account."""


class BadResponse(ProviderError):
    """What came is not what the provider's contract says; the text says where."""


class AnswerTooLarge(BadResponse):
    """There is more in an answer than is read: less of it has to be asked for."""


class ListIncomplete(BadResponse):
    """A part of a list could not be read; what could be read came before this."""


class ServerTooOld(BadResponse):
    """A server that people run themselves is older than what can be read."""

    def __init__(self, version: str, least: str) -> None:
        """Keep its version, and the first that can be read."""
        super().__init__(f"version {version}")
        self.version = version
        self.least = least


class Forbidden(BadResponse):
    """A refusal without a word of the provider's: of the key, or by something on the way."""


class Moved(BadResponse):
    """What answers at the address sends everybody to another one, which is not followed."""

    def __init__(self, detail: str, *, to_https: bool) -> None:
        """Keep whether the other address is the encrypted one."""
        super().__init__(detail)
        self.to_https = to_https


class UnavailableReason(StrEnum):
    """Why a provider could not be reached."""

    CANNOT_CONNECT = "cannot_connect"
    CERTIFICATE = "certificate"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"


class ProviderUnavailable(ProviderError):
    """The provider can't be reached or has a trouble of its own."""

    def __init__(
        self,
        reason: UnavailableReason,
        detail: str = "",
        retry_after: float | None = None,
        *,
        was_reached: bool = True,
    ) -> None:
        """Keep why, the seconds it asks to wait, if it does, and if it may have got the request."""
        super().__init__(detail or reason.value)
        self.reason = reason
        self.retry_after = retry_after
        self.was_reached = was_reached


class RateLimited(ProviderError):
    """The provider asks for fewer requests."""

    def __init__(self, retry_after: float | None = None) -> None:
        """Keep the seconds the provider asks to wait, if it says."""
        super().__init__("too many requests")
        self.retry_after = retry_after
