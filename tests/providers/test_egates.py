"""E-Gates: one signed request for one invoice."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from email.utils import format_datetime
import hashlib
import hmac
from itertools import count
import time
from typing import Any
from unittest.mock import Mock
from zoneinfo import ZoneInfo

from aiohttp import ClientSession
import orjson
import pytest

from custom_components.crypto_invoices.providers.egates import gateway
from custom_components.crypto_invoices.providers.egates.gateway import EGates
from custom_components.crypto_invoices.providers.egates.signing import SIGNINGS, sign
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    ClockWrong,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)

from .conftest import ADDRESS, Answer, Asked, Wire, fixture_bytes, read_account, read_one

SECRET = "eg-secret-demo"
SAMPLE_ID = "2794c4d4-6feb-4b46-9334-1849af7b1a0f"
ID = "11111111-2222-4333-8444-555555555555"
SAMPLE: dict[str, Any] = orjson.loads(fixture_bytes("egates_payment_invoice.json"))
SETTINGS = {"url": ADDRESS, "api_key": "made-up-key", "api_secret": SECRET}
FLAT = {
    "timestamp": "1700000000",
    "ticker": "USDT",
    "payment_method": "ETHER",
    "amount": "12.5",
    "order_number": "HA-0001",
}
NESTED = {**FLAT, "meta_data[item2]": "12", "meta_data[item1]": "5"}

# The contract's vectors: what is signed, and the signature.
VECTORS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "A": (FLAT, "a9a92d33c9aed3c85f4dc67792d97b17dcdf54ae98c6b671159d6b31504b0c6d"),
    "C": (
        {**FLAT, "callback_url": "https://ha.example/api/webhook/abc"},
        "f67b88f71d5d4c7264632d426d788aff1af2678d88168a24e4076e672023c637",
    ),
    "E": (NESTED, "2e2b9765a65c23bfcc3a2027b56611d017006b3cc2b220109ee34087e273e207"),
    "H": ({}, "694db2f43b6e4c2b8649f35fa680162b671c77729ef797d0b4ec5e132ff9116f"),
    "I": ({"invoiceId": ID}, "8bc537e63b3978773e14f821da32c38fafc1dd6642c1a3c7d46b84aa48f56855"),
    "J": (
        {"invoiceId": ID, "timestamp": "1700000000"},
        "5d6c388c94d5d7719867bb1d2927f99b0e8c0eda718f6c5e484f10a0522af70f",
    ),
    "K": (
        {"timestamp": "1700000000"},
        "5c46961c2b76ecce86680e3c0d5dc8eb14a1f577918028e0a1807d16de45797b",
    ),
}
# What signing the same in a wrong way would give.
WRONG_VECTORS: Mapping[str, tuple[str, str]] = {
    "B, as inserted": ("A", "4d26348e11cc2a370181607a6bc8f3f6272abc4d69f3fb45e044273b543024cd"),
    "D, encoded": ("C", "ad16bebd44b3fc4b12429b9cda40be5e5316d5f68ffc1d1ac3bb30ea7cbdced4"),
    "F, JSON": ("E", "b1bac7e01c5b83374c746109155a261266f4455fb912f3ac2934dc2a43754da1"),
    "G, JavaScript": ("E", "d190a53a3c1b0185afa49d4b3661fbe03c7919090e2f67c58449ecf8a6e09c07"),
}
# The texts a gateway may want signed, in the order they are tried.
MESSAGES = {
    "empty": "",
    "invoice_id": "invoiceId={id}",
    "invoice_id_timestamp": "invoiceId={id}&timestamp={timestamp}",
    "timestamp": "timestamp={timestamp}",
}


@pytest.fixture
def provider(session: ClientSession) -> EGates:
    """Return an account without a time zone."""
    return EGates(session, SETTINGS)


def found(**changes: Any) -> Answer:
    """Answer with the sample, with changes to the invoice."""
    return Answer({**SAMPLE, "response": {**SAMPLE["response"], **changes}})


def refused(errors: object, status: int = 200) -> Answer:
    """Answer with an envelope that says no."""
    return Answer({"success": False, "status": None, "response": None, "errors": errors}, status)


class Gateway:
    """A gateway that wants one text signed, and knows some invoices."""

    def __init__(self, way: str, known: Collection[str] = (ID,)) -> None:
        """Begin."""
        self.way = way
        self.known = known

    def __call__(self, asked: Asked) -> Answer:
        """Check the signature and answer."""
        id_, timestamp = asked.url.name, asked.url.query.get("timestamp", "")
        message = MESSAGES[self.way].format(id=id_, timestamp=timestamp)
        right = hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).hexdigest()
        if "timestamp" in self.way and abs(int(timestamp or 0) - time.time()) > 60:
            return refused("Invalid signature", 401)
        if (asked.headers["API-KEY"], asked.headers["SIGNATURE"]) != ("made-up-key", right):
            return refused("Invalid signature", 401)
        return found(invoice=id_) if id_ in self.known else refused("Invoice not found", 404)


@pytest.mark.parametrize("name", VECTORS)
def test_signature(name: str) -> None:
    """Parameters are signed sorted and as they are, nested ones as PHP writes them."""
    parameters, signature = VECTORS[name]
    assert sign(SECRET, parameters) == signature
    assert sign(SECRET, dict(reversed([*parameters.items()]))) == signature


@pytest.mark.parametrize("name", WRONG_VECTORS)
def test_wrong_signature(name: str) -> None:
    """Neither the order of writing, nor encoding, nor another nesting gets into a signature."""
    right, signature = WRONG_VECTORS[name]
    assert sign(SECRET, VECTORS[right][0]) != signature


@pytest.mark.parametrize(
    ("way", "name"),
    [("empty", "H"), ("invoice_id", "I"), ("invoice_id_timestamp", "J"), ("timestamp", "K")],
)
def test_ways_of_signing(way: str, name: str) -> None:
    """Each way of signing a GET is one of the contract's candidates."""
    assert sign(SECRET, SIGNINGS[way](ID, "1700000000")) == VECTORS[name][1]


