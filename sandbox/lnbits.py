"""LNbits: a wallet whose payments are read in pages, and announced on a websocket."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import wraps
import operator
import re
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
import orjson

from .core import SANDBOX
from .invoice import SandboxInvoice
from .letter import Draft, Format, Letter, Postback
from .lnbits_row import (
    CHECKED,
    KEY,
    RATES,
    SATOSHI,
    VERSIONS,
    WALLET_ID,
    WORDS,
    balance,
    from_text,
    has_failed,
    is_at_least,
    millisatoshi,
    new_id,
    row,
)
from .lnbits_socket import Listeners
from .provider import INVOICES, Provider, Route
from .states import Action, SandboxError, State
from .wire import as_amount, json_object, json_response, same, whole_number

LISTENERS = web.AppKey("lnbits_listeners", Listeners)
ADMIN_KEY = "sandbox-lnbits-admin-key"
UNEXPECTED = "Unexpected error! ID: sandbox"
PAGE, MOST = 10, 1000
_YEAR = 365 * 86_400
# What a new server posts to.
_CALLBACK = re.compile(r"https?://[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}(?::\d+)?(?:/.*)?")
_FILTER = re.compile(r"(\w+)\[(\w+)\]")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}


class _Unfit(Exception):
    """A filter that the server's database doesn't understand."""


def _detail(status: int, text: str) -> web.Response:
    """Answer with an error."""
    return json_response({"detail": text}, status=status)


def _holds(request: web.Request, *keys: str) -> bool:
    """Say whether the request's key is one of these."""
    given = request.headers.get("X-Api-Key") or request.query.get("api-key", "")
    return any(same(given, key) for key in keys)


def _own_key(request: web.Request) -> str:
    """Return the wallet's key that can't spend."""
    return request.app[SANDBOX].providers[KEY].credentials["api_key"]


def _with_key(handler: Handler) -> Handler:
    """Let only those in who know a key of the wallet; another's is no wallet's."""

    @wraps(handler)
    async def guarded(request: web.Request) -> web.StreamResponse:
        if _holds(request, ""):
            return _detail(401, "No Api Key provided.")
        if not _holds(request, _own_key(request), ADMIN_KEY):
            return _detail(404, "Wallet not found.")
        return await handler(request)

    return guarded


@_with_key
async def _get_wallet(request: web.Request) -> web.Response:
    """Tell about the wallet; only who can spend is told its ID."""
    wallet = {"name": "Sandbox wallet", "balance": balance(request.app)}
    return json_response(wallet | {"id": WALLET_ID} if _holds(request, ADMIN_KEY) else wallet)


def _found(request: web.Request) -> list[SandboxInvoice]:
    """Return the payments that pass the filters of a request, newest first."""
    invoices = request.app[SANDBOX].store.all(KEY)[::-1]
    for name, value in request.query.items():
        if not (filter_ := _FILTER.fullmatch(name)):
            continue
        match filter_.groups():
            case "payment_hash", "in" if is_at_least(request.app, 1, 4):
                wanted = set(value.split(","))
                invoices = [one for one in invoices if one.id in wanted]
            case "payment_hash", "eq" if is_at_least(request.app, 1):
                invoices = [one for one in invoices if one.id == value]
            case "amount", compare if compare in _COMPARE:
                holds, least = _COMPARE[compare], _number(value)
                invoices = [one for one in invoices if holds(millisatoshi(one), least)]
            case "time", compare if compare in _COMPARE and _compares_times(request):
                holds, moment = _COMPARE[compare], _number(value)
                invoices = [one for one in invoices if holds(one.created_at.timestamp(), moment)]
            case _:
                raise _Unfit
    return invoices if request.query.get("direction") != "asc" else invoices[::-1]


def _compares_times(request: web.Request) -> bool:
    """Say whether the server's database can do that."""
    return request.app[SANDBOX].settings[KEY]["time_filter"] == "works"


