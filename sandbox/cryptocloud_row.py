"""CryptoCloud's invoices as both versions know them, and as version 2 shows them."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import wraps
from hashlib import sha256
import secrets
import string
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from .core import SANDBOX
from .invoice import SandboxInvoice
from .states import State
from .wire import json_response, same

PREFIX = "INV-"
CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
USD_RATES = {
    "USD": Decimal(1),
    "EUR": Decimal("1.08"),
    "GBP": Decimal("1.27"),
    "RUB": Decimal("0.0125"),
    "UAH": Decimal("0.024"),
    "AED": Decimal("0.272"),
    "AMD": Decimal("0.0026"),
    "AUD": Decimal("0.65"),
    "AZN": Decimal("0.588"),
    "BYN": Decimal("0.3"),
    "CAD": Decimal("0.72"),
    "CNY": Decimal("0.14"),
    "HKD": Decimal("0.128"),
    "IDR": Decimal("0.000061"),
    "INR": Decimal("0.0114"),
    "JPY": Decimal("0.0067"),
    "KGS": Decimal("0.0114"),
    "KZT": Decimal("0.0019"),
    "MYR": Decimal("0.24"),
    "PHP": Decimal("0.017"),
    "SGD": Decimal("0.77"),
    "THB": Decimal("0.031"),
    "TRY": Decimal("0.024"),
    "UZS": Decimal("0.000083"),
    "VND": Decimal("0.000038"),
}
# Those that version 1 takes.
OLD_CURRENCIES = tuple(USD_RATES)[:5]
USDT_RATE = Decimal("1.0016")
# What is credited is less than what was paid, so `received` tells nothing about the status.
FEE = Decimal("0.019")
# What the order ID of an invoice ends in that is paid with test money.
TEST = "-test"
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
    "icon_network": "https://sandbox.invalid/trc20.svg",
    "icon_qr": "https://sandbox.invalid/usdt_qr.svg",
    "order": 0,
}
WORDS: Mapping[State, str] = {
    State.PENDING: "created",
    State.PARTIALLY_PAID: "partial",
    State.PAID: "paid",
    State.OVERPAID: "overpaid",
    State.UNDERPAID: "partial",
    State.EXPIRED: "canceled",
    State.CANCELED: "canceled",
}
PROJECT = {
    "id": 1,
    "name": "Sandbox",
    "fail": "https://sandbox.invalid/fail",
    "success": "https://sandbox.invalid/success",
    "logo": "",
}


def new_id() -> str:
    """Return an id as the pay page's address has it, with the API's prefix."""
    letters = string.ascii_uppercase + string.digits
    return PREFIX + "".join(secrets.choice(letters) for _ in range(8))


def canonical_id(invoice_id: str) -> str:
    """Return the id with its prefix."""
    return invoice_id if invoice_id.startswith(PREFIX) else PREFIX + invoice_id


def usd(invoice: SandboxInvoice, amount: Decimal) -> Decimal:
    """Return what so much of the invoice's currency is in dollars."""
    return amount * USD_RATES[invoice.currency]


def pay_page(request: web.Request, invoice: SandboxInvoice) -> str:
    """Return where the invoice can be paid."""
    return f"{request.url.origin()}/pay/{invoice.provider}/{invoice.id}"


def v2_error(**result: str) -> web.Response:
    """Answer as version 2 does to what it doesn't like."""
    return json_response({"status": "error", "result": result}, status=400)


def _with_key(provider: str, refuse: Callable[[], web.Response]) -> Callable[[Handler], Handler]:
    """Let only those in who know the project's API key."""

    def wrap(handler: Handler) -> Handler:
        @wraps(handler)
        async def guarded(request: web.Request) -> web.StreamResponse:
            key = request.app[SANDBOX].providers[provider].credentials["api_key"]
            given = request.headers.get("Authorization", "")
            return await handler(request) if same(given, f"Token {key}") else refuse()

        return guarded

    return wrap


with_v1_key = _with_key(
    "cryptocloud_v1", lambda: json_response({"message": "Unauthenticated."}, status=401)
)
with_v2_key = _with_key("cryptocloud", lambda: v2_error(authorization="Unauthorized request."))


def in_coin(dollars: Decimal) -> float:
    """Return what so many dollars are in the coin that is paid with."""
    return float((dollars * USDT_RATE).quantize(MICRO))


def row(settings: Mapping[str, str], invoice: SandboxInvoice, link: str) -> dict[str, Any]:
    """Return the invoice as version 2 shows it.

    By the contract, the link to the page it is paid on is told only when it is
    made. What a client makes of the id later leads to the provider's real page,
    so that the sandbox can tell its own as well.
    """
    asked_usd, paid_usd = usd(invoice, invoice.amount), usd(invoice, invoice.received)
    fee_usd = paid_usd * FEE
    shown = {
        "uuid": invoice.id,
        "created": f"{invoice.created_at:%Y-%m-%d %H:%M:%S.%f}",
        "address": f"T{sha256(invoice.id.encode()).hexdigest()[:33]}"
        if invoice.coin_chosen
        else "",
        "expiry_date": f"{invoice.expires_at:%Y-%m-%d %H:%M:%S.%f}",
        "side_commission": "client",
        "side_commission_cc": "merchant",
        "amount": in_coin(asked_usd),
        "amount_usd": float(asked_usd.quantize(CENT)),
        "amount_in_fiat": float(invoice.amount),
        "received": in_coin(paid_usd - fee_usd),
        "received_usd": float((paid_usd - fee_usd).quantize(CENT)),
        "fee": 0.0,
        "fee_usd": 0.0,
        "service_fee": in_coin(fee_usd),
        "service_fee_usd": float(fee_usd.quantize(CENT)),
        "status": WORDS[invoice.state],
        "order_id": invoice.order_id,
        # Filled in before anybody has picked one: only the address tells.
        "currency": COIN,
        "project": PROJECT,
        "test_mode": invoice.order_id.endswith(TEST),
    }
    if settings["fiat_currency"] == "sent":
        shown["fiat_currency"] = invoice.currency
    if settings["link"] == "sent":
        shown["link"] = link
    return shown
