"""CryptoCloud: version 2 reads a hundred invoices at once, version 1 one status at a time."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web

from .core import SANDBOX
from .cryptocloud_orders import v1_create, v2_cancel, v2_create, v2_list, v2_statistics
from .cryptocloud_row import (
    CENT,
    COIN,
    FEE,
    OLD_CURRENCIES,
    PREFIX,
    USD_RATES,
    WORDS,
    canonical_id,
    in_coin,
    new_id,
    pay_page,
    row,
    usd,
    v2_error,
    with_v1_key,
    with_v2_key,
)
from .cryptocloud_wallets import set_up, v2_static
from .invoice import SandboxInvoice
from .json_web_token import encode
from .letter import Draft, Format, Letter, Postback, Signature
from .provider import INVOICES, Provider, Route
from .states import NODE_ACTIONS, Action, SandboxError, State
from .wire import json_object, json_response

BATCH = 100
OTHER_NETWORK = {
    "code": "ERC20",
    "id": 2,
    "icon": "https://sandbox.invalid/erc20.svg",
    "fullname": "Ethereum",
}
V1_WORDS = {**WORDS, State.OVERPAID: "paid"}
TOKEN_LIFETIME = timedelta(minutes=5)
ALGORITHMS = {Signature.NONE_ALGORITHM: "none", Signature.OTHER_ALGORITHM: "HS512"}


@with_v2_key
async def _v2_info(request: web.Request) -> web.Response:
    """Answer for up to a hundred invoices, whichever way their ids are written."""
    try:
        uuids = (await json_object(request)).get("uuids")
    except SandboxError as error:
        return v2_error(validate_error=str(error))
    if not isinstance(uuids, list) or not all(isinstance(uuid, str) for uuid in uuids):
        return v2_error(validate_error="uuids must be a list of strings")
    if len(uuids) > BATCH:
        return v2_error(validate_error=f"Maximum number of uuids is {BATCH}")
    sandbox = request.app[SANDBOX]
    settings = sandbox.settings["cryptocloud"]
    unknown = settings["unknown_uuid"]
    found = [sandbox.store.find("cryptocloud", uuid) for uuid in uuids]
    if unknown == "error" and None in found:
        return v2_error(validate_error="Invoice not found")
    rows = [
        invoice and row(settings, invoice, pay_page(request, invoice))
        for invoice in found
        if invoice or unknown == "null"
    ]
    return json_response({"status": "success", "result": rows})


@with_v2_key
async def _v2_balance(request: web.Request) -> web.Response:
    """Answer with what all invoices have brought in."""
    invoices = request.app[SANDBOX].store.all("cryptocloud")
    held = sum((usd(invoice, invoice.received) * (1 - FEE) for invoice in invoices), Decimal(0))
    crypto, dollars = in_coin(held), float(held.quantize(CENT))
    rows = [_held(COIN["network"], crypto, dollars)]
    # The same coin in a network that nobody paid in.
    rows.append(_held(OTHER_NETWORK, 0.0, 0.0))
    return json_response({"status": "success", "result": rows})


def _held(network: Any, crypto: float, dollars: float) -> dict[str, Any]:
    """Return what is held of a coin in a network."""
    coin = {key: value for key, value in COIN.items() if key not in ("fullcode", "network")}
    return {
        "currency": {
            **coin,
            "code": f"USDT_{network['code']}",
            "short_code": "USDT",
            "obj_network": network,
            "enable": True,
        },
        "balance_crypto": crypto,
        "balance_usd": dollars,
        "available_balance": crypto,
        "available_balance_usd": dollars,
    }


@with_v1_key
async def _v1_info(request: web.Request) -> web.Response:
    """Answer with one invoice's status, and nothing else."""
    uuid = request.query.get("uuid", "")
    invoice = request.app[SANDBOX].store.find("cryptocloud_v1", uuid)
    # Version 1 hands out ids without the prefix, and wants them with it.
    if invoice is None or not uuid.startswith(PREFIX):
        return json_response({"status": "error", "error": "Invoice not found"}, status=400)
    word = V1_WORDS[invoice.state]
    if invoice.state is State.OVERPAID:
        word = request.app[SANDBOX].settings["cryptocloud_v1"]["overpaid_word"]
    return json_response({"status": "success", "status_invoice": word})


def is_deposit(invoice: SandboxInvoice) -> bool:
    """Say whether it is a deposit to a wallet: its currency is a coin."""
    return invoice.currency == COIN["fullcode"]


