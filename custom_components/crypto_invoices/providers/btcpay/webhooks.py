"""The webhook at a BTCPay Server: what it posts, and how it is registered."""

from collections.abc import Mapping
from contextlib import suppress
import hashlib
import hmac
import re
import secrets
from typing import Any, Literal

from ..model import BadResponse, InvoiceNotFound, ProviderError
from ..parse import read_object, read_text, read_word
from ..push import Hint, PushRejected, RejectReason, parse_body
from .store import BTCPayStore, is_plain, read_list

# What a webhook of ours is notified of. Older servers don't know the last two, and refuse what they
# don't know; they report late money with the second.
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
# Of how many there could ever be.
_EVENT_INDEX = re.compile(r"specificEvents\[(\d{1,2})\]", re.IGNORECASE)


class BTCPayWebhooks(BTCPayStore):
    """A store that posts what happens to a webhook."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with what is known of the webhook, if it was made before."""
        super().__init__(*args, **kwargs)
        self._webhook_secret: str | None = self._settings.get("webhook_secret")
        self._webhook_id: str | None = self._settings.get("btcpay_webhook_id")
        self._has_put_webhook = False
        self._events = list(EVENTS)

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
            raise PushRejected(RejectReason.SIGNATURE, "there is no secret")
        signature = headers.get("BTCPay-Sig", "").encode(errors="replace")
        if not hmac.compare_digest(signature, sign(self._webhook_secret, body).encode()):
            raise PushRejected(RejectReason.SIGNATURE, "the signature is wrong")
        fields = parse_body(body)
        # The second is how old servers write the first.
        names = ("originalDeliveryId", "orignalDeliveryId", "deliveryId")
        deliveries = (read_text(fields.get(name)) for name in names)
        named = read_text(fields.get("invoiceId")) or ""
        return Hint(
            # Its test button names an invoice that can't be one.
            invoice_ids=frozenset({named if is_plain(named) else ""}),
            delivery_id=next(filter(None, deliveries), None),
        )

    @property
    def may_register_webhook(self) -> bool:
        """Whether the key may change the store's webhooks."""
        return self._may_register == "yes"

    async def async_register_webhook(
        self, url: str, replaces: str | None = None
    ) -> Mapping[str, str]:
        """See to it that the store posts to ``url``; return its secret and ID to keep.

        The secret is ours, as the server returns its own only once.
        """
        if not self.may_register_webhook:
            return {}
        ours = await self._async_own_webhooks({url, replaces or url})
        secret = self._webhook_secret or secrets.token_hex(32)
        if not ours:
            row = await self._async_write_webhook("POST", "/webhooks", url, secret)
            webhook_id = read_word(read_object(row, "the webhook").get("id"), "id")
        else:
            webhook_id, *doubles = ours
            # The secret there can't be compared: it is set once by each of us.
            if not (self._has_put_webhook and self._is_as_wanted(ours[webhook_id], url)):
                await self._async_write_webhook("PUT", f"/webhooks/{webhook_id}", url, secret)
            for double in doubles:
                await self._async_delete_webhook(double)
        self._webhook_secret, self._webhook_id = secret, webhook_id
        self._has_put_webhook = True
        return {"webhook_secret": secret, "btcpay_webhook_id": webhook_id}

    async def _async_write_webhook(
        self, method: Literal["POST", "PUT"], path: str, url: str, secret: str
    ) -> Any:
        """Make or change a webhook for the events that the server knows. Raises a ProviderError."""
        while True:
            wanted = {
                "enabled": True,
                "automaticRedelivery": True,
                "url": url,
                "secret": secret,
                "authorizedEvents": {"everything": False, "specificEvents": self._events},
            }
            try:
                return await self._async_at_store(method, path, wanted, self._webhook_refusal)
            except _UnknownEvents as err:
                known = [event for at, event in enumerate(self._events) if at not in err.indices]
                if not known or len(known) == len(self._events):
                    raise BadResponse("no event is known") from err
                self._events = known

    def _webhook_refusal(
        self, status: int, headers: Mapping[str, str], payload: object
    ) -> ProviderError:
        """Know the answer of a server that doesn't know all events."""
        named = {int(at) for at in _EVENT_INDEX.findall(str(payload))}
        if status in (400, 422) and named:
            return _UnknownEvents(named)
        return self._error(status, headers, payload)

    async def _async_own_webhooks(self, urls: set[str]) -> dict[str, Mapping[str, Any]]:
        """Return the webhooks that post to us, by ID, the one we know of first.

        One with another address belongs to another Home Assistant, even if this one is its copy.
        """
        rows = read_list(await self._async_at_store("GET", "/webhooks"))
        by_id: dict[str, Mapping[str, Any]] = {
            row["id"]: row
            for row in rows
            if isinstance(row, dict) and isinstance(row.get("id"), str) and is_plain(row["id"])
        }
        ours = {id_: row for id_, row in by_id.items() if row.get("url") in urls}
        known = self._webhook_id or ""
        return {known: ours[known], **ours} if known in ours else ours

    def _is_as_wanted(self, row: Mapping[str, Any], url: str) -> bool:
        """Whether a webhook is still as we made it, as far as it shows."""
        events = row.get("authorizedEvents")
        told = events.get("specificEvents") if isinstance(events, dict) else None
        return (
            row.get("url") == url
            and row.get("enabled") is True
            and row.get("automaticRedelivery") is True
            and isinstance(told, list)
            and all(event in told for event in self._events)
        )

    async def _async_delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook, unless somebody else did."""
        with suppress(InvoiceNotFound):
            await self._async_at_store("DELETE", f"/webhooks/{webhook_id}")

    async def async_remove_webhook(self, url: str) -> None:
        """Delete the webhook that posts to ``url``. Raises a ProviderError."""
        # The one that is ours may have been made without anybody hearing of it.
        if not self.may_register_webhook:
            return
        for webhook_id in await self._async_own_webhooks({url}):
            await self._async_delete_webhook(webhook_id)
        self._webhook_id = None
        self._has_put_webhook = False


def sign(secret: str, body: bytes) -> str:
    """Return the signature of a delivery, as its header has it."""
    key = secret.encode(errors="surrogatepass")
    return f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"


class _UnknownEvents(BadResponse):
    """The server doesn't know some of the events that were asked for."""

    def __init__(self, indices: set[int]) -> None:
        """Keep which of them."""
        super().__init__("HTTP 422")
        self.indices = indices
