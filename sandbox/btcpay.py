"""BTCPay Server: a store's invoices in pages and alone, keys with permissions, webhooks."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import wraps
from hashlib import sha512
import hmac
from typing import Any

from aiohttp import web
import orjson
from yarl import URL

from .btcpay_webhooks import (
    DELAYS,
    KEY,
    STORE_ID,
    Delivery,
    Webhook,
    Webhooks,
    describe,
    events,
    is_late,
    metadata,
    new_id,
    sign,
    write,
)
from .core import SANDBOX
from .invoice import SandboxInvoice
from .letter import Draft, Format, Letter, Postback, Signature
from .provider import INVOICES, Provider, Route
from .states import Action, State
from .wire import json_response, same

WEBHOOKS = web.AppKey("btcpay_webhooks", Webhooks)
OTHER_STORE_ID = "8BhSandboxOtherAbCdEfGhJkLmNpQrStUvWxYz23456"
STORES = {STORE_ID: "Sandbox shop", OTHER_STORE_ID: "Another sandbox shop"}
MONITORED = timedelta(minutes=1440)

VIEW = "btcpay.store.canviewinvoices"
VIEW_STORES = "btcpay.store.canviewstoresettings"
MODIFY_STORES = "btcpay.store.canmodifystoresettings"
MODIFY_WEBHOOKS = "btcpay.store.webhooks.canmodifywebhooks"
# Which permission holds which others.
INCLUDED: Mapping[str, frozenset[str]] = {
    "unrestricted": frozenset({VIEW, VIEW_STORES, MODIFY_STORES, MODIFY_WEBHOOKS}),
    MODIFY_STORES: frozenset({VIEW, VIEW_STORES, MODIFY_WEBHOOKS}),
    VIEW_STORES: frozenset({VIEW}),
    "btcpay.store.canmodifyinvoices": frozenset({VIEW}),
}
# What the key that the sandbox names may do, and what other keys may.
PERMISSIONS = (f"{VIEW}:{STORE_ID}", f"{MODIFY_WEBHOOKS}:{STORE_ID}")
READ_ONLY_KEY = "sandbox-btcpay-read-only-key"
ALL_STORES_KEY = "sandbox-btcpay-all-stores-key"
TWO_STORES_KEY = "sandbox-btcpay-two-stores-key"
SPENDING_KEY = "sandbox-btcpay-spending-key"
UNRESTRICTED_KEY = "sandbox-btcpay-unrestricted-key"
USELESS_KEY = "sandbox-btcpay-useless-key"
KEYS: Mapping[str, tuple[str, ...]] = {
    READ_ONLY_KEY: (f"{VIEW}:{STORE_ID}",),
    ALL_STORES_KEY: (VIEW, VIEW_STORES, MODIFY_WEBHOOKS),
    TWO_STORES_KEY: (f"{VIEW}:{STORE_ID}", f"{VIEW}:{OTHER_STORE_ID}"),
    SPENDING_KEY: (f"{VIEW}:{STORE_ID}", f"btcpay.store.canuselightningnode:{STORE_ID}"),
    UNRESTRICTED_KEY: ("unrestricted",),
    USELESS_KEY: ("btcpay.user.canviewprofile",),
}

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _error(status: int, code: str, message: str, **more: str) -> web.Response:
    """Answer with an error that is about the request as a whole."""
    return json_response({"code": code, "message": message, **more}, status=status)


def _invalid(**problems: str) -> web.Response:
    """Answer with what is wrong with single values: a list, not an object."""
    rows = [{"path": path, "message": message} for path, message in problems.items()]
    return json_response(rows, status=422)


def _held(request: web.Request) -> tuple[str, ...] | None:
    """Return what the request's key may do, or None if it is no key."""
    given = request.headers.get("Authorization", "")
    own = request.app[SANDBOX].providers[KEY].credentials["api_key"]
    for key, permissions in {**KEYS, own: PERMISSIONS}.items():
        if same(given, f"token {key}"):
            return permissions
    return None


def _may(held: tuple[str, ...], policy: str, store_id: str | None) -> bool:
    """Say whether permissions allow something at a store, or at any, where that is None."""
    for permission in held:
        name, _, scope = permission.partition(":")
        allows = name == policy or policy in INCLUDED.get(name, ())
        if allows and (store_id is None or scope in ("", store_id)):
            return True
    return False


