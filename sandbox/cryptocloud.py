"""CryptoCloud: version 2 reads a hundred invoices at once, version 1 one status at a time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
import secrets
import string
from typing import Any

from aiohttp import web

from .core import SANDBOX
from .invoice import SandboxInvoice
from .json_web_token import encode
from .letter import Draft, Format, Letter, Postback, Signature
from .provider import INVOICES, Provider, Route
from .states import NODE_ACTIONS, Action, SandboxError, State
from .wire import json_object, json_response, same

BATCH = 100
PREFIX = "INV-"
CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
USD_RATES = {
    "USD": Decimal(1),
    "EUR": Decimal("1.08"),
    "GBP": Decimal("1.27"),
    "RUB": Decimal("0.0125"),
    "UAH": Decimal("0.024"),
}
USDT_RATE = Decimal("1.0016")
# What is credited is less than what was paid, so `received` tells nothing about the status.
FEE = Decimal("0.019")
COIN = {
    "id": 4,
    "code": "USDT",
    "fullcode": "USDT_TRC20",
    "name": "Tether",
    "network": {
        "code": "TRC20",
        "id": 4,
        "icon": "https://sandbox.invalid/trc20.svg",
        "fullname": "Tron",
    },
    "is_email_required": False,
    "stablecoin": True,
    "icon_base": "https://sandbox.invalid/usdt.svg",
    "order": 0,
}
TOKEN_LIFETIME = timedelta(minutes=5)
ALGORITHMS = {Signature.NONE_ALGORITHM: "none", Signature.OTHER_ALGORITHM: "HS512"}
PROJECT = {
    "id": 1,
    "name": "Sandbox",
    "fail": "https://sandbox.invalid/fail",
    "success": "https://sandbox.invalid/success",
    "logo": "",
}


def _new_id() -> str:
    """Return an id as the pay page's address has it, with the API's prefix."""
    letters = string.ascii_uppercase + string.digits
    return PREFIX + "".join(secrets.choice(letters) for _ in range(8))


def _canonical_id(invoice_id: str) -> str:
    """Return the id with its prefix."""
    return invoice_id if invoice_id.startswith(PREFIX) else PREFIX + invoice_id


def _authorized(request: web.Request, provider: str) -> bool:
    """Say whether the request carries the project's API key."""
    key = request.app[SANDBOX].providers[provider].credentials["api_key"]
    given = request.headers.get("Authorization", "")
    return same(given, f"Token {key}")


def _v2_error(**result: str) -> web.Response:
    """Answer as version 2 does to what it doesn't like."""
    return json_response({"status": "error", "result": result}, status=400)


def _in_coin(usd: Decimal) -> float:
    """Return what so many dollars are in the coin that is paid with."""
    return float((usd * USDT_RATE).quantize(MICRO))


def _row(settings: Mapping[str, str], invoice: SandboxInvoice) -> dict[str, Any]:
    """Return the invoice as version 2 shows it."""
    usd = invoice.amount * USD_RATES[invoice.currency]
    paid_usd = invoice.received * USD_RATES[invoice.currency]
    fee_usd = paid_usd * FEE
    row = {
        "uuid": invoice.id,
        "created": f"{invoice.created_at:%Y-%m-%d %H:%M:%S.%f}",
        "address": f"T{sha256(invoice.id.encode()).hexdigest()[:33]}"
        if invoice.coin_chosen
        else "",
        "expiry_date": f"{invoice.expires_at:%Y-%m-%d %H:%M:%S.%f}",
        "side_commission": "client",
        "side_commission_cc": "merchant",
        "amount": _in_coin(usd),
        "amount_usd": float(usd.quantize(CENT)),
        "amount_in_fiat": float(invoice.amount),
        "received": _in_coin(paid_usd - fee_usd),
        "received_usd": float((paid_usd - fee_usd).quantize(CENT)),
        "fee": 0.0,
        "fee_usd": 0.0,
        "service_fee": _in_coin(fee_usd),
        "service_fee_usd": float(fee_usd.quantize(CENT)),
        "status": CRYPTOCLOUD.words[invoice.state],
        "order_id": invoice.order_id,
        "currency": COIN if invoice.coin_chosen else None,
        "project": PROJECT,
        "test_mode": False,
    }
    if settings["fiat_currency"] == "sent":
        row["fiat_currency"] = invoice.currency
    return row


async def _v2_info(request: web.Request) -> web.Response:
    """Answer for up to a hundred invoices, whichever way their ids are written."""
    if not _authorized(request, "cryptocloud"):
        return _v2_error(authorization="Unauthorized request.")
    try:
        uuids = (await json_object(request)).get("uuids")
    except SandboxError as error:
        return _v2_error(validate_error=str(error))
    if not isinstance(uuids, list) or not all(isinstance(uuid, str) for uuid in uuids):
        return _v2_error(validate_error="uuids must be a list of strings")
    if len(uuids) > BATCH:
        return _v2_error(validate_error=f"Maximum number of uuids is {BATCH}")
    sandbox = request.app[SANDBOX]
    settings = sandbox.settings["cryptocloud"]
    unknown = settings["unknown_uuid"]
    found = [sandbox.store.find("cryptocloud", uuid) for uuid in uuids]
    if unknown == "error" and None in found:
        return _v2_error(validate_error="Invoice not found")
    rows = [
        invoice and _row(settings, invoice) for invoice in found if invoice or unknown == "null"
    ]
    return json_response({"status": "success", "result": rows})


