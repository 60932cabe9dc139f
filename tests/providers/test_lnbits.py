"""LNbits: many invoices with one request, by payment hash, and hints from a websocket."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
import json
from pathlib import Path
import traceback
from typing import Any
from unittest.mock import Mock

from aiohttp import ClientSession, ClientTimeout, web
from aiohttp.test_utils import TestServer
from hypothesis import given
import orjson
import pytest

from custom_components.crypto_invoices.providers.lnbits.hints import LARGEST_MESSAGE, LNbitsHints
from custom_components.crypto_invoices.providers.lnbits.rows import parse_rows
from custom_components.crypto_invoices.providers.lnbits.till import LNbits
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    Balance,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    KeyCanSpend,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnavailableReason,
)
from custom_components.crypto_invoices.providers.push import CanPush, CanStream, Hint, PushRejected
from tests.servers import untrusted_site

from .conftest import ADDRESS, Answer, Asked, Wire, fixture_bytes, read_account, read_one
from .test_properties import FIVE, any_json, any_text, assert_sound, deep, odd_text, some

KEY = "made-up/key?#%"
SETTINGS = {"url": f"{ADDRESS}/lnbits", "api_key": KEY, "verify_ssl": True}
WALLET = {"name": "shop", "balance": 21_500}
NOW = datetime(2026, 2, 3, 10, 0, tzinfo=UTC)
HASHES = [f"{number:064x}" for number in range(1000)]
HASH = HASHES[171]
BOLT11 = "lnbc210n1p4sq0sddq2gdhkven9v5xqprsp58a6s3t4rwra9r6tkhh2a0mne83dqgd4zzjcxng2mv7jz5ygz240q"
SAMPLE_EXPIRED = "a104cc0caaf8c259e071f898fe4c8b3e10bf909dc8f5c0a407195d8328ac7db2"
SAMPLE_PAID = "18d7f92302db56c4e6608116c66ea9447c330bccb71e4760b337190b569d6306"


@pytest.fixture
def provider(session: ClientSession) -> LNbits:
    """Return a wallet at a server behind a path."""
    return LNbits(session, SETTINGS)


def payment(id_: str = HASH, **changes: Any) -> dict[str, Any]:
    """Return a pending payment of 21 satoshi, with changes."""
    return {
        "checking_id": id_,
        "payment_hash": id_,
        "amount": 21_000,
        "bolt11": BOLT11,
        "status": "pending",
        "memo": "a private memo",
        "expiry": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "preimage": "a secret preimage",
        **changes,
    }


def page(*rows: Any) -> Answer:
    """Answer with a page of payments."""
    return Answer({"data": rows, "total": len(rows)})


def ago(**time: float) -> str:
    """Return a time that is over, as the server writes it."""
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


class Wallet:
    """A server with one wallet, which notices an expiry only when it is asked to."""

    def __init__(self) -> None:
        """Begin without payments."""
        self.rows: dict[str, dict[str, Any]] = {}

    def __call__(self, asked: Asked) -> Answer:
        """Answer a request for a page."""
        query = asked.url.query
        ids = query["payment_hash[in]"].split(",") if "payment_hash[in]" in query else []
        rows = [self.rows[id_] for id_ in ids if id_ in self.rows]
        for row in rows if query.get("recheck_pending") == "true" else ():
            if row["status"] == "pending" and row["expiry"] < ago():
                row.update(status="failed", labels=["expired"])
        rows = [row for row in rows if row["amount"] >= int(query.get("amount[ge]", 0))]
        return page(*rows[: int(query.get("limit", 10))])


async def read(provider: LNbits, wire: Wire, **changes: Any) -> Invoice:
    """Return what becomes of a payment with these changes."""
    wire.answer(page(payment(**changes)))
    invoice = await read_one(provider, HASH)
    assert isinstance(invoice, Invoice)
    return invoice


async def test_sample(wire: Wire, provider: LNbits) -> None:
    """A server's own answer: one expired, one paid."""
    wire.answer(Answer(fixture_bytes("lnbits_paginated.json")))
    found = await provider.async_get_invoices([SAMPLE_EXPIRED, SAMPLE_PAID])
    rows = {
        row["payment_hash"]: row
        for row in orjson.loads(fixture_bytes("lnbits_paginated.json"))["data"]
    }
    assert found[SAMPLE_EXPIRED] == Invoice(
        id=SAMPLE_EXPIRED,
        status=InvoiceStatus.EXPIRED,
        provider_status="failed",
        amount=Decimal(21),
        currency="sat",
        amount_received=Decimal(0),
        pay_amount=Decimal(21),
        pay_currency="sat",
        network="Lightning",
        order_id="A-1",
        payment_text=f"lightning:{rows[SAMPLE_EXPIRED]['bolt11']}",
        memo="a private memo",
        created_at=datetime(2026, 11, 20, 12, 33, 17, 778138, UTC),
        expires_at=datetime(2026, 11, 20, 12, 33, 20, tzinfo=UTC),
    )
    assert found[SAMPLE_PAID] == Invoice(
        id=SAMPLE_PAID,
        status=InvoiceStatus.PAID,
        provider_status="success",
        amount=Decimal(33),
        currency="sat",
        amount_received=Decimal(33),
        pay_amount=Decimal(33),
        pay_currency="sat",
        network="Lightning",
        payment_text=f"lightning:{rows[SAMPLE_PAID]['bolt11']}",
        memo="a private memo",
        created_at=datetime(2026, 11, 20, 12, 33, 47, 467776, UTC),
        expires_at=datetime(2026, 11, 20, 13, 33, 47, tzinfo=UTC),
    )
    assert "private memo" not in repr(found)
    assert all(row["preimage"] not in repr(found) for row in rows.values())


