"""Answers as the providers really give them, and what a user sees of them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
import json
import math
from typing import Any

from aiohttp import ClientSession
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS, http
from custom_components.crypto_invoices.providers.btcpay.late import read_late_status
from custom_components.crypto_invoices.providers.capabilities import CanListInvoices
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    Forbidden,
    Invoice,
    InvoiceNotFound,
    KeyCanSpend,
    Moved,
    ProviderError,
    ServerTooOld,
)
from custom_components.crypto_invoices.providers.parse import read_text
from custom_components.crypto_invoices.providers.provider import Provider

from .conftest import IDS, Answer, Asked, Wire, made_up_settings, read_account, read_one

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
each_provider = pytest.mark.parametrize("key", PROVIDERS)


def make(session: ClientSession, key: str, **settings: str) -> Provider:
    """Return an account."""
    return PROVIDERS[key](session, made_up_settings(key, **settings))


def payment(id_: str, **changes: Any) -> dict[str, Any]:
    """Return a payment of LNbits."""
    return {"payment_hash": id_, "amount": 4496000, "status": "pending", **changes}


class LNbitsServer:
    """An LNbits server of a version, with what it can filter by."""

    def __init__(self, version: str, *operators: str) -> None:
        """Know some payments."""
        self.version = version
        self.operators = operators
        self.rows: dict[str, dict[str, Any]] = {}

    def __call__(self, asked: Asked) -> Answer:
        """Answer a request."""
        if asked.url.path == "/openapi.json":
            return Answer({"info": {"title": "LNbits API", "version": self.version}})
        if asked.url.name == "wallet":
            return Answer({"name": "Shop", "balance": 0})
        for name, hashes in asked.url.query.items():
            if name.startswith("payment_hash["):
                if name.removeprefix("payment_hash[").rstrip("]") not in self.operators:
                    return Answer({"detail": "Unexpected error!"}, 500)
                found = [self.rows[id_] for id_ in hashes.split(",") if id_ in self.rows]
                return Answer({"data": found, "total": len(found)})
        return Answer({"data": list(self.rows.values()), "total": len(self.rows)})


HASHES = [f"{number:064x}" for number in range(1, 8)]


async def test_lnbits_before_1_4_is_read_one_by_one(wire: Wire, session: ClientSession) -> None:
    """A server that can't filter by many hashes is set up and read, and again after its upgrade."""
    server = LNbitsServer("1.0.0", "eq")
    server.rows = {id_: payment(id_) for id_ in HASHES}
    wire.answer(server)
    provider = make(session, "lnbits")
    assert await read_account(provider) is None
    assert provider.discovered_settings == {"reads_by_list": "no"}
    found = await provider.async_get_invoices(HASHES)
    assert all(isinstance(row, Invoice) for row in found.values())
    server.version, server.operators = "1.6.2", ("eq", "in")
    again = make(session, "lnbits", **provider.discovered_settings)
    wire.asked.clear()
    for _ in range(2):
        found = await again.async_get_invoices(HASHES)
        assert all(isinstance(row, Invoice) for row in found.values())
    assert again.discovered_settings == {"reads_by_list": "yes"}


async def test_lnbits_that_is_set_back_is_still_read(wire: Wire, session: ClientSession) -> None:
    """A server that could once, and can't now, costs a few requests and no invoice."""
    server = LNbitsServer("1.3.1", "eq")
    server.rows = {id_: payment(id_) for id_ in HASHES}
    wire.answer(server)
    found = await make(session, "lnbits", reads_by_list="yes").async_get_invoices(HASHES)
    assert all(isinstance(row, Invoice) for row in found.values())
    assert len(wire.asked) <= len(HASHES) + 3


async def test_lnbits_before_1_0_is_refused_by_its_version(
    wire: Wire, session: ClientSession
) -> None:
    """What can't be read at all is refused when it is set up, with the version that is needed."""
    wire.answer(LNbitsServer("0.12.12"))
    with pytest.raises(ServerTooOld) as caught:
        await make(session, "lnbits").async_get_account()
    assert (caught.value.version, caught.value.least) == ("0.12.12", "1.0.0")


