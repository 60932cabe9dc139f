"""What a user is asked for: how to get at an invoice, and how to read it."""

from collections.abc import Mapping
from typing import Final

from ..model import InvoiceStatus
from ..provider import Field, FieldKind
from .amounts import MINOR

GAP: Final = "{id}"
"""Where an invoice's ID goes in the address."""

DEFAULT_REQUESTS_PER_MINUTE: Final = 60
MOST_REQUESTS_PER_MINUTE: Final = 6000

PLAIN: Final = "secret"
HMACS: Final = ("hmac-sha256", "hmac-sha512", "hmac-sha1")

ACCESS = (
    Field(key="url", kind=FieldKind.URL),
    Field(key="api_key", kind=FieldKind.SECRET),
    Field(key="key_header", kind=FieldKind.TEXT, required=False, default="Authorization"),
    Field(
        key="key_form",
        kind=FieldKind.CHOICE,
        required=False,
        default="Bearer {key}",
        options=("Bearer {key}", "Token {key}", "{key}", "Basic :{key}", "Basic {key}:"),
    ),
    Field(
        key="requests_per_minute",
        kind=FieldKind.TEXT,
        required=False,
        default=str(DEFAULT_REQUESTS_PER_MINUTE),
        advanced=True,
    ),
    Field(key="verify_ssl", kind=FieldKind.BOOLEAN, default=True, advanced=True),
    Field(key="push_id_path", kind=FieldKind.TEXT, required=False, advanced=True),
    Field(key="push_header", kind=FieldKind.TEXT, required=False, advanced=True),
    Field(
        key="push_check",
        kind=FieldKind.CHOICE,
        required=False,
        advanced=True,
        options=(PLAIN, *HMACS),
    ),
    Field(key="push_secret", kind=FieldKind.SECRET, required=False, advanced=True),
)

# By setting, what the words in it mean.
WORDS: Mapping[str, InvoiceStatus] = {
    "words_paid": InvoiceStatus.PAID,
    "words_pending": InvoiceStatus.PENDING,
    "words_processing": InvoiceStatus.PROCESSING,
    "words_partially_paid": InvoiceStatus.PARTIALLY_PAID,
    "words_expired": InvoiceStatus.EXPIRED,
    "words_canceled": InvoiceStatus.CANCELED,
    "words_failed": InvoiceStatus.FAILED,
    "words_refunded": InvoiceStatus.REFUNDED,
}

PATHS = (
    "status_path",
    "amount_path",
    "currency_path",
    "received_path",
    "order_path",
    "expiry_path",
    "page_path",
)


def _asked_beside_answer(key: str, *, required: bool = False) -> Field:
    """Return a text field of the form that shows an answer."""
    return Field(key=key, kind=FieldKind.TEXT, required=required, is_previewed=True)


READING = (
    _asked_beside_answer("sample_id", required=True),
    _asked_beside_answer("status_path", required=True),
    _asked_beside_answer("words_paid", required=True),
    *(_asked_beside_answer(key) for key in WORDS if key != "words_paid"),
    _asked_beside_answer("amount_path"),
    Field(
        key="amount_factor",
        kind=FieldKind.CHOICE,
        required=False,
        is_previewed=True,
        options=("1", "0.01", MINOR),
    ),
    _asked_beside_answer("currency_path"),
    _asked_beside_answer("currency"),
    *(_asked_beside_answer(key) for key in PATHS if key not in PATHS[:3]),
)
