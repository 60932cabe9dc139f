"""CryptoCloud, API version 2: a hundred invoices a request."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from aiohttp import ClientSession
import orjson
import pytest

from custom_components.crypto_invoices.providers.cryptocloud.v2 import CryptoCloud
from custom_components.crypto_invoices.providers.model import (
    Account,
    AuthError,
    BadResponse,
    Forbidden,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    RateLimited,
)

from .conftest import ADDRESS, Answer, Asked, Wire, fixture_bytes, read_account, read_one

ID = "INV-AB12CD34"
SAMPLE: dict[str, Any] = orjson.loads(fixture_bytes("cryptocloud_info.json"))["result"][0]


@pytest.fixture
def provider(session: ClientSession) -> CryptoCloud:
    """Return an account."""
    return CryptoCloud(session, {"url": f"{ADDRESS}/", "api_key": "made-up-key"})


def rows(*found: Any) -> Answer:
    """Answer with rows."""
    return Answer({"status": "success", "result": found})


def row(id_: str = ID, **changes: Any) -> dict[str, Any]:
    """Return the sample's row with changes."""
    return {**SAMPLE, "uuid": id_, **changes}


def ids(count: int) -> list[str]:
    """Return this many invoice IDs."""
    return [f"INV-{number:08}" for number in range(count)]


def refuse_list_with(bad: Collection[str]) -> Callable[[Asked], Answer]:
    """Return a server that refuses every list with one of these in it."""

    def answer(asked: Asked) -> Answer:
        uuids = asked.json["uuids"]
        if not set(uuids).isdisjoint(bad):
            error = {"validate_error": "Invoice not found"}
            return Answer({"status": "error", "result": error}, 400)
        return rows(*(row(uuid) for uuid in uuids))

    return answer


async def test_sample_row(wire: Wire, provider: CryptoCloud) -> None:
    """The documented sample comes out as the invoice it describes."""
    wire.answer(Answer(fixture_bytes("cryptocloud_info.json")))
    invoice = await read_one(provider, ID)
    assert invoice == Invoice(
        id=ID,
        status=InvoiceStatus.PAID,
        provider_status="paid",
        amount=Decimal(25),
        currency="USD",
        amount_received=Decimal("24.06"),
        pay_amount=Decimal("25.04"),
        pay_currency="USDT",
        network="TRC20",
        order_id="HA-0001",
        address="TXdemoAddress",
        payment_url="https://pay.cryptocloud.plus/AB12CD34",
        created_at=datetime(2026, 2, 3, 10, 11, 12, 123456, UTC),
        expires_at=datetime(2026, 2, 4, 10, 11, 12, 123456, UTC),
        is_test=False,
    )


async def test_request(wire: Wire, provider: CryptoCloud) -> None:
    """One POST with the key in the header and the IDs in the body, to this address only."""
    wire.answer(rows(row()))
    await provider.async_get_invoices([ID, "INV-EF56GH78", ID])
    (asked,) = wire.asked
    assert (asked.method, str(asked.url)) == ("POST", f"{ADDRESS}/v2/invoice/merchant/info")
    assert asked.headers["Authorization"] == "Token made-up-key"
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.json == {"uuids": [ID, "INV-EF56GH78"]}
    assert not asked.follows_redirects


async def test_account(wire: Wire, provider: CryptoCloud, session: ClientSession) -> None:
    """The balance proves the key, and the account is known again by address and key."""
    wire.answer(rows())
    account = await provider.async_get_account()
    (asked,) = wire.asked
    assert (asked.method, asked.url.path) == ("POST", "/v2/merchant/wallet/balance/all")
    assert asked.headers["Authorization"] == "Token made-up-key"
    assert not asked.follows_redirects
    assert "made-up-key" not in repr(account)
    same = CryptoCloud(session, {"url": ADDRESS, "api_key": "made-up-key"})
    other = CryptoCloud(session, {"url": ADDRESS, "api_key": "another-key"})
    assert await same.async_get_account() == account
    assert (await other.async_get_account()).unique_id != account.unique_id
    assert isinstance(account, Account)


