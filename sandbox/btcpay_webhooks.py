"""BTCPay Server's webhooks: who is told of what, in order, and again where it may help."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
import hmac
import secrets
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, ThreadedResolver, web
import orjson
from yarl import URL

from .core import Sandbox
from .invoice import SandboxInvoice
from .postback import AGEING_INTERVAL
from .states import State
from .store import Change
from .wire import is_loopback

KEY = "btcpay"
STORE_ID = "9CiSandboxStoreAbCdEfGhJkLmNpQrStUvWxYz23456"
TIMEOUT = ClientTimeout(total=10)
KEPT = 1000

# How long it takes from one try to the next, in seconds: as documented, and for those in a hurry.
DELAYS: Mapping[str, tuple[float, ...]] = {
    "documented": (10, 60, 600, 600, 600, 600, 600, 600),
    "quick": (0.05,) * 8,
}

# A page of so many baskets is larger than anybody reads.
_LARGE = {"cart": [{"id": "tea", "note": "x" * 25_000}]}
_PAYMENT = ("InvoiceReceivedPayment", "InvoicePaymentSettled")
_PAID = ("InvoiceReceivedPayment", "InvoiceProcessing", "InvoicePaymentSettled", "InvoiceSettled")
_TOLD: Mapping[State, tuple[str, ...]] = {
    State.PARTIALLY_PAID: _PAYMENT,
    State.PROCESSING: ("InvoiceReceivedPayment", "InvoiceProcessing"),
    State.PAID: _PAID,
    State.OVERPAID: _PAID,
    State.UNDERPAID: (*_PAYMENT, "InvoiceExpired", "InvoiceExpiredPaidPartial"),
    State.EXPIRED: ("InvoiceExpired",),
    State.CANCELED: ("InvoiceInvalid",),
    State.FAILED: ("InvoiceInvalid",),
    State.MARKED_PAID: ("InvoiceSettled",),
}


def new_id() -> str:
    """Return an ID as long as the server's; the letters of one differ in case."""
    letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    return "".join(secrets.choice(letters) for _ in range(22))


def sign(secret: str, body: bytes) -> str:
    """Return what a delivery's header has to say."""
    return f"sha256={hmac.new(secret.encode(), body, sha256).hexdigest()}"


def is_late(invoice: SandboxInvoice) -> bool:
    """Say whether an invoice was paid when its time was up; confirmations may take longer."""
    can_be = invoice.state in (State.PROCESSING, State.PAID, State.FAILED)
    paid_at = invoice.paid_at if can_be else None
    return paid_at is not None and paid_at > invoice.expires_at


def events(invoice: SandboxInvoice, before: State | None, after: State | None) -> tuple[str, ...]:
    """Return what a change of an invoice is called: several things, in this order."""
    if before is None:
        return ("InvoiceCreated",)
    if after is None or after is before:
        return ()
    told = _TOLD.get(after, ())
    if after is State.PAID and is_late(invoice):
        return ("InvoiceReceivedPayment", "InvoicePaidAfterExpiration", "InvoicePaymentSettled")
    if before is State.PROCESSING and told is _PAID:
        return told[2:]
    if after is State.EXPIRED and invoice.received:
        return (*told, "InvoiceExpiredPaidPartial")
    return told


