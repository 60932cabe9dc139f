"""E-Gates as its contract has it."""

from datetime import datetime
from decimal import Decimal

import pytest

from sandbox.egates import MESSAGES, sign

from .conftest import EGATES_PATH, Bench

ID = "11111111-2222-4333-8444-555555555555"
TIME = "1700000000"
VECTORS = {
    "empty": "694db2f43b6e4c2b8649f35fa680162b671c77729ef797d0b4ec5e132ff9116f",
    "invoice_id": "8bc537e63b3978773e14f821da32c38fafc1dd6642c1a3c7d46b84aa48f56855",
    "invoice_id_timestamp": "5d6c388c94d5d7719867bb1d2927f99b0e8c0eda718f6c5e484f10a0522af70f",
    "timestamp": "5c46961c2b76ecce86680e3c0d5dc8eb14a1f577918028e0a1807d16de45797b",
}


@pytest.mark.parametrize("way", VECTORS)
def test_vectors(way: str) -> None:
    """Every way signs as the contract's vectors do."""
    assert sign("eg-secret-demo", MESSAGES[way](ID, TIME)) == VECTORS[way]


@pytest.mark.parametrize("way", MESSAGES)
async def test_only_the_way_asked_for_will_do(bench: Bench, way: str) -> None:
    """Of all ways to sign one is right, and it is checked before the invoice is looked for."""
    bench.sandbox.set("egates", "signing", way)
    bench.sandbox.store.create("egates", invoice_id=ID)
    now = str(int(bench.sandbox.store.clock().timestamp()))
    for tried, message in MESSAGES.items():
        response = await bench.egates(ID, message(ID, now), timestamp=now)
        assert response.status == (200 if tried == way else 401)
        if tried != way:
            answer = await (await bench.egates("unknown", message(ID, now), timestamp=now)).json()
            assert answer == {
                "success": False,
                "status": None,
                "response": None,
                "errors": "Invalid signature",
            }


@pytest.mark.parametrize(
    ("shift", "status"), [(0, 200), (-290, 200), (290, 200), (-310, 401), (310, 401)]
)
async def test_timestamp_must_be_fresh(bench: Bench, shift: int, status: int) -> None:
    """Five minutes either way are allowed."""
    bench.sandbox.set("egates", "signing", "timestamp")
    bench.sandbox.store.create("egates", invoice_id=ID)
    time = str(int(bench.sandbox.store.clock().timestamp()) + shift)
    assert (await bench.egates(ID, f"timestamp={time}", timestamp=time)).status == status


@pytest.mark.parametrize("time", ["", "soon", "-1", "1e9", "9" * 5000])
async def test_timestamp_must_be_one(bench: Bench, time: str) -> None:
    """What is no timestamp is no reason to stumble."""
    bench.sandbox.set("egates", "signing", "timestamp")
    assert (await bench.egates(ID, f"timestamp={time}", timestamp=time)).status == 401


async def test_wrong_key(bench: Bench) -> None:
    """A right signature with a wrong key is refused."""
    headers = {"API-KEY": "wrong", "SIGNATURE": sign("sandbox-egates-secret", "")}
    assert (await bench.client.get(EGATES_PATH + ID, headers=headers)).status == 401
    assert (await bench.client.get(EGATES_PATH + ID)).status == 401


async def test_answer_has_the_contracts_fields(bench: Bench) -> None:
    """Amounts are strings with their decimals, and times are in two zones."""
    invoice = bench.sandbox.store.create("egates", amount=Decimal("12.5"), order_id="HA-1")
    bench.sandbox.store.act("egates", invoice.id, "pay")
    answer = await (await bench.egates(invoice.id)).json()
    assert list(answer) == ["success", "status", "response", "errors"]
    assert (answer["success"], answer["status"], answer["errors"]) == (True, None, None)
    row = answer["response"]
    assert " ".join(row) == (
        "id invoice ticker currencyName networkName payment_method actualAmount invoiceAmount "
        "amountTransaction feeTransaction address sysAddress hash type status sender_name "
        "purpose_of_payment order_number createdAt updatedAt expireAt redirectContinue"
    )
    assert row["actualAmount"] == "12.500000000000000000"
    assert row["invoiceAmount"] == "12.5"
    assert row["amountTransaction"] == "12.37500000"
    assert row["feeTransaction"] == "0.125000000000000000"
    assert (row["id"], row["order_number"], row["status"]) == ("1-1", "HA-1", "SUCCESS")
    created, updated, expire = (
        datetime.fromisoformat(row[name]) for name in ("createdAt", "updatedAt", "expireAt")
    )
    assert (expire - created).total_seconds() == 3 * 3600
    assert round((created - updated).total_seconds() / 3600) == 5


async def test_unknown_ids(bench: Bench) -> None:
    """The short id is none, nor is one that was never given."""
    invoice = bench.sandbox.store.create("egates")
    for invoice_id in (f"1-{invoice.number}", ID, invoice.id.upper()):
        response = await bench.egates(invoice_id)
        assert response.status == 404
        assert (await response.json())["response"] is None


@pytest.mark.parametrize(
    ("action", "word"),
    [
        ("pay", "SUCCESS"),
        ("overpay", "SUCCESS"),
        ("underpay", "SUCCESS_SMALL_AMOUNT"),
        ("expire", "CANCEL"),
        ("cancel", "CANCEL"),
    ],
)
async def test_words(bench: Bench, action: str, word: str) -> None:
    """Every state has its word, and there is a way back from each."""
    invoice = bench.sandbox.store.create("egates")
    statuses = []
    for step in (action, "revert"):
        bench.sandbox.store.act("egates", invoice.id, step)
        statuses.append((await (await bench.egates(invoice.id)).json())["response"]["status"])
    assert statuses == [word, "PENDING"]