@pytest.mark.parametrize("body", [{}, [], None, {"status": "ok"}, {"result": []}, b'"success"'])
async def test_another_server_is_no_account(wire: Wire, provider: CryptoCloud, body: Any) -> None:
    """JSON with a 200 proves nothing: some other server has that too."""
    wire.answer(Answer(body))
    assert await read_account(provider) is BadResponse


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("INV-AB12CD34", ID),
        ("AB12CD34", ID),
        ("inv-ab12cd34", ID),
        ("ab12cd34", ID),
        ("  INV-AB12CD34\n", ID),
        ("https://pay.cryptocloud.plus/AB12CD34", ID),
        ("https://pay.cryptocloud.plus/ab12cd34/", ID),
        ("http://pay.cryptocloud.plus/INV-AB12CD34?locale=en#top", ID),
        ("https://cryptocloud.plus/en/pay/AB12CD34", ID),
        ("pay.cryptocloud.plus/AB12CD34", ID),
        ("", None),
        ("INV-", None),
        ("INV-AB12CD3", None),
        ("INV-AB12CD345", None),
        ("INV-AB12CD3_", None),
        ("INV AB12CD34", None),
        ("INV-\u0410\u041212CD34", None),
        ("INV-AB12CD34 INV-EF56GH78", None),
        ("11111111-2222-4333-8444-555555555555", None),
        ("https://pay.cryptocloud.plus/", None),
        ("https://pay.example/AB12CD34", None),
        ("https://evil.example/cryptocloud/AB12CD34", None),
    ],
)
def test_parse_invoice_id(typed: str, canonical: str | None) -> None:
    """What a user types or pastes is forgiven, what is no ID of this provider isn't taken."""
    assert CryptoCloud.parse_invoice_id(typed) == canonical


async def test_either_form_in_the_answer(wire: Wire, provider: CryptoCloud) -> None:
    """A row is found whether the provider writes the prefix or not."""
    wire.answer(rows(row("AB12CD34"), row("inv-ef56gh78")))
    found = await provider.async_get_invoices([ID, "INV-EF56GH78"])
    assert [type(entry) for entry in found.values()] == [Invoice, Invoice]
    assert set(found) == {ID, "INV-EF56GH78"}


@pytest.mark.parametrize(
    ("json", "amount"),
    [
        ("0.1", "0.1"),
        ("25.04", "25.04"),
        ("25.0", "25"),
        ("25", "25"),
        ("19.99", "19.99"),
        ("1100.0", "1100"),
        ("100000000.12345678", "100000000.12345678"),
        ("0.00000001", "1E-8"),
        ("0.0", "0"),
        ("-0.0", "0"),
        ('"25.10"', "25.10"),
        ('" 25 "', "25"),
        ("null", None),
        ("true", None),
        ('""', None),
        ('"much"', None),
        ('"NaN"', None),
        ('"-Infinity"', None),
        ('"1_000"', None),
        ('"1,5"', None),
        ('"١٢"', None),
        ('"1e999999999999999999"', None),
        ("[25]", None),
        ("{}", None),
    ],
)
async def test_amount(wire: Wire, provider: CryptoCloud, json: str, amount: str | None) -> None:
    """An amount is what the provider wrote, without the noise of floats, or it is unknown."""
    row_ = f'{{"uuid": "{ID}", "status": "created", "amount_usd": {json}}}'
    wire.answer(Answer(f'{{"status": "success", "result": [{row_}]}}'.encode()))
    invoice = await read_one(provider, ID)
    assert isinstance(invoice, Invoice)
    assert (None if invoice.amount is None else str(invoice.amount)) == amount
    assert invoice.currency == (None if amount is None else "USD")