async def test_request(wire: Wire, provider: LNbits) -> None:
    """One GET with the hashes in the address, and the key in a header only."""
    wire.answer(page(payment()))
    await provider.async_get_invoices([HASH, HASHES[0], HASH])
    (asked,) = wire.asked
    assert asked.method == "GET"
    assert asked.url.path == "/lnbits/api/v1/payments/paginated"
    assert dict(asked.url.query) == {
        "payment_hash[in]": f"{HASH},{HASHES[0]}",
        "amount[ge]": "0",
        "limit": "4",
        "recheck_pending": "true",
    }
    assert asked.headers["X-Api-Key"] == KEY
    assert not asked.follows_redirects
    assert "made-up" not in str(asked.url)


@pytest.mark.parametrize(
    ("changes", "status", "word"),
    [
        ({"status": "pending"}, InvoiceStatus.PENDING, "pending"),
        ({"status": "success"}, InvoiceStatus.PAID, "success"),
        ({"status": "failed"}, InvoiceStatus.FAILED, "failed"),
        ({"status": "failed", "expiry": timedelta(minutes=1)}, InvoiceStatus.EXPIRED, "failed"),
        ({"status": "failed", "labels": ["expired"]}, InvoiceStatus.EXPIRED, "failed"),
        ({"status": "failed", "expiry": None}, InvoiceStatus.FAILED, "failed"),
        ({"status": "success", "expiry": timedelta(days=1)}, InvoiceStatus.PAID, "success"),
        # What was on its way may still arrive.
        ({"status": "pending", "expiry": timedelta(minutes=5)}, InvoiceStatus.PENDING, "pending"),
        ({"status": "pending", "expiry": timedelta(minutes=11)}, InvoiceStatus.EXPIRED, "pending"),
        ({"status": None, "pending": True}, InvoiceStatus.PENDING, "pending"),
        ({"status": None, "pending": False}, InvoiceStatus.PAID, "success"),
        ({"status": "settled"}, InvoiceStatus.UNKNOWN, "settled"),
    ],
)
async def test_status(
    wire: Wire, provider: LNbits, changes: dict[str, Any], status: InvoiceStatus, word: str
) -> None:
    """Each word has its status, and what failed after its expiry has expired."""
    if isinstance(over := changes.get("expiry"), timedelta):
        changes = {**changes, "expiry": (datetime.now(UTC) - over).isoformat()}
    invoice = await read(provider, wire, **changes)
    assert (invoice.status, invoice.provider_status) == (status, word)
    assert invoice.amount == Decimal(21)
    nothing = None if status is InvoiceStatus.UNKNOWN else Decimal(0)
    assert invoice.amount_received == (Decimal(21) if status.is_paid else nothing)


