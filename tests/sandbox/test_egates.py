"""E-Gates as its contract has it."""

from datetime import datetime
from decimal import Decimal
import time
from typing import Any

import pytest

from sandbox.egates import MESSAGES, flat, message, sign

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
    for tried, write in MESSAGES.items():
        response = await bench.egates(ID, write(ID, now), timestamp=now)
        assert response.status == (200 if tried == way else 401)
        if tried != way:
            answer = await (await bench.egates("unknown", write(ID, now), timestamp=now)).json()
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


CREATE = "/api/external/v1/gateway/create-payment-invoice"


async def create(bench: Bench, signed: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Ask for an invoice, with what is sent or something else signed."""
    body = {
        "timestamp": int(time.time()),
        "ticker": "USDT",
        "payment_method": "ETHER",
        "amount": "12.5",
        "order_number": "HA-0001",
        **changes,
    }
    text = message(sorted(flat(body if signed is None else signed)))
    headers = {"API-KEY": "sandbox-egates-key", "SIGNATURE": sign("sandbox-egates-secret", text)}
    response = await bench.client.post(CREATE, json=body, headers=headers)
    return response.status, await response.json()


async def test_create(bench: Bench) -> None:
    """The answer to a creation has names of its own, and a link to where it is paid."""
    status, answer = await create(bench, meta_data={"item1": "5", "item2": "12"})
    [invoice] = bench.sandbox.store.all("egates")
    made = answer["response"]
    assert (status, answer["success"], answer["errors"]) == (200, True, None)
    assert (made["invoice_id"], made["status"]) == (invoice.id, "PENDING")
    assert (made["amount"], made["currency"], made["type"]) == ("12.5", "USDT", "CRYPTO")
    assert made["created_at"] == int(invoice.created_at.timestamp())
    assert made["redirect_link"].endswith(f"/pay/egates/{invoice.id}")
    read = (await (await bench.egates(invoice.id)).json())["response"]
    assert (read["invoice"], read["order_number"]) == (invoice.id, "HA-0001")
    assert read["address"] == made["address"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"timestamp": None}, "timestamp"),
        ({"timestamp": 1_700_000_000}, "timestamp"),
        ({"timestamp": str(int(time.time()))}, "timestamp"),
        ({"ticker": "DOGE"}, "ticker"),
        ({"ticker": None}, "ticker"),
        ({"payment_method": "BITCOIN"}, "payment_method"),
        ({"payment_method": None}, "payment_method"),
        ({"amount": 12.5}, "amount"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"order_number": ""}, "order_number"),
        ({"order_number": "x" * 10_000}, "order_number"),
        ({"callback_url": 7}, "callback_url"),
    ],
)
async def test_create_refused(bench: Bench, changes: dict[str, Any], word: str) -> None:
    """What is missing or wrong is named, and nothing is made."""
    status, answer = await create(bench, **changes)
    assert (status, answer["success"], answer["response"]) == (422, False, None)
    assert word in answer["errors"]
    assert not bench.sandbox.store.all("egates")


async def test_create_signs_everything(bench: Bench) -> None:
    """A signature of less than was sent, or of something else, is none."""
    for signed in ({}, {"amount": "12.5"}):
        status, answer = await create(bench, signed)
        assert (status, answer["errors"]) == (401, "Invalid signature")
    assert (await bench.client.post(CREATE, data=b"[")).status == 400
    assert not bench.sandbox.store.all("egates")


@pytest.mark.parametrize("url", ["https://ha.example/x", "http://192.0.2.1/x", "x", "http://[/"])
async def test_posts_to_this_machine_only(bench: Bench, url: str) -> None:
    """A callback to anywhere else is taken, and never made."""
    status, answer = await create(bench, callback_url=url)
    assert (status, answer["response"]["callback_url"]) == (200, url)
    [invoice] = bench.sandbox.store.all("egates")
    bench.sandbox.store.act("egates", invoice.id, "pay")
    await bench.sandbox.postbacks.settled()
    assert not bench.sandbox.postbacks.deliveries["egates"]