@pytest.mark.parametrize(
    ("fields", "amount", "received"),
    [
        ({"amount_in_fiat": 23.1, "fiat_currency": "EUR", "amount_usd": 25.0}, "23.1 EUR", None),
        ({"amount_in_fiat": 23.1, "fiat_currency": {"code": "eur"}}, "23.1 EUR", None),
        ({"amount_in_fiat": 25.0, "fiat_currency": "USD", "amount_usd": 25}, "25 USD", "24.06"),
        ({"amount_in_fiat": 23.1, "amount_usd": 25.0}, "25 USD", "24.06"),
        ({"amount_in_fiat": 23.1, "fiat_currency": "", "amount_usd": 25}, "25 USD", "24.06"),
        ({"amount_in_fiat": None, "fiat_currency": "EUR", "amount_usd": 25}, "25 USD", "24.06"),
        ({"amount_usd": 25.0}, "25 USD", "24.06"),
        ({"amount_in_fiat": 23.1}, "None None", None),
        ({}, "None None", None),
    ],
)
async def test_issued_in(
    wire: Wire, provider: CryptoCloud, fields: dict[str, Any], amount: str, received: str | None
) -> None:
    """The amount is the fiat one where its currency is told, else USD; never a mix."""
    wire.answer(rows({"uuid": ID, "status": "paid", "received_usd": 24.06, **fields}))
    invoice = await read_one(provider, ID)
    assert isinstance(invoice, Invoice)
    assert f"{invoice.amount} {invoice.currency}" == amount
    assert invoice.amount_received == (None if received is None else Decimal(received))


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("created", InvoiceStatus.PENDING),
        ("partial", InvoiceStatus.PARTIALLY_PAID),
        ("paid", InvoiceStatus.PAID),
        ("overpaid", InvoiceStatus.OVERPAID),
        ("canceled", InvoiceStatus.CANCELED),
        ("frozen", InvoiceStatus.UNKNOWN),
        ("Zahlung läuft", InvoiceStatus.UNKNOWN),
    ],
)
async def test_status(wire: Wire, provider: CryptoCloud, word: str, status: InvoiceStatus) -> None:
    """Each of the provider's words has its status, and one nobody knows is kept as it is."""
    wire.answer(rows(row(status=word)))
    invoice = await read_one(provider, ID)
    assert isinstance(invoice, Invoice)
    assert (invoice.status, invoice.provider_status) == (status, word)


async def test_less_credited_than_asked_is_still_paid(wire: Wire, provider: CryptoCloud) -> None:
    """Fees make what is credited smaller than the amount: the status is the provider's word."""
    wire.answer(rows(row(status="paid", received=1.0, received_usd=1.0)))
    invoice = await read_one(provider, ID)
    assert isinstance(invoice, Invoice)
    assert invoice.status is InvoiceStatus.PAID


async def test_only_what_is_required(wire: Wire, provider: CryptoCloud) -> None:
    """A row of ID and status is an invoice; the rest is unknown, not zero."""
    wire.answer(rows({"uuid": ID, "status": "created"}))
    assert await read_one(provider, ID) == Invoice(
        id=ID,
        status=InvoiceStatus.PENDING,
        provider_status="created",
        payment_url="https://pay.cryptocloud.plus/AB12CD34",
    )


async def test_before_the_payer_picks_a_coin(wire: Wire, provider: CryptoCloud) -> None:
    """Without a coin there is no address, and nothing that says which network."""
    wire.answer(rows(row(address="", currency=None)))
    invoice = await read_one(provider, ID)
    assert isinstance(invoice, Invoice)
    assert (invoice.address, invoice.pay_currency, invoice.network) == (None, None, None)


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://pay.example/AB12CD34", "https://pay.example/AB12CD34"),
        ("javascript:alert(1)", "https://pay.cryptocloud.plus/AB12CD34"),
        ("", "https://pay.cryptocloud.plus/AB12CD34"),
    ],
)
async def test_payment_url(wire: Wire, provider: CryptoCloud, link: str, url: str) -> None:
    """The pay page is the one the provider names, if a browser may safely open it."""
    wire.answer(rows(row(link=link)))
    invoice = await read_one(provider, ID)
    assert isinstance(invoice, Invoice)
    assert invoice.payment_url == url


@pytest.mark.parametrize(
    ("text", "expires_at"),
    [
        ("2026-02-04 10:11:12", datetime(2026, 2, 4, 10, 11, 12, tzinfo=UTC)),
        ("2026-02-04 10:11:12.5", datetime(2026, 2, 4, 10, 11, 12, 500000, UTC)),
        ("2026-02-30 10:11:12", None),
        ("04.02.2026", None),
        ("", None),
        (1770199872, None),
    ],
)
async def test_times_are_utc(
    wire: Wire, provider: CryptoCloud, text: object, expires_at: datetime | None
) -> None:
    """Times come with or without a fraction, in UTC; what is no time is unknown."""
    wire.answer(rows(row(expiry_date=text)))
    invoice = await read_one(provider, ID)
    assert isinstance(invoice, Invoice)
    assert invoice.expires_at == expires_at


