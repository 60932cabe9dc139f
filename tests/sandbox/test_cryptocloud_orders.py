"""CryptoCloud's invoices as they are made, canceled, listed and added up, by the contract."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.states import State

from .conftest import Bench

V2, V1 = "cryptocloud", "cryptocloud_v1"
KEYS = {V2: "sandbox-cryptocloud-key", V1: "sandbox-cryptocloud-v1-key"}
FIVE = {"shop_id": "sandbox-shop", "amount": "5.00", "currency": "EUR"}
TODAY = f"{datetime.now(UTC):%d.%m.%Y}"


async def post(
    bench: Bench, path: str, body: object, *, provider: str = V2, status: int = 200
) -> Any:
    """Post something with the key, and return the answer's JSON."""
    headers = {"Authorization": f"Token {KEYS[provider]}"}
    response = await bench.client.post(path, json=body, headers=headers)
    assert response.status == status
    return await response.json()


async def create(bench: Bench, status: int = 200, **more: Any) -> Any:
    """Make an invoice."""
    answer = await post(bench, "/v2/invoice/create", {**FIVE, **more}, status=status)
    return answer["result"]


async def test_created(bench: Bench) -> None:
    """What was made is told as it can be read, with a link to where it is paid."""
    made = await create(bench, order_id="HA-1")
    [invoice] = bench.sandbox.store.all(V2)
    assert (invoice.amount, invoice.currency, invoice.order_id) == (Decimal("5.00"), "EUR", "HA-1")
    assert made["uuid"] == invoice.id
    assert (made["status"], made["address"]) == ("created", "")
    assert made["currency"]["code"] == "USDT", "a coin is named before one is chosen"
    assert (made["amount_in_fiat"], made["amount_usd"], made["fiat_currency"]) == (5.0, 5.4, "EUR")
    assert made["link"].endswith(f"/pay/cryptocloud/{invoice.id}")
    [read] = (await (await bench.v2(invoice.id)).json())["result"]
    assert made | read == made
    assert "link" not in read
    bench.sandbox.set(V2, "link", "sent")
    [read] = (await (await bench.v2(invoice.id)).json())["result"]
    assert read["link"] == made["link"]


async def test_more_fields(bench: Bench) -> None:
    """A lifetime and a coin can be chosen; then there is an address at once."""
    more = {"time_to_pay": {"hours": 1, "minutes": 30}, "cryptocurrency": "USDT_TRC20"}
    made = await create(bench, add_fields=more)
    [invoice] = bench.sandbox.store.all(V2)
    assert invoice.expires_at - invoice.created_at == timedelta(minutes=90)
    assert made["address"].startswith("T")
    assert made["currency"]["fullcode"] == "USDT_TRC20"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"shop_id": None}, "shop_id"),
        ({"shop_id": "another"}, "shop_id"),
        ({"amount": None}, "amount"),
        ({"amount": "five"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "BTC"}, "currency"),
        ({"order_id": "x" * 10_000}, "order_id"),
        ({"order_id": ["x"]}, "order_id"),
        ({"add_fields": "x"}, "add_fields"),
        ({"add_fields": {"time_to_pay": 5}}, "time_to_pay"),
        ({"add_fields": {"time_to_pay": {"hours": 0, "minutes": 0}}}, "time_to_pay"),
        ({"add_fields": {"time_to_pay": {"hours": -1}}}, "time_to_pay"),
        ({"add_fields": {"time_to_pay": {"minutes": 60}}}, "time_to_pay"),
        ({"add_fields": {"cryptocurrency": "DOGE"}}, "cryptocurrency"),
        ({"amount": 10**12}, "validate_error"),
    ],
)
async def test_refused(bench: Bench, more: dict[str, Any], field: str) -> None:
    """What can't be made is refused by the field's name, and isn't made."""
    assert list(await create(bench, 400, **more)) == [field]
    assert not bench.sandbox.store.all(V2)


@pytest.mark.parametrize("as_form", [True, False])
async def test_old_version(bench: Bench, *, as_form: bool) -> None:
    """Version 1 takes a form too, and leaves the prefix out of the id that it wants back with it."""
    response = await bench.client.post(
        "/v1/invoice/create",
        data=FIVE if as_form else None,
        json=None if as_form else FIVE,
        headers={"Authorization": f"Token {KEYS[V1]}"},
    )
    answer = await response.json()
    [invoice] = bench.sandbox.store.all(V1)
    assert invoice.id == f"INV-{answer['invoice_id']}"
    assert set(answer) == {"status", "pay_url", "currency", "invoice_id"}
    assert (await (await bench.v1(invoice.id)).json())["status_invoice"] == "created"


