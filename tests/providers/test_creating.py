"""Making an invoice, whatever the provider: one request, and honesty about what came of it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import (
    ClientConnectorError,
    ClientOSError,
    ClientPayloadError,
    ClientSession,
    ConnectionTimeoutError,
    ServerDisconnectedError,
    SocketTimeoutError,
)
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import HealthCheck, given, settings, strategies as st
import orjson
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.capabilities import (
    CanCancelInvoice,
    CanCreateInvoice,
    CanListInvoices,
    CanReadBalance,
    CanReadStatistics,
    OutcomeUnknown,
    Rejected,
)
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    Invoice,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from custom_components.crypto_invoices.providers.new_invoice import Flaw, InvalidField, NewInvoice
from custom_components.crypto_invoices.providers.provider import Provider

from .conftest import ADDRESS, Answer, Asked, Wire, fixture_bytes

SECRETS = {"api_key": "made-up-key", "api_secret": "made-up-secret"}
SETTINGS = {"url": ADDRESS, "shop_id": "made-up-shop", "store_id": "MadeUpStore", **SECRETS}
ROW = {
    "uuid": "INV-AB12CD34",
    "created": "2026-02-03 10:11:12.123456",
    "expiry_date": "2026-02-04 10:11:12.123456",
    "address": "",
    "amount": 5.41,
    "amount_usd": 5.4,
    "amount_in_fiat": 5.0,
    "fiat_currency": "EUR",
    "status": "created",
    "order_id": "HA-0001",
    "currency": None,
    "link": "https://pay.cryptocloud.plus/AB12CD34",
    "invoice_id": None,
    "test_mode": False,
}
GOOD: Mapping[str, Any] = {
    "cryptocloud": {"status": "success", "result": ROW},
    "cryptocloud_v1": {
        "status": "success",
        "pay_url": "https://pay.cryptocloud.plus/AB12CD34",
        "currency": "BTC",
        "invoice_id": "AB12CD34",
    },
    "egates": {
        "success": True,
        "status": None,
        "response": {
            "invoice_id": "11111111-2222-4333-8444-555555555555",
            "redirect_link": "https://pay.example/11111111-2222-4333-8444-555555555555",
            "currency": "USDT",
            "payment_method": "ETHER",
            "amount": "12.5",
            "address": "0xdemo",
            "status": "PENDING",
            "type": "CRYPTO",
            "order_number": "HA-0001",
            "created_at": 1_770_113_472,
            "success_url": None,
            "error_url": None,
            "callback_url": None,
        },
        "errors": None,
    },
    "lnbits": {
        "checking_id": "internal_ab",
        "payment_hash": f"{171:064x}",
        "wallet_id": "9c6961b2",
        "amount": 21_000,
        "fee": 0,
        "bolt11": "lnbc210n1p4sq0sddq2gdhkven9v5xqprsp58a6s3t4rwra9r6tkhh2a0mne83dqgd4zzjcxng2mv7jz5y",
        "fiat_provider": None,
        "status": "pending",
        "memo": "Coffee",
        "expiry": "2026-02-03T11:11:12",
        "webhook": None,
        "preimage": "0" * 64,
        "time": "2026-02-03T10:11:12+00:00",
        "created_at": "2026-02-03T10:11:12+00:00",
        "labels": [],
        "extra": {"order_id": "HA-0001"},
        "external_id": "HA-0001",
    },
    "btcpay": orjson.loads(fixture_bytes("btcpay_invoice.json")),
}
FIVE = NewInvoice(amount=Decimal(5), currency="EUR", order_id="HA-0001")
NEW: Mapping[str, NewInvoice] = {
    "cryptocloud": FIVE,
    "cryptocloud_v1": FIVE,
    "egates": NewInvoice(
        amount=Decimal("12.5"), currency="USDT", order_id="HA-0001", payment_method="ETHER"
    ),
    "btcpay": FIVE,
    "lnbits": NewInvoice(amount=Decimal(21), currency="sat", order_id="HA-0001"),
}
each_provider = pytest.mark.parametrize("key", list(GOOD))


def till(key: str, session: ClientSession, **changes: Any) -> CanCreateInvoice:
    """Return an account that can make invoices."""
    provider: Provider = PROVIDERS[key](session, {**SETTINGS, **changes})
    assert isinstance(provider, CanCreateInvoice)
    return provider


def failing(err: Exception) -> Callable[[Asked], Answer]:
    """Return a connection on which this happens."""

    def fail(_: Asked) -> Answer:
        raise err

    return fail


NOWHERE = ConnectionKey(
    "api.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)
CUT = [
    TimeoutError(),
    SocketTimeoutError("reading"),
    ServerDisconnectedError(),
    ClientOSError(104, "Connection reset by peer"),
    ClientPayloadError("not enough"),
]
UNREADABLE = [
    Answer(b"", 200),
    Answer(b"{", 200),
    Answer([]),
    Answer({}),
    Answer(None),
    Answer({"status": "success"}),
    Answer({"status": "success", "result": []}),
    Answer({"status": "success", "result": {"uuid": "no ID"}, "invoice_id": "no ID"}),
    Answer("<h1>Created</h1>", 200, "text/html"),
    Answer(b"", 302, headers={"Location": "/elsewhere"}),
    Answer({}, 408),
    Answer({"message": "Server error."}, 500),
    Answer("<h1>Bad gateway</h1>", 502, "text/html"),
    Answer(b"", 504, headers={"Retry-After": "5"}),
]


@each_provider
@pytest.mark.parametrize("answer", [*map(failing, CUT), *UNREADABLE])
async def test_it_may_exist(
    wire: Wire, session: ClientSession, key: str, answer: Answer | Callable[[Asked], Answer]
) -> None:
    """Where the answer says nothing, nobody claims that nothing was made, and nobody asks again."""
    wire.answer(answer)
    with pytest.raises(OutcomeUnknown):
        await till(key, session).async_create_invoice(NEW[key])
    assert len(wire.asked) == 1


@each_provider
@pytest.mark.parametrize(
    "err",
    [ClientConnectorError(NOWHERE, OSError(111, "Refused")), ConnectionTimeoutError("too slow")],
)
async def test_never_sent(wire: Wire, session: ClientSession, key: str, err: Exception) -> None:
    """Where there was no connection, nothing was made."""
    wire.answer(failing(err))
    with pytest.raises(ProviderUnavailable):
        await till(key, session).async_create_invoice(NEW[key])


@each_provider
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer({"message": "Unauthenticated."}, 401), AuthError),
        (Answer({"detail": "Forbidden"}, 403), AuthError),
        (Answer("<h1>Forbidden</h1>", 403, "text/html"), Rejected),
        (Answer({"message": "Not found"}, 404), Rejected),
        (Answer(b"", 405), Rejected),
        (Answer({"message": "Slow down"}, 429), RateLimited),
    ],
)
async def test_refused(
    wire: Wire, session: ClientSession, key: str, answer: Answer, kind: type[ProviderError]
) -> None:
    """A refusal means that nothing was made; none is asked again."""
    wire.answer(answer)
    with pytest.raises(kind):
        await till(key, session).async_create_invoice(NEW[key])
    assert len(wire.asked) == 1


@each_provider
@pytest.mark.parametrize("currency", ["eur", "X", "E UR", "€"])
async def test_unknown_currency(
    wire: Wire, session: ClientSession, key: str, currency: str
) -> None:
    """A currency that can't be one is refused before anything is sent."""
    with pytest.raises(InvalidField) as err:
        await till(key, session).async_create_invoice(replace(NEW[key], currency=currency))
    assert (err.value.field, err.value.flaw) == ("currency", Flaw.UNKNOWN)
    assert not wire.asked