def test_order_of_the_ways() -> None:
    """The ways are tried from the likeliest to the least likely."""
    assert list(SIGNINGS) == list(MESSAGES)


async def test_sample(wire: Wire, provider: EGates) -> None:
    """The page's sample is a paid invoice; its times are texts, as they name no zone."""
    wire.answer(Answer(fixture_bytes("egates_payment_invoice.json")))
    assert await read_one(provider, SAMPLE_ID) == Invoice(
        id=SAMPLE_ID,
        status=InvoiceStatus.PAID,
        provider_status="SUCCESS",
        amount=Decimal(100),
        currency="USDT",
        amount_received=Decimal("100001.000000000000000000"),
        pay_amount=Decimal(100),
        pay_currency="USDT",
        network="ERC-20",
        order_id="14556-HF1000-KL5",
        address="0xC1Dc25f17d2d767A103F881dC5c363E9Df3e01D8",
        transaction_id="test_hash1",
        created_at=None,
        expires_at=None,
        local_times={
            "created_at": "2023-08-11 21:12:00",
            "updated_at": "2023-08-11 16:11:29",
            "expires_at": "2023-08-12 00:12:00",
        },
    )


@pytest.mark.parametrize(
    ("zone", "created_at", "expires_at"),
    [
        (UTC, datetime(2023, 8, 11, 21, 12, tzinfo=UTC), datetime(2023, 8, 12, 0, 12, tzinfo=UTC)),
        (
            timezone(timedelta(hours=5)),
            datetime(2023, 8, 11, 16, 12, tzinfo=UTC),
            datetime(2023, 8, 11, 19, 12, tzinfo=UTC),
        ),
        (
            ZoneInfo("Europe/Berlin"),
            datetime(2023, 8, 11, 19, 12, tzinfo=UTC),
            datetime(2023, 8, 11, 22, 12, tzinfo=UTC),
        ),
    ],
)
async def test_times_in_a_zone(
    wire: Wire, session: ClientSession, zone: Any, created_at: datetime, expires_at: datetime
) -> None:
    """With a zone, two of the times are moments; the third is in another zone and stays a text."""
    wire.answer(Answer(fixture_bytes("egates_payment_invoice.json")))
    provider = EGates(session, {**SETTINGS, "time_zone": zone})
    invoice = await read_one(provider, SAMPLE_ID)
    assert isinstance(invoice, Invoice)
    assert (invoice.created_at, invoice.expires_at) == (created_at, expires_at)
    assert invoice.paid_at is None
    assert invoice.local_times["updated_at"] == "2023-08-11 16:11:29"
    assert "expires_at" in provider.reported_fields