@pytest.mark.parametrize(
    ("extra", "asked"),
    [
        (
            {
                "wallet_fiat_currency": "EUR",
                "wallet_fiat_amount": 4.25,
                "wallet_fiat_rate": 1057.8823529411766,
                "wallet_btc_rate": 94528.46975088968,
            },
            (Decimal("4.25"), "EUR"),
        ),
        (
            {
                "wallet_fiat_currency": "EUR",
                "wallet_fiat_amount": 4.25,
                "wallet_fiat_rate": 1057.87,
            },
            (Decimal(4496), "sat"),
        ),
        ({"fiat_currency": "USD", "fiat_amount": 5, "wallet_fiat_currency": "EUR"}, (5, "USD")),
        ({}, (Decimal(4496), "sat")),
    ],
    ids=["euros in a wallet of euros", "satoshi in a wallet of euros", "dollars", "satoshi"],
)
async def test_lnbits_amount_is_what_was_asked_for(
    wire: Wire, session: ClientSession, extra: Mapping[str, Any], asked: tuple[Decimal, str]
) -> None:
    """An invoice over 4.25 EUR says so, one over satoshi says satoshi."""
    id_ = IDS["lnbits"]
    wire.answer(Answer({"data": [payment(id_, extra=extra)], "total": 1}))
    invoice = await read_one(make(session, "lnbits"), id_)
    assert isinstance(invoice, Invoice)
    assert (invoice.amount, invoice.currency) == asked


@pytest.mark.parametrize("rate", ["NaN", "Infinity", "1e308", "1" + "0" * 400, "-1", "0", "[]"])
async def test_lnbits_rate_that_makes_no_sense(
    wire: Wire, session: ClientSession, rate: str
) -> None:
    """A rate that nothing can be multiplied with costs the euros, and nothing else."""
    id_ = IDS["lnbits"]
    extra = {"wallet_fiat_currency": "EUR", "wallet_fiat_amount": 4.25, "wallet_fiat_rate": "?"}
    body = json.dumps({"data": [payment(id_, extra=extra)], "total": 1, "more": math.nan})
    wire.answer(Answer(body.replace('"?"', rate).encode()))
    invoice = await read_one(make(session, "lnbits"), id_)
    assert isinstance(invoice, Invoice)
    assert (invoice.amount, invoice.currency) == (Decimal(4496), "sat")


def methods(*payments: tuple[str, str]) -> list[dict[str, Any]]:
    """Return a payment method with payments: their status and value, at 95,000 a coin."""
    rows = [{"status": status, "value": value, "fee": "0"} for status, value in payments]
    return [{"paymentMethodId": "BTC-CHAIN", "rate": "95000", "payments": rows}]


@pytest.mark.parametrize(
    ("payments", "status"),
    [
        ([("Processing", "0.00013158")], "processing"),
        ([("Settled", "0.00013158")], "paid"),
        ([("settled", "0.00013158")], "paid"),
        ([("Invalid", "0.00013158")], "expired"),
        ([], "expired"),
        ([("Invalid", "0.00013158"), ("Settled", "0.00013158")], "paid"),
        ([("Invalid", "0.00007"), ("Settled", "0.00006158")], "underpaid"),
        ([("Processing", "0.00007"), ("Settled", "0.00006158")], "processing"),
        ([("Processing", "0.00001"), ("Settled", "0.00013158")], "paid"),
        ([("Frozen", "0.00013158")], "processing"),
    ],
)
def test_btcpay_late_payment_is_what_its_payments_are(
    payments: list[tuple[str, str]], status: str
) -> None:
    """Only what the server counts as settled is paid; what was replaced brought nothing."""
    assert read_late_status(Decimal("12.50"), methods(*payments)) == status


@pytest.mark.parametrize("payload", [None, {}, ["x"], [{"payments": [7]}], methods(("", "1"))])
def test_btcpay_payments_that_make_no_sense(payload: object) -> None:
    """Money is never guessed."""
    with pytest.raises(BadResponse):
        read_late_status(Decimal("12.50"), payload)