def _is_there(request: web.Request) -> bool:
    """Say whether the store is there, and what else is named is that store's."""
    named = request.match_info
    store_id, webhook = named.get("store_id"), None
    if "webhook_id" in named:
        webhook = request.app[WEBHOOKS].all.get(named["webhook_id"])
    if store_id is None:
        return "invoice_id" not in named or _invoice(request) is not None
    is_elsewhere = (webhook is not None and webhook.store_id != store_id) or (
        "invoice_id" in named and store_id != STORE_ID and _invoice(request) is not None
    )
    return store_id in STORES and not is_elsewhere


def _needs(policy: str | None) -> Callable[[Handler], Handler]:
    """Let only those in whose key allows it; a store that isn't there is forbidden, not missing."""

    def wrap(handler: Handler) -> Handler:
        @wraps(handler)
        async def guarded(request: web.Request) -> web.StreamResponse:
            held = _held(request)
            if held is None:
                message = "Authentication is required for accessing this endpoint"
                return _error(401, "unauthenticated", message)
            store_id = request.match_info.get("store_id")
            if store_id is None and "invoice_id" in request.match_info:
                store_id = STORE_ID
            if policy and not (_may(held, policy, store_id) and _is_there(request)):
                message = f'Insufficient API Permissions. Please use an API key with "{policy}".'
                return _error(403, "missing-permission", message, missingPermission=policy)
            return await handler(request)

        return guarded

    return wrap


def _invoice(request: web.Request) -> SandboxInvoice | None:
    """Return the invoice that is asked for."""
    return request.app[SANDBOX].store.find(KEY, request.match_info["invoice_id"])


def status_of(invoice: SandboxInvoice, now: datetime) -> tuple[str, str]:
    """Return both words of an invoice's status. What is late or partial stays expired."""
    if invoice.state is State.PARTIALLY_PAID and invoice.expires_at <= now:
        return "Expired", "PaidPartial"
    if invoice.state is State.EXPIRED and invoice.received:
        return "Expired", "PaidPartial"
    if is_late(invoice):
        return "Expired", "PaidLate"
    return BTCPAY.words[invoice.state], ADDITIONAL_WORDS.get(invoice.state, "None")


def _row(request: web.Request, invoice: SandboxInvoice) -> dict[str, Any]:
    """Return the invoice as the API shows it: money as text, times as seconds."""
    sandbox = request.app[SANDBOX]
    settings = sandbox.settings[KEY]
    status, additional = status_of(invoice, sandbox.store.clock())
    expires_at = invoice.expires_at
    if invoice.state is State.UNDERPAID:
        expires_at = min(expires_at, invoice.updated_at)
    marks = [] if status == "Settled" else ["Settled"] if status == "Invalid" else MARKS
    row = {
        "id": invoice.id,
        "storeId": STORE_ID,
        "amount": f"{invoice.amount:f}",
        "paidAmount": f"{_rounded(invoice):f}",
        "checkoutLink": f"{request.url.origin()}/i/{invoice.id}",
        "status": status,
        "additionalStatus": additional,
        "monitoringExpiration": int((expires_at + MONITORED).timestamp()),
        "expirationTime": int(expires_at.timestamp()),
        "createdTime": int(invoice.created_at.timestamp()),
        "availableStatusesForManualMarking": marks,
        "archived": False,
        "type": "Standard",
        "currency": invoice.currency,
        "metadata": metadata(settings, invoice),
        "checkout": CHECKOUT,
        "receipt": {"enabled": True, "showQR": True, "showPayments": True},
    }
    if settings["paid_amount"] == "omitted":
        del row["paidAmount"]
    return row


def _rounded(invoice: SandboxInvoice) -> Decimal:
    """Return what was received, in as many digits as the currency has."""
    digits = Decimal("0.00000001") if invoice.currency == "BTC" else Decimal("0.01")
    return invoice.received.quantize(digits)


async def _get_health(request: web.Request) -> web.Response:
    """Answer anybody."""
    return json_response({"synchronized": True})


@_needs(None)
async def _get_key(request: web.Request) -> web.Response:
    """Tell what the key may do."""
    key = request.headers["Authorization"].removeprefix("token ")
    return json_response({"apiKey": key, "label": "Sandbox", "permissions": _held(request)})