async def test_older_release(wire: Wire, provider: LNbits) -> None:
    """Before 1.0: unix times, a boolean, no extras."""
    row = {
        "payment_hash": HASH.upper(),
        "pending": False,
        "amount": 1_500,
        "bolt11": BOLT11.upper(),
        "time": 1_700_000_000,
        "expiry": 1_700_003_600.0,
        "extra": None,
    }
    wire.answer(page(row))
    assert await read_one(provider, HASH) == Invoice(
        id=HASH,
        status=InvoiceStatus.PAID,
        provider_status="success",
        amount=Decimal("1.5"),
        currency="sat",
        amount_received=Decimal("1.5"),
        pay_amount=Decimal("1.5"),
        pay_currency="sat",
        network="Lightning",
        payment_text=f"lightning:{BOLT11.upper()}",
        created_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        expires_at=datetime(2023, 11, 14, 23, 13, 20, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-02-03T10:00:00", NOW),
        ("2026-02-03T10:00:00+00:00", NOW),
        ("2026-02-03T12:00:00+02:00", NOW),
        ("2026-02-03T10:00:00Z", NOW),
        ("2026-02-03 10:00:00.000000", NOW),
        (int(NOW.timestamp()), NOW),
        (NOW.timestamp(), NOW),
        (str(int(NOW.timestamp())), NOW),
        (None, None),
        ("", None),
        ("soon", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        (True, None),
        (1e300, None),
        ({}, None),
    ],
)
async def test_expiry(
    wire: Wire, provider: LNbits, written: object, moment: datetime | None
) -> None:
    """An expiry is unix or ISO, and UTC where it names no zone."""
    assert (await read(provider, wire, expiry=written)).expires_at == moment


@pytest.mark.parametrize(
    ("msat", "amount"),
    [
        (21_000, "21"),
        (1, "0.001"),
        (1_500, "1.5"),
        (100_000_000, "100000"),
        (2_100_000_000_000_000_999, "2100000000000000.999"),
        (0, "0"),
        (None, "None"),
        ("21000", "21"),
        (1e30, "None"),
        (True, "None"),
    ],
)
async def test_amount(wire: Wire, provider: LNbits, msat: object, amount: str) -> None:
    """Millisatoshi become satoshi, exactly, or are unknown."""
    invoice = await read(provider, wire, amount=msat, status="success")
    assert str(invoice.amount) == str(invoice.amount_received) == amount
    assert str(invoice.pay_amount) == amount
    assert (invoice.currency, invoice.pay_currency) == ("sat", "sat")


async def test_asked_in_fiat(wire: Wire, provider: LNbits) -> None:
    """An invoice asked for in another currency stays in it; satoshi are what is sent."""
    extra = {"fiat_currency": "EUR", "fiat_amount": 12.5, "wallet_fiat_currency": "USD"}
    invoice = await read(provider, wire, extra=extra, status="success")
    assert (invoice.amount, invoice.currency) == (Decimal("12.5"), "EUR")
    assert invoice.amount_received == Decimal("12.5")
    assert (invoice.pay_amount, invoice.pay_currency) == (Decimal(21), "sat")


@pytest.mark.parametrize(
    "extra",
    [
        {"wallet_fiat_currency": "USD", "wallet_fiat_amount": 0.02},
        {"fiat_currency": "EUR"},
        {"fiat_amount": 12.5},
        {"fiat_currency": "EUR", "fiat_amount": "much"},
        [],
        "EUR",
    ],
)
async def test_asked_in_satoshi(wire: Wire, provider: LNbits, extra: object) -> None:
    """What an amount is worth elsewhere is not what was asked for."""
    invoice = await read(provider, wire, extra=extra)
    assert (invoice.amount, invoice.currency) == (Decimal(21), "sat")


async def test_paid_by_link(wire: Wire, provider: LNbits) -> None:
    """With a card processor there is a link, and nothing that a Lightning wallet could pay."""
    link = "https://pay.example/1"
    extra = {"fiat_currency": "EUR", "fiat_amount": 5, "fiat_payment_request": link}
    invoice = await read(provider, wire, fiat_provider="stripe", extra=extra)
    assert (invoice.payment_url, invoice.payment_text) == (link, None)
    assert (invoice.amount, invoice.pay_amount, invoice.network) == (Decimal(5), None, None)


@pytest.mark.parametrize("bolt11", [None, "", "lnurl1dp68gurn8ghj7" * 4, "hello", BOLT11 + " x", 7])
async def test_nothing_to_scan(wire: Wire, provider: LNbits, bolt11: object) -> None:
    """What is no invoice is not offered to be scanned."""
    assert (await read(provider, wire, bolt11=bolt11)).payment_text is None


async def test_rows_that_are_not_ours(wire: Wire, provider: LNbits) -> None:
    """Outgoing payments and those of other hashes are no invoices; a broken one costs itself."""
    rows: list[Any] = [
        payment(HASHES[0], amount=-21_000),
        payment(HASHES[1], amount=-21_000, status="success"),
        payment(HASHES[1]),
        payment(HASHES[2], status=7),
        payment(HASHES[4]),
        payment(payment_hash=7),
        None,
        [],
    ]
    wire.answer(page(*rows))
    found = await provider.async_get_invoices(HASHES[:4])
    assert [type(found[id_]) for id_ in HASHES[:4]] == [
        InvoiceNotFound,
        Invoice,
        BadResponse,
        InvoiceNotFound,
    ]
    one = found[HASHES[1]]
    assert isinstance(one, Invoice)
    assert one.status is InvoiceStatus.PENDING


async def test_deleted_after_its_expiry(wire: Wire, provider: LNbits) -> None:
    """Servers delete what has expired; what is gone for another reason is not found."""
    rows: dict[str, dict[str, Any]] = {
        HASHES[0]: payment(HASHES[0], expiry=ago(seconds=1)),
        HASHES[1]: payment(HASHES[1]),
        HASHES[2]: payment(HASHES[2], expiry=ago(seconds=1), status="success"),
    }
    wire.answer(page(*rows.values()))
    await provider.async_get_invoices(rows)
    wire.answer(page())
    for _ in range(2):
        found = await provider.async_get_invoices([*rows, HASH])
        expired = found.pop(HASHES[0])
        assert isinstance(expired, Invoice)
        assert (expired.status, expired.provider_status) == (InvoiceStatus.EXPIRED, "deleted")
        assert expired.amount == Decimal(21)
        assert {type(entry) for entry in found.values()} == {InvoiceNotFound}


async def test_recheck(wire: Wire, provider: LNbits) -> None:
    """The server asks its node the first time, and then every fourth."""
    wire.answer(page(payment()))
    for _ in range(9):
        await provider.async_get_invoices([HASH])
    checked = ["recheck_pending" in asked.url.query for asked in wire.asked]
    assert checked == [True, False, False, False, True, False, False, False, True]


async def test_recheck_after_expiry(wire: Wire, provider: LNbits) -> None:
    """What should have expired is checked at once; what has ended is not."""
    wallet = Wallet()
    wire.answer(wallet)
    wallet.rows[HASH] = payment()
    await provider.async_get_invoices([HASH])
    wallet.rows[HASH]["expiry"] = ago(seconds=1)
    words = []
    for _ in range(6):
        invoice = await read_one(provider, HASH)
        assert isinstance(invoice, Invoice)
        words.append(invoice.status.value)
    assert words == ["pending", "expired", "expired", "expired", "expired", "expired"]
    assert sum("recheck_pending" in asked.url.query for asked in wire.asked) == 2


async def test_many(wire: Wire, provider: LNbits) -> None:
    """A thousand open invoices cost ten requests, none with an address over 8 kB."""
    wallet = Wallet()
    wallet.rows = {id_: payment(id_) for id_ in HASHES}
    wire.answer(wallet)
    for cycle in range(1, 6):
        found = await provider.async_get_invoices(HASHES)
        assert all(isinstance(entry, Invoice) for entry in found.values())
        assert len(wire.asked) == cycle * 10
    assert max(len(str(asked.url)) for asked in wire.asked) < 7_500


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer({"detail": "Wallet not found."}, 404), AuthError),
        (Answer({"detail": "No Api Key provided."}, 401), AuthError),
        (Answer({"detail": "Invalid key"}, 403), AuthError),
        (Answer({"detail": "Not Found"}, 404), BadResponse),
        (Answer({"detail": "Payment does not exist."}, 404), BadResponse),
        (Answer({"detail": [{"loc": ["query"], "msg": "no", "type": "no"}]}, 400), BadResponse),
        (Answer([], 404), BadResponse),
        (Answer(b"<h1>Not found</h1>", 404, "text/html"), BadResponse),
        (Answer({"detail": "Unexpected error! ID: 1"}, 500), ProviderUnavailable),
        (Answer({"detail": "no node", "status": "failed"}, 520), ProviderUnavailable),
        (Answer({"error": "Rate limit exceeded: 200 per 1 minute"}, 429), RateLimited),
        (Answer({"data": None}), BadResponse),
        (Answer([]), BadResponse),
        (Answer(b"<h1>Welcome</h1>", 200, "text/html"), BadResponse),
    ],
)
async def test_refusal(
    wire: Wire, provider: LNbits, answer: Answer, error: type[ProviderError]
) -> None:
    """A wrong key is a 404 of its own; everything else is the server's trouble."""
    wire.answer(answer)
    assert type(await read_one(provider, HASH)) is error
    assert await read_account(provider) is error


