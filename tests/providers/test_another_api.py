"""An API that a user describes: paths, words, amounts, keys, pushes, and what a preview shows."""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
import hmac
import json
from typing import Any

from aiohttp import ClientSession
import pytest

from custom_components.crypto_invoices.providers import http
from custom_components.crypto_invoices.providers.another_api import AnotherApi, api
from custom_components.crypto_invoices.providers.another_api.amounts import (
    CommaUnclear,
    in_currency,
    read_written,
)
from custom_components.crypto_invoices.providers.another_api.presets import PRESETS
from custom_components.crypto_invoices.providers.model import (
    AnswerTooLarge,
    AuthError,
    BadResponse,
    Forbidden,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    Moved,
    ProviderError,
)
from custom_components.crypto_invoices.providers.preview import Preview, SettingFlaw
from custom_components.crypto_invoices.providers.push import PushRejected, RejectReason
from tests.made_up import Time

from .conftest import FIXTURES, Answer, Asked, Wire, read_one

ID = "order-42"
SETTINGS = {
    "url": "https://api.shop.example/v1/orders/{id}?expand=all",
    "api_key": "made-up-key",
    "key_header": "Authorization",
    "key_form": "Bearer {key}",
    "sample_id": ID,
    "status_path": "data.payments.0.state",
    "words_paid": "settled, Paid in full",
    "words_pending": "new",
    "amount_path": "data.total",
    "currency_path": "data.currency",
    "received_path": "data.received",
    "order_path": "data.reference",
    "expiry_path": "data.until",
    "page_path": "data.page",
}
ORDER: Mapping[str, Any] = {
    "total": "24.90",
    "currency": "EUR",
    "received": "0",
    "reference": "Coffee",
    "until": 1800000000,
    "page": "https://shop.example/pay/42",
    "payments": [{"state": "new"}, {"state": "settled"}],
}


def made(session: ClientSession, **changes: str) -> AnotherApi:
    """Return an account at a made-up shop."""
    return AnotherApi(session, {**SETTINGS, **changes})


def order(**changes: object) -> Answer:
    """Return the shop's answer."""
    return Answer({"data": {**ORDER, **changes}})


async def read(session: ClientSession, **changes: str) -> Invoice:
    """Read the order, which has to succeed."""
    invoice = await read_one(made(session, **changes), ID)
    assert isinstance(invoice, Invoice), invoice
    return invoice


async def preview(session: ClientSession, **changes: str) -> Preview:
    """Return what a user is shown."""
    return await made(session, **changes).async_preview()


async def test_invoice(wire: Wire, session: ClientSession) -> None:
    """Everything is where the paths say; the key goes into its header and nowhere else."""
    wire.answer(order())
    assert await read(session) == Invoice(
        id=ID,
        status=InvoiceStatus.PENDING,
        provider_status="new",
        amount=Decimal("24.90"),
        currency="EUR",
        amount_received=Decimal(0),
        order_id="Coffee",
        payment_url="https://shop.example/pay/42",
        expires_at=datetime.fromtimestamp(1800000000, UTC),
    )
    [asked] = wire.asked
    assert str(asked.url) == "https://api.shop.example/v1/orders/order-42?expand=all"
    assert asked.headers["Authorization"] == "Bearer made-up-key"
    assert not asked.follows_redirects


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("settled", InvoiceStatus.PAID),
        (" SETTLED ", InvoiceStatus.PAID),
        ("paid  in full", InvoiceStatus.PAID),
        ("paid", InvoiceStatus.UNKNOWN),
        (7, InvoiceStatus.EXPIRED),
        (True, InvoiceStatus.REFUNDED),
        (False, InvoiceStatus.UNKNOWN),
    ],
)
async def test_words(
    wire: Wire, session: ClientSession, word: object, status: InvoiceStatus
) -> None:
    """A word means what its list says, a number or a yes too; one in no list is unknown."""
    wire.answer(order(payments=[{"state": word}]))
    invoice = await read(session, words_expired="7", words_refunded="true")
    assert invoice.status is status


