"""CryptoCloud: making, canceling and listing invoices, and what a project holds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

from aiohttp import ClientSession
from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.crypto_invoices.providers.capabilities import (
    CanCancelInvoice,
    CanCreateInvoice,
    CanListInvoices,
    CanReadBalance,
    CanReadStatistics,
    NoLongerOpen,
    Rejected,
    Statistics,
    Total,
)
from custom_components.crypto_invoices.providers.cryptocloud.v1 import CryptoCloudV1
from custom_components.crypto_invoices.providers.cryptocloud.v2 import CryptoCloud
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    Balance,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    SettingNeeded,
)
from custom_components.crypto_invoices.providers.new_invoice import Flaw, InvalidField, NewInvoice

from .conftest import ADDRESS, Answer, Asked, Wire, listed_in_part
from .test_creating import GOOD, ROW

SETTINGS = {"url": ADDRESS, "api_key": "made-up-key", "shop_id": "made-up-shop"}
EURO = NewInvoice(amount=Decimal("5.00"), currency="EUR")


@pytest.fixture
def provider(session: ClientSession) -> CryptoCloud:
    """Return an account that may make invoices."""
    return CryptoCloud(session, SETTINGS)


@pytest.fixture
def legacy(session: ClientSession) -> CryptoCloudV1:
    """Return one at the old version."""
    return CryptoCloudV1(session, SETTINGS)


def success(result: Any, **more: Any) -> Answer:
    """Answer as to what worked."""
    return Answer({"status": "success", "result": result, **more})


def refusal(status: int = 400, **result: str) -> Answer:
    """Answer as to what didn't."""
    return Answer({"status": "error", "result": result}, status)


def test_capabilities(provider: CryptoCloud, legacy: CryptoCloudV1) -> None:
    """Version 2 can do it all, the old one can only make invoices."""
    everything = (
        CanCancelInvoice,
        CanCreateInvoice,
        CanListInvoices,
        CanReadBalance,
        CanReadStatistics,
    )
    assert [isinstance(provider, can) for can in everything] == [True] * 5
    assert [isinstance(legacy, can) for can in everything] == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({}, {}),
        ({"order_id": "HA-0001"}, {"order_id": "HA-0001"}),
        ({"amount": Decimal("0.1")}, {"amount": "0.1"}),
        ({"currency": "JPY", "amount": Decimal("500.0")}, {"currency": "JPY", "amount": "500.0"}),
        (
            {"lifetime": timedelta(minutes=90)},
            {"add_fields": {"time_to_pay": {"hours": 1, "minutes": 30}}},
        ),
        (
            {"lifetime": timedelta(seconds=61), "payment_method": "USDT_TRC20"},
            {
                "add_fields": {
                    "time_to_pay": {"hours": 0, "minutes": 2},
                    "cryptocurrency": "USDT_TRC20",
                }
            },
        ),
        ({"callback_url": "https://ha.example/api/webhook/abc"}, {}),
    ],
)
async def test_request(
    wire: Wire, provider: CryptoCloud, changes: dict[str, Any], body: dict[str, Any]
) -> None:
    """Exactly what was asked for is sent, and no default of ours."""
    wire.answer(Answer(GOOD["cryptocloud"]))
    asked_for = {"amount": EURO.amount, "currency": "EUR", **changes}
    await provider.async_create_invoice(NewInvoice(**asked_for))
    (asked,) = wire.asked
    assert (asked.method, str(asked.url)) == ("POST", f"{ADDRESS}/v2/invoice/create")
    assert asked.headers["Authorization"] == "Token made-up-key"
    assert asked.headers["Content-Type"] == "application/json"
    assert not asked.follows_redirects
    expected = {"shop_id": "made-up-shop", "amount": "5.00", "currency": "EUR", **body}
    assert asked.json == expected


