"""BTCPay Server's own schema, restated: whatever it allows is read exactly, or is one of five errors.

Facts: the OpenAPI description of the Greenfield API, and what servers were seen to do beside it.
"""

from datetime import UTC, datetime
from decimal import Decimal
import json
import string
from typing import Any
from unittest.mock import Mock

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.btcpay.invoices import parse_rows
from custom_components.crypto_invoices.providers.btcpay.late import read_late_status
from custom_components.crypto_invoices.providers.btcpay.webhooks import sign
from custom_components.crypto_invoices.providers.model import BadResponse, Invoice, InvoiceStatus
from custom_components.crypto_invoices.providers.parse import read_json
from custom_components.crypto_invoices.providers.push import CanPush, Hint, PushRejected

from .conftest import made_up_settings
from .test_properties import any_json, assert_sound

SECRET = "made-up-webhook-secret"
# The same examples in each run, so that a failure is a change's and not chance's.
some = settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
thousand = settings(some, max_examples=1000)

STATUSES = {
    "New": InvoiceStatus.PENDING,
    "Processing": InvoiceStatus.PROCESSING,
    "Settled": InvoiceStatus.PAID,
    "Expired": InvoiceStatus.EXPIRED,
    "Invalid": InvoiceStatus.FAILED,
}
DIFFERENT = {
    ("New", "PaidPartial"): InvoiceStatus.PARTIALLY_PAID,
    ("Settled", "PaidOver"): InvoiceStatus.OVERPAID,
    ("Expired", "PaidPartial"): InvoiceStatus.UNDERPAID,
    ("Expired", "PaidLate"): InvoiceStatus.PROCESSING,
    ("Expired", "PaidOver"): InvoiceStatus.PROCESSING,
    ("Invalid", "Marked"): InvoiceStatus.CANCELED,
}
MORE = ("None", "PaidLate", "PaidPartial", "PaidOver", "Marked")
EVENTS = (
    *("InvoiceCreated", "InvoiceReceivedPayment", "InvoicePaymentSettled", "InvoiceProcessing"),
    *("InvoiceExpired", "InvoiceSettled", "InvoiceInvalid", "InvoiceExpiredPaidPartial"),
)

LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(number: int) -> str:
    """Return an ID as the server makes them."""
    letters = []
    for _ in range(22):
        number, digit = divmod(number, len(LETTERS))
        letters.append(LETTERS[digit])
    return "".join(letters)


def cased(*words: str) -> st.SearchStrategy[str]:
    """Return these words in any case: servers take and write them so."""
    return st.sampled_from([each for word in words for each in (word, word.lower(), word.upper())])


ids = st.integers(0, 58**22 - 1).map(base58)
plain = st.text(string.ascii_letters + string.digits + "-_#äßжあ€", min_size=1, max_size=12)
amounts = st.builds(
    lambda number, places: f"{Decimal(number).scaleb(-places):f}",
    st.integers(0, 10**26),
    st.integers(0, 18),
)
# What is later than year 9000 is no time for us.
times = st.integers(0, 200_000_000_000)
anything = st.none() | st.booleans() | st.integers() | plain | st.just({"a": [1, {"b": None}]})
metadata = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "orderId": st.none() | plain | st.integers(0, 10**30),
        "itemDesc": anything,
        "posData": anything,
    },
)
invoices = st.fixed_dictionaries(
    {
        "id": ids,
        "storeId": ids,
        "amount": amounts,
        "currency": st.sampled_from(["EUR", "USD", "BTC", "JPY", "SATS", "USDT"]),
        "type": cased("Standard", "TopUp"),
        "checkoutLink": ids.map("https://btcpay.example/i/{}".format),
        "createdTime": times,
        "expirationTime": times,
        "monitoringExpiration": times,
        "status": cased(*STATUSES),
        "availableStatusesForManualMarking": st.just(["Settled", "Invalid"]),
        "archived": st.booleans(),
        "checkout": st.just({"speedPolicy": "MediumSpeed", "paymentTolerance": 0.0}),
        "receipt": st.just({"enabled": None}),
    },
    # Older servers leave some out, and newer ones put more in.
    optional={
        "paidAmount": amounts,
        "additionalStatus": st.none() | cased(*MORE),
        "metadata": metadata,
        "newer": anything,
    },
)


def moment(seconds: int) -> datetime:
    """Return a moment."""
    return datetime.fromtimestamp(seconds, UTC)


def written(value: object) -> bytes:
    """Return JSON as the server writes it: every digit, and letters as they are."""
    return json.dumps(value, ensure_ascii=False).encode()


