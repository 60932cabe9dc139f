"""CryptoCloud's invoices made, canceled, listed and added up."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web

from .core import SANDBOX
from .cryptocloud_row import (
    CENT,
    COIN,
    OLD_CURRENCIES,
    PREFIX,
    USD_RATES,
    WORDS,
    pay_page,
    row,
    usd,
    v2_error,
    with_v1_key,
    with_v2_key,
)
from .invoice import SandboxInvoice
from .states import Action, ConflictError, SandboxError, State
from .wire import as_amount, json_object, json_response, same, whole_number

KEY, OLD_KEY = "cryptocloud", "cryptocloud_v1"
PAGE, MOST = 10, 100
# More than any invoice is open for.
_MOST_HOURS = 10 * 365 * 24
# What a list has beside what the invoice's own row has.
_LIST_ONLY = {"invoice_status": "success", "type": "up", "step": 1, "tx_list": [], "aml_checks": []}


def _fields(request: web.Request, provider: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an invoice is to be, or raise for the first field that is wrong, by its name."""
    shop_id = request.app[SANDBOX].providers[provider].invoicing_credentials["shop_id"]
    if not same(str(data.get("shop_id")), shop_id):
        raise _FieldError("shop_id", "Shop is not found")
    currency = data.get("currency", "USD")
    if currency not in (tuple(USD_RATES) if provider == KEY else OLD_CURRENCIES):
        raise _FieldError("currency", "Currency is not supported")
    order_id = data.get("order_id", "")
    if not isinstance(order_id, str | int) or len(str(order_id)) > 255:
        raise _FieldError("order_id", "Must be a text of at most 255 characters")
    try:
        amount = as_amount(data.get("amount"))
    except SandboxError as err:
        raise _FieldError("amount", str(err)) from err
    if not (amount.is_finite() and amount > 0):
        raise _FieldError("amount", "Must be more than 0")
    return {"amount": amount, "currency": currency, "order_id": str(order_id)}


class _FieldError(Exception):
    """One field is wrong."""

    def __init__(self, field: str, text: str) -> None:
        """Keep the answer."""
        super().__init__(text)
        self.result = {field: text}


def _more_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `add_fields` asks for, as the store wants it."""
    more = data.get("add_fields", {})
    if not isinstance(more, dict):
        raise _FieldError("add_fields", "Must be an object")
    asked: dict[str, Any] = {}
    if (span := more.get("time_to_pay")) is not None:
        try:
            hours = whole_number(span, "hours", 0, _MOST_HOURS) or 0
            minutes = whole_number(span, "minutes", 0, 59) or 0
        except (AttributeError, SandboxError) as err:
            raise _FieldError("time_to_pay", str(err)) from err
        asked["expires_in"] = timedelta(hours=hours, minutes=minutes)
        if not asked["expires_in"]:
            raise _FieldError("time_to_pay", "Must be more than 0")
    if (coin := more.get("cryptocurrency")) is not None:
        if coin != COIN["fullcode"]:
            raise _FieldError("cryptocurrency", "Cryptocurrency is not available")
        asked["coin_chosen"] = True
    return asked


async def _json_or_form(request: web.Request) -> dict[str, Any]:
    """Return what was sent, either way; in a form, nothing can be inside of anything."""
    if request.content_type == "application/x-www-form-urlencoded":
        return dict(await request.post())
    return await json_object(request)


@with_v2_key
async def v2_create(request: web.Request) -> web.Response:
    """Make an invoice; what is wrong is told by the field's name."""
    sandbox = request.app[SANDBOX]
    try:
        data = await _json_or_form(request)
        fields = _fields(request, KEY, data) | _more_fields(data)
        invoice = sandbox.store.create(KEY, **fields)
    except _FieldError as err:
        return v2_error(**err.result)
    except SandboxError as err:
        return v2_error(validate_error=str(err))
    link = pay_page(request, invoice)
    made = row(sandbox.settings[KEY], invoice, link) | {
        "link": link,
        "invoice_id": None,
        "type_payments": "crypto",
        "fiat_currency": invoice.currency,
        "is_email_required": False,
    }
    return json_response({"status": "success", "result": made})


