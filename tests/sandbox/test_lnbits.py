"""LNbits: pages, keys, what older releases can't do, and who listens."""

from collections.abc import Mapping
from typing import Any

from aiohttp import ClientResponse
import pytest

from sandbox.lnbits import ADMIN_KEY, LISTENERS
from sandbox.lnbits_row import VERSIONS, from_text, to_text

from .conftest import Bench

KEY = "sandbox-lnbits-invoice-key"
NEW = VERSIONS[0]


def play(bench: Bench, version: str) -> None:
    """Be another release."""
    bench.sandbox.set("lnbits", "version", version)


async def get(bench: Bench, path: str, key: str = KEY, **query: str) -> ClientResponse:
    """Ask for something."""
    headers = {"X-Api-Key": key} if key else {}
    return await bench.client.get(f"/api/v1/{path}", params=query, headers=headers)


async def make(bench: Bench, key: str = KEY, **asked: Any) -> tuple[int, dict[str, Any]]:
    """Try to make an invoice."""
    response = await bench.client.post("/api/v1/payments", json=asked, headers={"X-Api-Key": key})
    return response.status, await response.json()


async def test_keys(bench: Bench) -> None:
    """A wrong key is one of no wallet; only one that can spend is told the wallet's ID."""
    assert (await get(bench, "wallet", key="")).status == 401
    wrong = await get(bench, "wallet", key="x")
    assert (wrong.status, await wrong.json()) == (404, {"detail": "Wallet not found."})
    assert (await (await get(bench, "wallet")).json()).keys() == {"name", "balance"}
    assert "id" in await (await get(bench, "wallet", key=ADMIN_KEY)).json()


async def test_balance(bench: Bench) -> None:
    """What was paid is in the wallet, in millisatoshi."""
    for action in ("pay", "expire"):
        invoice = bench.sandbox.store.create("lnbits")
        bench.sandbox.store.act("lnbits", invoice.id, action)
    assert (await (await get(bench, "wallet")).json())["balance"] == 25_000


@pytest.mark.parametrize(
    ("version", "operator", "status"),
    [
        (NEW, "in", 200),
        ("1.4.2", "in", 200),
        ("1.3.1", "in", 500),
        ("1.3.1", "eq", 200),
        ("1.0.0", "eq", 200),
        ("0.12.12", "eq", 500),
        (NEW, "unheard", 500),
    ],
)
async def test_filter_by_hash(bench: Bench, version: str, operator: str, status: int) -> None:
    """Older releases can't read many at once, and the oldest not even one."""
    play(bench, version)
    invoice = bench.sandbox.store.create("lnbits")
    bench.sandbox.store.create("lnbits")
    page = await get(bench, "payments/paginated", **{f"payment_hash[{operator}]": invoice.id})
    assert page.status == status
    if status == 200:
        rows = (await page.json())["data"]
        assert [row["payment_hash"] for row in rows] == [invoice.id]
    description = await (await bench.client.get("/openapi.json")).json()
    assert description["info"]["version"] == version


async def test_page(bench: Bench) -> None:
    """A page has ten rows unless somebody says how many, and says how many there are in all."""
    made = [bench.sandbox.store.create("lnbits").id for _ in range(12)]
    page = await (await get(bench, "payments/paginated")).json()
    assert (len(page["data"]), page["total"]) == (10, 12)
    asked = {"limit": "5", "offset": "10", "direction": "asc", "amount[gt]": "0"}
    page = await (await get(bench, "payments/paginated", **asked)).json()
    assert [row["payment_hash"] for row in page["data"]] == made[10:]
    assert (await (await get(bench, "payments/paginated", **{"amount[lt]": "1"})).json()) == {
        "data": [],
        "total": 0,
    }
    assert (await get(bench, "payments/paginated", limit="many")).status == 500


@pytest.mark.parametrize("version", VERSIONS)
async def test_expiry(bench: Bench, version: str) -> None:
    """An expired payment is pending until somebody has it checked, and in older releases on."""
    play(bench, version)
    invoice = bench.sandbox.store.create("lnbits")
    bench.sandbox.store.act("lnbits", invoice.id, "expire")

    async def word(path: str = "payments/paginated", **query: str) -> object:
        answer = await (await get(bench, path, **query)).json()
        rows = answer["data"] if isinstance(answer, dict) else answer
        return rows[0].get("status", rows[0].get("pending")) if rows else None

    pending = True if version.startswith("0") else "pending"
    assert await word("payments") == pending
    after = "failed" if version == NEW else pending
    assert await word(recheck_pending="true") == after
    assert await word("payments") == (None if version == NEW else pending)


async def test_one_payment(bench: Bench) -> None:
    """Whoever has the key is told all of it, others whether it was paid."""
    invoice = bench.sandbox.store.create("lnbits")
    own = await (await get(bench, f"payments/{invoice.id}")).json()
    assert (own["paid"], own["status"]) == (False, "pending")
    assert own["details"]["payment_hash"] == invoice.id
    bench.sandbox.store.act("lnbits", invoice.id, "pay")
    anybody = await get(bench, f"payments/{invoice.id}", key="x")
    assert await anybody.json() == {"paid": True}
    unknown = await get(bench, f"payments/{'0' * 64}")
    assert (unknown.status, await unknown.json()) == (404, {"detail": "Payment does not exist."})


