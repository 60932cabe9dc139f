"""BTCPay Server's invoices: read in pages and alone, made, and marked by hand."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web
import orjson

from .btcpay_access import (
    CREATE_INVOICES,
    MODIFY_INVOICES,
    VIEW,
    error,
    find_invoice,
    invalid,
    needs,
)
from .btcpay_webhooks import KEY, STORE_ID, is_late, metadata
from .core import SANDBOX
from .invoice import SandboxInvoice
from .states import Action, SandboxError, State
from .wire import as_amount, json_response

PAYABLE_WITH = web.AppKey("btcpay_payable_with", dict[str, list[str]])
"""The payment methods of those invoices that don't have all of them."""

ARCHIVED = web.AppKey("btcpay_archived", set[str])
"""The invoices that are in no list any more."""

TOP_UPS = web.AppKey("btcpay_top_ups", set[str])
"""The invoices that are paid by any amount, which is theirs from then on."""

_CASES: Mapping[str, Callable[[str], str]] = {
    "documented": str,
    "lower": str.lower,
    "upper": str.upper,
}
MONITORED = timedelta(minutes=1440)
METHODS = ("BTC-CHAIN", "BTC-LN")
WORDS: Mapping[State, str] = {
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
}
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
_MARKING = {"Settled": Action.MARK_PAID, "Invalid": Action.MARK_INVALID}


def status_of(invoice: SandboxInvoice, now: datetime) -> tuple[str, str]:
    """Return both words of an invoice's status. What is late or partial stays expired."""
    if invoice.state is State.PARTIALLY_PAID and invoice.expires_at <= now:
        return "Expired", "PaidPartial"
    if invoice.state is State.EXPIRED and invoice.received:
        return "Expired", "PaidPartial"
    if is_late(invoice):
        return "Expired", "PaidLate"
    return WORDS[invoice.state], ADDITIONAL_WORDS.get(invoice.state, "None")


def _row(request: web.Request, invoice: SandboxInvoice) -> dict[str, Any]:
    """Return the invoice as the API shows it: money as text, times as seconds."""
    sandbox = request.app[SANDBOX]
    settings = sandbox.settings[KEY]
    status, additional = status_of(invoice, sandbox.store.clock())
    expires_at = invoice.expires_at
    if invoice.state is State.UNDERPAID:
        expires_at = min(expires_at, invoice.updated_at)
    row = {
        "id": invoice.id,
        "storeId": STORE_ID,
        "amount": "0" if is_unset_top_up(request, invoice) else f"{invoice.amount:f}",
        "paidAmount": f"{_rounded(invoice):f}",
        "checkoutLink": f"{request.url.origin()}/i/{invoice.id}",
        "status": status,
        "additionalStatus": additional,
        "monitoringExpiration": int((expires_at + MONITORED).timestamp()),
        "expirationTime": int(expires_at.timestamp()),
        "createdTime": int(invoice.created_at.timestamp()),
        "availableStatusesForManualMarking": _marks(status, additional),
        "archived": invoice.id in request.app[ARCHIVED],
        "type": "TopUp" if invoice.id in request.app[TOP_UPS] else "Standard",
        "currency": invoice.currency,
        "metadata": metadata(settings, invoice),
        "checkout": CHECKOUT,
        "receipt": {"enabled": True, "showQR": True, "showPayments": True},
    }
    if settings["paid_amount"] == "omitted":
        del row["paidAmount"]
    change = _CASES[settings["case"]]
    for name in ("status", "additionalStatus", "type"):
        if isinstance(word := row[name], str):
            row[name] = change(word)
    return row


def is_unset_top_up(request: web.Request, invoice: SandboxInvoice) -> bool:
    """Say whether nobody knows yet how much it will be; late money doesn't change that."""
    return invoice.id in request.app[TOP_UPS] and (not invoice.received or is_late(invoice))


def _rounded(invoice: SandboxInvoice) -> Decimal:
    """Return what was received, in as many digits as the currency has."""
    digits = Decimal("0.00000001") if invoice.currency == "BTC" else Decimal("0.01")
    return invoice.received.quantize(digits)


@needs(VIEW)
async def get_invoices(request: web.Request) -> web.Response:
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
        return invalid(**problems)
    sandbox, is_here = request.app[SANDBOX], request.match_info["store_id"] == STORE_ID
    archived = request.app[ARCHIVED]
    rows = [
        _row(request, invoice)
        for invoice in sandbox.store.all(KEY)[::-1]
        if is_here and invoice.id not in archived
    ]
    words, orders = (
        [word.lower() for word in query.getall("status", [])],
        query.getall("orderId", []),
    )
    found = [
        row
        for row in rows
        if (not words or str(row["status"]).lower() in words)
        and (not orders or str(row["metadata"].get("orderId")) in orders)
        and since <= row["createdTime"] <= until
    ]
    found = found[numbers.get("skip", 0) :]
    return json_response(found[: numbers["take"]] if "take" in numbers else found)