async def test_btcpay_with_older_events_gets_its_webhook(
    wire: Wire, session: ClientSession
) -> None:
    """A server that doesn't know all events posts those that it knows."""
    written: list[list[str]] = []

    def serve(asked: Asked) -> Answer:
        if asked.method == "GET":
            return Answer([])
        events = asked.json["authorizedEvents"]["specificEvents"]
        written.append(events)
        unknown = [at for at, event in enumerate(events) if event.startswith("InvoiceE")][1:]
        if unknown:
            problem = {"path": f"authorizedEvents.specificEvents[{unknown[0]}]", "message": "No."}
            return Answer([problem], 422)
        return Answer({"id": "Webhook1"})

    wire.answer(serve)
    provider: Any = make(session, "btcpay", store_id="Store1", may_register_webhook="yes")
    assert (await provider.async_register_webhook("https://ha.example/hook"))["webhook_secret"]
    assert len(written) == 2
    assert set(written[0]) - set(written[1]) == {"InvoiceExpiredPaidPartial"}
    # The others of the family: a server that refuses all of them has a problem.
    wire.answer(
        lambda asked: Answer([]) if asked.method == "GET" else Answer([{"path": "url"}], 422)
    )
    with pytest.raises(BadResponse):
        await provider.async_register_webhook("https://ha.example/hook")


async def test_btcpay_with_large_invoices_is_listed(
    wire: Wire, session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a page is more than is read, smaller ones are."""
    rows = [
        {"id": f"DemoInvoice{number:010}", "status": "New", "metadata": {"pos": "x" * 250}}
        for number in range(300)
    ]

    def serve(asked: Asked) -> Answer:
        skip, take = int(asked.url.query["skip"]), int(asked.url.query["take"])
        return Answer(rows[skip : skip + take])

    wire.answer(serve)
    monkeypatch.setattr(http, "MAX_ANSWER_BYTES", 30_000)
    provider = make(session, "btcpay", store_id="Store1")
    assert isinstance(provider, CanListInvoices)
    found = [invoice.id async for invoice in provider.async_list_invoices(since=SINCE)]
    assert found == [row["id"] for row in rows]
    assert len(json.dumps(rows[:200])) > 2 * 30_000
    read = await provider.async_get_invoices(found)
    assert all(isinstance(row, Invoice) for row in read.values())
    assert len(wire.asked) < 40


def test_number_too_large_for_a_float_is_no_order_id() -> None:
    """An order ID is the digits as written, or none: never others."""
    assert read_text(json.loads("20240101123456789012")) == "20240101123456789012"
    assert read_text(20240101123456789012.0) is None
    assert read_text(4711.0) == "4711.0"


async def test_btcpay_key_that_may_impersonate_is_refused(
    wire: Wire, session: ClientSession
) -> None:
    """Whoever can act as another user can help himself to a key that spends."""
    names = ["btcpay.impersonation.canimpersonate", "btcpay.store.canviewinvoices:Store1"]
    wire.answer(Answer({"permissions": names}))
    assert await read_account(make(session, "btcpay")) is KeyCanSpend


async def test_cryptocloud_coin_is_none_before_it_is_chosen(
    wire: Wire, session: ClientSession
) -> None:
    """A coin that stands there before anybody chose isn't what has to be paid."""
    row: dict[str, Any] = {
        "uuid": IDS["cryptocloud"],
        "status": "created",
        "address": "",
        "amount": 100.0,
        "amount_usd": 100.0,
        "currency": {"code": "USDT", "network": {"code": "TRC20"}},
    }
    for address, coin in (("", None), ("TXdemoAddress", "USDT")):
        wire.answer(Answer({"status": "success", "result": [{**row, "address": address}]}))
        invoice = await read_one(make(session, "cryptocloud"), IDS["cryptocloud"])
        assert isinstance(invoice, Invoice)
        assert (invoice.pay_currency, invoice.amount) == (coin, Decimal(100))
        assert (invoice.pay_amount is None) is (coin is None)


@pytest.mark.parametrize("limit_means", ["a number of rows", "the last row"])
async def test_cryptocloud_list_is_whole(
    wire: Wire, session: ClientSession, limit_means: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever way its limit is meant, the list goes on after the first hundred."""
    rows = [{"uuid": f"INV-{number:08}", "status": "created"} for number in range(150)]

    def serve(asked: Asked) -> Answer:
        offset, limit = asked.json["offset"], asked.json["limit"]
        if limit_means == "a number of rows":
            if limit > 100:
                return Answer({"status": "error", "result": {"limit": "max 100"}}, 400)
            limit += offset
        result = rows[offset:limit]
        return Answer({"status": "success", "result": result, "all_count": len(rows)})

    wire.answer(serve)
    provider = make(session, "cryptocloud")
    assert isinstance(provider, CanListInvoices)
    found = [invoice.id async for invoice in provider.async_list_invoices(since=SINCE)]
    assert found == [row["uuid"] for row in rows]
    assert not caplog.records


async def test_cryptocloud_list_that_stays_incomplete_is_said_once(
    wire: Wire, session: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the provider keeps rows back, it is in the log, and nothing is lost of the others."""
    row = {"uuid": IDS["cryptocloud"], "status": "created"}
    wire.answer(
        lambda asked: Answer(
            {
                "status": "success",
                "result": [] if asked.json["offset"] else [row],
                "all_count": 150,
            }
        )
    )
    provider = make(session, "cryptocloud")
    assert isinstance(provider, CanListInvoices)
    for _ in range(2):
        assert [one.id async for one in provider.async_list_invoices(since=SINCE)] == [row["uuid"]]
    assert len(caplog.records) == 1
    assert "1 of 150" in caplog.text


@pytest.mark.parametrize("status", [400, 406, 422, 200])
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Invoice not found", InvoiceNotFound),
        ("uuid is required", InvoiceNotFound),
        ("Invalid API key", AuthError),
        ("Некорректный токен", AuthError),
    ],
)
async def test_cryptocloud_v1_deleted_invoice_costs_only_itself(
    wire: Wire, session: ClientSession, status: int, text: str, error: type[ProviderError]
) -> None:
    """A refusal is about the key only where its text says so."""
    wire.answer(Answer({"status": "error", "error": text}, status))
    provider = make(session, "cryptocloud_v1")
    assert isinstance(await read_one(provider, IDS["cryptocloud_v1"]), error)


