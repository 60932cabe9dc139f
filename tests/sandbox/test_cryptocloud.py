"""CryptoCloud as its contract has it, in both versions."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.cryptocloud_row import COIN

from .conftest import Bench


async def one(bench: Bench, uuid: str) -> dict[str, Any]:
    """Return one invoice's row."""
    response = await bench.v2(uuid)
    assert response.status == 200
    [row] = (await response.json())["result"]
    assert isinstance(row, dict)
    return row


async def test_row_has_the_contracts_fields(bench: Bench) -> None:
    """A paid invoice has every documented field; what is credited is less than what was paid."""
    invoice = bench.sandbox.store.create("cryptocloud", amount=Decimal("25.00"), order_id="HA-1")
    bench.sandbox.store.act("cryptocloud", invoice.id, "pay")
    row = await one(bench, invoice.id)
    assert " ".join(row) == (
        "uuid created address expiry_date side_commission side_commission_cc amount amount_usd "
        "amount_in_fiat received received_usd fee fee_usd service_fee service_fee_usd status "
        "order_id currency project test_mode"
    )
    assert (row["status"], row["order_id"], row["amount_usd"]) == ("paid", "HA-1", 25.0)
    assert row["received"] < row["amount"]
    assert row["currency"]["fullcode"] == "USDT_TRC20"
    created = datetime.strptime(row["created"], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    assert created == invoice.created_at


async def test_no_address_before_a_coin_is_chosen(bench: Bench) -> None:
    """The payer's choice of a coin brings the address; a coin is named before that."""
    invoice = bench.sandbox.store.create("cryptocloud")
    row = await one(bench, invoice.id)
    assert (row["address"], row["currency"], row["status"]) == ("", COIN, "created")
    bench.sandbox.store.act("cryptocloud", invoice.id, "choose_coin")
    row = await one(bench, invoice.id)
    assert row["address"].startswith("T")
    assert row["status"] == "created"


@pytest.mark.parametrize("setting", ["omitted", "sent"])
async def test_fiat_amounts(bench: Bench, setting: str) -> None:
    """An invoice in euros has its worth in dollars; whether euros are named is a setting."""
    bench.sandbox.set("cryptocloud", "fiat_currency", setting)
    invoice = bench.sandbox.store.create("cryptocloud", amount=Decimal(100), currency="EUR")
    row = await one(bench, invoice.id)
    assert (row["amount_in_fiat"], row["amount_usd"]) == (100.0, 108.0)
    assert row.get("fiat_currency") == ("EUR" if setting == "sent" else None)


async def test_both_forms_of_an_id(bench: Bench) -> None:
    """With and without the prefix, an id is the same; a hundred go in one request."""
    ids = [bench.sandbox.store.create("cryptocloud").id for _ in range(100)]
    response = await bench.v2(*ids[:50], *(uuid.removeprefix("INV-") for uuid in ids[50:]))
    assert [row["uuid"] for row in (await response.json())["result"]] == ids


async def test_more_than_a_hundred(bench: Bench) -> None:
    """The hundred and first is refused with the rest."""
    response = await bench.v2(*["INV-AB12CD34"] * 101)
    assert response.status == 400
    assert "100" in (await response.json())["result"]["validate_error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"uuid":"INV-AB12CD34"}', b'{"uuids":"x"}', b'{"uuids":[1]}'],
)
async def test_bodies_that_are_refused(bench: Bench, body: bytes) -> None:
    """Only a list of ids under `uuids` will do."""
    headers = {
        "Authorization": "Token sandbox-cryptocloud-key",
        "Content-Type": "application/json",
    }
    response = await bench.client.post("/v2/invoice/merchant/info", data=body, headers=headers)
    assert response.status == 400
    assert "validate_error" in (await response.json())["result"]


async def test_unknown_ids(bench: Bench) -> None:
    """What a batch with an unknown id answers is a setting."""
    known, unknown = bench.sandbox.store.create("cryptocloud").id, "INV-00000000"
    answers = {}
    for setting in ("drop", "null", "error"):
        bench.sandbox.set("cryptocloud", "unknown_uuid", setting)
        response = await bench.v2(unknown, known)
        answers[setting] = (response.status, (await response.json())["result"])
    status, [row] = answers["drop"]
    assert (status, row["uuid"]) == (200, known)
    status, [nothing, row] = answers["null"]
    assert (status, nothing, row["uuid"]) == (200, None, known)
    assert answers["error"] == (400, {"validate_error": "Invoice not found"})


@pytest.mark.parametrize("header", ["Token wrong", "Bearer sandbox-cryptocloud-key", "Token é", ""])
@pytest.mark.parametrize("path", ["/v2/invoice/merchant/info", "/v2/merchant/wallet/balance/all"])
async def test_wrong_key(bench: Bench, path: str, header: str) -> None:
    """Version 2 says so with a 400."""
    headers = {"Authorization": header}
    response = await bench.client.post(path, json={"uuids": []}, headers=headers)
    assert response.status == 400
    assert await response.json() == {
        "status": "error",
        "result": {"authorization": "Unauthorized request."},
    }


async def test_balance(bench: Bench) -> None:
    """The balance is what was paid, less fees."""
    invoice = bench.sandbox.store.create("cryptocloud", amount=Decimal(100))
    bench.sandbox.store.create("cryptocloud")
    bench.sandbox.store.act("cryptocloud", invoice.id, "pay")
    headers = {"Authorization": "Token sandbox-cryptocloud-key"}
    response = await bench.client.post("/v2/merchant/wallet/balance/all", headers=headers)
    balance, other = (await response.json())["result"]
    assert balance["balance_usd"] == balance["available_balance_usd"] == 98.1
    assert balance["currency"]["code"] == "USDT_TRC20"
    assert balance["currency"]["short_code"] == other["currency"]["short_code"] == "USDT"
    assert (other["currency"]["obj_network"]["code"], other["balance_usd"]) == ("ERC20", 0)


@pytest.mark.parametrize(
    ("action", "word"),
    [
        ("pay", "paid"),
        ("partly_pay", "partial"),
        ("overpay", "overpaid"),
        ("expire", "canceled"),
        ("cancel", "canceled"),
    ],
)
async def test_words(bench: Bench, action: str, word: str) -> None:
    """Every state has its word, and there is a way back from each."""
    invoice = bench.sandbox.store.create("cryptocloud")
    bench.sandbox.store.act("cryptocloud", invoice.id, action)
    assert (await one(bench, invoice.id))["status"] == word
    bench.sandbox.store.act("cryptocloud", invoice.id, "revert")
    assert (await one(bench, invoice.id))["status"] == "created"


async def test_unpaid_at_expiry(bench: Bench) -> None:
    """Time cancels what wasn't paid; there is no word for expired."""
    invoice = bench.sandbox.store.create("cryptocloud", expires_in=timedelta(0))
    assert (await one(bench, invoice.id))["status"] == "canceled"


async def test_v1_has_a_status_and_nothing_else(bench: Bench) -> None:
    """The outcome of the request and of the invoice are two fields."""
    invoice = bench.sandbox.store.create("cryptocloud_v1")
    response = await bench.v1(invoice.id)
    assert await response.json() == {"status": "success", "status_invoice": "created"}
    bench.sandbox.store.act("cryptocloud_v1", invoice.id, "overpay")
    assert (await (await bench.v1(invoice.id)).json())["status_invoice"] == "paid"
    bench.sandbox.set("cryptocloud_v1", "overpaid_word", "overpaid")
    assert (await (await bench.v1(invoice.id)).json())["status_invoice"] == "overpaid"


async def test_v1_wants_the_prefix_and_knows_its_own_only(bench: Bench) -> None:
    """An id without prefix, of version 2 or of nobody is not found."""
    own = bench.sandbox.store.create("cryptocloud_v1").id
    other = bench.sandbox.store.create("cryptocloud").id
    for uuid in (own.removeprefix("INV-"), other, "INV-00000000", ""):
        response = await bench.v1(uuid)
        assert response.status == 400
        assert await response.json() == {"status": "error", "error": "Invoice not found"}


async def test_v1_wrong_key(bench: Bench) -> None:
    """Version 1 says so with a 401, before it looks for the invoice."""
    response = await bench.v1("INV-00000000", key="sandbox-cryptocloud-key")
    assert response.status == 401
    assert await response.json() == {"message": "Unauthenticated."}
