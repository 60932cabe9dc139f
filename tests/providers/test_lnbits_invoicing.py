"""LNbits: making and listing invoices, and what a wallet holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

from aiohttp import ClientSession
import pytest

from custom_components.crypto_invoices.providers.capabilities import (
    CanCancelInvoice,
    CanCreateInvoice,
    CanListInvoices,
    CanReadBalance,
    CanReadStatistics,
    OutcomeUnknown,
    Rejected,
)
from custom_components.crypto_invoices.providers.lnbits.till import LNbits
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    Invoice,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
)
from custom_components.crypto_invoices.providers.new_invoice import Flaw, InvalidField, NewInvoice

from .conftest import ADDRESS, Answer, Asked, Wire, listed_in_part
from .test_creating import GOOD

NOW = datetime(2026, 2, 3, 10, 11, 12, tzinfo=UTC)
ROW = GOOD["lnbits"]
COFFEE = NewInvoice(amount=Decimal(21), currency="sat")


@pytest.fixture
def provider(session: ClientSession) -> LNbits:
    """Return a wallet at a server behind a path."""
    return LNbits(session, {"url": f"{ADDRESS}/lnbits", "api_key": "made-up-key"})


def test_capabilities(provider: LNbits) -> None:
    """A wallet makes and lists invoices and has a balance; none can be canceled."""
    assert isinstance(provider, CanCreateInvoice)
    assert isinstance(provider, CanListInvoices)
    assert isinstance(provider, CanReadBalance)
    assert not isinstance(provider, CanCancelInvoice)
    assert not isinstance(provider, CanReadStatistics)


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({}, {}),
        ({"amount": Decimal("21.0")}, {}),
        ({"amount": Decimal("19.99"), "currency": "EUR"}, {"amount": 19.99, "unit": "EUR"}),
        ({"description": "Coffee"}, {"memo": "Coffee"}),
        ({"lifetime": timedelta(minutes=10)}, {"expiry": 600}),
        ({"lifetime": timedelta(milliseconds=1)}, {"expiry": 1}),
        ({"currency": "SAT"}, {}),
        ({"currency": "SATS"}, {}),
        ({"callback_url": "https://ha.example/x"}, {"webhook": "https://ha.example/x"}),
        (
            {"callback_url": "https://ha.example:8123/api/webhook/a"},
            {"webhook": "https://ha.example:8123/api/webhook/a"},
        ),
        # With these, the server would refuse to make an invoice at all.
        ({"callback_url": "http://192.168.1.5:8123/api/webhook/a"}, {}),
        ({"callback_url": "http://homeassistant:8123/api/webhook/a"}, {}),
        ({"order_id": "HA-1"}, {"external_id": "HA-1", "extra": {"order_id": "HA-1"}}),
        # An ID with spaces would be refused.
        ({"order_id": "Table 7"}, {"extra": {"order_id": "Table 7"}}),
    ],
)
async def test_request(
    wire: Wire, provider: LNbits, changes: dict[str, Any], body: dict[str, Any]
) -> None:
    """Exactly what was asked for is sent, and that money comes in."""
    wire.answer(Answer(ROW, 201))
    await provider.async_create_invoice(replace(COFFEE, **changes))
    (asked,) = wire.asked
    assert (asked.method, str(asked.url)) == ("POST", f"{ADDRESS}/lnbits/api/v1/payments")
    assert asked.headers["X-Api-Key"] == "made-up-key"
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.json == {"out": False, "amount": 21, "unit": "sat", **body}
    assert not asked.follows_redirects


async def test_created(wire: Wire, provider: LNbits) -> None:
    """The answer has what a wallet scans, exactly as the server made it."""
    wire.answer(Answer(ROW, 201, headers={"Date": format_datetime(NOW, usegmt=True)}))
    assert await provider.async_create_invoice(COFFEE) == Invoice(
        id=ROW["payment_hash"],
        status=InvoiceStatus.PENDING,
        provider_status="pending",
        amount=Decimal(21),
        currency="sat",
        amount_received=Decimal(0),
        pay_amount=Decimal(21),
        pay_currency="sat",
        network="Lightning",
        order_id="HA-0001",
        memo=ROW["memo"],
        payment_text=f"lightning:{ROW['bolt11']}",
        created_at=NOW,
        # Without a zone in this answer, and in UTC.
        expires_at=NOW + timedelta(hours=1),
    )


@pytest.mark.parametrize(
    ("fields", "order_id"),
    [
        ({"external_id": None, "extra": {"order_id": "Table 7"}}, "Table 7"),
        ({"external_id": "A", "extra": {"order_id": "B"}}, "A"),
        ({"external_id": None, "extra": {"order_id": {}}}, None),
        ({"external_id": None, "extra": None}, None),
    ],
)
async def test_order_id(
    wire: Wire, provider: LNbits, fields: dict[str, Any], order_id: str | None
) -> None:
    """An order ID with spaces comes back too, and from servers that know no other place."""
    wire.answer(Answer({**ROW, **fields}, 201))
    assert (await provider.async_create_invoice(COFFEE)).order_id == order_id


@pytest.mark.parametrize(
    ("changes", "field", "flaw"),
    [
        ({"amount": Decimal("0.5")}, "amount", Flaw.TOO_MANY_DECIMALS),
        ({"amount": Decimal("1.001"), "currency": "EUR"}, "amount", Flaw.TOO_MANY_DECIMALS),
        ({"currency": "DOGE"}, "currency", Flaw.UNKNOWN),
        ({"currency": "eur"}, "currency", Flaw.UNKNOWN),
        ({"payment_method": "BTC"}, "payment_method", Flaw.NOT_TAKEN),
    ],
)
async def test_refused_before(
    wire: Wire, provider: LNbits, changes: dict[str, Any], field: str, flaw: Flaw
) -> None:
    """There are no parts of a satoshi, and no other coins."""
    with pytest.raises(InvalidField) as err:
        await provider.async_create_invoice(replace(COFFEE, **changes))
    assert (err.value.field, err.value.flaw) == (field, flaw)
    assert not wire.asked


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (Answer({"detail": "Wallet not found."}, 404), AuthError, None),
        (Answer({"detail": "No Api Key provided."}, 401), AuthError, None),
        (
            Answer({"detail": "Callback URL origin 'http://ha' is not allowed."}, 400),
            Rejected,
            "Callback URL origin 'http://ha' is not allowed.",
        ),
        (
            Answer(
                {"detail": [{"loc": ["body", "unit"], "msg": "no such unit", "type": "x"}]}, 400
            ),
            Rejected,
            "unit: no such unit",
        ),
        (
            Answer({"detail": "Invoice amount is too high.", "status": "failed"}, 520),
            Rejected,
            "Invoice amount is too high.",
        ),
        (Answer({"status": "failed"}, 520), Rejected, "HTTP 520"),
        (Answer({"detail": "Who knows", "status": "pending"}, 520), OutcomeUnknown, None),
        (Answer("<h1>520</h1>", 520, "text/html"), OutcomeUnknown, None),
        (Answer({"detail": "Unexpected error! ID: x"}, 500), OutcomeUnknown, None),
        (Answer({**ROW, "payment_hash": "x"}, 201), OutcomeUnknown, None),
        (Answer({**ROW, "status": None}, 201), OutcomeUnknown, None),
    ],
)
async def test_not_created(
    wire: Wire, provider: LNbits, answer: Answer, kind: type[ProviderError], text: str | None
) -> None:
    """A refusal is told in the server's words; what says nothing leaves it open."""
    wire.answer(answer)
    with pytest.raises(kind) as err:
        await provider.async_create_invoice(COFFEE)
    assert text in (None, str(err.value))
    assert len(wire.asked) == 1