def _store(store_id: str) -> dict[str, Any]:
    """Return a store as the API shows it."""
    return {"id": store_id, "name": STORES[store_id], "website": None, "defaultCurrency": "EUR"}


@_needs(VIEW_STORES)
async def _get_stores(request: web.Request) -> web.Response:
    """List the stores that the key may see."""
    held = _held(request) or ()
    return json_response([_store(id_) for id_ in STORES if _may(held, VIEW_STORES, id_)])


@_needs(VIEW_STORES)
async def _get_store(request: web.Request) -> web.Response:
    """Tell about one store."""
    return json_response(_store(request.match_info["store_id"]))


@_needs(VIEW)
async def _get_invoices(request: web.Request) -> web.Response:
    """List invoices, newest first; without ``take`` all there ever were."""
    query, numbers, problems = request.query, dict[str, int](), dict[str, str]()
    for name in ("skip", "take", "startDate", "endDate"):
        text = query.get(name, "")
        if text.isascii() and text.isdigit():
            numbers[name] = int(text)
        elif name in query:
            problems[name] = f"The value '{text}' is not valid."
    since, until = numbers.get("startDate", 0), numbers.get("endDate", 2**40)
    if since > until:
        problems["startDate"] = "startDate should not be above endDate"
        problems["endDate"] = "endDate should not be below startDate"
    if problems:
        return _invalid(**problems)
    sandbox, is_here = request.app[SANDBOX], request.match_info["store_id"] == STORE_ID
    rows = [_row(request, invoice) for invoice in sandbox.store.all(KEY)[::-1] if is_here]
    words, orders = query.getall("status", []), query.getall("orderId", [])
    found = [
        row
        for row in rows
        if (not words or row["status"] in words)
        and (not orders or str(row["metadata"].get("orderId")) in orders)
        and since <= row["createdTime"] <= until
    ]
    found = found[numbers.get("skip", 0) :]
    return json_response(found[: numbers["take"]] if "take" in numbers else found)


@_needs(VIEW)
async def _get_invoice(request: web.Request) -> web.Response:
    """Tell about one invoice."""
    if (invoice := _invoice(request)) is None:
        return _error(404, "invoice-not-found", "The invoice was not found")
    return json_response(_row(request, invoice))


async def _get_checkout(request: web.Request) -> web.Response:
    """Lead to the page to pay on."""
    elsewhere = request.url.origin() / "pay" / KEY / request.match_info["invoice_id"]
    raise web.HTTPFound(elsewhere)


async def _read_webhook(request: web.Request) -> dict[str, Any] | web.Response:
    """Return what a webhook is to be, or what is wrong with that."""
    data: Any = None
    with suppress(orjson.JSONDecodeError):
        data = orjson.loads(await request.read())
    if not isinstance(data, dict):
        return _invalid(**{"": "A non-empty request body is required."})
    told = data.get("authorizedEvents") or {}
    fields = {
        "url": data.get("url"),
        "enabled": data.get("enabled", True),
        "automatic_redelivery": data.get("automaticRedelivery", True),
        "secret": data.get("secret") or "",
        "everything": told.get("everything", True) if isinstance(told, dict) else None,
        "specific_events": told.get("specificEvents", []) if isinstance(told, dict) else None,
    }
    kinds = (str, bool, bool, str, bool, list)
    problems = {
        name: f"The value of {name} is not valid."
        for (name, value), kind in zip(fields.items(), kinds, strict=True)
        if not isinstance(value, kind)
    }
    if "url" not in problems and not _is_address(fields["url"]):
        problems["Url"] = "Invalid Url"
    return _invalid(**problems) if problems else fields


def _is_address(text: str) -> bool:
    """Say whether a text is a whole address."""
    with suppress(ValueError):
        return URL(text).absolute
    return False


def _webhook(request: web.Request) -> Webhook | None:
    """Return the webhook that is asked for."""
    return request.app[WEBHOOKS].all.get(request.match_info["webhook_id"])


def _no_webhook() -> web.Response:
    """Answer that there is no such webhook."""
    return _error(404, "webhook-not-found", "The webhook was not found")


