"""E-Gates' invoices, as its API writes them."""

from collections.abc import Mapping
from datetime import tzinfo
import re
from typing import Any

from ..model import BadResponse, Invoice, InvoiceStatus
from ..parse import (
    read_amount,
    read_json,
    read_link,
    read_local_time,
    read_object,
    read_text,
    read_unix_time,
    read_word,
)

# SUCCESS and PENDING stand on the provider's pages, SUCCESS_SMALL_AMOUNT by its
# name only; the last two are those of a sibling API with the same fields.
STATUSES: Mapping[str, InvoiceStatus] = {
    "PENDING": InvoiceStatus.PENDING,
    "SUCCESS": InvoiceStatus.PAID,
    "SUCCESS_SMALL_AMOUNT": InvoiceStatus.UNDERPAID,
    "INITIALIZATION": InvoiceStatus.PENDING,
    "CANCEL": InvoiceStatus.CANCELED,
}

_UUID = re.compile(r"(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])")
_TIMES = {"created_at": "createdAt", "updated_at": "updatedAt", "expires_at": "expireAt"}


def parse_invoice_id(text: str) -> str | None:
    """Return the UUID in what a user typed or pasted, or None."""
    found = set(_UUID.findall(text.lower()))
    return found.pop() if len(found) == 1 else None


def parse_invoice(id_: str, envelope: object, zone: tzinfo | None) -> Invoice:
    """Return the invoice in an envelope.

    The times name no zone, and ``updatedAt`` is in another one than the rest
    (the provider's own sample shows it): they are read only in a zone that the
    user named, ``updatedAt`` never.
    """
    row = read_object(read_object(envelope, "the answer").get("response"), "response")
    if row.get("invoice") is not None and str(row["invoice"]).lower() != id_:
        raise BadResponse("the answer is about another invoice")
    word = read_word(row.get("status"), "status")
    currency = read_text(row.get("ticker"))
    texts = {key: read_text(row.get(name)) for key, name in _TIMES.items()}
    return Invoice(
        id=id_,
        status=STATUSES.get(word.upper(), InvoiceStatus.UNKNOWN),
        provider_status=word,
        amount=read_amount(row.get("invoiceAmount")),
        currency=currency,
        amount_received=read_amount(row.get("actualAmount")),
        pay_amount=read_amount(row.get("invoiceAmount")),
        pay_currency=currency,
        network=read_text(row.get("networkName")),
        order_id=read_text(row.get("order_number")),
        address=read_text(row.get("address")),
        transaction_id=read_text(row.get("hash")),
        created_at=read_local_time(texts["created_at"], zone) if zone else None,
        expires_at=read_local_time(texts["expires_at"], zone) if zone else None,
        local_times={key: text for key, text in texts.items() if text is not None},
    )


def find_pushed_id(fields: Mapping[str, Any]) -> str | None:
    """Return the ID of the invoice that a callback is about, None where it names none.

    The page shows an object with the fields of an answer. In which form it is posted is
    documented nowhere: as an envelope, as JSON in a field, or in PHP's style with brackets.
    """
    places = [fields]
    for name in ("invoice", "response"):
        inner = fields.get(name)
        if isinstance(inner, str):
            try:
                inner = read_json(inner.encode(errors="replace"))
            except ValueError:
                continue
        if isinstance(inner, dict):
            places.append(inner)
    named = (
        place.get(name)
        for place in places
        for name in ("invoice", "invoice_id", "invoice[invoice]", "invoice[invoice_id]")
    )
    return next(
        (id_ for text in named if isinstance(text, str) and (id_ := parse_invoice_id(text))), None
    )


def parse_created(row: Mapping[str, Any]) -> Invoice:
    """Return an invoice that was made: its fields have other names than when it is read."""
    if (id_ := parse_invoice_id(read_word(row.get("invoice_id"), "invoice_id"))) is None:
        raise BadResponse("invoice_id is no ID")
    word = read_word(row.get("status"), "status")
    amount, currency = read_amount(row.get("amount")), read_text(row.get("currency"))
    return Invoice(
        id=id_,
        status=STATUSES.get(word.upper(), InvoiceStatus.UNKNOWN),
        provider_status=word,
        amount=amount,
        currency=currency,
        pay_amount=amount,
        pay_currency=currency,
        order_id=read_text(row.get("order_number")),
        address=read_text(row.get("address")),
        payment_url=read_link(row.get("redirect_link")),
        created_at=read_unix_time(row.get("created_at")),
    )