async def test_created(wire: Wire, provider: CryptoCloud) -> None:
    """The answer is the invoice as it will be read later, with nothing made up."""
    wire.answer(Answer(GOOD["cryptocloud"]))
    assert await provider.async_create_invoice(EURO) == Invoice(
        id="INV-AB12CD34",
        status=InvoiceStatus.PENDING,
        provider_status="created",
        amount=Decimal(5),
        currency="EUR",
        order_id="HA-0001",
        payment_url="https://pay.cryptocloud.plus/AB12CD34",
        created_at=datetime(2026, 2, 3, 10, 11, 12, 123456, UTC),
        expires_at=datetime(2026, 2, 4, 10, 11, 12, 123456, UTC),
        is_test=False,
    )


async def test_created_with_a_coin(wire: Wire, provider: CryptoCloud) -> None:
    """A coin chosen before brings an address; that alone is nothing a wallet should scan."""
    coin = {"code": "USDT", "fullcode": "USDT_TRC20", "network": {"code": "TRC20"}}
    wire.answer(success({**ROW, "address": "TXdemoAddress", "currency": coin}))
    made = await provider.async_create_invoice(EURO)
    assert (made.address, made.pay_amount, made.pay_currency, made.network) == (
        "TXdemoAddress",
        Decimal("5.41"),
        "USDT",
        "TRC20",
    )
    assert made.payment_text is None


async def test_legacy(wire: Wire, legacy: CryptoCloudV1) -> None:
    """The old version names the invoice without the prefix that it wants to be asked with."""
    wire.answer(Answer(GOOD["cryptocloud_v1"]))
    new = NewInvoice(amount=Decimal("5.00"), currency="EUR", order_id="HA-0001")
    assert await legacy.async_create_invoice(new) == Invoice(
        id="INV-AB12CD34",
        status=InvoiceStatus.PENDING,
        provider_status="created",
        order_id="HA-0001",
        payment_url="https://pay.cryptocloud.plus/AB12CD34",
    )
    (asked,) = wire.asked
    assert (asked.method, str(asked.url)) == ("POST", f"{ADDRESS}/v1/invoice/create")
    assert asked.json == {
        "shop_id": "made-up-shop",
        "amount": "5.00",
        "currency": "EUR",
        "order_id": "HA-0001",
    }


@pytest.mark.parametrize("kind", [CryptoCloud, CryptoCloudV1])
async def test_without_shop_id(
    wire: Wire, session: ClientSession, kind: type[CryptoCloud | CryptoCloudV1]
) -> None:
    """Without a shop no invoice can be made, and that is said without asking."""
    watching = kind(session, {"url": ADDRESS, "api_key": "made-up-key"})
    with pytest.raises(SettingNeeded) as err:
        await watching.async_create_invoice(EURO)
    assert err.value.key == "shop_id"
    assert not wire.asked


@pytest.mark.parametrize(
    ("changes", "field", "flaw"),
    [
        ({"amount": Decimal("5.001")}, "amount", Flaw.TOO_MANY_DECIMALS),
        ({"amount": Decimal("0.5"), "currency": "VND"}, "amount", Flaw.TOO_MANY_DECIMALS),
        ({"currency": "BTC"}, "currency", Flaw.UNKNOWN),
        ({"currency": "usd"}, "currency", Flaw.UNKNOWN),
        ({"description": "Coffee"}, "description", Flaw.NOT_TAKEN),
    ],
)
async def test_refused_before(
    wire: Wire, provider: CryptoCloud, changes: dict[str, Any], field: str, flaw: Flaw
) -> None:
    """What the provider can't make isn't asked for."""
    with pytest.raises(InvalidField) as err:
        await provider.async_create_invoice(
            NewInvoice(**{"amount": Decimal(5), "currency": "EUR", **changes})
        )
    assert (err.value.field, err.value.flaw) == (field, flaw)
    assert not wire.asked