def _number(text: str) -> int:
    """Return the whole number in a filter."""
    with suppress(ValueError):
        return int(text)
    raise _Unfit


def _page(request: web.Request, invoices: list[SandboxInvoice]) -> list[dict[str, Any]]:
    """Return the part of it that is asked for: ten, unless somebody says how many."""
    offset = _number(request.query.get("offset", "0"))
    limit = min(_number(request.query.get("limit", str(PAGE))) or MOST, MOST)
    return [row(request.app, invoice) for invoice in invoices[offset : offset + limit]]


@_with_key
async def _get_payments(request: web.Request) -> web.Response:
    """List payments, but none that failed."""
    try:
        found = [one for one in _found(request) if not has_failed(request.app, one)]
        return json_response(_page(request, found))
    except _Unfit:
        return _detail(500, UNEXPECTED)


@_with_key
async def _get_page(request: web.Request) -> web.Response:
    """List payments in a page, with the number of all."""
    try:
        invoices = _found(request)
        # Before 1.4, the server always asked its node.
        if request.query.get("recheck_pending") == "true" or not is_at_least(request.app, 1, 4):
            _check(request, *invoices)
        return json_response({"data": _page(request, invoices), "total": len(invoices)})
    except _Unfit:
        return _detail(500, UNEXPECTED)


def _check(request: web.Request, *invoices: SandboxInvoice) -> None:
    """Ask the node what became of payments."""
    request.app[CHECKED].update(one.id for one in invoices if one.state is State.EXPIRED)


async def _get_payment(request: web.Request) -> web.Response:
    """Tell about one payment, more to those with a key, and a little to anybody."""
    invoice = request.app[SANDBOX].store.find(KEY, request.match_info["hash"])
    if invoice is None:
        return _detail(404, "Payment does not exist.")
    _check(request, invoice)
    shown = row(request.app, invoice)
    is_paid = invoice.state is State.PAID
    told: dict[str, Any] = {"paid": is_paid}
    if not is_paid and "status" in shown:
        told["status"] = shown["status"]
    if _holds(request, _own_key(request), ADMIN_KEY):
        told |= {"preimage": shown["preimage"], "details": shown}
    return json_response(told)


class _Refused(Exception):
    """An invoice that can't be made, with the answer that says why."""

    def __init__(self, code: int, **answer: str) -> None:
        """Keep the answer."""
        super().__init__(answer["detail"])
        self.answer = json_response(answer, status=code)