async def test_account(wire: Wire, session: ClientSession) -> None:
    """The wallet proves the key; accounts differ by address and key, and tell neither."""
    wire.answer(Answer(WALLET))
    changes: list[dict[str, str]] = [{}, {"api_key": "other"}, {"url": "https://other.example"}]
    accounts = [await LNbits(session, {**SETTINGS, **each}).async_get_account() for each in changes]
    assert {account.title for account in accounts} == {"LNbits (shop)"}
    assert len({account.unique_id for account in accounts}) == 3
    assert KEY not in repr(accounts)
    assert wire.asked[0].url.path == "/lnbits/api/v1/wallet"


async def test_nameless_wallet(wire: Wire, provider: LNbits) -> None:
    """A wallet without a name is called by its address."""
    wire.answer(Answer({**WALLET, "name": ""}))
    assert (await provider.async_get_account()).title == "LNbits (api.example/lnbits)"


@pytest.mark.parametrize(
    ("wallet", "error"),
    [
        ({**WALLET, "id": "9c6961b2"}, KeyCanSpend),
        ({"balance": 1}, BadResponse),
        ({"name": "shop"}, BadResponse),
        ({}, BadResponse),
    ],
)
async def test_no_account(
    wire: Wire, provider: LNbits, wallet: dict[str, Any], error: type[ProviderError]
) -> None:
    """A key that can spend is refused, and so is what is no wallet."""
    wire.answer(Answer(wallet))
    assert await read_account(provider) is error