@pytest.mark.parametrize(
    "answered", [[], [None], ["INV-EF56GH78"], [{}], [row("INV-ZZZZZZZZ")], [row("?")]]
)
async def test_missing_row(wire: Wire, provider: CryptoCloud, answered: list[Any]) -> None:
    """An invoice without a row is not found, and the others are there."""
    wire.answer(rows(*answered, row("INV-EF56GH78")))
    found = await provider.async_get_invoices([ID, "INV-EF56GH78"])
    assert isinstance(found[ID], InvoiceNotFound)
    assert isinstance(found["INV-EF56GH78"], Invoice)
    assert len(found) == 2


@pytest.mark.parametrize("status", [None, "", "  ", 7, ["paid"], {}])
async def test_broken_row(wire: Wire, provider: CryptoCloud, status: object) -> None:
    """A row without a status costs its own invoice alone."""
    wire.answer(rows(row(status=status), row("INV-EF56GH78")))
    found = await provider.async_get_invoices([ID, "INV-EF56GH78"])
    assert isinstance(found[ID], BadResponse)
    assert isinstance(found["INV-EF56GH78"], Invoice)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"status": "error", "result": {"authorization": "Unauthorized request."}}),
        (400, {"detail": "Invalid header padding"}),
        (400, {"detail": "Signature verification failed"}),
        (401, {"detail": "Invalid header padding"}),
        (403, {"detail": "Signature verification failed"}),
        (401, {"message": "Unauthenticated."}),
        (403, {"status": "error", "error": "Forbidden"}),
        (401, b""),
        (401, b"<html>"),
        (200, {"detail": "Invalid header padding"}),
        (200, {"status": "error", "result": {"authorization": "Unauthorized request."}}),
    ],
)
async def test_bad_key(wire: Wire, provider: CryptoCloud, status: int, body: Any) -> None:
    """Every way in which a bad key looks starts a new authentication."""
    wire.answer(Answer(body, status))
    assert isinstance(await read_one(provider, ID), AuthError)
    assert await read_account(provider) is AuthError


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (400, "application/json", {"status": "error", "result": {"validate_error": "max 100"}}),
        (400, "application/json", {"status": "error", "result": ["uuids"]}),
        (400, "application/json", {"status": "error", "result": "authorization"}),
        (400, "application/json", {}),
        (400, "application/json", []),
        (400, "application/json", b"null"),
        (400, "text/html", b"<h1>Bad request</h1>"),
        (403, "text/html", b"<h1>One moment, please</h1>"),
        (404, "application/json", {"detail": "Not found."}),
        (404, "text/html", b"<h1>Not found</h1>"),
        (422, "application/json", {"detail": "uuids"}),
        (200, "application/json", {"status": "error", "result": {"validate_error": "max 100"}}),
    ],
)
async def test_not_a_bad_key(
    wire: Wire, provider: CryptoCloud, status: int, content_type: str, body: Any
) -> None:
    """No other refusal asks the user for a new key."""
    wire.answer(Answer(body, status, content_type))
    entry = await read_one(provider, ID)
    assert isinstance(entry, BadResponse | InvoiceNotFound)
    assert await read_account(provider) in (BadResponse, Forbidden, InvoiceNotFound)


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (100, 1), (101, 2), (250, 3)])
async def test_batches(wire: Wire, provider: CryptoCloud, count: int, requests: int) -> None:
    """A hundred invoices go into a request, each once."""
    wire.answer(refuse_list_with([]))
    found = await provider.async_get_invoices(ids(count))
    assert all(isinstance(entry, Invoice) and entry.id == id_ for id_, entry in found.items())
    assert len(wire.asked) == requests
    lists = [asked.json["uuids"] for asked in wire.asked]
    assert max(map(len, lists)) <= 100
    assert sorted(chain.from_iterable(lists)) == ids(count)


async def test_no_invoices_no_request(wire: Wire, provider: CryptoCloud) -> None:
    """An account without invoices asks nothing."""
    assert await provider.async_get_invoices([]) == {}
    assert not wire.asked