def _fields(draft: Draft) -> dict[str, Any]:
    """Return what both versions post back; the id goes without its prefix."""
    invoice, invoice_id = draft.invoice, draft.invoice.id.removeprefix(PREFIX)
    fields: dict[str, Any] = {
        "status": "success",
        "invoice_id": invoice_id,
        "amount_crypto": float(invoice.amount)
        if is_deposit(invoice)
        else in_coin(usd(invoice, invoice.amount)),
        "currency": COIN["fullcode"],
        "order_id": invoice.order_id,
    }
    if draft.signature is not Signature.MISSING:
        payload = {"id": invoice_id, "exp": int((draft.now + TOKEN_LIFETIME).timestamp())}
        algorithm = ALGORITHMS.get(draft.signature, "HS256")
        fields["token"] = encode(payload, draft.secret("postback_secret"), algorithm)
        if draft.settings.get("postback") == "token":
            return {"token": fields["token"]}
    return fields


def _write_v2(draft: Draft) -> Letter:
    """Write a postback with the invoice in it: as an object, or as Python shows bytes."""
    if is_deposit(draft.invoice):
        return _write_v1(draft)
    link = f"{draft.origin}/pay/{draft.invoice.provider}/{draft.invoice.id}"
    shown = row(draft.settings, draft.invoice, link)
    info = shown if draft.format is Format.JSON else str(str(shown).encode())
    more = {} if draft.settings["postback"] == "token" else {"invoice_info": info}
    return draft.letter(_fields(draft) | more)


def _write_v1(draft: Draft) -> Letter:
    """Write a postback as version 1 knew it."""
    return draft.letter(_fields(draft))


CRYPTOCLOUD = Provider(
    key="cryptocloud",
    name="CryptoCloud",
    words=WORDS,
    actions=tuple(action for action in Action if action not in {Action.UNDERPAY, *NODE_ACTIONS}),
    currencies=tuple(USD_RATES),
    lifetime=timedelta(hours=24),
    credentials={"api_key": "sandbox-cryptocloud-key"},
    push_credentials={"postback_secret": "sandbox-postback-secret"},
    invoicing_credentials={"shop_id": "sandbox-shop"},
    routes=(
        Route("POST", "/v2/invoice/merchant/info", INVOICES, _v2_info),
        Route("POST", "/v2/invoice/create", "create", v2_create),
        Route("POST", "/v2/invoice/merchant/canceled", "cancel", v2_cancel),
        Route("POST", "/v2/invoice/merchant/list", "list", v2_list),
        Route("POST", "/v2/invoice/merchant/statistics", "statistics", v2_statistics),
        Route("POST", "/v2/merchant/wallet/balance/all", "balance", _v2_balance),
        Route("POST", "/v2/invoice/static/create", "wallet", v2_static),
    ),
    new_id=new_id,
    canonical_id=canonical_id,
    settings={
        "unknown_uuid": ("drop", "error", "null"),
        "fiat_currency": ("omitted", "sent"),
        "link": ("omitted", "sent"),
        "cancel_result": ("list", "text"),
        "order": ("newest_first", "oldest_first"),
        "limit": ("rows", "last_record"),
        "counts": ("whole", "decimal", "one_missing"),
        "postback": ("whole", "token"),
    },
    rows=lambda payload: payload["result"],
    row_id="uuid",
    row_status="status",
    batched=True,
    error=lambda text: {"detail": text},
    postback=Postback(sent_on=(State.PAID, State.OVERPAID), formats=tuple(Format), write=_write_v2),
    set_up=set_up,
)

CRYPTOCLOUD_V1 = Provider(
    key="cryptocloud_v1",
    name="CryptoCloud (v1)",
    words=V1_WORDS,
    actions=tuple(action for action in CRYPTOCLOUD.actions if action is not Action.CHOOSE_COIN),
    currencies=OLD_CURRENCIES,
    lifetime=CRYPTOCLOUD.lifetime,
    credentials={"api_key": "sandbox-cryptocloud-v1-key"},
    push_credentials=CRYPTOCLOUD.push_credentials,
    invoicing_credentials=CRYPTOCLOUD.invoicing_credentials,
    routes=(
        Route("GET", "/v1/invoice/info", INVOICES, _v1_info),
        Route("POST", "/v1/invoice/create", "create", v1_create),
    ),
    new_id=new_id,
    canonical_id=canonical_id,
    settings={"overpaid_word": ("paid", "overpaid")},
    rows=lambda payload: [payload],
    row_id="uuid",
    row_status="status_invoice",
    error=lambda text: {"message": text},
    postback=replace(CRYPTOCLOUD.postback, write=_write_v1),
)