async def test_legacy_knows_fewer(wire: Wire, legacy: CryptoCloudV1) -> None:
    """The old version has five currencies, and no lifetime."""
    new = NewInvoice(amount=Decimal(5), currency="EUR")
    for refused, field in (
        (replace(new, currency="JPY"), "currency"),
        (replace(new, lifetime=timedelta(hours=1)), "lifetime"),
    ):
        with pytest.raises(InvalidField) as err:
            await legacy.async_create_invoice(refused)
        assert err.value.field == field
    assert not wire.asked


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("result", "kind", "text"),
    [
        ({"authorization": "Unauthorized request."}, AuthError, ""),
        ({"shop_id": "Shop not found"}, Rejected, "shop_id: Shop not found"),
        (
            {"amount": "Too\nsmall", "currency": ["Bad"]},
            Rejected,
            "amount: Too small; currency: Bad",
        ),
        ("no", Rejected, "no"),
        (["a", "b"], Rejected, "a; b"),
        ({}, Rejected, "HTTP 400"),
        ({"amount": {"a": {"b": {"c": {"d": "deep"}}}}}, Rejected, "HTTP 400"),
    ],
)
async def test_reason(
    wire: Wire,
    provider: CryptoCloud,
    *,
    status: int,
    result: Any,
    kind: type[ProviderError],
    text: str,
) -> None:
    """A refusal is told in the provider's words, whatever status code it comes with."""
    wire.answer(Answer({"status": "error", "result": result}, status))
    with pytest.raises(kind) as err:
        await provider.async_create_invoice(EURO)
    if text:
        assert str(err.value) == text


@pytest.mark.parametrize("result", ["ok", ["ok"]])
async def test_cancel(wire: Wire, provider: CryptoCloud, result: Any) -> None:
    """Both forms of the answer mean that it is canceled."""
    wire.answer(success(result))
    await provider.async_cancel_invoice("INV-AB12CD34")
    (asked,) = wire.asked
    assert (asked.method, asked.url.path) == ("POST", "/v2/invoice/merchant/canceled")
    assert asked.json == {"uuid": "INV-AB12CD34"}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(validate_error="Invoice is not created"), NoLongerOpen),
        (refusal(200, validate_error="Invoice is not created"), NoLongerOpen),
        (refusal(validate_error="Invoice not found"), InvoiceNotFound),
        (refusal(validate_error="uuid is required"), Rejected),
        (refusal(authorization="Unauthorized request."), AuthError),
        (success([]), BadResponse),
        (success({"ok": "ok"}), BadResponse),
        (success(None), BadResponse),
        (Answer({}), BadResponse),
        (Answer({}, 500), ProviderUnavailable),
    ],
)
async def test_not_canceled(
    wire: Wire, provider: CryptoCloud, answer: Answer, kind: type[ProviderError]
) -> None:
    """What isn't canceled is never said to be."""
    wire.answer(answer)
    with pytest.raises(kind):
        await provider.async_cancel_invoice("INV-AB12CD34")


NOW = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)


def made(number: int, **changes: Any) -> dict[str, Any]:
    """Return the row of the invoice made so many minutes ago."""
    at = NOW - timedelta(minutes=number)
    return {**ROW, "uuid": f"INV-{number:08}", "created": f"{at:%Y-%m-%d %H:%M:%S}", **changes}


def pages(stock: Sequence[dict[str, Any] | None], *, grows: int = 0, counts: bool = True) -> Any:
    """Return a list that may grow at its head after each page."""
    rows, before = list(stock), iter(range(100_000, 200_000))

    def answer(asked: Asked) -> Answer:
        offset, limit = asked.json["offset"], asked.json["limit"]
        page = rows[offset : offset + limit]
        more = {"all_count": len(rows)} if counts else {}
        rows[:0] = [
            made(0, uuid=f"INV-{number:08}")
            for number, _ in zip(before, range(grows), strict=False)
        ]
        return success(page, **more)

    return answer


async def listed(provider: CryptoCloud, **wanted: Any) -> list[Invoice]:
    """Return what is listed."""
    since = wanted.pop("since", NOW - timedelta(days=1))
    return [invoice async for invoice in provider.async_list_invoices(since=since, **wanted)]


