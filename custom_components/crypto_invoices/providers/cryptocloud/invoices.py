"""CryptoCloud's invoices, as version 2 of its API writes them."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from ..cache import LastRead
from ..model import BadResponse, Invoice, InvoiceStatus, ProviderError
from ..parse import as_it_came, read_amount, read_link, read_local_time, read_text, read_word
from .project import STATUSES, parse_invoice_id, payment_page, read_success


def parse_rows(
    payload: object, last_rows: LastRead[Invoice] | None = None
) -> dict[str, Invoice | ProviderError]:
    """Return the invoices of an answer by ID; a broken row costs only itself."""
    rows = read_success(payload, "the answer").get("result")
    if not isinstance(rows, list):
        raise BadResponse("the answer has no list of invoices")
    found: dict[str, Invoice | ProviderError] = {}
    for row in rows:
        if not isinstance(row, dict) or not isinstance(name := row.get("uuid"), str):
            continue
        if (id_ := parse_invoice_id(name)) is None:
            continue
        try:
            found[id_] = _read_row(id_, row, last_rows)
        except BadResponse as err:
            found[id_] = err
    return found


def _read_row(id_: str, row: Mapping[str, Any], last_rows: LastRead[Invoice] | None) -> Invoice:
    """Return the invoice of a row, parsed only if the row is not as it came last time."""
    if last_rows is None or (came := as_it_came(row)) is None:
        return parse_invoice(id_, row)
    return last_rows.read(id_, came, lambda: parse_invoice(id_, row))


def parse_created(row: Mapping[str, Any]) -> Invoice:
    """Return the invoice of a row, of any kind."""
    if (id_ := parse_invoice_id(read_word(row.get("uuid"), "uuid"))) is None:
        raise BadResponse("the row names no invoice")
    return parse_invoice(id_, row)


def parse_invoice(id_: str, row: Mapping[str, Any]) -> Invoice:
    """Return the invoice of one row ("Invoice information"). Times are UTC."""
    word = read_word(row.get("status"), "status")
    address, coin = read_text(row.get("address")), row.get("currency")
    # It names a coin before the payer has picked one: only an address makes it theirs.
    coin = coin if address is not None and isinstance(coin, dict) else {}
    network = coin.get("network")
    amount, currency = _issued_in(row)
    received = read_amount(row.get("received_usd"))
    return Invoice(
        id=id_,
        status=STATUSES.get(word, InvoiceStatus.UNKNOWN),
        provider_status=word,
        amount=amount,
        currency=currency,
        # What is credited after fees; only its value in USD is in a currency we show.
        amount_received=received if currency == "USD" or not received else None,
        pay_amount=read_amount(row.get("amount")) if coin else None,
        pay_currency=read_text(coin.get("code")),
        network=read_text(network.get("code")) if isinstance(network, dict) else None,
        order_id=read_text(row.get("order_id")),
        address=address,
        payment_url=read_link(row.get("link")) or payment_page(id_),
        created_at=read_local_time(row.get("created"), UTC),
        expires_at=read_local_time(row.get("expiry_date"), UTC),
        paid_at=read_local_time(row.get("date_finished"), UTC),
        is_test=row["test_mode"] if isinstance(row.get("test_mode"), bool) else None,
    )


def _issued_in(row: Mapping[str, Any]) -> tuple[Any, str | None]:
    """Return the amount asked for and its currency: fiat where both are returned, else USD."""
    fiat = row.get("fiat_currency")
    if isinstance(fiat, dict):
        fiat = fiat.get("code")
    amount = read_amount(row.get("amount_in_fiat"))
    if amount is not None and isinstance(fiat, str) and fiat.strip():
        return amount, fiat.strip().upper()
    amount = read_amount(row.get("amount_usd"))
    return amount, None if amount is None else "USD"