@pytest.mark.parametrize("text", [None, "", "soon", 1691788320, "2023-08-32 00:00:00", "0000"])
async def test_times_that_are_none(wire: Wire, session: ClientSession, text: object) -> None:
    """What is no time is unknown, with a zone as without."""
    wire.answer(found(expireAt=text))
    for zone in (None, timezone(timedelta(hours=14))):
        provider = EGates(session, {**SETTINGS, "time_zone": zone})
        invoice = await read_one(provider, SAMPLE_ID)
        assert isinstance(invoice, Invoice)
        assert invoice.expires_at is None


@pytest.mark.parametrize("text", ["0001-01-01 00:00:00", "9999-12-31 23:59:59"])
async def test_times_at_the_edge(wire: Wire, session: ClientSession, text: str) -> None:
    """A moment that the calendar has no place for is unknown."""
    wire.answer(found(createdAt=text, expireAt=text))
    for hours in (14, -14):
        zone = timezone(timedelta(hours=hours))
        invoice = await read_one(EGates(session, {**SETTINGS, "time_zone": zone}), SAMPLE_ID)
        assert isinstance(invoice, Invoice)
        assert invoice.expires_at is None or invoice.expires_at.tzinfo is UTC


async def test_reports(provider: EGates) -> None:
    """Without a zone, this account never tells when an invoice expires."""
    assert provider.reported_fields == {"status", "amount", "amount_received"}


async def test_request(wire: Wire, provider: EGates) -> None:
    """One GET with the ID in the path, key and signature in headers, and no secret anywhere."""
    wire.answer(found(invoice=ID))
    await provider.async_get_invoices([ID, ID])
    (asked,) = wire.asked
    path = "/api/external/v1/gateway/payment-invoice"
    assert (asked.method, str(asked.url)) == ("GET", f"{ADDRESS}{path}/{ID}")
    assert asked.headers["API-KEY"] == "made-up-key"
    assert asked.headers["SIGNATURE"] == VECTORS["H"][1]
    assert asked.body is None
    assert not asked.follows_redirects
    assert SECRET not in repr(asked)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PENDING", InvoiceStatus.PENDING),
        ("SUCCESS", InvoiceStatus.PAID),
        ("SUCCESS_SMALL_AMOUNT", InvoiceStatus.UNDERPAID),
        ("INITIALIZATION", InvoiceStatus.PENDING),
        ("CANCEL", InvoiceStatus.CANCELED),
        ("success", InvoiceStatus.PAID),
        ("FROZEN", InvoiceStatus.UNKNOWN),
        ("SUCCESS_BIG_AMOUNT", InvoiceStatus.UNKNOWN),
    ],
)
async def test_status(wire: Wire, provider: EGates, word: str, status: InvoiceStatus) -> None:
    """Each of the provider's words has its status, and one nobody knows is kept as it is."""
    wire.answer(found(status=word))
    invoice = await read_one(provider, SAMPLE_ID)
    assert isinstance(invoice, Invoice)
    assert (invoice.status, invoice.provider_status) == (status, word)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12.5", "12.5"),
        ("12.50", "12.50"),
        ("0.000000000000000001", "1E-18"),
        (12.5, "12.5"),
        (0.1, "0.1"),
        (100, "100"),
        (None, "None"),
        ("", "None"),
        ("NaN", "None"),
        (True, "None"),
        (["12.5"], "None"),
    ],
)
async def test_amount(wire: Wire, provider: EGates, text: object, amount: str) -> None:
    """Amounts are as they were written, to the eighteenth decimal, or unknown."""
    wire.answer(found(invoiceAmount=text, actualAmount=text))
    invoice = await read_one(provider, SAMPLE_ID)
    assert isinstance(invoice, Invoice)
    assert (str(invoice.amount), str(invoice.amount_received)) == (amount, amount)
    assert invoice.currency == "USDT"


