"""Makes, cancels and lists invoices at a BTCPay Server."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
import re
from typing import Any, override
from urllib.parse import urlencode

from ..cache import Cache
from ..capabilities import NoLongerOpen, PermissionMissing, Rejected
from ..model import Answer, Invoice, InvoiceNotFound, InvoiceStatus, ProviderError
from ..new_invoice import NewInvoice
from ..pages import Page, each_once
from .invoices import parse_new_invoice, parse_rows, read_payment_text
from .pages import PAGE
from .webhooks import BTCPayWebhooks

# What isn't in here, or in the table that all share, is money with cents.
_DECIMALS: Mapping[str, int] = {
    **dict.fromkeys(("DASH", "GRS", "LBTC", "USDT", "ZEC"), 8),
    "SATS": 0,
    "XMR": 12,
}
_CURRENCY = re.compile(r"[A-Z][A-Z0-9]{2,9}")
_PERMISSION = re.compile(r"btcpay\.[a-z.]+")


class BTCPay(BTCPayWebhooks):
    """A store at a BTCPay Server, with all that can be done there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start without invoices that were made here."""
        super().__init__(*args, **kwargs)
        # What a wallet scans takes a request of its own: it is made for new invoices only.
        self._texts: Cache[str] = self._remembers(Cache())

    @property
    def supported_fields(self) -> frozenset[str]:
        """The optional fields of a new invoice that mean something here."""
        return frozenset({"description", "lifetime", "order_id", "payment_method"})

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice, with a key that may. Raises a ProviderError.

        It can be paid for whole minutes; ``payment_method`` is one like BTC-CHAIN or
        BTC-LN, which the payer can no longer choose then.
        """
        new.check_for(
            supported=self.supported_fields,
            knows_currency=_CURRENCY.fullmatch(new.currency) is not None,
            decimals=_DECIMALS.get(new.currency, 2),
        )
        await self._async_find_store()
        metadata = {"orderId": new.order_id, "itemDesc": new.description}
        checkout: dict[str, Any] = {}
        if new.lifetime is not None:
            checkout["expirationMinutes"] = -(-new.lifetime // timedelta(minutes=1))
        if new.payment_method is not None:
            checkout["paymentMethods"] = [new.payment_method]
        asked = {
            "amount": f"{new.amount:f}",
            "currency": new.currency,
            "metadata": {key: value for key, value in metadata.items() if value is not None},
            "checkout": checkout,
        }
        made = await self._request_once(
            self._at_store("/invoices"), parse_new_invoice, headers=self._headers, json=asked
        )
        with suppress(ProviderError):
            if text := read_payment_text(await self._async_payment_methods(made.id)):
                self._texts[made.id] = text
        return self._with_text(made)

    def _with_text(self, invoice: Invoice) -> Invoice:
        """Add what a wallet scans, as long as it is what has to be paid."""
        if invoice.status is not InvoiceStatus.PENDING:
            self._texts.pop(invoice.id, None)
        text = self._texts.get(invoice.id)
        return replace(invoice, payment_text=text) if text else invoice

    @override
    async def async_get_answers(self, ids: Iterable[str]) -> list[Answer]:
        """Read invoices, with what was kept of those that were made here."""
        answers = await super().async_get_answers(ids)
        if not self._texts:
            return answers
        return [
            replace(
                answer,
                rows={
                    id_: self._with_text(row) if isinstance(row, Invoice) else row
                    for id_, row in answer.rows.items()
                },
            )
            for answer in answers
        ]

    async def async_cancel_invoice(self, invoice_id: str) -> None:
        """Mark an invoice invalid, with a key that may, unless money came or it is over.

        The server itself would mark one that is paid and waits for confirmations, too.
        Raises NoLongerOpen, Rejected or another ProviderError.
        """
        if (entry := (await self._async_read((invoice_id,))).get(invoice_id)) is None:
            raise InvoiceNotFound(invoice_id)
        if isinstance(entry, ProviderError):
            raise entry
        if entry.status is InvoiceStatus.UNKNOWN:
            raise Rejected(entry.provider_status)
        if entry.status is not InvoiceStatus.PENDING:
            raise NoLongerOpen(entry.provider_status)
        await self._async_at_store(
            "POST", f"/invoices/{invoice_id}/status", {"status": "Invalid"}, self._refusal
        )

    async def async_list_invoices(
        self, *, since: datetime, until: datetime | None = None, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the invoices made since then, each once, the newest first.

        At most 20,000. Raises a ProviderError.
        """
        asked: dict[str, str | int] = {"startDate": int(since.timestamp())}
        if until is not None:
            asked["endDate"] = int(until.timestamp()) + 1
        if order_id is not None:
            asked["orderId"] = order_id

        async def read(offset: int, size: int) -> Page:
            query = urlencode({**asked, "skip": offset, "take": size})
            rows = await self._async_get_page(query)
            # How many there are in all is known from a page that isn't full.
            total = offset + len(rows) if len(rows) < size else None
            found = await self._late.async_check(parse_rows(rows))
            return Page(len(rows), found, total)

        async for invoice in each_once(
            read, since=since, until=until, order_id=order_id, size=PAGE
        ):
            yield invoice

    @override
    def _refusal(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Report what is missing, or not there, or wrong with single values."""
        fields = payload if isinstance(payload, dict) else {}
        if status == 403 and (name := _missing_permission(fields)):
            return PermissionMissing(name)
        if status == 404 and fields.get("code") == "invoice-not-found":
            return InvoiceNotFound("HTTP 404")
        return super()._refusal(status, headers, payload)


def _missing_permission(fields: Mapping[str, Any]) -> str | None:
    """Return the permission that a refusal names."""
    for name in ("missingPermission", "message"):
        if found := _PERMISSION.search(str(fields.get(name))):
            return found.group().rstrip(".")
    return None