def no_invoice() -> web.Response:
    """Answer that there is no such invoice."""
    return error(404, "invoice-not-found", "The invoice was not found")


@needs(VIEW)
async def get_invoice(request: web.Request) -> web.Response:
    """Tell about one invoice."""
    if (invoice := find_invoice(request)) is None:
        return no_invoice()
    return json_response(_row(request, invoice))


def _marks(status: str, additional: str) -> list[str]:
    """Return what an invoice can be marked as."""
    is_marked = additional == "Marked"
    can_settle = status in ("New", "Processing", "Expired", "Invalid")
    can_spoil = status in ("New", "Processing", "Expired") or (is_marked and status != "Invalid")
    return ["Settled"] * can_settle + ["Invalid"] * can_spoil


async def _read_body(request: web.Request) -> dict[str, Any]:
    """Return the JSON object that was sent, or nothing."""
    data: Any = None
    with suppress(orjson.JSONDecodeError):
        data = orjson.loads(await request.read())
    return data if isinstance(data, dict) else {}


def _problems(data: Mapping[str, Any], checkout: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with single values, by their paths."""
    problems: dict[str, str] = {}
    try:
        if as_amount(data.get("amount") or 0) < 0:
            problems["Amount"] = "The amount should be 0 or more."
    except SandboxError:
        problems["amount"] = "The value is not a number."
    for number, method in enumerate(checkout.get("paymentMethods") or ()):
        if method not in METHODS:
            problems[f"checkout.paymentMethods[{number}]"] = "Invalid PaymentMethodId"
    minutes = checkout.get("expirationMinutes", 15)
    if type(minutes) is not int:
        problems["checkout.expirationMinutes"] = "Invalid timespan"
    elif minutes < 1:
        problems["checkout.expiration"] = "Expiration time must be at least 30 seconds"
    return problems


@needs(CREATE_INVOICES)
async def post_invoice(request: web.Request) -> web.Response:
    """Make an invoice; without an amount, whatever comes pays it, and one over 0 is paid."""
    data = await _read_body(request)
    checkout, noted = (data.get(name) or {} for name in ("checkout", "metadata"))
    if not data or not isinstance(checkout, dict) or not isinstance(noted, dict):
        return invalid(**{"": "A non-empty request body is required."})
    if problems := _problems(data, checkout):
        return invalid(**problems)
    store, amount = request.app[SANDBOX].store, data.get("amount")
    asked = None if amount is None else as_amount(amount)
    try:
        invoice = store.create(
            KEY,
            # What a payer will send, where nobody says.
            amount=asked or Decimal(25),
            currency=data.get("currency") or None,
            order_id=str(noted.get("orderId", "")),
            expires_in=timedelta(minutes=checkout.get("expirationMinutes", 15)),
        )
    except SandboxError as problem:
        return error(400, "generic-error", str(problem))
    if methods := checkout.get("paymentMethods"):
        request.app[PAYABLE_WITH][invoice.id] = methods
    if asked is None:
        request.app[TOP_UPS].add(invoice.id)
    elif not asked:
        invoice.amount = asked
        store.act(KEY, invoice.id, Action.PAY)
    return json_response(_row(request, invoice))


@needs(MODIFY_INVOICES)
async def put_invoice(request: web.Request) -> web.Response:
    """Change what the merchant noted of an invoice: here, its order's ID."""
    if (invoice := find_invoice(request)) is None:
        return no_invoice()
    noted = (await _read_body(request)).get("metadata")
    if not isinstance(noted, dict):
        return invalid(metadata="The metadata field is required.")
    invoice.order_id = str(noted.get("orderId", ""))
    return json_response(_row(request, invoice))


@needs(MODIFY_INVOICES)
async def delete_invoice(request: web.Request) -> web.Response:
    """Archive an invoice: it leaves the list, and can be read and paid as before."""
    if (invoice := find_invoice(request)) is None:
        return no_invoice()
    request.app[ARCHIVED].add(invoice.id)
    return web.Response()


@needs(MODIFY_INVOICES)
async def post_status(request: web.Request) -> web.Response:
    """Mark an invoice by hand, as settled or invalid."""
    if (invoice := find_invoice(request)) is None:
        return no_invoice()
    sandbox = request.app[SANDBOX]
    word = str((await _read_body(request)).get("status"))
    if word not in _marks(*status_of(invoice, sandbox.store.clock())):
        why = "Status can only be marked to invalid or settled within certain conditions."
        return invalid(Status=why)
    invoice = sandbox.store.act(KEY, invoice.id, _MARKING[word])
    return json_response(_row(request, invoice))