@pytest.mark.parametrize("word", [None, [], {}, "", "<p>paid</p>", "x" * 101, float("nan")])
async def test_status_that_is_no_word(wire: Wire, session: ClientSession, word: object) -> None:
    """What can't be a word costs this invoice alone, and is never taken for a status."""
    wire.answer(Answer(json.dumps({"data": {**ORDER, "payments": [{"state": word}]}}).encode()))
    assert isinstance(await read_one(made(session), ID), BadResponse)


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        (b"0.1", "0.1"),
        (b"123456789.123456789012345678", "123456789.123456789012345678"),
        (b"1e2", "100"),
        (b'"2.5e-7"', "0.00000025"),
        (b'"12,50"', "12.50"),
        (b'"0,005"', "0.005"),
        (b'"1,234.50"', "1234.50"),
        (b'"1.234,50"', "1234.50"),
        (b'"1,234,567"', "1234567"),
        (b'"1,234"', None),
        (b'"12.50 EUR"', None),
        (b'"1_000"', None),
        (b"true", None),
        (b"[12]", None),
        (b"null", None),
    ],
)
async def test_amounts(
    wire: Wire, session: ClientSession, written: bytes, amount: str | None
) -> None:
    """An amount is exactly what was written; what may mean two things is none, never a guess."""
    body = b'{"data": {"total": %s, "payments": [{"state": "new"}]}}' % written
    wire.answer(Answer(body))
    invoice = await read(session)
    assert invoice.amount == (None if amount is None else Decimal(amount))
    assert invoice.status is InvoiceStatus.PENDING


@pytest.mark.parametrize(
    ("amount", "factor", "currency", "result"),
    [
        ("2490", "0.01", "EUR", "24.90"),
        ("2490", "0,01", "EUR", "24.90"),
        ("2490", "minor", "EUR", "24.90"),
        ("2490", "minor", "jpy", "2490"),
        ("2490", "minor", "KWD", "2.490"),
        ("2490", "minor", None, None),
        (
            "123456789012345678901234567890",
            "0.000000000001",
            "XMR",
            "123456789012345678.90123456789",
        ),
        ("-5", "1", "EUR", "-5"),
        ("0", "1000", "EUR", "0"),
        ("9" * 50, "9" * 15, "EUR", None),
    ],
)
def test_factor(amount: str, factor: str, currency: str | None, result: str | None) -> None:
    """Cents become units with every digit kept; without a currency, nobody knows how many."""
    found = in_currency(Decimal(amount), factor, currency)
    assert found == (None if result is None else Decimal(result))


def test_comma_that_may_mean_two_things() -> None:
    """It is refused rather than guessed."""
    with pytest.raises(CommaUnclear):
        read_written("1,234")


@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        (1800000000, 1800000000),
        (1800000000000, 1800000000),
        ("1800000000000", 1800000000),
        ("2027-01-15T08:00:00Z", 1800000000),
        ("2027-01-15T09:00:00+01:00", 1800000000),
        ("soon", None),
        (10**4000, None),
        (True, None),
    ],
)
async def test_times(
    wire: Wire, session: ClientSession, until: object, seconds: int | None
) -> None:
    """Seconds, milliseconds and ISO are times."""
    wire.answer(Answer(json.dumps({"data": {**ORDER, "until": until}}).encode()))
    expected = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    assert (await read(session)).expires_at == expected


@pytest.mark.parametrize(
    ("form", "key", "sent"),
    [
        ("Bearer {key}", "abc", "Bearer abc"),
        ("{key}", "abc", "abc"),
        ("Basic :{key}", "abc", ":abc"),
        ("Basic {key}:", "abc", "abc:"),
        ("Basic {key}", "id:secret", "id:secret"),
    ],
)
async def test_key_forms(
    wire: Wire, session: ClientSession, form: str, key: str, sent: str
) -> None:
    """The key is sent in the form that the API wants; names and passwords are encoded."""
    wire.answer(order())
    await read(session, key_form=form, key_header="X-Key", api_key=key)
    value = wire.asked[0].headers["X-Key"]
    assert "Authorization" not in wire.asked[0].headers
    if form.startswith("Basic"):
        value = b64decode(value.removeprefix("Basic ")).decode()
    assert value == sent