@pytest.mark.freeze_time(NOW)
async def test_list_request(wire: Wire, provider: CryptoCloud) -> None:
    """The days are the provider's way of writing them, with one to spare on either side."""
    wire.answer(pages([made(1), made(2)]))
    found = await listed(provider)
    assert [invoice.id for invoice in found] == ["INV-00000001", "INV-00000002"]
    (asked,) = wire.asked
    assert (asked.method, asked.url.path) == ("POST", "/v2/invoice/merchant/list")
    assert asked.json == {"start": "01.02.2026", "end": "05.02.2026", "offset": 0, "limit": 100}


@pytest.mark.parametrize("error", [timedelta(days=-400), timedelta(days=400)])
async def test_list_ends_by_the_later_clock(
    wire: Wire, provider: CryptoCloud, freezer: FrozenDateTimeFactory, error: timedelta
) -> None:
    """Its end is a date that has not come yet, whichever of the two clocks is wrong."""
    freezer.move_to(NOW + error)
    empty = {"status": "success", "result": []}
    wire.answer(Answer(empty, headers={"Date": format_datetime(NOW, usegmt=True)}))
    await provider.async_get_account()
    await listed(provider)
    end = max(NOW, NOW + error) + timedelta(days=2)
    assert wire.asked[-1].json["end"] == f"{end:%d.%m.%Y}"


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("grows", [0, 1, 7])
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
async def test_list_pages(
    wire: Wire, provider: CryptoCloud, *, count: int, grows: int, counts: bool
) -> None:
    """Each is listed once, also while new ones push the rest to later pages."""
    stock = [made(number) for number in range(count)]
    expected = [row["uuid"] for row in stock]
    wire.answer(pages(stock, grows=grows, counts=counts))
    found = [invoice.id for invoice in await listed(provider)]
    assert len(found) == len(set(found))
    assert [id_ for id_ in found if id_ in expected] == expected
    assert len(wire.asked) <= count // 100 + 4


async def test_list_stops_where_it_is_left(wire: Wire, provider: CryptoCloud) -> None:
    """Who has seen enough causes no more requests."""
    wire.answer(pages([made(number) for number in range(250)]))
    listing = provider.async_list_invoices(since=NOW - timedelta(days=1))
    assert (await anext(listing)).id == "INV-00000000"
    assert len(wire.asked) == 1


async def test_list_that_did_not_change(wire: Wire, provider: CryptoCloud) -> None:
    """The same page again is not read anew; a row that changed is."""
    stock = [made(1), made(2)]
    wire.answer(pages(stock))
    first, again = await listed(provider), await listed(provider)
    assert [one is other for one, other in zip(first, again, strict=True)] == [True, True]
    stock[1] = {**stock[1], "status": "paid"}
    wire.answer(pages(stock))
    assert [invoice.status for invoice in await listed(provider)] == ["pending", "paid"]


async def test_list_filters(wire: Wire, provider: CryptoCloud) -> None:
    """Older ones and other orders are left out, broken rows too."""
    wire.answer(
        pages(
            [
                made(1, order_id="Tea"),
                made(2, order_id=" Coffee "),
                made(3, status=7),
                None,
                made(4, created=None, order_id="Coffee"),
                made(6, order_id="Coffee"),
            ]
        )
    )
    since = NOW - timedelta(minutes=5)
    ids = await listed_in_part(provider, since=since)
    assert ids == ["INV-00000001", "INV-00000002", "INV-00000004"]
    ids = await listed_in_part(provider, since=since, order_id="Coffee")
    assert ids == ["INV-00000002", "INV-00000004"]


@pytest.mark.parametrize("counts", [True, False])
async def test_list_that_never_ends(wire: Wire, provider: CryptoCloud, *, counts: bool) -> None:
    """A server that turns no pages, or has one more for ever, is left alone at some point."""
    page = [made(number) for number in range(100)]
    wire.answer(success(page, **({"all_count": 10**9} if counts else {})))
    assert len(await listed(provider)) == 100
    assert len(wire.asked) == 2
    endless = iter(range(10**6))
    wire.answer(lambda _: success([made(next(endless))]))
    assert len(await listed_in_part(provider, since=NOW - timedelta(days=1))) == 100
    assert len(wire.asked) <= 102


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(start="Bad date"), Rejected),
        (refusal(authorization="no"), AuthError),
        (success({}), BadResponse),
        (Answer({}, 503), ProviderUnavailable),
    ],
)
async def test_list_errors(
    wire: Wire, provider: CryptoCloud, answer: Answer, kind: type[ProviderError]
) -> None:
    """What keeps the list from being read is raised."""
    wire.answer(answer)
    with pytest.raises(kind):
        await listed(provider)