def made(number: int, **changes: Any) -> dict[str, Any]:
    """Return the invoice made so many minutes ago."""
    at = NOW - timedelta(minutes=number)
    times = {"time": at.isoformat(), "created_at": at.isoformat()}
    return {**ROW, "payment_hash": f"{number:064x}", **times, **changes}


async def listed(provider: LNbits, **wanted: Any) -> list[Invoice]:
    """Return what was made in the last day."""
    since = NOW - timedelta(days=1)
    return [one async for one in provider.async_list_invoices(since=since, **wanted)]


async def test_list_request(wire: Wire, provider: LNbits) -> None:
    """Incoming payments since then, the newest first."""
    wire.answer(Answer({"data": [made(1), made(2, amount=-1000)], "total": 2}))
    assert [one.id for one in await listed(provider)] == [f"{1:064x}"]
    (asked,) = wire.asked
    assert (asked.method, asked.url.path) == ("GET", "/lnbits/api/v1/payments/paginated")
    assert asked.url.query == {
        "amount[gt]": "0",
        "time[ge]": "1770027072",
        "sortby": "time",
        "direction": "desc",
        "limit": "100",
        "offset": "0",
    }


async def test_list_pages(wire: Wire, provider: LNbits) -> None:
    """250 come in three pages, each once, while new ones push the rest to later pages."""
    stock = [made(number) for number in range(250)]
    expected = [row["payment_hash"] for row in stock]

    def answer(asked: Asked) -> Answer:
        offset, limit = (int(asked.url.query[name]) for name in ("offset", "limit"))
        page = stock[offset : offset + limit]
        stock.insert(0, made(0, payment_hash=f"{10_000 + len(stock):064x}"))
        return Answer({"data": page, "total": len(stock) - 1})

    wire.answer(answer)
    found = [one.id for one in await listed(provider)]
    assert found == expected
    assert len(wire.asked) == 3


async def test_list_filters(wire: Wire, provider: LNbits) -> None:
    """What is older, of another order or broken is left out, whatever the server thinks of it."""
    rows = [
        made(1, external_id="Tea"),
        made(2, external_id="Coffee"),
        made(3, status=7),
        made(4, payment_hash="no hash", external_id="Coffee"),
        None,
        made(2000, external_id="Coffee"),
    ]
    wire.answer(Answer({"data": rows, "total": 6}))
    since = NOW - timedelta(days=1)
    assert await listed_in_part(provider, since=since) == [f"{1:064x}", f"{2:064x}"]
    assert await listed_in_part(provider, since=since, order_id="Coffee") == [f"{2:064x}"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer({"detail": "Wallet not found."}, 404), AuthError),
        (Answer({}), BadResponse),
        (Answer({}, 500), ProviderUnavailable),
    ],
)
async def test_list_errors(
    wire: Wire, provider: LNbits, answer: Answer, kind: type[ProviderError]
) -> None:
    """What keeps the list from being read is raised."""
    wire.answer(answer)
    with pytest.raises(kind):
        await listed(provider)