async def test_create(bench: Bench) -> None:
    """What is made can be paid; its expiry has no zone in this answer alone."""
    status, made = await make(bench, out=False, amount=21, expiry=600, external_id="A-1")
    assert (status, made["amount"], made["status"]) == (201, 21_000, "pending")
    assert made["external_id"] == "A-1"
    assert "+" not in made["expiry"]
    decoded = await bench.client.post(
        "/api/v1/payments/decode", json={"data": made["bolt11"]}, headers={"X-Api-Key": KEY}
    )
    assert (await decoded.json())["payment_hash"] == made["payment_hash"]
    play(bench, "0.12.12")
    status, made = await make(bench, out=False, amount=21)
    assert status == 201
    assert made.keys() == {"payment_hash", "payment_request", "checking_id", "lnurl_response"}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"amount": 21}, 403),
        ({"out": False}, 500),
        ({"out": False, "amount": 0}, 520),
        ({"out": False, "amount": 1.5}, 520),
        ({"out": False, "amount": 5, "unit": "XYZ"}, 520),
        ({"out": False, "amount": "much"}, 400),
        ({"out": False, "amount": 5, "expiry": 0}, 400),
        ({"out": False, "amount": 5, "webhook": "http://127.0.0.1:8123/x"}, 400),
    ],
)
async def test_create_nonsense(bench: Bench, asked: Mapping[str, Any], status: int) -> None:
    """What can't be made is refused in the server's ways."""
    assert (await make(bench, **asked))[0] == status
    assert not bench.sandbox.store.all("lnbits")


async def test_decode_nonsense(bench: Bench) -> None:
    """What is no invoice has no hash."""
    for text in ("lnurl1dp68", "", "lnbc1p1qq"):
        assert from_text(text) is None
    answer = await bench.client.post(
        "/api/v1/payments/decode", json={"data": "hello"}, headers={"X-Api-Key": KEY}
    )
    assert answer.status == 400
    assert (await answer.json())["message"] == "Failed to decode"
    invoice = bench.sandbox.store.create("lnbits")
    assert from_text(to_text(invoice)) == invoice.id


async def test_asked_in_the_wallets_currency(bench: Bench) -> None:
    """Only a currency that isn't the wallet's own is named as what was asked for."""
    bench.sandbox.set("lnbits", "wallet_currency", "EUR")
    extras = {}
    for unit, amount in (("EUR", 4.25), ("USD", 5), ("sat", 4496)):
        _, made = await make(bench, out=False, amount=amount, unit=unit)
        extras[unit] = made["extra"] | {"sat": made["amount"] / 1000}
    euros, dollars, satoshi = extras.values()
    assert "fiat_amount" not in euros
    assert euros["wallet_fiat_rate"] * euros["wallet_fiat_amount"] == pytest.approx(euros["sat"])
    assert (dollars["fiat_currency"], dollars["fiat_amount"]) == ("USD", 5)
    assert "fiat_amount" not in satoshi
    assert satoshi["wallet_fiat_rate"] * satoshi["wallet_fiat_amount"] != satoshi["sat"]


@pytest.mark.parametrize(("version", "times"), [(NEW, 2), ("1.4.2", 1)])
async def test_websocket(bench: Bench, version: str, times: int) -> None:
    """A payment is announced to the key's and the hash's listeners, and anybody can forge one."""
    play(bench, version)
    invoice = bench.sandbox.store.create("lnbits")
    listeners = bench.client.app[LISTENERS] if bench.client.app else None
    assert listeners
    async with (
        bench.client.ws_connect(f"/api/v1/ws/{KEY}") as wallet,
        bench.client.ws_connect(f"/api/v1/ws/{invoice.id}") as payment,
    ):
        assert listeners.count == 2
        bench.sandbox.store.act("lnbits", invoice.id, "pay")
        for _ in range(times):
            told = await wallet.receive_json()
            assert (told["wallet_balance"], told["payment"]["payment_hash"]) == (25, invoice.id)
            assert await payment.receive_json() == {"pending": False, "status": "success"}
        await bench.client.post(f"/api/v1/ws/{KEY}/anything")
        assert await wallet.receive_str() == "anything"
        await listeners.hang_up()
        assert (await wallet.receive()).type.name == "CLOSE"
    assert listeners.count == 0


async def test_no_websocket_in_an_outage(bench: Bench) -> None:
    """While a fault is on there is no connection, and the fault isn't used up."""
    bench.sandbox.faults.switch("lnbits", "server_error", count=1)
    assert (await bench.client.get(f"/api/v1/ws/{KEY}")).status == 503
    assert bench.sandbox.faults.active["lnbits"]