async def _v2_balance(request: web.Request) -> web.Response:
    """Answer with what all invoices have brought in."""
    if not _authorized(request, "cryptocloud"):
        return _v2_error(authorization="Unauthorized request.")
    usd = sum(
        (
            invoice.received * USD_RATES[invoice.currency] * (1 - FEE)
            for invoice in request.app[SANDBOX].store.all("cryptocloud")
        ),
        Decimal(0),
    )
    crypto, usd = _in_coin(usd), usd.quantize(CENT)
    balance = {
        "currency": {
            "code": "USDT_TRC20",
            "short_code": "USDT",
            "obj_network": COIN["network"],
            "enable": True,
        },
        "balance_crypto": crypto,
        "balance_usd": float(usd),
        "available_balance": crypto,
        "available_balance_usd": float(usd),
    }
    return json_response({"status": "success", "result": [balance]})


async def _v1_info(request: web.Request) -> web.Response:
    """Answer with one invoice's status, and nothing else."""
    if not _authorized(request, "cryptocloud_v1"):
        return json_response({"message": "Unauthenticated."}, status=401)
    uuid = request.query.get("uuid", "")
    invoice = request.app[SANDBOX].store.find("cryptocloud_v1", uuid)
    # Version 1 hands out ids without the prefix, and wants them with it.
    if invoice is None or not uuid.startswith(PREFIX):
        return json_response({"status": "error", "error": "Invoice not found"}, status=400)
    word = CRYPTOCLOUD_V1.words[invoice.state]
    if invoice.state is State.OVERPAID:
        word = request.app[SANDBOX].settings["cryptocloud_v1"]["overpaid_word"]
    return json_response({"status": "success", "status_invoice": word})


def _fields(draft: Draft) -> dict[str, Any]:
    """Return what both versions post back; the id goes without its prefix."""
    invoice, invoice_id = draft.invoice, draft.invoice.id.removeprefix(PREFIX)
    fields = {
        "status": "success",
        "invoice_id": invoice_id,
        "amount_crypto": _in_coin(invoice.amount * USD_RATES[invoice.currency]),
        "currency": COIN["fullcode"],
        "order_id": invoice.order_id,
    }
    if draft.signature is not Signature.MISSING:
        payload = {"id": invoice_id, "exp": int((draft.now + TOKEN_LIFETIME).timestamp())}
        algorithm = ALGORITHMS.get(draft.signature, "HS256")
        fields["token"] = encode(payload, draft.secret("postback_secret"), algorithm)
    return fields


def _write_v2(draft: Draft) -> Letter:
    """Write a postback with the invoice in it: as an object, or as Python shows bytes."""
    row = _row(draft.settings, draft.invoice)
    info = row if draft.format is Format.JSON else str(str(row).encode())
    return draft.letter(_fields(draft) | {"invoice_info": info})


def _write_v1(draft: Draft) -> Letter:
    """Write a postback as version 1 knew it."""
    return draft.letter(_fields(draft))


CRYPTOCLOUD = Provider(
    key="cryptocloud",
    name="CryptoCloud",
    words={
        State.PENDING: "created",
        State.PARTIALLY_PAID: "partial",
        State.PAID: "paid",
        State.OVERPAID: "overpaid",
        State.UNDERPAID: "partial",
        State.EXPIRED: "canceled",
        State.CANCELED: "canceled",
    },
    actions=tuple(action for action in Action if action not in {Action.UNDERPAY, *NODE_ACTIONS}),
    currencies=tuple(USD_RATES),
    lifetime=timedelta(hours=24),
    credentials={"api_key": "sandbox-cryptocloud-key"},
    push_credentials={"postback_secret": "sandbox-postback-secret"},
    routes=(
        Route("POST", "/v2/invoice/merchant/info", INVOICES, _v2_info),
        Route("POST", "/v2/merchant/wallet/balance/all", "balance", _v2_balance),
    ),
    new_id=_new_id,
    canonical_id=_canonical_id,
    settings={"unknown_uuid": ("drop", "error", "null"), "fiat_currency": ("omitted", "sent")},
    rows=lambda payload: payload["result"],
    row_id="uuid",
    row_status="status",
    batched=True,
    error=lambda text: {"detail": text},
    postback=Postback(sent_on=(State.PAID, State.OVERPAID), formats=tuple(Format), write=_write_v2),
)

CRYPTOCLOUD_V1 = Provider(
    key="cryptocloud_v1",
    name="CryptoCloud (v1)",
    words={**CRYPTOCLOUD.words, State.OVERPAID: "paid"},
    actions=tuple(action for action in CRYPTOCLOUD.actions if action is not Action.CHOOSE_COIN),
    currencies=CRYPTOCLOUD.currencies,
    lifetime=CRYPTOCLOUD.lifetime,
    credentials={"api_key": "sandbox-cryptocloud-v1-key"},
    push_credentials=CRYPTOCLOUD.push_credentials,
    routes=(Route("GET", "/v1/invoice/info", INVOICES, _v1_info),),
    new_id=_new_id,
    canonical_id=_canonical_id,
    settings={"overpaid_word": ("paid", "overpaid")},
    rows=lambda payload: [payload],
    row_id="uuid",
    row_status="status_invoice",
    error=lambda text: {"message": text},
    postback=replace(CRYPTOCLOUD.postback, write=_write_v1),
)