@pytest.mark.parametrize("more", [{"shop_id": "another"}, {"amount": "x"}, {"currency": "JPY"}])
async def test_old_version_refuses(bench: Bench, more: dict[str, Any]) -> None:
    """Version 1 says no in a shape of its own; it has five currencies."""
    answer = await post(bench, "/v1/invoice/create", {**FIVE, **more}, provider=V1, status=400)
    assert answer["status"] == "error"
    assert not bench.sandbox.store.all(V1)


async def test_cancel(bench: Bench) -> None:
    """An unpaid invoice can be canceled, in two forms of the answer; no other can be."""
    path = "/v2/invoice/merchant/canceled"
    for form, result in (("list", ["ok"]), ("text", "ok")):
        bench.sandbox.set(V2, "cancel_result", form)
        invoice = bench.sandbox.store.create(V2)
        body = {"uuid": invoice.id.removeprefix("INV-")}
        assert (await post(bench, path, body))["result"] == result
        assert invoice.state is State.CANCELED
        error = {"validate_error": "Invoice is not created"}
        assert (await post(bench, path, body, status=400))["result"] == error
    paid = bench.sandbox.store.create(V2)
    bench.sandbox.store.act(V2, paid.id, "pay")
    error = {"validate_error": "Invoice is not created"}
    assert (await post(bench, path, {"uuid": paid.id}, status=400))["result"] == error
    for wrong, text in (
        ({}, "uuid is required"),
        ({"uuid": 7}, "uuid is required"),
        ({"uuid": "INV-00000000"}, "Invoice not found"),
    ):
        answer = await post(bench, path, wrong, status=400)
        assert answer["result"] == {"validate_error": text}


async def test_list(bench: Bench) -> None:
    """Ten to a page unless more are asked for, at most a hundred, and how many there are in all."""
    ids = [bench.sandbox.store.create(V2).id for _ in range(120)][::-1]
    path, period = "/v2/invoice/merchant/list", {"start": TODAY, "end": TODAY}
    answer = await post(bench, path, period)
    assert (len(answer["result"]), answer["all_count"]) == (10, 120)
    answer = await post(bench, path, {**period, "offset": 100, "limit": 100})
    assert [row["uuid"] for row in answer["result"]] == ids[100:]
    bench.sandbox.set(V2, "order", "oldest_first")
    answer = await post(bench, path, {**period, "limit": 1})
    assert answer["result"][0]["uuid"] == ids[-1]
    answer = await post(bench, path, {"start": "01.01.2020", "end": "02.01.2020"})
    assert (answer["result"], answer["all_count"]) == ([], 0)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"start": None}, "start"),
        ({"start": "2026-02-01"}, "start"),
        ({"end": "31.02.2026"}, "end"),
        ({"end": "01.01.2020"}, "end"),
        ({"limit": 101}, "validate_error"),
        ({"offset": -1}, "validate_error"),
    ],
)
async def test_list_refused(bench: Bench, more: dict[str, Any], field: str) -> None:
    """Days have one form, in order, and pages a size."""
    body = {"start": TODAY, "end": TODAY, **more}
    answer = await post(bench, "/v2/invoice/merchant/list", body, status=400)
    assert list(answer["result"]) == [field]


async def test_statistics(bench: Bench) -> None:
    """Counts and dollars by word."""
    for action in ("pay", "pay", "overpay", "cancel", None):
        invoice = bench.sandbox.store.create(V2, amount=Decimal(100), currency="EUR")
        if action:
            bench.sandbox.store.act(V2, invoice.id, action)
    body = {"start": TODAY, "end": TODAY}
    result = (await post(bench, "/v2/invoice/merchant/statistics", body))["result"]
    counts = {"all": 5, "created": 1, "paid": 2, "overpaid": 1, "partial": 0, "canceled": 1}
    assert result["count"] == counts
    assert result["amount"] == {word: count * 108.0 for word, count in counts.items()}


@pytest.mark.parametrize(
    "path", ["create", "merchant/canceled", "merchant/list", "merchant/statistics"]
)
async def test_wrong_key(bench: Bench, path: str) -> None:
    """Nothing is done for who has not the key."""
    headers = {"Authorization": "Token wrong"}
    response = await bench.client.post(f"/v2/invoice/{path}", json=FIVE, headers=headers)
    assert response.status == 400
    assert "authorization" in (await response.json())["result"]
    assert not bench.sandbox.store.all(V2)