async def test_only_what_is_required(wire: Wire, provider: EGates) -> None:
    """Beyond its status, an invoice may leave everything out: that is unknown, not zero."""
    wire.answer(Answer({"success": True, "response": {"status": "PENDING"}}))
    assert await read_one(provider, ID) == Invoice(
        id=ID, status=InvoiceStatus.PENDING, provider_status="PENDING"
    )


async def test_not_yet_paid(wire: Wire, provider: EGates) -> None:
    """While nothing came there is no transaction."""
    for hash_ in (None, "", " "):
        wire.answer(found(status="PENDING", hash=hash_))
        invoice = await read_one(provider, SAMPLE_ID)
        assert isinstance(invoice, Invoice)
        assert invoice.transaction_id is None


@pytest.mark.parametrize("other", [ID, "1-13", "", 7, {}])
async def test_another_invoices_answer(wire: Wire, provider: EGates, other: object) -> None:
    """An answer about another invoice is never taken for this one."""
    wire.answer(found(invoice=other))
    assert isinstance(await read_one(provider, SAMPLE_ID), BadResponse)


async def test_upper_case_answer(wire: Wire, provider: EGates) -> None:
    """An ID in capitals is the same ID."""
    wire.answer(found(invoice=SAMPLE_ID.upper()))
    assert isinstance(await read_one(provider, SAMPLE_ID), Invoice)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused("Invalid signature"), AuthError),
        (refused("Wrong API key"), AuthError),
        (refused("invalid key"), AuthError),
        (refused(["Unauthorized"]), AuthError),
        (refused({"signature": ["required"]}), AuthError),
        (refused("Invalid signature", 400), AuthError),
        (refused({"timestamp": ["The timestamp field is required."]}, 422), AuthError),
        (refused({"timestamp": ["The timestamp is too old."]}, 422), ClockWrong),
        (refused("Timestamp expired"), ClockWrong),
        (refused("Check your clock", 401), ClockWrong),
        (refused("API key not found", 404), AuthError),
        (refused(None, 401), AuthError),
        (refused(None, 403), AuthError),
        (Answer({}, 401), AuthError),
        (refused("Invoice not found"), InvoiceNotFound),
        (refused({"invoiceId": ["does not exist"]}), InvoiceNotFound),
        (refused([{"key": "invoiceId", "message": "not found"}]), InvoiceNotFound),
        (refused("Invoice not found", 404), InvoiceNotFound),
        (refused(None, 404), InvoiceNotFound),
        (refused(None, 422), InvoiceNotFound),
        (refused(None), BadResponse),
        (refused("Out of order"), BadResponse),
        (refused(7), BadResponse),
        (refused([[]]), BadResponse),
        (Answer({"success": True, "response": None}), BadResponse),
        (Answer({"success": True, "response": []}), BadResponse),
        (Answer({"success": "true", "response": SAMPLE["response"]}), BadResponse),
        (Answer({"success": 1, "response": SAMPLE["response"]}), BadResponse),
        (Answer({"success": None, "response": SAMPLE["response"]}), BadResponse),
        (Answer({"response": SAMPLE["response"]}), BadResponse),
        (Answer([SAMPLE]), BadResponse),
        (Answer(b"null"), BadResponse),
        (Answer({"error": "not found"}, 404), BadResponse),
        (Answer(b"<h1>Not found</h1>", 404, "text/html"), BadResponse),
        (Answer(b"<h1>One moment</h1>", 403, "text/html"), BadResponse),
        (refused("slow down", 429), RateLimited),
        (refused("oops", 503), ProviderUnavailable),
    ],
)
async def test_refusal(
    wire: Wire, provider: EGates, answer: Answer, error: type[ProviderError]
) -> None:
    """What the gateway says no with decides what is wrong: key, invoice or gateway."""
    wire.answer(answer)
    assert type(await read_one(provider, SAMPLE_ID)) is error