async def test_no_key(wire: Wire, session: ClientSession) -> None:
    """Where none is sent, none is refused."""
    wire.answer(Answer({}, 401))
    with pytest.raises(Forbidden):
        await preview(session, key_form="", api_key="")
    assert "Authorization" not in wire.asked[0].headers
    with pytest.raises(AuthError):
        await preview(session)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer({}, 404), InvoiceNotFound),
        (Answer(b"Not found", 404, "text/plain"), InvoiceNotFound),
        (Answer(b"<p>", 404, "text/html"), BadResponse),
        (Answer(b"<p>", 200, "text/html"), BadResponse),
        (Answer(b"[" * 50_000), BadResponse),
        (Answer({}, 302, headers={"Location": "https://elsewhere.example/"}), Moved),
    ],
)
async def test_answers_that_are_none(
    wire: Wire, session: ClientSession, answer: Answer, error: type[ProviderError]
) -> None:
    """What can't be an order is an error of its kind, and nothing is followed elsewhere."""
    wire.answer(answer)
    with pytest.raises(error) as raised:
        await preview(session)
    assert raised.type is error
    assert isinstance(await read_one(made(session), ID), error | BadResponse)
    assert {asked.url.host for asked in wire.asked} == {"api.shop.example"}


@pytest.mark.parametrize("limit", ["MAX_ANSWER_BYTES", "MOST_BYTES"])
async def test_answer_that_is_too_large(
    wire: Wire, session: ClientSession, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """What is more than an order can be is not read to its end, and not decoded."""
    monkeypatch.setattr(http if limit == "MAX_ANSWER_BYTES" else api, limit, 1000)
    wire.answer(order(long="x" * 1000))
    with pytest.raises(AnswerTooLarge):
        await preview(session)


async def test_account(wire: Wire, session: ClientSession) -> None:
    """The invoice that was tried proves the key, also when it is gone."""
    wire.answer(order())
    first = await made(session).async_get_account()
    assert first.title == "api.shop.example"
    wire.answer(Answer({}, 404))
    assert await made(session).async_get_account() == first
    assert (await made(session, api_key="other").async_get_account()).unique_id != first.unique_id
    assert (await made(session, preset="coingate").async_get_account()).title == "CoinGate"
    wire.answer(Answer({}, 401))
    with pytest.raises(AuthError):
        await made(session).async_get_account()


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("pi_3Mtw.x-1", "pi_3Mtw.x-1"),
        (" 42 ", "42"),
        ("https://api.shop.example/v1/orders/42?expand=all", "42"),
        ("a/../b", None),
        ("../b", None),
        ("a..b", None),
        ("a b", None),
        ("a/b", None),
        ("a?b", None),
        ("a%2Fb", None),
        ("é", None),
        ("x" * 201, None),
        ("", None),
    ],
)
async def test_ids(session: ClientSession, text: str, id_: str | None) -> None:
    """An ID leads to one invoice at the API and to nothing else; its address is understood."""
    assert await made(session).async_resolve_id(text) == id_


