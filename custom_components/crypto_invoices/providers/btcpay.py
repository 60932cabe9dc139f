"""BTCPay Server, a payment server that people host themselves.

Facts: the Greenfield API at docs.btcpayserver.org/API/Greenfield and the
server's source (github.com/btcpayserver/btcpayserver, 2.4.1), which is right
where the two differ.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
import hashlib
import hmac
import re
import secrets
from typing import Any, override
from urllib.parse import urlencode

import orjson

from .btcpay_invoice import parse_new_invoice, parse_rows, read_payment_text
from .btcpay_store import PAGE, BTCPayStore, is_plain, read_list
from .invoicing import NewInvoice, NoLongerOpen, PermissionMissing, Rejected
from .model import BadResponse, Invoice, InvoiceNotFound, InvoiceStatus, ProviderError
from .pages import Page, each_once
from .parse import read_object, read_text, read_word
from .push import Hint, PushRefused, Refusal

# What a webhook of ours is told of. Older servers don't know the last two, and
# tell of late money with the second.
EVENTS = (
    "InvoiceExpired",
    "InvoiceReceivedPayment",
    "InvoicePaymentSettled",
    "InvoiceProcessing",
    "InvoiceSettled",
    "InvoiceInvalid",
    "InvoiceExpiredPaidPartial",
    "InvoicePaidAfterExpiration",
)

# What isn't in here, or in the table that all share, is money with cents.
_DECIMALS: Mapping[str, int] = {
    **dict.fromkeys(("DASH", "GRS", "LBTC", "USDT", "ZEC"), 8),
    "SATS": 0,
    "XMR": 12,
}
_CURRENCY = re.compile(r"[A-Z][A-Z0-9]{2,9}")
_PERMISSION = re.compile(r"btcpay\.[a-z.]+")


class BTCPay(BTCPayStore):
    """A store at a BTCPay Server, with all that can be done there."""

    def __init__(self, *args: Any) -> None:
        """Start with what is known of the webhook, if it was made before."""
        super().__init__(*args)
        self._webhook_secret: str | None = self._settings.get("webhook_secret")
        self._webhook_id: str | None = self._settings.get("btcpay_webhook_id")
        self._has_put_webhook = False
        # What a wallet scans takes a request of its own: it is made for new invoices only.
        self._texts: dict[str, str] = {}

    @property
    def takes(self) -> frozenset[str]:
        """The optional fields of a new invoice that mean something here."""
        return frozenset({"description", "lifetime", "order_id", "payment_method"})

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice, with a key that may. Raises a ProviderError.

        It can be paid for whole minutes; ``payment_method`` is one like BTC-CHAIN or
        BTC-LN, which the payer can't choose any more then.
        """
        new.check_for(
            takes=self.takes,
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
            path = f"/invoices/{made.id}/payment-methods"
            if text := read_payment_text(await self._async_at_store("GET", path)):
                self._texts[made.id] = text
        return self._with_text(made)

    def _with_text(self, invoice: Invoice) -> Invoice:
        """Add what a wallet scans, as long as it is what has to be paid."""
        if invoice.status is not InvoiceStatus.PENDING:
            self._texts.pop(invoice.id, None)
        text = self._texts.get(invoice.id)
        return replace(invoice, payment_text=text) if text else invoice

    @override
    async def async_get_invoices(self, ids: Iterable[str]) -> dict[str, Invoice | ProviderError]:
        """Read invoices, with what was kept of those that were made here."""
        found = await super().async_get_invoices(ids)
        return {
            id_: self._with_text(entry) if isinstance(entry, Invoice) else entry
            for id_, entry in found.items()
        }

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
        self, *, since: datetime, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the invoices made since then, each once, the newest first.

        At most 20,000. Raises a ProviderError.
        """
        asked: dict[str, str | int] = {"startDate": int(since.timestamp()), "take": PAGE}
        if order_id is not None:
            asked["orderId"] = order_id

        async def read(offset: int) -> Page:
            query = urlencode({**asked, "skip": offset})
            rows = read_list(await self._async_at_store("GET", f"/invoices?{query}"))
            # How many there are in all is told by a page that isn't full.
            total = offset + len(rows) if len(rows) < PAGE else None
            return Page(len(rows), parse_rows(rows), total)

        async for invoice in each_once(read, since=since, order_id=order_id):
            yield invoice

    @override
    def _refusal(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Tell what is missing, or not there, or wrong with single values."""
        fields = payload if isinstance(payload, dict) else {}
        if status == 403 and (name := _missing_permission(fields)):
            return PermissionMissing(name)
        if status == 404 and fields.get("code") == "invoice-not-found":
            return InvoiceNotFound("HTTP 404")
        return super()._refusal(status, headers, payload)

    @property
    def accepts_push(self) -> bool:
        """Whether what is needed to believe a push is known."""
        return bool(self._webhook_secret)

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in a webhook's delivery, signed as a whole.

        Every signed delivery is taken, one about something else too: what is
        refused would hold up those behind it. It hints at what isn't tracked.
        """
        if not self._webhook_secret:
            raise PushRefused(Refusal.SIGNATURE, "there is no secret")
        signature = headers.get("BTCPay-Sig", "").encode(errors="replace")
        if not hmac.compare_digest(signature, sign(self._webhook_secret, body).encode()):
            raise PushRefused(Refusal.SIGNATURE, "the signature is wrong")
        try:
            fields = read_object(orjson.loads(body), "the body")
        except (orjson.JSONDecodeError, BadResponse) as err:
            raise PushRefused(Refusal.MALFORMED, type(err).__name__) from None
        # The second is how old servers write the first.
        names = ("originalDeliveryId", "orignalDeliveryId", "deliveryId")
        deliveries = (read_text(fields.get(name)) for name in names)
        return Hint(
            invoice_ids=frozenset({read_text(fields.get("invoiceId")) or ""}),
            delivery_id=next(filter(None, deliveries), None),
        )

    @property
    def may_register_webhook(self) -> bool:
        """Whether the key may change the store's webhooks."""
        return self._may_register == "yes"

    async def async_register_webhook(self, url: str) -> Mapping[str, str]:
        """See to it that the store posts to ``url``; return its secret and ID to keep.

        The secret is ours, as the server tells its own only once.
        """
        if not self.may_register_webhook:
            return {}
        ours = await self._async_own_webhooks(url)
        secret = self._webhook_secret or secrets.token_hex(32)
        wanted = {
            "enabled": True,
            "automaticRedelivery": True,
            "url": url,
            "secret": secret,
            "authorizedEvents": {"everything": False, "specificEvents": EVENTS},
        }
        if not ours:
            row = await self._async_at_store("POST", "/webhooks", wanted)
            webhook_id = read_word(read_object(row, "the webhook").get("id"), "id")
        else:
            webhook_id, *doubles = ours
            # The secret there can't be compared: it is set once by each of us.
            if not (self._has_put_webhook and _is_as_wanted(ours[webhook_id], url)):
                await self._async_at_store("PUT", f"/webhooks/{webhook_id}", wanted)
            for double in doubles:
                await self._async_delete_webhook(double)
        self._webhook_secret, self._webhook_id = secret, webhook_id
        self._has_put_webhook = True
        return {"webhook_secret": secret, "btcpay_webhook_id": webhook_id}

    async def _async_own_webhooks(self, url: str) -> dict[str, Mapping[str, Any]]:
        """Return the webhooks that are ours, by ID, the one we know of first.

        The address is known to nobody else.
        """
        rows = read_list(await self._async_at_store("GET", "/webhooks"))
        by_id = {
            row["id"]: row
            for row in rows
            if isinstance(row, dict) and isinstance(row.get("id"), str) and is_plain(row["id"])
        }
        known = self._webhook_id or ""
        ours = {known: by_id[known]} if known in by_id else {}
        return ours | {id_: row for id_, row in by_id.items() if row.get("url") == url}

    async def _async_delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook, unless somebody else did."""
        with suppress(InvoiceNotFound):
            await self._async_at_store("DELETE", f"/webhooks/{webhook_id}")

    async def async_remove_webhook(self) -> None:
        """Take back what was registered. Raises a ProviderError."""
        if self._webhook_id is None or not is_plain(self._webhook_id):
            return
        await self._async_delete_webhook(self._webhook_id)
        self._webhook_id = None
        self._has_put_webhook = False


def _missing_permission(fields: Mapping[str, Any]) -> str | None:
    """Return the permission that a refusal names."""
    for name in ("missingPermission", "message"):
        if found := _PERMISSION.search(str(fields.get(name))):
            return found.group().rstrip(".")
    return None


def sign(secret: str, body: bytes) -> str:
    """Return the signature of a delivery, as its header has it."""
    key = secret.encode(errors="surrogatepass")
    return f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"


def _is_as_wanted(row: Mapping[str, Any], url: str) -> bool:
    """Whether a webhook is still as we made it, as far as it shows."""
    events = row.get("authorizedEvents")
    told = events.get("specificEvents") if isinstance(events, dict) else None
    return (
        row.get("url") == url
        and row.get("enabled") is True
        and row.get("automaticRedelivery") is True
        and isinstance(told, list)
        and all(event in told for event in EVENTS)
    )