@with_v1_key
async def v1_create(request: web.Request) -> web.Response:
    """Make an invoice, from JSON or a form; its id is told without the prefix."""
    try:
        data = await _json_or_form(request)
        invoice = request.app[SANDBOX].store.create(OLD_KEY, **_fields(request, OLD_KEY, data))
    except (_FieldError, SandboxError) as err:
        return json_response({"status": "error", "error": str(err)}, status=400)
    return json_response(
        {
            "status": "success",
            "pay_url": pay_page(request, invoice),
            "currency": "BTC",
            "invoice_id": invoice.id.removeprefix(PREFIX),
        }
    )


@with_v2_key
async def v2_cancel(request: web.Request) -> web.Response:
    """Cancel an invoice that nothing was paid for."""
    sandbox = request.app[SANDBOX]
    try:
        uuid = (await json_object(request)).get("uuid")
        if not isinstance(uuid, str) or not uuid:
            return v2_error(validate_error="uuid is required")
        sandbox.store.act(KEY, uuid, Action.CANCEL)
    except ConflictError:
        return v2_error(validate_error="Invoice is not created")
    except SandboxError:
        return v2_error(validate_error="Invoice not found")
    result = "ok" if sandbox.settings[KEY]["cancel_result"] == "text" else ["ok"]
    return json_response({"status": "success", "result": result})


def _days(data: Mapping[str, Any]) -> tuple[date, date]:
    """Return the first and the last day that are asked for."""
    days = []
    for name in ("start", "end"):
        day = None
        with suppress(TypeError, ValueError):
            day = datetime.strptime(data.get(name, ""), "%d.%m.%Y").replace(tzinfo=UTC).date()
        if day is None:
            raise _FieldError(name, "Must be a date as dd.mm.yyyy")
        days.append(day)
    if days[1] < days[0]:
        raise _FieldError("end", "Must not be before start")
    return days[0], days[1]


def _made_in(request: web.Request, data: Mapping[str, Any]) -> list[SandboxInvoice]:
    """Return the invoices of the period, oldest first."""
    start, end = _days(data)
    invoices = request.app[SANDBOX].store.all(KEY)
    return [one for one in invoices if start <= one.created_at.astimezone(UTC).date() <= end]


@with_v2_key
async def v2_list(request: web.Request) -> web.Response:
    """List a page of the period's invoices, and tell how many there are."""
    settings = request.app[SANDBOX].settings[KEY]
    try:
        data = await json_object(request)
        invoices = _made_in(request, data)
        offset = whole_number(data, "offset", 0) or 0
        is_last = settings["limit"] == "last_record"
        limit = whole_number(data, "limit", 1, None if is_last else MOST) or PAGE
    except _FieldError as err:
        return v2_error(**err.result)
    except SandboxError as err:
        return v2_error(validate_error=str(err))
    if settings["order"] == "newest_first":
        invoices.reverse()
    rows = [
        row(settings, invoice, pay_page(request, invoice))
        | _LIST_ONLY
        | {
            "date_finished": None
            if invoice.state is State.PENDING
            else f"{invoice.updated_at:%F %T}"
        }
        for invoice in invoices[offset : min(limit, offset + MOST) if is_last else offset + limit]
    ]
    return json_response({"status": "success", "result": rows, "all_count": len(invoices)})


@with_v2_key
async def v2_statistics(request: web.Request) -> web.Response:
    """Count and add up the period's invoices, in dollars."""
    try:
        invoices = _made_in(request, await _json_or_form(request))
    except _FieldError as err:
        return v2_error(**err.result)
    except SandboxError as err:
        return v2_error(validate_error=str(err))
    words = ("all", "created", "paid", "overpaid", "partial", "canceled")
    found = {word: [one for one in invoices if word in ("all", WORDS[one.state])] for word in words}
    sums = {
        word: sum((usd(one, one.amount) for one in those), Decimal(0))
        for word, those in found.items()
    }
    told = request.app[SANDBOX].settings[KEY]["counts"]
    number = float if told == "decimal" else int
    amounts: dict[str, float | None] = {
        word: float(total.quantize(CENT)) for word, total in sums.items()
    }
    if told == "one_missing":
        amounts["canceled"] = None
    result = {
        "count": {word: number(len(those)) for word, those in found.items()},
        "amount": amounts,
    }
    return json_response({"status": "success", "result": result})