@_needs(MODIFY_WEBHOOKS)
async def _get_webhooks(request: web.Request) -> web.Response:
    """List a store's webhooks, without their secrets."""
    store_id = request.match_info["store_id"]
    hooks = request.app[WEBHOOKS].all.values()
    return json_response(
        [hook.shown(with_secret=False) for hook in hooks if hook.store_id == store_id]
    )


@_needs(MODIFY_WEBHOOKS)
async def _post_webhook(request: web.Request) -> web.Response:
    """Make a webhook, and tell its secret this once."""
    fields = await _read_webhook(request)
    if isinstance(fields, web.Response):
        return fields
    fields["secret"] = fields["secret"] or new_id()
    hook = Webhook(id=new_id(), store_id=request.match_info["store_id"], **fields)
    request.app[WEBHOOKS].all[hook.id] = hook
    return json_response(hook.shown(with_secret=True))


@_needs(MODIFY_WEBHOOKS)
async def _get_webhook(request: web.Request) -> web.Response:
    """Tell about one webhook."""
    hook = _webhook(request)
    return _no_webhook() if hook is None else json_response(hook.shown(with_secret=False))


@_needs(MODIFY_WEBHOOKS)
async def _put_webhook(request: web.Request) -> web.Response:
    """Change a webhook; its secret stays if no other is sent."""
    fields = await _read_webhook(request)
    if isinstance(fields, web.Response):
        return fields
    if (hook := _webhook(request)) is None:
        return _no_webhook()
    fields["secret"] = fields["secret"] or hook.secret
    for name, value in fields.items():
        setattr(hook, name, value)
    return json_response(hook.shown(with_secret=False))


@_needs(MODIFY_WEBHOOKS)
async def _delete_webhook(request: web.Request) -> web.Response:
    """Delete a webhook; the answer is empty."""
    if (hook := _webhook(request)) is None:
        return _no_webhook()
    request.app[WEBHOOKS].remove(hook)
    return web.Response()


@_needs(MODIFY_WEBHOOKS)
async def _get_deliveries(request: web.Request) -> web.Response:
    """List a webhook's deliveries, newest first."""
    if (hook := _webhook(request)) is None:
        return json_response([])
    return json_response([delivery.shown() for delivery in reversed(hook.deliveries)])


def _delivery(request: web.Request) -> tuple[Webhook, Delivery] | None:
    """Return the delivery that is asked for, and its webhook."""
    hook = _webhook(request)
    for delivery in hook.deliveries if hook else ():
        if hook and delivery.id == request.match_info["delivery_id"]:
            return hook, delivery
    return None


def _no_delivery() -> web.Response:
    """Answer that there is no such delivery."""
    return _error(404, "webhookdelivery-not-found", "The webhook delivery was not found")


@_needs(MODIFY_WEBHOOKS)
async def _get_delivery_request(request: web.Request) -> web.Response:
    """Return what was delivered, byte for byte."""
    if (found := _delivery(request)) is None:
        return _no_delivery()
    return web.Response(body=found[1].request, content_type="application/json")


@_needs(MODIFY_WEBHOOKS)
async def _post_redeliver(request: web.Request) -> web.Response:
    """Deliver again."""
    if (found := _delivery(request)) is None:
        return _no_delivery()
    return json_response(request.app[WEBHOOKS].redeliver(*found))


def _write(draft: Draft) -> Letter:
    """Write what a webhook that was made by hand is sent last about an invoice's state."""
    invoice = draft.invoice
    told = events(invoice, None if invoice.state is State.PENDING else State.PENDING, invoice.state)
    delivery_id = new_id()
    body = write(
        {
            "deliveryId": delivery_id,
            "webhookId": "MadeByHand",
            "originalDeliveryId": delivery_id,
            "isRedelivery": False,
            "type": told[-1],
            "timestamp": int(draft.now.timestamp()),
            **describe(told[-1], invoice, metadata(draft.settings, invoice)),
        }
    )
    secret = draft.secret("webhook_secret")
    headers = {"Content-Type": "application/json", "BTCPay-Sig": sign(secret, body)}
    match draft.signature:
        case Signature.MISSING:
            del headers["BTCPay-Sig"]
        case Signature.NONE_ALGORITHM:
            headers["BTCPay-Sig"] = "sha256="
        case Signature.OTHER_ALGORITHM:
            digest = hmac.new(secret.encode(), body, sha512).hexdigest()
            headers["BTCPay-Sig"] = f"sha512={digest}"
    return Letter(body, headers)


