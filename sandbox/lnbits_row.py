"""An LNbits wallet's payments: as the server shows them, and as older releases did."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
import re
import secrets
from typing import Any

from aiohttp import web

from .core import SANDBOX
from .invoice import SandboxInvoice
from .states import State

KEY = "lnbits"
SATOSHI = "sat"
WALLET_ID = "5a4db0c5a4db0c5a4db0c5a4db0c5a4d"
CHECKED = web.AppKey("lnbits_checked", set[str])
"""The payments that the server has asked its node about since they expired."""

VERSIONS = ("1.6.2", "1.5.6", "1.4.2", "1.3.1", "1.0.0", "0.12.12")
# What so much of a currency is in satoshi.
RATES = {SATOSHI: Decimal(1), "EUR": Decimal("1057.9"), "USD": Decimal("979.4")}
WORDS: Mapping[State, str] = {
    State.PENDING: "pending",
    State.PAID: "success",
    State.EXPIRED: "failed",
}
_MOST_DIGITS = Decimal("0.001")
_HEX = "0123456789abcdef"
# The letters of an invoice's text; no checksum follows, as nobody here looks at it.
_BECH32 = "qpzry9x8gf2tvdw0"
_TO_TEXT = str.maketrans(_HEX, _BECH32)
_FROM_TEXT = str.maketrans(_BECH32, _HEX)
_TEXT = re.compile(rf"lnbc\d+p1([{_BECH32}]{{64}})[{_BECH32}]{{64}}")


def new_id() -> str:
    """Return a payment hash."""
    return secrets.token_hex(32)


def is_at_least(app: web.Application, *version: int) -> bool:
    """Say whether the server that is played is of this release or a later one."""
    played = app[SANDBOX].settings[KEY]["version"]
    return tuple(map(int, played.split("."))) >= version


def millisatoshi(invoice: SandboxInvoice) -> int:
    """Return what is to be paid; what is asked in another currency is rounded to satoshi."""
    amount = invoice.amount * RATES[invoice.currency]
    return int(amount.quantize(_MOST_DIGITS if invoice.currency == SATOSHI else Decimal(1)) * 1000)


def balance(app: web.Application) -> int:
    """Return what the wallet holds, in millisatoshi."""
    invoices = app[SANDBOX].store.all(KEY)
    return sum(millisatoshi(one) for one in invoices if one.state is State.PAID)


def to_text(invoice: SandboxInvoice) -> str:
    """Return what a wallet is given to pay the invoice."""
    digest = sha256(invoice.id.encode()).hexdigest()
    return f"lnbc{millisatoshi(invoice) * 10}p1{(invoice.id + digest).translate(_TO_TEXT)}"


def from_text(text: str) -> str | None:
    """Return the payment hash in such a text, or None where it is none."""
    found = _TEXT.fullmatch(text)
    return found and found[1].translate(_FROM_TEXT)


def has_failed(app: web.Application, invoice: SandboxInvoice) -> bool:
    """Say whether the server calls a payment failed.

    An expired one stays pending until the server has asked its node, and before 1.6 for ever.
    """
    return invoice.state is State.EXPIRED and invoice.id in app[CHECKED] and is_at_least(app, 1, 6)


def _extra(app: web.Application, invoice: SandboxInvoice) -> dict[str, Any]:
    """Return what it was asked for in, as far as that is told, and the order."""
    extra: dict[str, Any] = {"order_id": invoice.order_id} if invoice.order_id else {}
    satoshi, own = millisatoshi(invoice) / 1000, app[SANDBOX].settings[KEY]["wallet_currency"]
    is_in_satoshi = invoice.currency == SATOSHI
    if not is_in_satoshi and invoice.currency != own:
        extra["fiat_currency"] = invoice.currency
        extra["fiat_amount"] = float(invoice.amount)
    if own == "none":
        return extra
    rate = float(RATES[own])
    worth = round(satoshi / rate, 3)
    if invoice.currency == own:
        worth = float(invoice.amount)
        rate = satoshi / worth
    return extra | {
        "wallet_fiat_currency": own,
        "wallet_fiat_amount": worth,
        "wallet_fiat_rate": rate,
        "wallet_btc_rate": 100_000_000 / rate,
    }


def row(app: web.Application, invoice: SandboxInvoice) -> dict[str, Any]:
    """Return a payment as the server shows it, wherever it does."""
    failed = has_failed(app, invoice)
    is_stale = invoice.state is State.EXPIRED and not failed
    text = to_text(invoice)
    shown = {
        "checking_id": invoice.id,
        "payment_hash": invoice.id,
        "wallet_id": WALLET_ID,
        "amount": millisatoshi(invoice),
        "fee": 0,
        "bolt11": text,
        "payment_request": text,
        "fiat_provider": None,
        "status": WORDS[State.PENDING if is_stale else invoice.state],
        "memo": "Sandbox payment",
        "expiry": _time(invoice.expires_at),
        "webhook": None,
        "webhook_status": None,
        "preimage": sha256(text.encode()).hexdigest(),
        "tag": None,
        "extension": None,
        "time": _time(invoice.created_at),
        "created_at": _time(invoice.created_at),
        "updated_at": _time(invoice.updated_at),
        "labels": ["expired"] if failed else [],
        "extra": _extra(app, invoice),
    }
    if is_at_least(app, 1, 5):
        is_one_word = invoice.order_id and not re.search(r"\s", invoice.order_id)
        shown["external_id"] = invoice.order_id if is_one_word else None
    if not is_at_least(app, 1):
        # A boolean told of its status, and times were unix seconds.
        shown["pending"] = shown.pop("status") == WORDS[State.PENDING]
        shown["time"] = int(invoice.created_at.timestamp())
        shown["expiry"] = invoice.expires_at.timestamp()
    return shown


def _time(moment: datetime) -> str:
    """Return a time as the server writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}+00:00"