async def test_balance(wire: Wire, provider: LNbits) -> None:
    """The balance is in satoshi, whatever the server counts in."""
    wire.answer(Answer(WALLET))
    assert await provider.async_get_balances() == (Balance(amount=Decimal("21.5"), currency="sat"),)
    wire.answer(Answer({**WALLET, "balance": None}))
    with pytest.raises(BadResponse):
        await provider.async_get_balances()


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        (HASH, HASH),
        (f" {HASH.upper()}\n", HASH),
        (HASH[:-1], None),
        (f"{HASH}0", None),
        (f"{HASH[:-1]}g", None),
        ("", None),
        (BOLT11, None),
    ],
)
def test_parse_invoice_id(typed: str, canonical: str | None) -> None:
    """A payment hash is 64 hex digits, neither more nor less."""
    assert LNbits.parse_invoice_id(typed) == canonical


@pytest.mark.parametrize(
    "typed", [BOLT11, BOLT11.upper(), f"lightning:{BOLT11}", f" LIGHTNING://{BOLT11.upper()}\n"]
)
async def test_resolve(wire: Wire, provider: LNbits, typed: str) -> None:
    """The hash in a pasted invoice is read by the server."""
    wire.answer(Answer({"payment_hash": HASH.upper(), "amount_msat": 21_000}))
    assert await provider.async_resolve_id(typed) == HASH
    (asked,) = wire.asked
    assert (asked.method, asked.url.path) == ("POST", "/lnbits/api/v1/payments/decode")
    assert asked.json == {"data": BOLT11}


