"""In which ways BTCPay Server's invoices can be paid, and what was paid."""

from decimal import Decimal
from hashlib import sha256
from typing import Any

from aiohttp import web

from .btcpay_access import VIEW, find_invoice, needs
from .btcpay_invoices import METHODS, PAYABLE_WITH, is_unset_top_up, no_invoice
from .invoice import SandboxInvoice
from .states import State
from .wire import json_response

# What a bitcoin costs here.
RATE, SATOSHI = Decimal(50_000), Decimal("0.00000001")


@needs(VIEW)
async def get_payment_methods(request: web.Request) -> web.Response:
    """Tell in which ways an invoice can be paid, and what is due in each."""
    if (invoice := find_invoice(request)) is None:
        return no_invoice()
    rate = Decimal(1) if invoice.currency == "BTC" else RATE
    is_unset = is_unset_top_up(request, invoice)
    due = Decimal(0) if is_unset else (invoice.amount - invoice.received) / rate
    due = due.quantize(SATOSHI)
    paid = (invoice.received / rate).quantize(SATOSHI)
    methods = request.app[PAYABLE_WITH].get(invoice.id, METHODS)
    mark = sha256(invoice.id.encode()).hexdigest()
    places = {"BTC-CHAIN": f"bcrt1q{mark[:38]}", "BTC-LN": f"lnbcrt1{mark * 4}"}
    links = {
        "BTC-CHAIN": f"bitcoin:{places['BTC-CHAIN']}{'' if is_unset else f'?amount={due:f}'}",
        "BTC-LN": f"lightning:{places['BTC-LN']}",
    }
    return json_response(
        [
            {
                "activated": True,
                "paymentMethodId": method,
                "currency": "BTC",
                "destination": places[method],
                "paymentLink": links[method],
                "rate": f"{rate:f}",
                "paymentMethodPaid": f"{paid:f}",
                "totalPaid": f"{paid:f}",
                "due": f"{due:f}",
                "amount": f"{due + paid:f}",
                "paymentMethodFee": "0",
                "payments": _payments(invoice, method, places[method], paid),
                "additionalData": {},
            }
            for method in methods
        ]
    )


def _payments(
    invoice: SandboxInvoice, method: str, destination: str, paid: Decimal
) -> list[dict[str, Any]]:
    """Return what was paid: all of it came by the first method, and is final or merely seen."""
    if not paid or method != METHODS[0]:
        return []
    words = {State.PROCESSING: "Processing", State.FAILED: "Invalid"}
    return [
        {
            "id": f"{sha256(invoice.id.encode()).hexdigest()}-0",
            "receivedDate": int((invoice.paid_at or invoice.updated_at).timestamp()),
            "value": f"{paid:f}",
            "fee": "0.0",
            "status": words.get(invoice.state, "Settled"),
            "destination": destination,
        }
    ]