@each_provider
async def test_byte_order_mark_and_nan(wire: Wire, session: ClientSession, key: str) -> None:
    """What some servers put before their JSON, and in it, costs one row at most."""
    good, bad = (
        (IDS[key], "INV-EF56GH78")
        if key == "cryptocloud"
        else (IDS[key], HASHES[0] if key == "lnbits" else IDS[key])
    )
    bodies: dict[str, Any] = {
        "cryptocloud": {"status": "success", "result": [
            {"uuid": good, "status": "created", "amount_usd": 5},
            {"uuid": bad, "status": "created", "amount_usd": float("nan")},
        ]},
        "cryptocloud_v1": {"status": "success", "status_invoice": "paid", "x": float("nan")},
        "egates": {"success": True, "response": {"invoice": good, "status": "PENDING"}},
        "btcpay": {"id": good, "status": "New", "metadata": {"x": float("nan")}},
        "lnbits": {"data": [payment(good), payment(bad, amount=float("nan"))], "total": 2},
        "another_api": {"made-up-status_path": "New", "x": float("nan")},
    }  # fmt: skip
    wire.answer(Answer(b"\xef\xbb\xbf" + json.dumps(bodies[key]).encode()))
    settings = {"store_id": "Store1"} if key == "btcpay" else {}
    found = await make(session, key, **settings).async_get_invoices([good, bad])
    assert isinstance(found[good], Invoice)
    if good != bad:
        assert not isinstance(found[bad], Invoice)


@each_provider
async def test_refusal_on_the_way_and_redirects_are_told_apart(
    wire: Wire, session: ClientSession, key: str
) -> None:
    """A 403 without a word, and an address that has moved, are not a wrong address."""
    wire.answer(Answer(b"", 403, "text/html"))
    assert await read_account(make(session, key)) is Forbidden
    for url, location, to_https in (
        ("http://pay.example", "https://pay.example/x", True),
        ("http://pay.example", "/login", False),
        ("https://pay.example", "https://www.pay.example/", False),
    ):
        wire.answer(Answer(b"", 301, headers={"Location": location}))
        with pytest.raises(Moved) as caught:
            await make(session, key, url=url).async_get_account()
        assert caught.value.to_https is to_https


async def test_cryptocloud_statistics_with_counts_as_floats(
    wire: Wire, session: ClientSession
) -> None:
    """2.0 is two, and a sum of nothing is none."""
    result = {"count": {"paid": 2.0, "created": 0}, "amount": {"paid": 30.1, "created": None}}
    wire.answer(Answer({"status": "success", "result": result}))
    provider: Any = make(session, "cryptocloud")
    totals = (await provider.async_get_statistics(SINCE.date(), SINCE.date())).totals
    assert (totals["paid"].count, totals["paid"].amount) == (2, Decimal("30.1"))
    assert (totals["created"].count, totals["created"].amount) == (0, Decimal(0))
