"""A shop's own API, in no preset: the sandbox plays it beside the others."""

from datetime import timedelta
from hashlib import sha256
import hmac
import secrets
from typing import Any

from aiohttp import web
import orjson

from sandbox.core import SANDBOX
from sandbox.letter import Draft, Format, Letter, Postback, Signature
from sandbox.provider import INVOICES, Provider, Route
from sandbox.states import Action, State
from sandbox.wire import json_response, same

KEY = "own_api"
_SECRET = "own-api-push-secret"
_NOT_FOUND = 404
_REFUSED = 401

# How somebody describes it in the dialog.
ACCESS = {
    "key_header": "X-Key",
    "key_form": "{key}",
    "push_id_path": "order",
    "push_header": "X-Signature",
    "push_check": "hmac-sha256",
    "push_secret": _SECRET,
    "requests_per_minute": "600",
    "verify_ssl": True,
}
READING = {
    "status_path": "state",
    "words_paid": "settled",
    "words_pending": "new",
    "words_partially_paid": "partial",
    "words_expired": "expired",
    "words_canceled": "canceled",
    "amount_path": "total",
    "currency_path": "currency",
    "received_path": "paid",
    "order_path": "reference",
    "expiry_path": "until",
}


async def _get_order(request: web.Request) -> web.Response:
    """Answer for one order."""
    sandbox = request.app[SANDBOX]
    if not same(request.headers.get("X-Key", ""), OWN_API.credentials["api_key"]):
        return json_response(OWN_API.error("key"), status=_REFUSED)
    order = sandbox.store.find(KEY, request.match_info["id"])
    if order is None:
        return json_response(OWN_API.error("order"), status=_NOT_FOUND)
    return json_response(
        {
            "id": order.id,
            "state": OWN_API.words[order.state],
            "total": f"{order.amount:f}",
            "paid": f"{order.received:f}",
            "currency": order.currency,
            "reference": order.order_id,
            "until": order.expires_at.isoformat(),
        }
    )


def _write(draft: Draft) -> Letter:
    """Write a push: which order changed, and a signature over that."""
    body = orjson.dumps({"order": draft.invoice.id})
    secret = _SECRET if draft.signature is Signature.GOOD else "another"
    signature = hmac.new(secret.encode(), body, sha256).hexdigest()
    return Letter(body, {"Content-Type": "application/json", "X-Signature": signature})


def _rows(payload: Any) -> list[dict[str, Any]]:
    """Return the only order of an answer."""
    return [payload]


OWN_API = Provider(
    key=KEY,
    name="The shop's own API",
    words={
        State.PENDING: "new",
        State.PARTIALLY_PAID: "partial",
        State.PAID: "settled",
        State.OVERPAID: "settled",
        State.EXPIRED: "expired",
        State.CANCELED: "canceled",
    },
    actions=(
        Action.PAY,
        Action.PARTLY_PAY,
        Action.OVERPAY,
        Action.EXPIRE,
        Action.CANCEL,
        Action.DELETE,
    ),
    currencies=("EUR", "USD"),
    lifetime=timedelta(hours=2),
    credentials={"api_key": "own-api-key"},
    routes=(Route("GET", "/orders/{id}", INVOICES, _get_order),),
    new_id=lambda: f"order-{secrets.token_hex(4)}",
    rows=_rows,
    row_id="id",
    row_status="state",
    error=lambda text: {"error": text},
    postback=Postback(
        sent_on=(State.PAID, State.OVERPAID, State.PARTIALLY_PAID, State.EXPIRED),
        formats=(Format.JSON,),
        write=_write,
    ),
)