@thousand
@given(invoices)
def test_invoices(row: dict[str, Any]) -> None:
    """Each is an invoice with its money and times exactly as given."""
    [entry] = parse_rows(read_json(written([row]))).values()
    assert_sound(entry)
    assert isinstance(entry, Invoice)
    word = next(word for word in STATUSES if word.lower() == row["status"].lower())
    told = row.get("additionalStatus") or "None"
    more = next(more for more in MORE if more.lower() == told.lower())
    assert entry.status is DIFFERENT.get((word, more), STATUSES[word])
    is_top_up = row["type"].lower() == "topup"
    asked = Decimal(row["amount"])
    assert entry.amount == (None if is_top_up and not asked else asked)
    paid = row.get("paidAmount")
    assert entry.amount_received == (None if paid is None else Decimal(paid))
    assert (entry.id, entry.currency) == (row["id"], row["currency"])
    assert entry.payment_url == row["checkoutLink"]
    assert (entry.created_at, entry.expires_at, entry.monitored_until) == (
        moment(row["createdTime"]),
        moment(row["expirationTime"]),
        moment(row["monitoringExpiration"]),
    )
    order = (row.get("metadata") or {}).get("orderId")
    assert entry.order_id == (str(order) if order or order == 0 else None)


@some
@given(invoices, st.data())
def test_invoices_with_one_wrong_value(row: dict[str, Any], data: st.DataObject) -> None:
    """With anything at all in one place, it is an invoice that can be shown, or an error."""
    row[data.draw(st.sampled_from(list(row)))] = data.draw(any_json)
    body = json.dumps([row]).encode()
    for entry in parse_rows(read_json(body)).values():
        assert_sound(entry)


payments = st.fixed_dictionaries(
    {
        "id": plain,
        "receivedDate": times,
        "value": amounts,
        "fee": amounts,
        "status": cased("Invalid", "Processing", "Settled"),
        "destination": plain,
    }
)
methods = st.lists(
    st.fixed_dictionaries(
        {
            "activated": st.booleans(),
            "paymentMethodId": st.sampled_from(["BTC-CHAIN", "BTC-LN", "BTC-LNURL", "LTC-CHAIN"]),
            "currency": st.sampled_from(["BTC", "LTC"]),
            "destination": plain,
            "rate": amounts,
            "paymentMethodPaid": amounts,
            "totalPaid": amounts,
            "due": st.builds(
                lambda sign, amount: sign + amount, st.sampled_from(["", "-"]), amounts
            ),
            "amount": amounts,
            "payments": st.lists(payments, max_size=3),
        }
    ),
    max_size=3,
)


@some
@given(amounts.map(Decimal), methods)
def test_late_payments(asked: Decimal, rows: list[dict[str, Any]]) -> None:
    """Money that came late is never final while none of it is settled."""
    try:
        status = read_late_status(asked, read_json(written(rows)))
    except BadResponse:
        return
    words = {payment["status"].lower() for row in rows for payment in row["payments"]}
    assert isinstance(status, InvoiceStatus)
    if status.is_paid:
        assert "settled" in words


# An event tells neither status nor amounts.
deliveries = st.fixed_dictionaries(
    {
        "deliveryId": ids,
        "webhookId": ids,
        "originalDeliveryId": ids,
        "isRedelivery": st.booleans(),
        "type": st.sampled_from(EVENTS),
        "timestamp": times,
        "storeId": ids,
        "invoiceId": ids | ids.map("__test__{}__test__".format),
        "metadata": metadata,
    },
    optional={
        "manuallyMarked": st.booleans(),
        "overPaid": st.booleans(),
        "partiallyPaid": st.booleans(),
        "afterExpiration": st.booleans(),
        "paymentMethodId": st.sampled_from(["BTC-CHAIN", "BTC-LN"]),
        "payment": payments,
    },
)


@pytest.fixture(name="server", scope="module")
def a_server() -> CanPush:
    """Return a store whose webhook has a secret."""
    provider = PROVIDERS["btcpay"](
        Mock(), made_up_settings("btcpay", webhook_secret=SECRET, store_id="STORE1")
    )
    assert isinstance(provider, CanPush)
    return provider


@thousand
@given(deliveries, st.sampled_from([None, 2, "\t"]))
def test_deliveries(server: CanPush, fields: dict[str, Any], indent: int | str | None) -> None:
    """What is signed names its invoice, and the delivery that it repeats; what isn't is nothing."""
    body = json.dumps(fields, indent=indent, ensure_ascii=False).encode()
    with pytest.raises(PushRejected):
        server.parse_push({"BTCPay-Sig": sign("another", body)}, body)
    headers = {"BTCPay-Sig": sign(SECRET, body)}
    named = fields["invoiceId"]
    assert server.parse_push(headers, body) == Hint(
        invoice_ids=frozenset({"" if "__test__" in named else named}),
        delivery_id=fields["originalDeliveryId"],
    )