@pytest.mark.parametrize("status", [None, "", " ", 7, ["SUCCESS"]])
async def test_broken_status(wire: Wire, provider: EGates, status: object) -> None:
    """Without a status there is no reading."""
    wire.answer(found(status=status))
    assert isinstance(await read_one(provider, SAMPLE_ID), BadResponse)


@pytest.mark.parametrize("way", MESSAGES)
async def test_set_up_finds_the_way(wire: Wire, session: ClientSession, way: str) -> None:
    """Whatever the gateway wants signed is found at set-up, kept, and used at once later."""
    wire.answer(Gateway(way))
    provider = EGates(session, SETTINGS)
    account = await provider.async_get_account()
    assert account.title == "E-Gates (api.example)"
    assert len(wire.asked) == list(MESSAGES).index(way) + 1
    assert provider.discovered_settings == {"signing": way}

    wire.asked.clear()
    later = EGates(session, {**SETTINGS, **provider.discovered_settings})
    assert isinstance(await read_one(later, ID), Invoice)
    assert len(wire.asked) == 1
    assert later.discovered_settings == {"signing": way}


@pytest.mark.parametrize("way", MESSAGES)
async def test_invoice_finds_the_way(wire: Wire, session: ClientSession, way: str) -> None:
    """When the remembered way stops working, the next reading finds the new one."""
    gateway = Gateway("timestamp" if way == "empty" else "empty")
    wire.answer(gateway)
    provider = EGates(session, {**SETTINGS, "signing": gateway.way})
    assert isinstance(await read_one(provider, ID), Invoice)
    gateway.way = way
    assert isinstance(await read_one(provider, ID), Invoice)
    assert provider.discovered_settings == {"signing": way}
    wire.asked.clear()
    assert isinstance(await read_one(provider, ID), Invoice)
    assert len(wire.asked) == 1


@pytest.mark.parametrize("remembered", ["of a later version", "", None])
async def test_unknown_way_remembered(
    wire: Wire, session: ClientSession, remembered: object
) -> None:
    """A remembered way that this version doesn't know is forgotten."""
    wire.answer(Gateway("invoice_id"))
    provider = EGates(session, {**SETTINGS, "signing": remembered})
    assert isinstance(await read_one(provider, ID), Invoice)
    assert provider.discovered_settings == {"signing": "invoice_id"}


@pytest.mark.parametrize(
    "changes", [{"api_key": "another"}, {"api_secret": "another"}, {"api_secret": "\ud800"}]
)
async def test_wrong_credentials(
    wire: Wire, session: ClientSession, changes: dict[str, str]
) -> None:
    """With a wrong key or secret, each way is tried once and then the key is to blame."""
    wire.answer(Gateway("timestamp"))
    provider = EGates(session, {**SETTINGS, **changes})
    assert await read_account(provider) is AuthError
    assert len(wire.asked) == len(MESSAGES)
    ids = [f"{number:08x}-2222-4333-8444-555555555555" for number in range(100)]
    wire.asked.clear()
    with pytest.raises(AuthError):
        await provider.async_get_invoices(ids)
    assert len(wire.asked) <= EGates.concurrency * len(MESSAGES)


