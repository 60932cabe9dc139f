"""BTCPay Server: a store's invoices in pages and alone, keys with permissions, webhooks."""

from contextlib import suppress
from datetime import timedelta
from hashlib import sha512
import hmac
from typing import Any

from aiohttp import web
import orjson
from yarl import URL

from . import btcpay_authorize
from .btcpay_access import (
    ISSUED,
    MODIFY_WEBHOOKS,
    STORES,
    TILL_KEY,
    VIEW_STORES,
    WEBHOOKS,
    error,
    held_by,
    invalid,
    may,
    needs,
)
from .btcpay_invoices import (
    ARCHIVED,
    PAYABLE_WITH,
    TOP_UPS,
    WORDS,
    delete_invoice,
    get_invoice,
    get_invoices,
    post_invoice,
    post_status,
    put_invoice,
)
from .btcpay_payments import get_payment_methods
from .btcpay_webhooks import (
    DELAYS,
    KEY,
    STORE_ID,
    Delivery,
    Webhook,
    Webhooks,
    describe,
    events,
    metadata,
    new_id,
    sign,
    write,
)
from .core import SANDBOX
from .letter import Draft, Format, Letter, Postback, Signature
from .provider import INVOICES, Provider, Route
from .states import Action, State
from .wire import json_response

# Those of servers before 2.0.
OLDER_EVENTS = frozenset(
    {"InvoiceCreated", "InvoiceReceivedPayment", "InvoicePaymentSettled", "InvoiceProcessing"}
    | {"InvoiceExpired", "InvoiceSettled", "InvoiceInvalid"}
)


async def _get_health(request: web.Request) -> web.Response:
    """Answer anybody."""
    return json_response({"synchronized": True})


@needs(None)
async def _get_key(request: web.Request) -> web.Response:
    """Tell what the key may do."""
    key = request.headers["Authorization"].removeprefix("token ")
    return json_response({"apiKey": key, "label": "Sandbox", "permissions": held_by(request)})


def _store(store_id: str) -> dict[str, Any]:
    """Return a store as the API shows it."""
    return {"id": store_id, "name": STORES[store_id], "website": None, "defaultCurrency": "EUR"}


@needs(VIEW_STORES)
async def _get_stores(request: web.Request) -> web.Response:
    """List the stores that the key may see."""
    held = held_by(request) or ()
    return json_response([_store(id_) for id_ in STORES if may(held, VIEW_STORES, id_)])


@needs(VIEW_STORES)
async def _get_store(request: web.Request) -> web.Response:
    """Tell about one store."""
    return json_response(_store(request.match_info["store_id"]))


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
        return invalid(**{"": "A non-empty request body is required."})
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
    if (
        request.app[SANDBOX].settings[KEY]["events"] == "older"
        and "specific_events" not in problems
    ):
        # There, they are an enum.
        problems |= {
            f"authorizedEvents.specificEvents[{number}]": f'Error converting value "{event}"'
            for number, event in enumerate(fields["specific_events"])
            if event not in OLDER_EVENTS
        }
    if "url" not in problems and not _is_address(fields["url"]):
        problems["Url"] = "Invalid Url"
    return invalid(**problems) if problems else fields


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
    return error(404, "webhook-not-found", "The webhook was not found")


@needs(MODIFY_WEBHOOKS)
async def _get_webhooks(request: web.Request) -> web.Response:
    """List a store's webhooks, without their secrets."""
    store_id = request.match_info["store_id"]
    hooks = request.app[WEBHOOKS].all.values()
    return json_response(
        [hook.shown(with_secret=False) for hook in hooks if hook.store_id == store_id]
    )


@needs(MODIFY_WEBHOOKS)
async def _post_webhook(request: web.Request) -> web.Response:
    """Make a webhook, and tell its secret this once."""
    fields = await _read_webhook(request)
    if isinstance(fields, web.Response):
        return fields
    fields["secret"] = fields["secret"] or new_id()
    hook = Webhook(id=new_id(), store_id=request.match_info["store_id"], **fields)
    request.app[WEBHOOKS].all[hook.id] = hook
    return json_response(hook.shown(with_secret=True))


@needs(MODIFY_WEBHOOKS)
async def _get_webhook(request: web.Request) -> web.Response:
    """Tell about one webhook."""
    hook = _webhook(request)
    return _no_webhook() if hook is None else json_response(hook.shown(with_secret=False))


@needs(MODIFY_WEBHOOKS)
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


@needs(MODIFY_WEBHOOKS)
async def _delete_webhook(request: web.Request) -> web.Response:
    """Delete a webhook; the answer is empty."""
    if (hook := _webhook(request)) is None:
        return _no_webhook()
    request.app[WEBHOOKS].remove(hook)
    return web.Response()


@needs(MODIFY_WEBHOOKS)
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
    return error(404, "webhookdelivery-not-found", "The webhook delivery was not found")


@needs(MODIFY_WEBHOOKS)
async def _get_delivery_request(request: web.Request) -> web.Response:
    """Return what was delivered, byte for byte."""
    if (found := _delivery(request)) is None:
        return _no_delivery()
    return web.Response(body=found[1].request, content_type="application/json")


@needs(MODIFY_WEBHOOKS)
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
    app[PAYABLE_WITH] = {}
    app[ARCHIVED] = set()
    app[TOP_UPS] = set()
    app[ISSUED] = {}
    app.cleanup_ctx.append(webhooks.run)


_STORE = "/api/v1/stores/{store_id}"
_HOOK = _STORE + "/webhooks/{webhook_id}"

BTCPAY = Provider(
    key=KEY,
    name="BTCPay Server",
    words=WORDS,
    actions=tuple(action for action in Action if action not in (Action.CANCEL, Action.CHOOSE_COIN)),
    currencies=("EUR", "USD", "BTC"),
    lifetime=timedelta(minutes=15),
    credentials={"api_key": "sandbox-btcpay-key"},
    invoicing_credentials={"api_key": TILL_KEY, "store_id": STORE_ID},
    push_credentials={"webhook_secret": "sandbox-btcpay-webhook-secret"},
    routes=(
        Route("GET", "/api/v1/health", "health", _get_health),
        Route("GET", "/api/v1/api-keys/current", "key", _get_key),
        Route("GET", "/api/v1/stores", "stores", _get_stores),
        Route("GET", _STORE, "stores", _get_store),
        Route("GET", f"{_STORE}/invoices", INVOICES, get_invoices),
        Route("POST", f"{_STORE}/invoices", "create", post_invoice),
        Route("GET", f"{_STORE}/invoices/{{invoice_id}}", INVOICES, get_invoice),
        Route("PUT", f"{_STORE}/invoices/{{invoice_id}}", "change", put_invoice),
        Route("DELETE", f"{_STORE}/invoices/{{invoice_id}}", "archive", delete_invoice),
        Route("GET", "/api/v1/invoices/{invoice_id}", INVOICES, get_invoice),
        Route("POST", f"{_STORE}/invoices/{{invoice_id}}/status", "mark", post_status),
        Route(
            "GET",
            f"{_STORE}/invoices/{{invoice_id}}/payment-methods",
            "payment methods",
            get_payment_methods,
        ),
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
        *btcpay_authorize.ROUTES,
    ),
    new_id=new_id,
    settings={
        "paid_amount": ("sent", "omitted"),
        "order_id": ("text", "number", "omitted"),
        "retries": tuple(DELAYS),
        "case": ("documented", "lower", "upper"),
        "events": ("all", "older"),
        "pos_data": ("omitted", "large"),
    },
    takes_slashes=True,
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
