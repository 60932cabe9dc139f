"""Money that came after an invoice had expired: the server doesn't say whether it is final.

"PaidLate" is said once a transaction is seen, and stays, also where it was replaced. Only the
payments show the rest.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Context, Decimal
from typing import Any

from ..cache import Cache
from ..model import (
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from ..parse import read_amount, read_object, read_word
from .invoices import is_paid_late

_SETTLED, _REFUSED = "settled", "invalid"
# Rates are rounded.
_NEARLY_ALL = Decimal("0.999")
# More digits than two amounts have.
_EXACT = Context(prec=250)


class LatePayments:
    """Finds out what invoices are that were paid late."""

    def __init__(self, read: Callable[[str], Awaitable[Any]]) -> None:
        """Ask for an invoice's payment methods with ``read``."""
        self._read = read
        self.settled: Cache[bool] = Cache()
        """Those whose payments need not be asked for again."""

    async def async_check(
        self, rows: Mapping[str, Invoice | ProviderError]
    ) -> dict[str, Invoice | ProviderError]:
        """Return the invoices with the status that their payments give them."""
        found = dict(rows)
        for id_, row in rows.items():
            if isinstance(row, Invoice) and is_paid_late(row):
                try:
                    found[id_] = await self._async_settle(row)
                except (BadResponse, InvoiceNotFound, ProviderUnavailable, RateLimited) as err:
                    found[id_] = err
        return found

    async def _async_settle(self, invoice: Invoice) -> Invoice:
        """Return what an invoice that was paid late is by its payments. Raises a ProviderError."""
        if invoice.id in self.settled:
            return replace(invoice, status=InvoiceStatus.PAID)
        status = read_late_status(invoice.amount, await self._read(invoice.id))
        if status is InvoiceStatus.PAID:
            self.settled[invoice.id] = True
        return replace(invoice, status=status)


def read_late_status(amount: Decimal | None, payload: object) -> InvoiceStatus:
    """Return the status of an invoice over this amount, by the payments of its payment methods.

    Raises BadResponse.
    """
    words: set[str] = set()
    settled = Decimal(0)
    for word, value in _payments(payload):
        words.add(word)
        if word == _SETTLED:
            settled = _EXACT.add(settled, value)
    if words == {_SETTLED} or (amount and settled >= amount * _NEARLY_ALL):
        return InvoiceStatus.PAID
    if not words <= {_SETTLED, _REFUSED}:
        return InvoiceStatus.PROCESSING
    return InvoiceStatus.UNDERPAID if _SETTLED in words else InvoiceStatus.EXPIRED


def _payments(payload: object) -> Iterator[tuple[str, Decimal]]:
    """Yield the status of each payment, and its value in the invoice's currency."""
    if not isinstance(payload, list):
        raise BadResponse("the payment methods are not a list")
    for row in payload:
        method = read_object(row, "the payment method")
        payments = method.get("payments")
        for entry in payments if isinstance(payments, list) else []:
            payment = read_object(entry, "the payment")
            word = read_word(payment.get("status"), "status").lower()
            # What can't be read counts for nothing.
            value = read_amount(payment.get("value")) or Decimal(0)
            rate = read_amount(method.get("rate")) or Decimal(0)
            yield word, _EXACT.multiply(value, rate)