async def test_set_up_asks_for_no_ones_invoice(wire: Wire, provider: EGates) -> None:
    """The invoice asked for at set-up is a new one each time."""
    wire.answer(Gateway("empty"))
    await provider.async_get_account()
    await provider.async_get_account()
    assert len({asked.url.name for asked in wire.asked}) == 2
    assert all(EGates.parse_invoice_id(asked.url.name) for asked in wire.asked)


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        (ID, ID),
        (SAMPLE_ID.upper(), SAMPLE_ID),
        (f"  {ID}\n", ID),
        (f"https://pay.example/invoice/{ID}?lang=en", ID),
        (f"https://pay.example/{ID}#{ID}", ID),
        (f"urn:uuid:{ID}", ID),
        (f"{{{ID}}}", ID),
        ("", None),
        ("1-13", None),
        ("INV-AB12CD34", None),
        (ID[:-1], None),
        (f"{ID}5", None),
        (f"1{ID}", None),
        (ID.replace("-", ""), None),
        (ID.replace("4333", "4g33"), None),
        (f"{ID} {SAMPLE_ID}", None),
    ],
)
def test_parse_invoice_id(typed: str, canonical: str | None) -> None:
    """A UUID is found in what was pasted; a longer or shorter one, or two, are none."""
    assert EGates.parse_invoice_id(typed) == canonical


async def test_one_unknown_invoice(wire: Wire, provider: EGates) -> None:
    """An invoice that isn't there costs itself alone."""
    wire.answer(Gateway("invoice_id", known=(ID,)))
    entries = await provider.async_get_invoices([SAMPLE_ID, ID])
    assert isinstance(entries[SAMPLE_ID], InvoiceNotFound)
    assert isinstance(entries[ID], Invoice)


async def test_concurrency(wire: Wire, provider: EGates) -> None:
    """A few requests are under way together, and never more than that."""
    running = peak = 0
    several = asyncio.Event()

    async def async_answer(asked: Asked) -> Answer:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        if running == 4:
            # Soon, not now: whoever else would start does so first.
            asyncio.get_running_loop().call_soon(several.set)
        await several.wait()
        running -= 1
        return found(invoice=asked.url.name)

    wire.answer(async_answer)
    ids = [f"{number:08x}-2222-4333-8444-555555555555" for number in range(30)]
    async with asyncio.timeout(10):
        entries = await provider.async_get_invoices(ids)
    assert peak == 4
    assert len(wire.asked) == len(entries) == 30
    assert all(isinstance(entry, Invoice) for entry in entries.values())


async def test_accounts_are_told_apart(wire: Wire, session: ClientSession) -> None:
    """Accounts differ by address and key, and nothing secret is in what they are called."""
    wire.answer(refused("Invoice not found", 404))
    changes: list[dict[str, str]] = [{}, {"api_key": "other"}, {"url": "https://other.example"}]
    accounts = [await EGates(session, {**SETTINGS, **each}).async_get_account() for each in changes]
    assert len({account.unique_id for account in accounts}) == 3
    assert not any(secret in repr(accounts) for secret in ("made-up-key", SECRET))


@pytest.mark.parametrize("remembered", ["timestamp", "empty"])
@pytest.mark.parametrize("hours", [-1, 1, 24 * 365])
async def test_clock_is_off(
    wire: Wire,
    session: ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    *,
    hours: int,
    remembered: str,
) -> None:
    """The gateway's answers tell what time it is there, and that is signed from then on."""
    answer = Gateway("timestamp")
    now = format_datetime(datetime.now(UTC), usegmt=True)
    wire.answer(lambda asked: replace(answer(asked), headers={"Date": now}))
    monkeypatch.setattr(gateway, "time", Mock(time=lambda: time.time() + hours * 3600))
    provider = EGates(session, {**SETTINGS, "signing": remembered})
    assert isinstance(await read_one(provider, ID), Invoice)
    before = len(wire.asked)
    assert isinstance(await read_one(provider, ID), Invoice)
    assert len(wire.asked) == before + 1


async def test_clocks_of_a_gateway_that_disagree(wire: Wire, provider: EGates) -> None:
    """Where each answer names another time, a refusal is one all the same."""
    hours = count()

    def refuse(asked: Asked) -> Answer:
        moment = datetime.now(UTC) + timedelta(hours=next(hours))
        return replace(refused(None, 401), headers={"Date": format_datetime(moment, usegmt=True)})

    wire.answer(refuse)
    assert type(await read_one(provider, ID)) is AuthError
    assert len(wire.asked) <= 5
