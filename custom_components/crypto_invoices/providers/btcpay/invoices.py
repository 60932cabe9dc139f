"""BTCPay Server's invoices, as its API writes them."""

from collections.abc import Container, Iterable, Mapping
import re
from typing import Any

from ..model import BadResponse, Invoice, InvoiceStatus, ProviderError
from ..parse import read_amount, read_link, read_object, read_text, read_unix_time, read_word

STATUSES: Mapping[str, InvoiceStatus] = {
    "New": InvoiceStatus.PENDING,
    "Processing": InvoiceStatus.PROCESSING,
    "Settled": InvoiceStatus.PAID,
    "Expired": InvoiceStatus.EXPIRED,
    "Invalid": InvoiceStatus.FAILED,
}
# What the additional status changes. An expired invoice stays "Expired", also
# when all of the money comes late.
ADDITIONAL_STATUSES: Mapping[tuple[str, str], InvoiceStatus] = {
    ("New", "PaidPartial"): InvoiceStatus.PARTIALLY_PAID,
    ("Settled", "PaidOver"): InvoiceStatus.OVERPAID,
    ("Expired", "PaidPartial"): InvoiceStatus.UNDERPAID,
    # Said of money that was merely seen: only the payments show whether it is final.
    ("Expired", "PaidLate"): InvoiceStatus.PROCESSING,
    ("Expired", "PaidOver"): InvoiceStatus.PROCESSING,
    ("Invalid", "Marked"): InvoiceStatus.CANCELED,
    ("Invalid", "Invalid"): InvoiceStatus.FAILED,
}
_NO_MORE = "None"
_ADDITIONAL_WORDS = frozenset({_NO_MORE, "Marked", "PaidLate", "PaidOver", "PaidPartial"})
_WORDS = {
    word.lower(): word
    for word in (*STATUSES, *_ADDITIONAL_WORDS, *(more for _, more in ADDITIONAL_STATUSES))
}

_LATE = frozenset({"Expired (PaidLate)", "Expired (PaidOver)"})

# IDs are Base58; an invoice's has 22 characters, seldom fewer.
_ID = re.compile(r"[0-9A-Za-z]{16,32}")
_LINK = re.compile(
    r"(?:https?://)?[^?#\s]+/(?:(?:i|invoices)/|invoice\?(?:[^#\s]*&)?id=)([^/?#&\s]+)(?:[/?#&]\S*)?",
    re.IGNORECASE,
)
# Also what is a little too long or too short. Words don't have digits, or capitals within.
ID_SHAPE = re.compile(
    r"^(?=[^\W\d_]*(?:\d|[a-z][A-Z]))[^\W_]{12,40}$|/(?:i|invoices)/.|/invoice\?(?:.*&)?id="
)

_FOR_WALLETS = re.compile(
    r"(?:bitcoin|dogecoin|lightning|liquidnetwork|litecoin|monero):[!-~]{1,4000}", re.IGNORECASE
)


def parse_invoice_id(text: str) -> str | None:
    """Return the ID in what a user typed or pasted: upper and lower case differ."""
    text = text.strip()
    if link := _LINK.fullmatch(text):
        text = link.group(1)
    return text if _ID.fullmatch(text) else None


def parse_rows(
    rows: Iterable[Any], wanted: Container[str] | None = None
) -> dict[str, Invoice | ProviderError]:
    """Return the invoices of a page that are wanted, or all; a broken row costs only itself."""
    found: dict[str, Invoice | ProviderError] = {}
    for row in rows:
        id_ = row.get("id") if isinstance(row, dict) else None
        if not isinstance(id_, str) or parse_invoice_id(id_) != id_:
            continue
        if wanted is not None and id_ not in wanted:
            continue
        try:
            found[id_] = parse_invoice(id_, row)
        except BadResponse as err:
            found[id_] = err
    return found


def parse_invoice(id_: str, payload: object) -> Invoice:
    """Return the invoice of one row."""
    row = read_object(payload, "the answer")
    if row.get("id") != id_:
        raise BadResponse("the answer is about another invoice")
    word = _in_its_case(read_word(row.get("status"), "status"))
    more = row.get("additionalStatus")
    more = _in_its_case(more.strip()) if isinstance(more, str) and more.strip() else _NO_MORE
    metadata = row.get("metadata")
    amount = read_amount(row.get("amount"))
    # A top-up invoice has no amount before it is paid.
    is_unset = str(row.get("type")).lower() == "topup" and not amount
    return Invoice(
        id=id_,
        status=_status(word, more),
        provider_status=word if more == _NO_MORE else f"{word} ({more})",
        amount=None if is_unset else amount,
        currency=read_text(row.get("currency")),
        # Servers before 2.1.2 don't say.
        amount_received=read_amount(row.get("paidAmount")),
        order_id=read_text(metadata.get("orderId")) if isinstance(metadata, dict) else None,
        payment_url=read_link(row.get("checkoutLink")),
        created_at=read_unix_time(row.get("createdTime")),
        expires_at=read_unix_time(row.get("expirationTime")),
        monitored_until=read_unix_time(row.get("monitoringExpiration")),
    )


def _in_its_case(word: str) -> str:
    """Return a word of a status as the documentation writes it, whatever case it came in."""
    return _WORDS.get(word.lower(), word)


def _status(word: str, more: str) -> InvoiceStatus:
    """Return what a status with its additional one means; of either, an unknown word is unknown."""
    if status := ADDITIONAL_STATUSES.get((word, more)):
        return status
    if more not in _ADDITIONAL_WORDS:
        return InvoiceStatus.UNKNOWN
    return STATUSES.get(word, InvoiceStatus.UNKNOWN)


def is_paid_late(invoice: Invoice) -> bool:
    """Whether money came after the expiry, final or not."""
    return invoice.provider_status in _LATE


def parse_new_invoice(payload: object) -> Invoice:
    """Return the invoice of one row, of any kind."""
    id_ = read_word(read_object(payload, "the answer").get("id"), "id")
    if parse_invoice_id(id_) != id_:
        raise BadResponse("the row names no invoice")
    return parse_invoice(id_, payload)


def read_payment_text(payload: object) -> str | None:
    """Return what a wallet scans, of an invoice that can be paid in one way only.

    Where there are several, the payer chooses on the payment page.
    """
    rows = payload if isinstance(payload, list) else []
    links = [read_text(row.get("paymentLink")) for row in rows if isinstance(row, dict)]
    if len(links) != 1 or not links[0] or not _FOR_WALLETS.fullmatch(links[0]):
        return None
    return links[0]
