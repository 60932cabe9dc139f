"""What LNbits returns of a payment, in the shapes of older releases too."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
import math
import re
from typing import Any

from ..model import BadResponse, Invoice, InvoiceStatus, ProviderError
from ..parse import read_amount, read_iso_time, read_link, read_object, read_text, read_word

SATOSHI = "sat"
PENDING = "pending"
STATUSES: Mapping[str, InvoiceStatus] = {
    PENDING: InvoiceStatus.PENDING,
    "success": InvoiceStatus.PAID,
    "failed": InvoiceStatus.FAILED,
}
_LONGEST_MEMO = 80
# As much as the two clocks may differ.
_CLOCK_SKEW = timedelta(minutes=1)
# What was on its way when an invoice expired has arrived by then.
_GRACE = timedelta(minutes=10)
# What is left of a product of two floats that should be whole.
_ROUNDING = 1e-9
# More than there will ever be: 21 million bitcoins are 2.1e18 millisatoshi.
_MOST_MILLISATOSHI = Decimal(10) ** 20
# A bech32 text, which an LNURL is too.
BOLT11 = re.compile(r"ln(?!url)[a-z]{2,4}[0-9a-z]{50,8000}", re.ASCII | re.IGNORECASE)


def parse_rows(payload: object, now: datetime) -> dict[str, Invoice | ProviderError]:
    """Return the incoming payments in a page, by their hashes; one that is broken is an error."""
    rows = read_object(payload, "the answer").get("data")
    if not isinstance(rows, list):
        raise BadResponse("data is not a list")
    found: dict[str, Invoice | ProviderError] = {}
    for row in rows:
        id_ = row.get("payment_hash") if isinstance(row, dict) else None
        if not isinstance(id_, str):
            continue
        try:
            if (to_satoshi(row.get("amount")) or 0) >= 0:
                found[id_.lower()] = parse_row(row, now)
        except BadResponse as err:
            found[id_.lower()] = err
    return found


def parse_row(row: Mapping[str, Any], now: datetime) -> Invoice:
    """Return the invoice in a payment.

    The preimage proves a payment, and isn't read. Of the memo, only the first words are.
    """
    word = _read_status(row)
    extra = row.get("extra")
    extra = extra if isinstance(extra, dict) else {}
    satoshi = to_satoshi(row.get("amount"))
    amount, currency = _asked_in_fiat(extra, satoshi) or (satoshi, SATOSHI)
    # Such an invoice is paid at a card processor, by a link.
    by_link = bool(read_text(row.get("fiat_provider")))
    invoice = Invoice(
        id=str(row["payment_hash"]).lower(),
        status=STATUSES.get(word.lower(), InvoiceStatus.UNKNOWN),
        provider_status=word,
        amount=amount,
        currency=currency,
        pay_amount=None if by_link else satoshi,
        pay_currency=None if by_link else SATOSHI,
        network=None if by_link else "Lightning",
        order_id=read_text(row.get("external_id")) or read_text(extra.get("order_id")),
        memo=(read_text(row.get("memo")) or "")[:_LONGEST_MEMO] or None,
        payment_url=read_link(extra.get("fiat_payment_request")) if by_link else None,
        payment_text=None if by_link else _to_scan(row.get("bolt11")),
        created_at=read_iso_time(row.get("created_at")) or read_iso_time(row.get("time")),
        expires_at=read_iso_time(row.get("expiry")),
    )
    if invoice.status.is_paid:
        # Lightning knows no other amount than the one that was asked for.
        return replace(invoice, amount_received=amount)
    if invoice.status is not InvoiceStatus.UNKNOWN:
        # It is paid as a whole, or not at all.
        invoice = replace(invoice, amount_received=Decimal(0))
    is_over = has_expired(invoice, now - _GRACE)
    if invoice.status is InvoiceStatus.PENDING and is_over:
        # Releases before 1.6.0 may leave it pending for ever.
        return replace(invoice, status=InvoiceStatus.EXPIRED)
    if invoice.status is InvoiceStatus.FAILED and _is_expired(row, invoice, now):
        return replace(invoice, status=InvoiceStatus.EXPIRED)
    return invoice


def _asked_in_fiat(extra: Mapping[str, Any], satoshi: Decimal | None) -> tuple[Decimal, str] | None:
    """Return the fiat amount that was asked for, None where it was satoshi.

    Where it was in the wallet's own currency, only that it gives the satoshi exactly shows it:
    what satoshi were worth is rounded, and doesn't.
    """
    amount, currency = read_amount(extra.get("fiat_amount")), read_text(extra.get("fiat_currency"))
    if amount is not None and currency is not None:
        return amount, currency
    amount = read_amount(extra.get("wallet_fiat_amount"))
    currency = read_text(extra.get("wallet_fiat_currency"))
    rate = extra.get("wallet_fiat_rate")
    if amount is None or currency is None or satoshi is None or not isinstance(rate, int | float):
        return None
    with suppress(OverflowError):
        if math.isclose(rate * float(amount), float(satoshi), rel_tol=_ROUNDING):
            return amount, currency
    return None


def _read_status(row: Mapping[str, Any]) -> str:
    """Return the word for a payment's status; older releases only returned whether it is pending."""
    pending = row.get("pending")
    if row.get("status") is None and isinstance(pending, bool):
        return PENDING if pending else "success"
    return read_word(row.get("status"), "status")


def _is_expired(row: Mapping[str, Any], invoice: Invoice, now: datetime) -> bool:
    """Whether a payment failed because nobody paid in time."""
    labels = row.get("labels")
    if isinstance(labels, list) and "expired" in labels:
        return True
    return has_expired(invoice, now + _CLOCK_SKEW)


def has_expired(invoice: Invoice, now: datetime) -> bool:
    """Whether an invoice is past its expiry, as far as that is known."""
    return invoice.expires_at is not None and invoice.expires_at <= now


def to_satoshi(value: object) -> Decimal | None:
    """Return an amount of millisatoshi in satoshi, exactly, or None."""
    amount = read_amount(value)
    if amount is None or abs(amount) > _MOST_MILLISATOSHI:
        return None
    satoshi = amount.scaleb(-3)
    whole = satoshi.to_integral_value()
    return whole if satoshi == whole else satoshi.normalize()


def _to_scan(value: object) -> str | None:
    """Return what a wallet scans to pay an invoice."""
    bolt11 = read_text(value)
    return f"lightning:{bolt11}" if bolt11 and BOLT11.fullmatch(bolt11) else None