@each_provider
async def test_no_secret_in_a_reason(wire: Wire, session: ClientSession, key: str) -> None:
    """What a refusal repeats of our keys is blanked, however long the text around it."""
    own = [SECRETS[field.key] for field in PROVIDERS[key].fields if field.key in SECRETS]
    for padding in ("", "x" * 190):
        text = f"{padding} {' and '.join(own)}"
        body = {"result": {"amount": text}, "errors": text, "detail": text, "success": False}
        wire.answer(Answer({"status": "error", **body}, 422))
        with pytest.raises(ProviderError) as err:
            await till(key, session).async_create_invoice(NEW[key])
        assert "made-up" not in str(err.value)


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


a_few = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
statuses = st.sampled_from([200, 201, 400, 403, 422, 500])
SINCE = datetime(2026, 2, 1, tzinfo=UTC)


def rows_of(key: str) -> st.SearchStrategy[Any]:
    """Return rows with the right names, and anything in some of them."""
    row = row_of(GOOD[key])
    changes = st.dictionaries(st.sampled_from(sorted(row)), any_json, max_size=3)
    return changes.map(lambda changed: {**row, **changed})


def row_of(body: Any) -> Any:
    """Return the part of an answer that describes the invoice."""
    return body.get("result") or body.get("response") or body


def content_of(body: object) -> bytes:
    """Return a body's bytes, also where it is nothing that JSON has."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return repr(body).encode(errors="replace")


@each_provider
@given(data=st.data())
@a_few
async def test_any_answer(
    wire: Wire, session: ClientSession, key: str, data: st.DataObject
) -> None:
    """Whatever arrives is an invoice, or an error of ours."""
    body = data.draw(any_json)
    if data.draw(st.booleans()):
        body = orjson.loads(orjson.dumps(GOOD[key]))
        target = data.draw(st.sampled_from([body, row_of(body)]))
        target[data.draw(st.sampled_from(sorted(target)))] = data.draw(any_json)
    wire.answer(Answer(content_of(body), data.draw(statuses)))
    try:
        made = await till(key, session).async_create_invoice(NEW[key])
    except ProviderError:
        return
    assert isinstance(made, Invoice)
    assert made.id == PROVIDERS[key].parse_invoice_id(made.id)


@each_provider
@given(data=st.data())
@a_few
async def test_any_other_answer(
    wire: Wire, session: ClientSession, key: str, data: st.DataObject
) -> None:
    """So it is with lists, cancellations, balances and statistics, and none goes on for ever."""
    provider = PROVIDERS[key](session, SETTINGS)
    inner = data.draw(any_json | st.lists(any_json | rows_of(key), max_size=3))
    body = data.draw(st.sampled_from([inner, {"status": "success", "result": inner}]))
    if data.draw(st.booleans()):
        body = {"data": inner, "total": data.draw(any_json)}
    wire.asked.clear()
    wire.answer(Answer(content_of(body), data.draw(statuses)))
    if isinstance(provider, CanListInvoices):
        with suppress(ProviderError):
            async for invoice in provider.async_list_invoices(since=SINCE):
                assert invoice.id == provider.parse_invoice_id(invoice.id)
    if isinstance(provider, CanCancelInvoice):
        with suppress(ProviderError):
            await provider.async_cancel_invoice("INV-AB12CD34")
    if isinstance(provider, CanReadBalance):
        with suppress(ProviderError):
            for balance in await provider.async_get_balances():
                assert balance.amount.is_finite()
    if isinstance(provider, CanReadStatistics):
        with suppress(ProviderError):
            totals = (await provider.async_get_statistics(SINCE.date(), SINCE.date())).totals
            assert all(total.amount.is_finite() for total in totals.values())
    assert len(wire.asked) <= 5