@pytest.mark.parametrize("position", [0, 37, 50, 99])
async def test_one_bad_id(wire: Wire, provider: CryptoCloud, position: int) -> None:
    """A bad ID costs itself: few requests find it, and later it is asked for apart."""
    bad = ids(100)[position]
    wire.answer(refuse_list_with({bad}))
    found = await provider.async_get_invoices(ids(100))
    assert isinstance(found.pop(bad), InvoiceNotFound)
    assert len(found) == 99
    assert all(isinstance(entry, Invoice) for entry in found.values())
    assert len(wire.asked) <= 15

    wire.asked.clear()
    found = await provider.async_get_invoices(ids(100))
    assert isinstance(found.pop(bad), InvoiceNotFound)
    assert all(isinstance(entry, Invoice) for entry in found.values())
    assert sorted(len(asked.json["uuids"]) for asked in wire.asked) == [1, 99]

    wire.answer(refuse_list_with([]))
    assert isinstance((await provider.async_get_invoices(ids(100)))[bad], Invoice)
    wire.asked.clear()
    await provider.async_get_invoices(ids(100))
    assert len(wire.asked) == 1


async def test_few_bad_ids(wire: Wire, provider: CryptoCloud) -> None:
    """Three bad IDs in a batch are all found, and found the first time."""
    bad = {ids(100)[number] for number in (3, 48, 77)}
    wire.answer(refuse_list_with(bad))
    found = await provider.async_get_invoices(ids(100))
    assert {id_ for id_, entry in found.items() if isinstance(entry, InvoiceNotFound)} == bad
    assert sum(isinstance(entry, Invoice) for entry in found.values()) == 97
    assert len(wire.asked) <= 40


async def test_found_bad_id_is_not_asked_for_again(wire: Wire, provider: CryptoCloud) -> None:
    """Within a reading, an ID that was refused alone has had its request."""
    bad = ids(150)[5]
    wire.answer(refuse_list_with({bad}))
    await provider.async_get_invoices(ids(150))
    assert sum(asked.json["uuids"] == [bad] for asked in wire.asked) == 1


async def test_everything_refused(wire: Wire, provider: CryptoCloud) -> None:
    """A provider that refuses whatever it is asked is not asked without end."""
    wire.answer(refuse_list_with(ids(100)))
    found = await provider.async_get_invoices(ids(100))
    assert list(map(type, found.values())).count(Invoice) == 0
    assert set(found) == set(ids(100))
    assert len(wire.asked) <= 40


@pytest.mark.parametrize(
    ("answer", "error"),
    [(Answer({}, 429), RateLimited), (Answer({}, 500), ProviderError), (Answer(b"{"), BadResponse)],
)
async def test_interrupted_search(
    wire: Wire, provider: CryptoCloud, answer: Answer, error: type[ProviderError]
) -> None:
    """When the search for a bad ID is cut short, what was read by then still arrives."""
    server = refuse_list_with({ids(100)[5]})
    wire.answer(lambda asked: answer if len(wire.asked) > 3 else server(asked))
    found = await provider.async_get_invoices(ids(100))
    assert [isinstance(found[id_], Invoice) for id_ in ids(100)] == [False] * 50 + [True] * 50
    assert all(isinstance(found[id_], error) for id_ in ids(50))
    assert len(wire.asked) == 4


async def test_refusal_while_searching_stops_the_rest(
    wire: Wire, provider: CryptoCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate limit that is hit while searching holds for the other batches too."""
    monkeypatch.setattr(CryptoCloud, "concurrency", 1)
    server = refuse_list_with({id_ for id_ in ids(1000) if id_.endswith("5")})
    wire.answer(lambda asked: Answer({}, 429) if len(wire.asked) > 6 else server(asked))
    found = await provider.async_get_invoices(ids(1000))
    assert {type(entry) for entry in found.values()} <= {Invoice, RateLimited}
    assert isinstance(found[ids(1000)[-1]], RateLimited)
    assert len(wire.asked) == 7


async def test_reports(provider: CryptoCloud) -> None:
    """This account can tell amounts and times."""
    assert provider.reported_fields == {"status", "amount", "amount_received", "expires_at"}
    assert provider.discovered_settings == {}