@pytest.mark.parametrize(
    ("typed", "id_"), [(HASH.upper(), HASH), ("lnurl1" + "q" * 80, None), ("", None), ("ln", None)]
)
async def test_resolve_alone(wire: Wire, provider: LNbits, typed: str, id_: str | None) -> None:
    """What needs no decoding is not sent anywhere."""
    assert await provider.async_resolve_id(typed) == id_
    assert not wire.asked


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer({"message": "Failed to decode: Bech32 string is not valid."}, 400), None),
        (Answer({"payment_hash": "no hash"}), BadResponse),
        (Answer({"domain": "https://x.example"}), BadResponse),
        (Answer([]), BadResponse),
        (Answer({"detail": "bad"}, 400), BadResponse),
        (Answer({}, 500), ProviderUnavailable),
    ],
)
async def test_resolve_in_vain(
    wire: Wire, provider: LNbits, answer: Answer, error: type[ProviderError] | None
) -> None:
    """What can't be decoded is no invoice; a server that can't answer is an error."""
    wire.answer(answer)
    if error is None:
        assert await provider.async_resolve_id(BOLT11) is None
        return
    with pytest.raises(error):
        await provider.async_resolve_id(BOLT11)


def assert_rows_are_sound(payload: Any) -> None:
    """Check that a payload is an error, or rows that can be shown as they are."""
    try:
        entries = parse_rows(payload, NOW)
    except FIVE:
        return
    for entry in entries.values():
        assert_sound(entry)


@given(payload=any_json, value=any_json)
@some
def test_any_json(payload: Any, value: Any) -> None:
    """Any JSON at all is invoices or an error."""
    assert_rows_are_sound(payload)
    assert_rows_are_sound({"data": payload})
    assert_rows_are_sound({"data": [payload, value]})
    sample = payment()
    for name in (*sample, "time", "created_at", "labels", "extra", "external_id", "fiat_provider"):
        assert_rows_are_sound({"data": [{**sample, name: value}]})
    for name in ("fiat_amount", "fiat_currency", "fiat_payment_request"):
        extra = {"fiat_amount": 1, "fiat_currency": "EUR", name: value}
        assert_rows_are_sound({"data": [{**sample, "extra": extra, "fiat_provider": "x"}]})


def test_deep_and_long() -> None:
    """Nesting, numbers and texts without end do no harm."""
    for value in (deep(900), 10**5000, -(10**5000), "9" * 100_000, "x" * 100_000):
        assert_rows_are_sound(value)
        for status in ("success", "failed", value):
            row = {**dict.fromkeys(payment(), value), "payment_hash": HASH, "status": status}
            assert_rows_are_sound({"data": [row]})


@given(value=any_json)
@some
def test_no_status_becomes_paid_by_accident(value: Any) -> None:
    """Only the server's own words for it make an invoice paid."""
    for row in (payment(status=value), payment(status=None, pending=value)):
        with suppress(ProviderError):
            for entry in parse_rows({"data": [row]}, NOW).values():
                if isinstance(entry, Invoice) and entry.status.is_paid:
                    assert str(value).strip().lower() in ("success", "false")