def coin(code: str, amount: Any, short: Any = None) -> dict[str, Any]:
    """Return the balance of one coin."""
    return {"currency": {"code": code, "short_code": short}, "balance_crypto": amount}


async def test_balances(wire: Wire, provider: CryptoCloud) -> None:
    """One coin in two networks is one balance, exactly; what says nothing is left out."""
    rows = [
        coin("USDT_TRC20", 0.1, "USDT"),
        coin("USDT_ERC20", 0.2, "USDT"),
        coin("BTC", "0.12345678901234567890123456789012345678"),
        coin("ETH", None),
        {"currency": None, "balance_crypto": 1},
        None,
    ]
    wire.answer(success(rows))
    assert await provider.async_get_balances() == (
        Balance(amount=Decimal("0.3"), currency="USDT"),
        Balance(amount=Decimal("0.12345678901234567890123456789012345678"), currency="BTC"),
    )
    (asked,) = wire.asked
    assert (asked.method, asked.url.path) == ("POST", "/v2/merchant/wallet/balance/all")


async def test_statistics(wire: Wire, provider: CryptoCloud) -> None:
    """Counts and sums by the provider's words, in dollars."""
    words = ("all", "created", "paid", "overpaid", "partial", "canceled")
    counts, amounts = dict.fromkeys(words, 0), dict.fromkeys(words, 0.0)
    wire.answer(
        success({"count": {**counts, "all": 3, "paid": 2}, "amount": {**amounts, "paid": 30.1}})
    )
    statistics = await provider.async_get_statistics(date(2026, 2, 1), date(2026, 2, 28))
    assert (statistics.currency, list(statistics.totals)) == ("USD", list(words))
    assert statistics.totals["paid"] == Total(count=2, amount=Decimal("30.1"))
    (asked,) = wire.asked
    assert (asked.method, asked.url.path) == ("POST", "/v2/invoice/merchant/statistics")
    assert asked.json == {"start": "01.02.2026", "end": "28.02.2026"}


async def test_statistics_of_a_day(wire: Wire, provider: CryptoCloud) -> None:
    """One day will do, a period that ends before it starts won't."""
    wire.answer(success({"count": {}, "amount": {}}))
    day = date(2026, 2, 1)
    assert await provider.async_get_statistics(day, day) == Statistics(currency="USD", totals={})
    with pytest.raises(InvalidField) as err:
        await provider.async_get_statistics(day, day - timedelta(days=1))
    assert (err.value.field, err.value.flaw) == ("end", Flaw.BEFORE_START)
    assert len(wire.asked) == 1


@pytest.mark.parametrize(
    ("read", "results"),
    [
        ("balances", [None, {}, "0"]),
        ("statistics", [None, [], {}, {"count": {"all": 1}}, {"amount": {"all": 1}}]),
        ("statistics", [{"count": {"all": True}, "amount": {"all": 1}}]),
        ("statistics", [{"count": {"all": 1.5}, "amount": {"all": 1}}]),
        ("statistics", [{"count": {"all": "some"}, "amount": {"all": 1}}]),
        ("statistics", [{"count": {"all": 1}, "amount": {"all": "much"}}]),
    ],
)
async def test_unreadable(wire: Wire, provider: CryptoCloud, read: str, results: list[Any]) -> None:
    """A figure that can't be read is an error, never a zero."""
    reads: dict[str, Callable[[], Any]] = {
        "balances": provider.async_get_balances,
        "statistics": lambda: provider.async_get_statistics(NOW.date(), NOW.date()),
    }
    for result in results:
        wire.answer(success(result))
        with pytest.raises(BadResponse):
            await reads[read]()