async def test_thousand_invoices_within_the_limit(
    wire: Wire, session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read one by one, in no minute more than the API allows."""
    time = Time()
    monkeypatch.setattr(asyncio, "sleep", time.sleep)
    at: list[float] = []

    def serve(_: Asked) -> Answer:
        at.append(time.now)
        return order()

    wire.answer(serve)
    ids = [f"order-{number}" for number in range(1000)]
    found = await AnotherApi(session, SETTINGS, time).async_get_invoices(ids)
    assert all(isinstance(found[id_], Invoice) for id_ in ids)
    assert all(later - first >= 60 for first, later in zip(at, at[60:], strict=False))
    assert AnotherApi(session, {**SETTINGS, "requests_per_minute": "7"}).budget.per_minute == 7


async def test_same_answer_again(wire: Wire, session: ClientSession) -> None:
    """It isn't decoded again, and another one is."""
    wire.answer(order())
    provider = made(session)
    first = await read_one(provider, ID)
    assert await read_one(provider, ID) is first
    wire.answer(order(payments=[{"state": "settled"}]))
    assert await read_one(provider, ID) is not first


@pytest.mark.parametrize(
    ("changes", "flaws"),
    [
        ({}, {}),
        ({"url": "https://a.example/{id}?api_key=abc"}, {"url": SettingFlaw.KEY_IN_ADDRESS}),
        ({"url": "https://a.example/made-up-key/{id}"}, {"url": SettingFlaw.KEY_IN_ADDRESS}),
        ({"url": "https://a.example/made%2Dup%2Dkey/{id}"}, {"url": SettingFlaw.KEY_IN_ADDRESS}),
        ({"url": "https://a.example/invoice?key={id}"}, {}),
        ({"preset": "stripe"}, {"url": SettingFlaw.WRONG_HOST}),
        ({"url": "https://api.stripe.com/{id}", "preset": "stripe"}, {}),
        ({"preset": "phoenixd"}, {}),
        ({"key_header": "Host"}, {"key_header": SettingFlaw.HEADER_INVALID}),
        ({"key_header": "X Key"}, {"key_header": SettingFlaw.HEADER_INVALID}),
        ({"key_header": ""}, {"key_header": SettingFlaw.REQUIRED}),
        ({"key_form": "Bearer"}, {"key_form": SettingFlaw.KEY_FORM_INVALID}),
        ({"key_form": "Bearer\n{key}"}, {"key_form": SettingFlaw.KEY_FORM_INVALID}),
        ({"key_form": ""}, {"key_form": SettingFlaw.REQUIRED}),
        ({"key_form": "", "api_key": ""}, {}),
        ({"api_key": ""}, {"api_key": SettingFlaw.REQUIRED}),
        ({"requests_per_minute": "0"}, {"requests_per_minute": SettingFlaw.NUMBER_INVALID}),
        ({"requests_per_minute": "many"}, {"requests_per_minute": SettingFlaw.NUMBER_INVALID}),
        ({"requests_per_minute": "6000"}, {}),
        ({"sample_id": "a/../b"}, {"sample_id": SettingFlaw.ID_INVALID}),
        ({"sample_id": "a b"}, {"sample_id": SettingFlaw.ID_INVALID}),
        ({"sample_id": ""}, {"sample_id": SettingFlaw.REQUIRED}),
        ({"status_path": "data..state"}, {"status_path": SettingFlaw.PATH_INVALID}),
        ({"status_path": "data[*].state"}, {"status_path": SettingFlaw.PATH_INVALID}),
        ({"status_path": ""}, {"status_path": SettingFlaw.REQUIRED}),
        ({"status_path": "$.data.payments[0].state"}, {}),
        ({"words_paid": ""}, {"words_paid": SettingFlaw.REQUIRED}),
        (
            {"words_pending": "new\nSETTLED"},
            {"words_paid": SettingFlaw.WORD_TWICE, "words_pending": SettingFlaw.WORD_TWICE},
        ),
        ({"amount_factor": "0"}, {"amount_factor": SettingFlaw.FACTOR_INVALID}),
        ({"amount_factor": "cents"}, {"amount_factor": SettingFlaw.FACTOR_INVALID}),
        ({"amount_factor": "1,234"}, {"amount_factor": SettingFlaw.FACTOR_INVALID}),
        ({"amount_factor": "minor"}, {}),
        ({"amount_factor": "minor", "currency_path": ""}, {"currency": SettingFlaw.REQUIRED}),
        ({"currency": "€"}, {"currency": SettingFlaw.CURRENCY_INVALID}),
        ({"push_id_path": "a b"}, {"push_id_path": SettingFlaw.PATH_INVALID}),
        ({"push_header": "X-Sig"}, {"push_header": SettingFlaw.PUSH_INCOMPLETE}),
        ({"push_secret": "abc"}, {"push_header": SettingFlaw.PUSH_INCOMPLETE}),
        ({"push_header": "a b", "push_secret": "c"}, {"push_header": SettingFlaw.HEADER_INVALID}),
    ],
)
def test_flaws(changes: dict[str, str], flaws: dict[str, SettingFlaw]) -> None:
    """What can't work is said of its field before anything is asked."""
    assert AnotherApi.find_flaws({**SETTINGS, **changes}) == flaws


async def test_preview(wire: Wire, session: ClientSession) -> None:
    """A user sees the answer, and beside each path what is read there."""
    wire.answer(order())
    shown = await preview(session)
    assert json.loads(shown.answer) == {"data": ORDER}
    assert (shown.flaws, shown.missing) == ({}, frozenset())
    assert [(row.path, row.found, row.value) for row in shown.rows] == [
        ("data.payments.0.state", "new", "pending"),
        ("data.total", "24.90", "24.90 EUR"),
        ("data.currency", "EUR", "EUR"),
        ("data.received", "0", "0 EUR"),
        ("data.reference", "Coffee", "Coffee"),
        ("data.until", "1800000000", "2027-01-15T08:00:00+00:00"),
        ("data.page", "https://shop.example/pay/42", "https://shop.example/pay/42"),
    ]


@pytest.mark.parametrize(
    ("path", "flaw", "there"),
    [
        ("data.payments", SettingFlaw.PATH_TO_LIST, ["data.payments.0", "data.payments.1"]),
        ("data.payments.0", SettingFlaw.PATH_TO_OBJECT, ["data.payments.0.state"]),
        ("data.payments.7.state", SettingFlaw.PATH_TO_NOTHING, ["data.payments.0"]),
        ("data.state", SettingFlaw.PATH_TO_NOTHING, ["data.total", "data.currency"]),
        ("state", SettingFlaw.PATH_TO_NOTHING, ["data"]),
        ("data.nothing", SettingFlaw.PATH_TO_NOTHING, []),
        ("data.html", SettingFlaw.ANSWER_HAS_HTML, []),
    ],
)
async def test_wrong_path_to_the_status(
    wire: Wire, session: ClientSession, path: str, flaw: SettingFlaw, there: list[str]
) -> None:
    """It is refused, and what is there instead is named."""
    wire.answer(order(nothing=None, html="<div>paid</div>"))
    shown = await preview(session, status_path=path)
    assert shown.flaws == {"status_path": flaw}
    assert set(there) <= set(shown.there)


@pytest.mark.parametrize(
    ("changes", "answer", "flaw"),
    [
        ({"amount_path": "data.reference"}, {}, {"amount_path": SettingFlaw.NO_AMOUNT}),
        ({}, {"total": "1,234"}, {"amount_path": SettingFlaw.COMMA_UNCLEAR}),
        ({"expiry_path": "data.reference"}, {}, {"expiry_path": SettingFlaw.NO_TIME}),
        ({"page_path": "data.reference"}, {}, {"page_path": SettingFlaw.NO_LINK}),
        ({}, {"currency": "€"}, {"currency_path": SettingFlaw.CURRENCY_INVALID}),
        ({"order_path": "data.payments"}, {}, {"order_path": SettingFlaw.PATH_TO_LIST}),
    ],
)
async def test_wrong_optional_path(
    wire: Wire,
    session: ClientSession,
    changes: dict[str, str],
    answer: dict[str, object],
    flaw: dict[str, SettingFlaw],
) -> None:
    """A path to something else is said to lead there; one to nothing may be right later."""
    wire.answer(order(**answer))
    assert (await preview(session, **changes)).flaws == flaw
    shown = await preview(session, order_path="data.no", amount_path="data.total")
    assert shown.missing == {"order_path"}


async def test_preview_masks_and_shortens(wire: Wire, session: ClientSession) -> None:
    """No secret is shown, nothing that Markdown or a browser would act on, and not too much."""
    wire.answer(
        order(
            reference="of made-up-key, <img src=x> ``` end",
            client_secret="pi_secret",
            clientSecret="pi_secret",
            preimage="pi_secret",
            token=12345,
            monkey="shown",
            list=list(range(100)),
            long="x" * 5000,
        )
    )
    shown = await preview(session)
    everything = shown.answer + repr(shown.rows)
    assert not any(secret in everything for secret in ("made-up-key", "pi_secret", "12345"))
    assert not set("<>`&") & set(shown.answer)
    decoded = json.loads(shown.answer)["data"]
    assert decoded["reference"] == "of ***, <img src=x> ``` end"
    assert decoded["list"] == [0, 1, 2, 3, 4]
    assert decoded["monkey"] == "shown"
    assert len(decoded["long"]) < 200
    wire.answer(Answer({f"field{number}": "x" * 100 for number in range(400)}))
    assert len((await preview(session)).answer) < 7000


BODY = b'{"data": {"id": "order-42"}}'
PUSH = {"push_id_path": "data.id", "push_header": "X-Signature", "push_secret": "made-up"}


def signed(name: str, body: bytes = BODY) -> bytes:
    """Return a signature."""
    return hmac.digest(b"made-up", body, name)


@pytest.mark.parametrize(
    ("check", "given"),
    [
        ("secret", "made-up"),
        ("", "Bearer made-up"),
        ("hmac-sha256", signed("sha256").hex()),
        ("hmac-sha256", "sha256=" + signed("sha256").hex().upper()),
        ("hmac-sha256", b64encode(signed("sha256")).decode()),
        ("hmac-sha512", signed("sha512").hex()),
        ("hmac-sha1", "sha1=" + signed("sha1").hex()),
    ],
)
def test_signed_push(session: ClientSession, check: str, given: str) -> None:
    """A push with the right secret or signature is a hint that is trusted, any other is none."""
    provider = made(session, **PUSH, push_check=check)
    hint = provider.parse_push({"x-signature": given}, BODY)
    assert hint.invoice_ids == {ID}
    assert hint.is_verified
    wrong = [{}, {"X-Signature": ""}, {"X-Signature": "é\ud800"}, {"X-Signature": f"{given}0"}]
    bodies = [BODY] * len(wrong)
    if check.startswith("hmac"):
        wrong.append({"X-Signature": given})
        bodies.append(BODY + b" ")
    for headers, body in zip(wrong, bodies, strict=True):
        with pytest.raises(PushRejected) as rejected:
            provider.parse_push(headers, body)
        assert rejected.value.reason is RejectReason.SIGNATURE


@pytest.mark.parametrize(
    ("path", "body", "ids"),
    [
        ("data.id", BODY, {ID}),
        ("id", b"id=order-42&status=paid", {ID}),
        ("id", b'{"id": 42}', {"42"}),
        ("0.id", b'[{"id": 42}]', None),
        ("id", b'{"id": "a/../b"}', None),
        ("id", b'{"id": ["a"]}', None),
        ("id", b"nonsense", None),
        ("id", b"", None),
        ("", b"nonsense", set()),
        ("", BODY, set()),
    ],
)
def test_unsigned_push(
    session: ClientSession, path: str, body: bytes, ids: set[str] | None
) -> None:
    """It names an invoice, or where no path is given, means all that are open."""
    provider = made(session, push_id_path=path)
    assert provider.accepts_push
    if ids is None:
        with pytest.raises(PushRejected) as rejected:
            provider.parse_push({}, body)
        assert rejected.value.reason is RejectReason.MALFORMED
        return
    hint = provider.parse_push({}, body)
    assert hint.invoice_ids == ids
    assert not hint.is_verified


# What each preset makes of its sample.
SAMPLES: Mapping[str, Mapping[str, object]] = {
    "nowpayments": {"status": "partially_paid", "amount": "24.9", "currency": "EUR"},
    "opennode": {"status": "processing", "amount": "14844", "currency": "sat"},
    "coingate": {
        "status": "processing",
        "amount": "24.90",
        "currency": "EUR",
        "expires_at": datetime(2026, 11, 20, 10, 20, tzinfo=UTC),
        "payment_url": "https://coingate.com/invoice/00000000-0000-4000-8000-000000000042",
    },
    "mollie": {
        "status": "pending",
        "amount": "24.90",
        "currency": "EUR",
        "order_id": None,
        "expires_at": datetime(2026, 11, 20, 10, 15, tzinfo=UTC),
        "payment_url": "https://www.mollie.com/checkout/select-method/MadeUp0042",
    },
    "stripe": {
        "status": "paid",
        "amount": "24.90",
        "currency": "EUR",
        "amount_received": "24.90",
        "order_id": None,
    },
    "phoenixd": {
        "status": "paid",
        "amount": "2490",
        "currency": "sat",
        "amount_received": "2490",
    },
    "moneropay": {
        "status": "pending",
        "amount": "0.2",
        "currency": "XMR",
        "amount_received": "0.150000000001",
    },
    "strike": {"status": "paid", "amount": "24.90", "currency": "EUR"},
    "razorpay": {
        "status": "pending",
        "amount": "2490.00",
        "currency": "INR",
        "amount_received": "0",
    },
}
# All words that their documentation names for a status.
WORDS = {
    "nowpayments": "waiting confirming confirmed sending partially_paid finished failed refunded expired",
    "opennode": "unpaid processing paid underpaid refunded expired",
    "coingate": "new pending confirming paid invalid expired canceled refunded partially_refunded",
    "mollie": "open canceled pending authorized expired failed paid",
    "stripe": "requires_payment_method requires_confirmation requires_action processing"
    " requires_capture canceled succeeded",
    "phoenixd": "true false",
    "moneropay": "true false",
    "strike": "UNPAID PENDING PAID CANCELLED",
    "razorpay": "created attempted paid",
}


@pytest.mark.parametrize("key", PRESETS)
async def test_preset(wire: Wire, session: ClientSession, key: str) -> None:
    """A preset needs a key at most, reads its sample, and knows each word."""
    preset = PRESETS[key]
    key_form = preset.settings.get("key_form")
    settings = {
        **preset.settings,
        "sample_id": "made-up-42",
        "preset": key,
        **({"api_key": "made-up:key"} if key_form else {}),
        **({"push_secret": "made-up"} if "push_header" in preset.settings else {}),
    }
    assert AnotherApi.find_flaws(settings) == {}
    sample = json.loads((FIXTURES / "another_api" / f"{key}.json").read_text())
    wire.answer(Answer(sample))
    provider = AnotherApi(session, settings)
    invoice = await read_one(provider, "made-up-42")
    assert isinstance(invoice, Invoice)
    expected = {"order_id": "HA-1", **SAMPLES[key]}
    for name, value in expected.items():
        found = getattr(invoice, name)
        assert found == (Decimal(str(value)) if isinstance(found, Decimal) else value), name
    shown = await provider.async_preview()
    assert shown.flaws == {}
    assert shown.missing == frozenset()
    words = WORDS[key].split()
    known = provider._reading.words
    assert {word.casefold() for word in words} == known.keys()
    if preset.hosts:
        assert wire.asked[0].url.host in preset.hosts
        assert wire.asked[0].url.scheme == "https"


def test_presets_have_samples() -> None:
    """There is a sample of each, and no other."""
    assert PRESETS.keys() == SAMPLES.keys() == WORDS.keys()
    assert {path.stem for path in (FIXTURES / "another_api").iterdir()} == PRESETS.keys()