@given(text=any_text | odd_text)
@some
def test_any_text(text: str) -> None:
    """Whatever is typed is a hash or none."""
    assert LNbits.parse_invoice_id(text) is None


class Socket:
    """A server that sends to whoever listens what a test tells it to, and then hangs up."""

    def __init__(self) -> None:
        """Send nothing yet."""
        self.url = ""
        self.messages: list[str | bytes] = []
        self.paths: list[str] = []
        self.is_left = asyncio.Event()
        self.hangs_up = False

    async def async_serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        self.paths.append(request.raw_path)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for message in self.messages:
            if isinstance(message, str):
                await socket.send_str(message)
            else:
                await socket.send_bytes(message)
        if not self.hangs_up:
            await socket.receive()
            self.is_left.set()
        await socket.close()
        return socket


@pytest.fixture
async def socket(socket_enabled: None) -> AsyncGenerator[Socket]:
    """Serve a websocket on loopback."""
    serving = Socket()
    app = web.Application()
    app.router.add_get("/api/v1/ws/{key}", serving.async_serve)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    serving.url = str(server.make_url("")).rstrip("/")
    yield serving
    await server.close()


async def listen(provider: LNbits) -> tuple[list[Hint], ProviderUnavailable]:
    """Return all hints, and how the stream ended."""
    stream = aiter(provider.async_stream())
    hints: list[Hint] = []
    try:
        async with asyncio.timeout(10):
            while True:
                hints.append(await anext(stream))
    except ProviderUnavailable as err:
        return hints, err


def assert_key_is_untold(error: ProviderUnavailable) -> None:
    """Check that nothing of an error, nor what led to it, tells the key or the address."""
    assert error.__cause__ is None
    assert error.__context__ is None
    told = "".join(traceback.format_exception(error)) + repr(error.__dict__)
    assert "made-up" not in told
    assert "ws/" not in told


def notice(**changes: Any) -> str:
    """Return what the server sends of a payment."""
    text = orjson.dumps({"wallet_balance": 21, "payment": {**payment(), **changes}})
    return text.decode()


async def test_stream(socket: Socket, session: ClientSession) -> None:
    """One hint about everything when it is connected, then one for each message of a payment."""
    provider = LNbits(session, {**SETTINGS, "url": socket.url})
    assert isinstance(provider, CanStream)
    nonsense: list[str | bytes] = [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"payment": null}',
        '{"payment": {}}',
        b"\x00\xff",
    ]
    nonsense += [notice(payment_hash=value) for value in (7, None, "x", [HASH])]
    nonsense += ["[" * 100_000, '{"payment": {"payment_hash": "\\ud800"}}']
    socket.messages = [notice(), *nonsense, notice(payment_hash=HASHES[1].upper()), notice()]
    socket.hangs_up = True
    hints, error = await listen(provider)
    assert [hint.invoice_ids for hint in hints] == [
        frozenset(),
        frozenset({HASH}),
        frozenset({HASHES[1]}),
        frozenset({HASH}),
    ]
    assert not any(hint.is_verified for hint in hints[1:])
    assert "private memo" not in repr(hints)
    assert error.reason is UnavailableReason.CANNOT_CONNECT
    assert_key_is_untold(error)
    assert socket.paths == ["/api/v1/ws/made-up%2Fkey%3F%23%25"]


async def test_stream_with_a_long_message(socket: Socket, session: ClientSession) -> None:
    """A message that no payment fills ends the stream."""
    socket.messages = ["x" * (LARGEST_MESSAGE + 1), notice()]
    hints, error = await listen(LNbits(session, {**SETTINGS, "url": socket.url}))
    assert [hint.invoice_ids for hint in hints] == [frozenset()]
    assert_key_is_untold(error)


async def test_stream_is_closed_by_the_listener(socket: Socket, session: ClientSession) -> None:
    """Who stops to listen leaves no connection behind."""
    provider = LNbits(session, {**SETTINGS, "url": socket.url})
    connected = asyncio.Event()

    async def async_listen() -> None:
        async for _ in provider.async_stream():
            connected.set()

    listening = asyncio.create_task(async_listen())
    async with asyncio.timeout(10):
        await connected.wait()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        await socket.is_left.wait()


