"""What an invoice says, as plain values: attributes and actions pick from it."""

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from .money import exact
from .providers.model import Invoice
from .texts import attribute_text

_ATTRIBUTES = (
    "invoice_id",
    "status",
    "provider_status",
    "amount",
    "currency",
    "amount_received",
)
# Left out of the attributes while the provider doesn't say it.
_ATTRIBUTES_IF_TOLD = (
    "order_id",
    "pay_amount",
    "pay_currency",
    "network",
    "payment_url",
    "paid_at",
    "is_test",
)
_IN_ANSWERS = (
    "status",
    "provider_status",
    "amount",
    "currency",
    "amount_received",
    "pay_amount",
    "pay_currency",
    "network",
    "order_id",
    "payment_url",
    "payment_text",
    "created_at",
    "expires_at",
    "paid_at",
    "is_test",
)


def invoice_attributes(invoice: Invoice) -> dict[str, Any]:
    """Return an invoice as attributes. Amounts are numbers: exact ones are in the sensors."""
    if_told = (*_ATTRIBUTES_IF_TOLD, *invoice.local_times, "created_at", "expires_at")
    optional = _plain(invoice, if_told, float)
    optional["order_id"] = attribute_text(invoice.order_id)
    return {
        **_plain(invoice, _ATTRIBUTES, float),
        **{key: value for key, value in optional.items() if value is not None},
    }


def answer_values(invoice: Invoice) -> dict[str, Any]:
    """Return what an action says of an invoice: amounts exact, as text, and ISO times."""
    return _plain(invoice, _IN_ANSWERS, exact, datetime.isoformat)


def _values(invoice: Invoice) -> dict[str, Any]:
    """Return all that an invoice says; None is what its provider doesn't say.

    A time that its provider writes without a zone is a text.
    """
    return {
        **invoice.local_times,
        "invoice_id": invoice.id,
        "status": invoice.status.value,
        "provider_status": invoice.provider_status,
        "amount": invoice.amount,
        "currency": invoice.currency,
        "amount_received": invoice.amount_received,
        "pay_amount": invoice.pay_amount,
        "pay_currency": invoice.pay_currency,
        "network": invoice.network,
        "order_id": invoice.order_id,
        "payment_url": invoice.payment_url,
        "payment_text": invoice.payment_text,
        "created_at": invoice.created_at or invoice.local_times.get("created_at"),
        "expires_at": invoice.expires_at or invoice.local_times.get("expires_at"),
        "paid_at": invoice.paid_at,
        "is_test": invoice.is_test,
    }


def _plain(
    invoice: Invoice,
    keys: Iterable[str],
    write_amount: Callable[[Decimal], float | str],
    write_time: Callable[[datetime], datetime | str] = lambda moment: moment,
) -> dict[str, Any]:
    """Return some of what an invoice says, with amounts and times as they are asked for."""
    values = _values(invoice)
    plain: dict[str, Any] = {}
    for key in keys:
        match values[key]:
            case Decimal() as amount:
                plain[key] = write_amount(amount)
            case datetime() as moment:
                plain[key] = write_time(moment)
            case value:
                plain[key] = value
    return plain
