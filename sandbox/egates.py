"""E-Gates: one signed request for one invoice."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256, sha512
import hmac
import re
from typing import Any
from uuid import uuid4

from aiohttp import web
from yarl import URL

from .core import SANDBOX
from .invoice import SandboxInvoice
from .letter import Draft, Format, Letter, Postback, Signature
from .provider import INVOICES, Provider, Route
from .states import NODE_ACTIONS, Action, SandboxError, State
from .wire import is_loopback, json_object, json_response, same

TIMESTAMP_WINDOW = 300
_LONGEST = 255
_AMOUNT = re.compile(r"\d{1,20}(?:\.\d{1,18})?", re.ASCII)
FEE = Decimal("0.01")
# One answer mixes two zones, and says neither.
CREATED_ZONE = timezone(timedelta(hours=5))
TICKERS = {
    "USDT": ("Tether USD", "ERC-20", "ETHER"),
    "ETH": ("Ethereum", "ERC-20", "ETHER"),
    "BTC": ("Bitcoin", "BTC", "BITCOIN"),
}

# What has to be signed is not documented for a GET: each way is one guess that a real host may hold.
MESSAGES: Mapping[str, Callable[[str, str], str]] = {
    "empty": lambda invoice_id, timestamp: "",
    "invoice_id": lambda invoice_id, timestamp: f"invoiceId={invoice_id}",
    "invoice_id_timestamp": lambda invoice_id, timestamp: (
        f"invoiceId={invoice_id}&timestamp={timestamp}"
    ),
    "timestamp": lambda invoice_id, timestamp: f"timestamp={timestamp}",
}


# Nor is it said what of a callback is signed.
CALLBACK_MESSAGES: Mapping[str, Callable[[dict[str, Any]], str | None]] = {
    "body_flat": lambda body: message(sorted(flat(body))),
    "body_flat_unsorted": lambda body: message(flat(body)),
    "invoice_flat": lambda body: message(sorted(flat(body["invoice"]))),
    "missing": lambda body: None,
}


def sign(secret: str, text: str) -> str:
    """Return the message's signature."""
    return hmac.new(secret.encode(), text.encode(), sha256).hexdigest()


def flat(fields: Mapping[str, Any], name: str = "{}") -> Iterator[tuple[str, str]]:
    """Name nested fields as PHP does, leaving out what is null."""
    for key, value in fields.items():
        inner = name.format(key)
        if isinstance(value, Mapping):
            yield from flat(value, inner + "[{}]")
        elif value is not None:
            yield inner, str(value)


def message(fields: Iterable[tuple[str, str]]) -> str:
    """Write fields as a query has them, but for the encoding."""
    return "&".join(f"{name}={value}" for name, value in fields)


def _envelope(response: dict[str, Any] | None, errors: str | None = None) -> dict[str, Any]:
    """Wrap an answer as every answer is wrapped."""
    return {"success": errors is None, "status": None, "response": response, "errors": errors}


def _fresh(timestamp: str, now: datetime) -> bool:
    """Say whether the timestamp is a whole number of seconds near now."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return abs(now.timestamp() - int(timestamp)) <= TIMESTAMP_WINDOW


def _signed(request: web.Request) -> bool:
    """Say whether key and signature are right, in the way that is asked for at present."""
    sandbox = request.app[SANDBOX]
    way = sandbox.settings["egates"]["signing"]
    timestamp = request.query.get("timestamp", "")
    if way.endswith("timestamp") and not _fresh(timestamp, sandbox.store.clock()):
        return False
    return _proves(request, MESSAGES[way](request.match_info["invoice_id"], timestamp))


def _proves(request: web.Request, text: str) -> bool:
    """Say whether the request's headers hold the key, and the signature of this text."""
    credentials = request.app[SANDBOX].providers["egates"].credentials
    wanted = f"{credentials['api_key']}:{sign(credentials['api_secret'], text)}"
    given = f"{request.headers.get('API-KEY', '')}:{request.headers.get('SIGNATURE', '')}"
    return same(given, wanted)


def _response(invoice: SandboxInvoice, host: str) -> dict[str, Any]:
    """Return the invoice as the API shows it."""
    name, network, method = TICKERS[invoice.currency]
    fee = invoice.received * FEE
    digest = sha256(invoice.id.encode()).hexdigest()
    return {
        "id": f"1-{invoice.number}",
        "invoice": invoice.id,
        "ticker": invoice.currency,
        "currencyName": name,
        "networkName": network,
        "payment_method": method,
        "actualAmount": f"{invoice.received:.18f}",
        "invoiceAmount": f"{invoice.amount:f}",
        "amountTransaction": f"{invoice.received - fee:.8f}",
        "feeTransaction": f"{fee:.18f}",
        "address": f"0x{digest[:40]}",
        "sysAddress": None,
        "hash": f"0x{digest[::-1]}" if invoice.received else None,
        "type": "CRYPTO",
        "status": EGATES.words[invoice.state],
        "sender_name": "Sandbox payer",
        "purpose_of_payment": "Sandbox payment",
        "order_number": invoice.order_id,
        "createdAt": f"{invoice.created_at.astimezone(CREATED_ZONE):%Y-%m-%d %H:%M:%S}",
        "updatedAt": f"{invoice.updated_at:%Y-%m-%d %H:%M:%S}",
        "expireAt": f"{invoice.expires_at.astimezone(CREATED_ZONE):%Y-%m-%d %H:%M:%S}",
        "redirectContinue": f"{host}/pay/egates/{invoice.id}",
    }