def _rows(payload: Any) -> list[dict[str, Any]]:
    """Return the invoices in an answer: keys, stores and webhooks have no checkout."""
    rows = payload if isinstance(payload, list) else [payload]
    return [row for row in rows if "checkoutLink" in row]


def _set_up(app: web.Application) -> None:
    """Have webhooks."""
    webhooks = Webhooks(app[SANDBOX])
    app[WEBHOOKS] = webhooks
    app.cleanup_ctx.append(webhooks.run)


MARKS = ["Settled", "Invalid"]
CHECKOUT = {
    "speedPolicy": "MediumSpeed",
    "paymentMethods": ["BTC-CHAIN", "BTC-LN"],
    "defaultPaymentMethod": None,
    "expirationMinutes": 15,
    "monitoringMinutes": 1440,
    "paymentTolerance": 0.0,
    "redirectURL": None,
    "redirectAutomatically": False,
    "defaultLanguage": None,
    "lazyPaymentMethods": None,
}
ADDITIONAL_WORDS: Mapping[State, str] = {
    State.PARTIALLY_PAID: "PaidPartial",
    State.OVERPAID: "PaidOver",
    State.UNDERPAID: "PaidPartial",
    State.CANCELED: "Marked",
    State.MARKED_PAID: "Marked",
}
_STORE = "/api/v1/stores/{store_id}"
_HOOK = _STORE + "/webhooks/{webhook_id}"

BTCPAY = Provider(
    key=KEY,
    name="BTCPay Server",
    words={
        State.PENDING: "New",
        State.PROCESSING: "Processing",
        State.PARTIALLY_PAID: "New",
        State.PAID: "Settled",
        State.OVERPAID: "Settled",
        State.UNDERPAID: "Expired",
        State.EXPIRED: "Expired",
        State.CANCELED: "Invalid",
        State.FAILED: "Invalid",
        State.MARKED_PAID: "Settled",
    },
    actions=tuple(action for action in Action if action is not Action.CHOOSE_COIN),
    currencies=("EUR", "USD", "BTC"),
    lifetime=timedelta(minutes=15),
    credentials={"api_key": "sandbox-btcpay-key"},
    push_credentials={"webhook_secret": "sandbox-btcpay-webhook-secret"},
    routes=(
        Route("GET", "/api/v1/health", "health", _get_health),
        Route("GET", "/api/v1/api-keys/current", "key", _get_key),
        Route("GET", "/api/v1/stores", "stores", _get_stores),
        Route("GET", _STORE, "stores", _get_store),
        Route("GET", f"{_STORE}/invoices", INVOICES, _get_invoices),
        Route("GET", f"{_STORE}/invoices/{{invoice_id}}", INVOICES, _get_invoice),
        Route("GET", "/api/v1/invoices/{invoice_id}", INVOICES, _get_invoice),
        Route("GET", f"{_STORE}/webhooks", "webhooks", _get_webhooks),
        Route("POST", f"{_STORE}/webhooks", "webhooks", _post_webhook),
        Route("GET", _HOOK, "webhooks", _get_webhook),
        Route("PUT", _HOOK, "webhooks", _put_webhook),
        Route("DELETE", _HOOK, "webhooks", _delete_webhook),
        Route("GET", f"{_HOOK}/deliveries", "webhooks", _get_deliveries),
        Route(
            "GET",
            f"{_HOOK}/deliveries/{{delivery_id}}/request",
            "webhooks",
            _get_delivery_request,
        ),
        Route("POST", f"{_HOOK}/deliveries/{{delivery_id}}/redeliver", "webhooks", _post_redeliver),
        Route("GET", "/i/{invoice_id}", "checkout", _get_checkout),
    ),
    new_id=new_id,
    settings={
        "paid_amount": ("sent", "omitted"),
        "order_id": ("text", "number", "omitted"),
        "retries": tuple(DELAYS),
    },
    rows=_rows,
    row_id="id",
    row_status="status",
    error=lambda text: {"code": "sandbox", "message": text},
    postback=Postback(
        sent_on=tuple(state for state in State if state is not State.PENDING),
        formats=(Format.JSON,),
        write=_write,
    ),
    set_up=_set_up,
)