def describe(event: str, invoice: SandboxInvoice, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of an event: neither status nor amounts."""
    fields: dict[str, Any] = {
        "storeId": STORE_ID,
        "invoiceId": invoice.id,
        "metadata": metadata,
    }
    match event:
        case "InvoiceSettled":
            fields["manuallyMarked"] = invoice.state is State.MARKED_PAID
            fields["overPaid"] = invoice.state is State.OVERPAID
        case "InvoiceInvalid":
            fields["manuallyMarked"] = invoice.state is State.CANCELED
        case "InvoiceProcessing":
            fields["overPaid"] = invoice.state is State.OVERPAID
        case "InvoiceExpired":
            fields["partiallyPaid"] = bool(invoice.received)
        case "InvoiceReceivedPayment" | "InvoicePaymentSettled":
            fields["afterExpiration"] = is_late(invoice)
            fields["paymentMethodId"] = "BTC-CHAIN"
            fields["payment"] = {
                "id": f"{sha256(invoice.id.encode()).hexdigest()}-0",
                "receivedDate": int(invoice.updated_at.timestamp()),
                "value": f"{invoice.received:f}",
                "fee": "0",
                "status": "Processing" if invoice.state is State.PROCESSING else "Settled",
                "destination": "bcrt1qsandbox",
            }
    return fields


def write(fields: Mapping[str, Any]) -> bytes:
    """Write a delivery as the server does: JSON with indents."""
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2)


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One attempt to deliver, and what came of it."""

    id: str
    timestamp: int
    request: bytes
    http_code: int | None
    error: str | None

    @property
    def is_worth_repeating(self) -> bool:
        """Whether the server tries again: a client's error is final, but for two."""
        code = self.http_code
        return code is None or code in {408, 429} or 500 <= code <= 599

    def shown(self) -> dict[str, Any]:
        """Return the delivery as the API shows it."""
        status = "Failed" if self.http_code is None else "HttpError"
        return {
            "id": self.id,
            "timestamp": self.timestamp,
            "deliveryTime": self.timestamp,
            "httpCode": self.http_code,
            "errorMessage": self.error,
            "status": status if self.error else "HttpSuccess",
        }


@dataclass(slots=True, kw_only=True)
class Webhook:
    """One address that a store tells."""

    id: str
    store_id: str
    url: str
    enabled: bool
    automatic_redelivery: bool
    secret: str
    everything: bool
    specific_events: list[str]
    deliveries: deque[Delivery] = field(default_factory=lambda: deque(maxlen=KEPT))
    waiting: deque[dict[str, Any]] = field(default_factory=deque)
    """What is still to be delivered; nothing overtakes what is tried again."""

    worker: asyncio.Task[None] | None = None

    def wants(self, event: str) -> bool:
        """Say whether it is to be told of an event."""
        return self.enabled and (self.everything or event in self.specific_events)

    def shown(self, *, with_secret: bool) -> dict[str, Any]:
        """Return the webhook as the API shows it; its secret only once."""
        secret = {"secret": self.secret} if with_secret else {}
        return {
            "id": self.id,
            "enabled": self.enabled,
            **secret,
            "automaticRedelivery": self.automatic_redelivery,
            "url": self.url,
            "authorizedEvents": {
                "everything": self.everything,
                "specificEvents": self.specific_events,
            },
        }


class Webhooks:
    """All webhooks, and the deliveries that are under way: in memory, as the server has them."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Begin with none, and hear of every change."""
        self.all: dict[str, Webhook] = {}
        self._sandbox = sandbox
        self._session: ClientSession | None = None
        self._workers: set[asyncio.Task[None]] = set()
        sandbox.store.subscribe(self._heard)

    async def run(self, app: web.Application) -> AsyncIterator[None]:
        """Be able to deliver, from the server's start to its end."""
        connector = TCPConnector(limit=0, resolver=ThreadedResolver())
        async with ClientSession(timeout=TIMEOUT, connector=connector) as self._session:
            ageing = asyncio.create_task(self._age())
            yield
            # Those of webhooks that were removed meanwhile, too.
            workers = tuple(self._workers)
            for task in (ageing, *workers):
                task.cancel()
            await asyncio.gather(ageing, *workers, return_exceptions=True)
        self._session = None

    def remove(self, hook: Webhook) -> None:
        """Forget a webhook; what is waiting for it is not delivered any more."""
        del self.all[hook.id]
        hook.waiting.clear()
        hook.enabled = False

    def tell(self, hook: Webhook, event: str, fields: Mapping[str, Any]) -> str:
        """Deliver in turn; return the ID of the delivery."""
        delivery_id = new_id()
        return self._enqueue(
            hook,
            {
                "deliveryId": delivery_id,
                "webhookId": hook.id,
                "originalDeliveryId": delivery_id,
                "isRedelivery": False,
                "type": event,
                "timestamp": int(self._sandbox.store.clock().timestamp()),
                **fields,
            },
        )

    def test(self, hook: Webhook, event: str) -> str:
        """Deliver what the button for it does: about an invoice that isn't there."""
        test_id = f"__test__{new_id()}__test__"
        return self.tell(hook, event, {"storeId": hook.store_id, "invoiceId": test_id})

    def redeliver(self, hook: Webhook, delivery: Delivery) -> str:
        """Deliver again, in turn; return the ID of the new delivery."""
        return self._enqueue(hook, _again(orjson.loads(delivery.request)))

    async def settled(self) -> None:
        """Wait until everything is delivered, or given up."""
        while workers := [hook.worker for hook in self.all.values() if hook.worker]:
            await asyncio.wait(workers)

    def _heard(self, change: Change) -> None:
        """Tell of a change of an invoice."""
        invoice = change.invoice
        if invoice.provider != KEY:
            return
        for event in events(invoice, change.before, change.after):
            fields = describe(event, invoice, metadata(self._sandbox.settings[KEY], invoice))
            for hook in self.all.values():
                if hook.store_id == STORE_ID and hook.wants(event):
                    self.tell(hook, event, fields)

    def _enqueue(self, hook: Webhook, fields: dict[str, Any]) -> str:
        """Put a delivery behind those that are waiting."""
        hook.waiting.append(fields)
        if hook.worker is None and self._session:
            hook.worker = asyncio.create_task(self._work(hook, self._session))
            self._workers.add(hook.worker)
            hook.worker.add_done_callback(self._workers.discard)
        return str(fields["deliveryId"])

    async def _work(self, hook: Webhook, session: ClientSession) -> None:
        """Deliver one after the other, until nothing waits."""
        try:
            while hook.waiting:
                await self._deliver(hook, session, hook.waiting.popleft())
        finally:
            hook.worker = None

    async def _deliver(self, hook: Webhook, session: ClientSession, fields: dict[str, Any]) -> None:
        """Deliver, again if need be; meanwhile everything else waits."""
        delays = DELAYS[self._sandbox.settings[KEY]["retries"]]
        for delay in (0, *delays):
            await asyncio.sleep(delay)
            if not hook.wants(fields["type"]):
                return
            if delay:
                fields = _again(fields)
            delivery = await self._send(hook, session, fields)
            hook.deliveries.append(delivery)
            if not (hook.automatic_redelivery and delivery.is_worth_repeating):
                return

    async def _send(
        self, hook: Webhook, session: ClientSession, fields: dict[str, Any]
    ) -> Delivery:
        """Deliver once; a redirect is not followed."""
        body = write(fields)
        headers = {"Content-Type": "application/json", "BTCPay-Sig": sign(hook.secret, body)}
        code = error = None
        try:
            _check_is_here(hook.url)
            async with session.post(
                hook.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                code = response.status
                error = None if response.status < 300 else f"HTTP Error Code {code}"
        except (ClientError, TimeoutError, ValueError) as problem:
            error = str(problem) or type(problem).__name__
        now = int(self._sandbox.store.clock().timestamp())
        return Delivery(
            id=fields["deliveryId"], timestamp=now, request=body, http_code=code, error=error
        )

    async def _age(self) -> None:
        """Let invoices expire that nobody looks at, while somebody would hear of it."""
        while True:
            await asyncio.sleep(AGEING_INTERVAL)
            if self.all:
                self._sandbox.store.all(KEY)


def metadata(settings: Mapping[str, str], invoice: SandboxInvoice) -> dict[str, Any]:
    """Return what the merchant noted: an order's ID may be a number, or missing; maybe a basket."""
    noted: dict[str, Any] = {"orderId": invoice.order_id} if invoice.order_id else {}
    match settings["order_id"]:
        case "number":
            noted = {"orderId": invoice.number}
        case "omitted":
            noted = {}
    if settings["pos_data"] == "large":
        noted["posData"] = _LARGE
    return noted


def _again(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a delivery as it is made again: with an ID of its own, and the first one's."""
    return {**fields, "deliveryId": new_id(), "isRedelivery": True}


def _check_is_here(url: str) -> None:
    """Raise ValueError unless this machine is meant: no sandbox posts anywhere else."""
    host = None
    with suppress(ValueError):
        host = URL(url).host
    if not is_loopback(host or ""):
        raise ValueError("the sandbox delivers to this machine only")