async def _payment_invoice(request: web.Request) -> web.Response:
    """Answer for one invoice, to those who can sign."""
    if not _signed(request):
        return json_response(_envelope(None, "Invalid signature"), status=401)
    invoice = request.app[SANDBOX].store.find("egates", request.match_info["invoice_id"])
    if invoice is None:
        return json_response(_envelope(None, "Invoice not found"), status=404)
    return json_response(_envelope(_response(invoice, str(request.url.origin()))))


def _problem(request: web.Request, data: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an invoice that is to be made."""
    for name in ("ticker", "payment_method", "amount", "order_number"):
        if not isinstance(data.get(name), str) or not data[name]:
            return f"{name} is required and must be a string"
    for name in ("success_url", "error_url", "callback_url", "sender_name", "purpose_of_payment"):
        if not isinstance(data.get(name, ""), str):
            return f"{name} must be a string"
    timestamp, now = data.get("timestamp"), request.app[SANDBOX].store.clock()
    methods = {ticker: method for ticker, (_, _, method) in TICKERS.items()}
    is_now = type(timestamp) is int and _fresh(str(timestamp), now)
    problems = {
        "timestamp is required and must be the present time in seconds": not is_now,
        "ticker is not available": data["ticker"] not in methods,
        "payment_method is not available": data["payment_method"] != methods.get(data["ticker"]),
        "amount must be a number": not _AMOUNT.fullmatch(data["amount"]),
        f"order_number has more than {_LONGEST} characters": len(data["order_number"]) > _LONGEST,
    }
    return next((problem for problem, is_there in problems.items() if is_there), None)


async def _create(request: web.Request) -> web.Response:
    """Make an invoice, for those who signed every field."""
    try:
        data = await json_object(request)
    except SandboxError as error:
        return json_response(_envelope(None, str(error)), status=400)
    if not _proves(request, message(sorted(flat(data)))):
        return json_response(_envelope(None, "Invalid signature"), status=401)
    if problem := _problem(request, data):
        return json_response(_envelope(None, problem), status=422)
    callback_url = data.get("callback_url")
    try:
        invoice = request.app[SANDBOX].store.create(
            "egates",
            amount=Decimal(data["amount"]),
            currency=data["ticker"],
            order_id=data["order_number"],
            # The sandbox posts to this machine only.
            callback_url=callback_url if _is_local(callback_url) else None,
        )
    except SandboxError as error:
        return json_response(_envelope(None, str(error)), status=422)
    shown = _response(invoice, "")
    made = {
        "invoice_id": invoice.id,
        "redirect_link": f"{request.url.origin()}/pay/egates/{invoice.id}",
        "currency": invoice.currency,
        "payment_method": shown["payment_method"],
        "amount": shown["invoiceAmount"],
        "address": shown["address"],
        "status": shown["status"],
        "type": "CRYPTO",
        "order_number": invoice.order_id,
        "created_at": int(invoice.created_at.timestamp()),
        **{name: data.get(name) for name in ("success_url", "error_url", "callback_url")},
    }
    return json_response(_envelope(made))


def _is_local(url: str | None) -> bool:
    """Say whether an address is one of this machine."""
    with suppress(ValueError):
        parsed = URL(url or "")
        return parsed.scheme == "http" and is_loopback(parsed.host or "")
    return False


def _callback(draft: Draft) -> Letter:
    """Write a callback, signed in the way that is chosen at present."""
    body: dict[str, Any] = {
        "invoice": _response(draft.invoice, draft.origin),
        "createdAt": str(int(draft.now.timestamp())),
    }
    text = CALLBACK_MESSAGES[draft.settings["callback_signature"]](body)
    if text is None or draft.signature is Signature.MISSING:
        return draft.letter(body)
    secret = draft.secret("api_secret")
    match draft.signature:
        case Signature.NONE_ALGORITHM:
            signature = ""
        case Signature.OTHER_ALGORITHM:
            signature = hmac.new(secret.encode(), text.encode(), sha512).hexdigest()
        case _:
            signature = sign(secret, text)
    return draft.letter(body | {"signature": signature})


EGATES = Provider(
    key="egates",
    name="E-Gates",
    words={
        State.PENDING: "PENDING",
        State.PARTIALLY_PAID: "PENDING",
        State.PAID: "SUCCESS",
        State.OVERPAID: "SUCCESS",
        State.UNDERPAID: "SUCCESS_SMALL_AMOUNT",
        State.EXPIRED: "CANCEL",
        State.CANCELED: "CANCEL",
    },
    actions=tuple(
        action
        for action in Action
        if action not in {Action.CHOOSE_COIN, Action.PARTLY_PAY, *NODE_ACTIONS}
    ),
    currencies=tuple(TICKERS),
    lifetime=timedelta(hours=3),
    credentials={"api_key": "sandbox-egates-key", "api_secret": "sandbox-egates-secret"},
    routes=(
        Route(
            "GET",
            "/api/external/v1/gateway/payment-invoice/{invoice_id}",
            INVOICES,
            _payment_invoice,
        ),
        Route("POST", "/api/external/v1/gateway/create-payment-invoice", "create", _create),
    ),
    new_id=lambda: str(uuid4()),
    settings={"signing": tuple(MESSAGES), "callback_signature": tuple(CALLBACK_MESSAGES)},
    rows=lambda payload: [payload["response"]],
    row_id="invoice",
    row_status="status",
    error=lambda text: _envelope(None, text),
    postback=Postback(sent_on=tuple(State), formats=(Format.JSON,), write=_callback),
)