def _asked(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an invoice is to be, as the store wants it, or raise _Refused."""
    if data.get("out", True):
        raise _Refused(403, detail="Invoice keys can't pay.")
    if "amount" not in data:
        raise _Refused(500, detail=UNEXPECTED)
    webhook, unit, extra = (data.get(name) for name in ("webhook", "unit", "extra"))
    if webhook is not None and not _CALLBACK.fullmatch(str(webhook)):
        text = f"Callback URL origin '{webhook}' is not allowed. Please check your admin settings."
        raise _Refused(400, detail=text)
    unit, amount = unit or SATOSHI, as_amount(data["amount"])
    if unit not in RATES or amount <= 0 or (unit == SATOSHI and amount % 1):
        text = f"No invoice over {amount} {unit} can be made."
        raise _Refused(520, detail=text, status="failed")
    order_id = data.get("external_id") or (extra.get("order_id") if isinstance(extra, dict) else "")
    expiry = whole_number(data, "expiry", 1, 10 * _YEAR)
    return {
        "amount": amount,
        "currency": unit,
        "order_id": str(order_id or ""),
        "expires_in": None if expiry is None else timedelta(seconds=expiry),
    }


@_with_key
async def _post_payment(request: web.Request) -> web.Response:
    """Make an invoice; to pay one takes another key, and money."""
    try:
        asked = _asked(await json_object(request))
        invoice = request.app[SANDBOX].store.create(KEY, **asked)
    except _Refused as refused:
        return refused.answer
    except SandboxError as error:
        return _detail(400, str(error))
    return json_response(_made(request.app, invoice), status=201)


def _made(app: web.Application, invoice: SandboxInvoice) -> dict[str, Any]:
    """Return what is answered to who made an invoice: its expiry has no zone there."""
    shown = row(app, invoice)
    if not is_at_least(app, 1):
        named = ("payment_hash", "payment_request", "checking_id")
        return {name: shown[name] for name in named} | {"lnurl_response": None}
    expiry = datetime.fromisoformat(shown["expiry"])
    return shown | {"expiry": expiry.replace(tzinfo=None).isoformat()}


@_with_key
async def _post_decode(request: web.Request) -> web.Response:
    """Read the payment hash out of an invoice's text."""
    try:
        text = (await json_object(request)).get("data")
    except SandboxError as error:
        return _detail(400, str(error))
    if (id_ := from_text(str(text))) is None:
        return json_response({"message": "Failed to decode", "payment_hash": None}, status=400)
    return json_response({"payment_hash": id_, "currency": "bc"})


async def _get_description(request: web.Request) -> web.Response:
    """Tell anybody about the API, its version before all."""
    version = request.app[SANDBOX].settings[KEY]["version"]
    return json_response({"openapi": "3.1.0", "info": {"title": "LNbits API", "version": version}})


def _write(draft: Draft) -> Letter:
    """Write what is posted to an invoice's webhook: JSON in a JSON text, and nothing signs it."""
    invoice = draft.invoice
    told: dict[str, Any] = {"checking_id": invoice.id, "amount": millisatoshi(invoice)}
    told["status"] = WORDS[invoice.state]
    body = orjson.dumps(orjson.dumps(told).decode())
    return Letter(body, {"Content-Type": "application/json"})


def _rows(payload: Any) -> list[dict[str, Any]]:
    """Return the payments in an answer: alone, in a list or in a page."""
    if isinstance(payload, list):
        return payload
    alone = payload if "payment_hash" in payload else payload.get("details")
    rows: list[dict[str, Any]] = payload.get("data", [alone] if alone else [])
    return rows


def _set_up(app: web.Application) -> None:
    """Be listened to."""
    app[CHECKED] = set()
    app[LISTENERS] = listeners = Listeners(app)
    app.router.add_get("/api/v1/ws/{item}", listeners.listen)
    app.router.add_post("/api/v1/ws/{item}/{text}", listeners.forge)


_PAYMENTS = "/api/v1/payments"

LNBITS = Provider(
    key=KEY,
    name="LNbits",
    words=WORDS,
    actions=(Action.PAY, Action.EXPIRE, Action.REVERT, Action.DELETE),
    currencies=tuple(RATES),
    lifetime=timedelta(hours=1),
    credentials={"api_key": "sandbox-lnbits-invoice-key"},
    routes=(
        Route("GET", "/api/v1/wallet", "wallet", _get_wallet),
        Route("GET", _PAYMENTS, "payments", _get_payments),
        Route("POST", _PAYMENTS, "create", _post_payment),
        Route("GET", f"{_PAYMENTS}/paginated", INVOICES, _get_page),
        Route("POST", f"{_PAYMENTS}/decode", "decode", _post_decode),
        Route("GET", f"{_PAYMENTS}/{{hash}}", "payment", _get_payment),
        Route("GET", "/openapi.json", "description", _get_description),
    ),
    new_id=new_id,
    canonical_id=str.lower,
    settings={
        "version": VERSIONS,
        "wallet_currency": ("none", "EUR", "USD"),
        "time_filter": ("works", "fails"),
    },
    rows=_rows,
    row_id="payment_hash",
    row_status="status",
    batched=True,
    error=lambda text: {"detail": text},
    postback=Postback(sent_on=(State.PAID,), formats=(Format.JSON,), write=_write),
    set_up=_set_up,
)