async def test_stream_where_there_is_none(socket: Socket, session: ClientSession) -> None:
    """A server without websockets, none at all, or no address: each tells no key."""
    details: Mapping[str, str] = {
        f"{socket.url}/elsewhere": "HTTP 404",
        "http://127.0.0.1:1": "ClientConnectorError",
        "http://": "InvalidUrlClientError",
        "ftp://127.0.0.1": "NonHttpUrlClientError",
    }
    for url, detail in details.items():
        hints, error = await listen(LNbits(session, {**SETTINGS, "url": url}))
        assert not hints
        assert str(error) == detail
        assert_key_is_untold(error)


async def test_stream_follows_no_redirect(socket: Socket, session: ClientSession) -> None:
    """A server that sends elsewhere, where the key would go too, is a server without a stream."""
    app = web.Application()

    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"{socket.url}{request.path}")

    app.router.add_get("/{path:.*}", elsewhere)
    async with TestServer(app, host="127.0.0.1") as server:
        url = str(server.make_url("")).rstrip("/")
        hints, error = await listen(LNbits(session, {**SETTINGS, "url": url}))
    assert not hints
    assert not socket.paths
    assert str(error) == "HTTP 302"
    assert_key_is_untold(error)
    # The account's own session is as it was.
    assert not session.closed


async def test_stream_behind_a_certificate_nobody_trusts(
    socket_enabled: None, session: ClientSession, tmp_path: Path
) -> None:
    """A self-signed certificate is said to be the trouble."""
    async with untrusted_site(tmp_path) as url:
        _, error = await listen(LNbits(session, {**SETTINGS, "url": url}))
    assert error.reason is UnavailableReason.CERTIFICATE
    assert_key_is_untold(error)


async def test_stream_that_never_opens(
    socket_enabled: None, session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that doesn't answer is a time-out."""
    monkeypatch.setattr(f"{LNbitsHints.__module__}.REQUEST_TIMEOUT", ClientTimeout(total=0.2))

    async def async_wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)
        writer.close()

    server = await asyncio.start_server(async_wait, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        _, error = await listen(LNbits(session, {**SETTINGS, "url": f"http://{host}:{port}"}))
    assert error.reason is UnavailableReason.TIMEOUT
    assert_key_is_untold(error)


# As LNbits 1.6.2 posts it, and as releases before April 2025 did.
POSTED = {"checking_id": f"internal_{HASH}", "payment_hash": HASH, "amount": 21_000}


@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps(orjson.dumps(POSTED | {"status": "success"}).decode()),
        orjson.dumps(POSTED | {"pending": False}),
        orjson.dumps({"checking_id": HASH}),
        orjson.dumps({"checking_id": f"internal_{HASH}"}),
    ],
    ids=["now", "before 2025", "node", "internal"],
)
def test_push(provider: LNbits, body: bytes) -> None:
    """What is posted is a hint at the invoice that it names, and nobody has signed it."""
    hint = Hint(invoice_ids=frozenset({HASH}), is_verified=False)
    assert isinstance(provider, CanPush)
    assert provider.accepts_push
    assert provider.parse_push({}, body) == hint


@pytest.mark.parametrize("body", [b"", b"{", b'"', b'"{"', b'"\\"a\\""', b"[]", b"null", b"{}"])
def test_push_that_names_nothing(provider: LNbits, body: bytes) -> None:
    """What names no invoice is refused."""
    with pytest.raises(PushRejected):
        provider.parse_push({}, body)


@given(body=(any_json | any_json.map(lambda value: {"payment_hash": value})).map(json.dumps))
@some
def test_any_push(body: str) -> None:
    """Whatever is posted is a hint at one invoice or refused, and never anything else."""
    provider = LNbits(Mock(), SETTINGS)
    for posted in (body.encode(), json.dumps(body).encode()):
        with suppress(PushRejected):
            (id_,) = provider.parse_push({}, posted).invoice_ids
            assert provider.parse_invoice_id(id_) == id_
