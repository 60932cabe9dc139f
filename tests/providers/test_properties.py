"""Whatever arrives, a provider makes an invoice of it, or one of five errors."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
import json
import math
from typing import Any

from aiohttp import ClientSession, ClientTimeout
from hypothesis import HealthCheck, example, given, settings, strategies as st
import orjson
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS, http
from custom_components.crypto_invoices.providers.btcpay import invoices as btcpay_invoices
from custom_components.crypto_invoices.providers.cryptocloud import (
    invoices as cloud,
    v1 as cryptocloud_v1,
)
from custom_components.crypto_invoices.providers.egates import invoices as egates
from custom_components.crypto_invoices.providers.model import (
    Account,
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from custom_components.crypto_invoices.providers.parse import (
    read_amount,
    read_link,
    read_local_time,
    read_text,
    read_unix_time,
)
from custom_components.crypto_invoices.providers.status import parse_retry_after

from .conftest import ADDRESS, IDS, Answer, Wire, fixture_bytes, made_up_settings

FIVE = (AuthError, BadResponse, InvoiceNotFound, ProviderUnavailable, RateLimited)
MONEY = ("amount", "amount_received", "pay_amount")
MOMENTS = ("created_at", "expires_at", "paid_at")
TEXTS = (
    "currency",
    "pay_currency",
    "network",
    "order_id",
    "address",
    "payment_url",
    "payment_text",
    "transaction_id",
)
CASE_MATTERS = frozenset({"another_api", "btcpay"})
CLOUD_ID, GATES_ID, BTCPAY_ID = IDS["cryptocloud"], IDS["egates"], IDS["btcpay"]
FIXTURES = {
    "cryptocloud": "cryptocloud_info.json",
    "cryptocloud_v1": "cryptocloud_v1_info.json",
    "egates": "egates_payment_invoice.json",
    "btcpay": "btcpay_invoice.json",
}
SAMPLES = {key: orjson.loads(fixture_bytes(name)) for key, name in FIXTURES.items()}
ZONES = (None, UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12)))

# A slow machine is no failure.
some = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
over_the_wire = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Every character there is, lone surrogates too.
any_text = st.text(st.characters(), max_size=30)
odd_text = st.sampled_from(
    [
        "NaN",
        "sNaN",
        "-Infinity",
        "1e999999999",
        "9" * 200,
        "0x10",
        "1_000",
        "\u0661\u0662",
        "0001-01-01 00:00:00",
        "9999-12-31 23:59:59.999999",
        "2026-02-03 10:11:12",
        "success",
        "paid",
        "SUCCESS",
        CLOUD_ID,
        GATES_ID,
        "https://x",
        "javascript:x",
        "\x00",
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 10).map(lambda number: 10 ** (number * 400))
    | st.floats()
    | any_text
    | odd_text
)
any_json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


def deep(levels: int) -> Any:
    """Return lists in lists, as deep as JSON on the wire can be."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def row_of(sample: Any) -> dict[str, Any]:
    """Return the part of a sample that describes the invoice."""
    found = sample.get("result") or sample.get("response") or sample
    row: dict[str, Any] = found[0] if isinstance(found, list) else found
    return row


def names_of(*keys: str) -> list[str]:
    """Return the fields that these providers' invoices have, and some that they may have."""
    names = {name for key in keys for name in row_of(SAMPLES[key])}
    return sorted(names | {"link", "fiat_currency", "date_finished"})


def rows_like(key: str) -> st.SearchStrategy[Any]:
    """Return rows with the right fields and anything in them."""
    return st.dictionaries(st.sampled_from(names_of(key)), any_json, max_size=30)


def parse_cloud(payload: Any) -> list[Invoice | ProviderError]:
    """Parse a CryptoCloud answer."""
    return list(cloud.parse_rows(payload).values())


def parse_cloud_v1(payload: Any) -> list[Invoice | ProviderError]:
    """Parse a legacy answer."""
    return [cryptocloud_v1.parse_invoice(CLOUD_ID, payload)]


def parse_gates(payload: Any) -> list[Invoice | ProviderError]:
    """Parse an E-Gates answer, in several zones."""
    return [egates.parse_invoice(GATES_ID, payload, zone) for zone in ZONES]


def parse_btcpay(payload: Any) -> list[Invoice | ProviderError]:
    """Parse a BTCPay Server answer, as one invoice and as a page of them."""
    rows = payload if isinstance(payload, list) else [payload]
    on_page = btcpay_invoices.parse_rows(rows, {BTCPAY_ID}).values()
    return [*on_page, btcpay_invoices.parse_invoice(BTCPAY_ID, payload)]


PARSERS: Mapping[str, Callable[[Any], list[Invoice | ProviderError]]] = {
    "cryptocloud": parse_cloud,
    "cryptocloud_v1": parse_cloud_v1,
    "egates": parse_gates,
    "btcpay": parse_btcpay,
}


def assert_sound(entry: object) -> None:
    """Check that an entry is an error, or an invoice that can be shown as it is."""
    if isinstance(entry, FIVE):
        return
    assert isinstance(entry, Invoice)
    assert isinstance(entry.status, InvoiceStatus)
    assert isinstance(entry.provider_status, str)
    assert entry.provider_status.strip()
    for name in MONEY:
        amount = getattr(entry, name)
        assert amount is None or (isinstance(amount, Decimal) and amount.is_finite())
    for name in MOMENTS:
        moment = getattr(entry, name)
        assert moment is None or (isinstance(moment, datetime) and moment.tzinfo is UTC)
    for name in TEXTS:
        text = getattr(entry, name)
        assert text is None or (isinstance(text, str) and text.strip())
    assert entry.payment_url is None or entry.payment_url.startswith(("https://", "http://"))
    assert entry.is_test in (None, True, False)
    assert all(isinstance(text, str) for text in entry.local_times.values())


def parsed(key: str, payload: Any) -> list[Invoice | ProviderError]:
    """Return what a parser makes of this, checked."""
    try:
        entries = PARSERS[key](payload)
    except FIVE as err:
        entries = [err]
    for entry in entries:
        assert_sound(entry)
    return entries


@pytest.mark.parametrize("key", PARSERS)
@given(payload=any_json)
@some
def test_any_json(key: str, payload: Any) -> None:
    """Any JSON at all is an invoice or an error."""
    parsed(key, payload)


@pytest.mark.parametrize("key", PARSERS)
def test_deep_and_long(key: str) -> None:
    """Nesting as deep as JSON can have, and numbers and texts without end, do no harm."""
    for value in (deep(900), 10**5000, -(10**5000), "9" * 100_000, "x" * 100_000):
        parsed(key, value)
        parsed(key, {"status": "success", "status_invoice": value, "result": value})
        parsed(key, {"success": True, "response": value})
        row = {**dict.fromkeys(names_of(*FIXTURES), value), "uuid": CLOUD_ID, "invoice": GATES_ID}
        for status in ("paid", value):
            parsed(key, {"status": "success", "result": [{**row, "status": status}]})
            parsed(key, {"success": True, "response": {**row, "status": status}})


@pytest.mark.parametrize("key", PARSERS)
@given(data=st.data())
@some
def test_right_shape_with_anything_in_it(key: str, data: st.DataObject) -> None:
    """In the right envelope, fields may hold anything."""
    row = data.draw(rows_like(key))
    parsed(key, {"status": "success", "status_invoice": "paid", **row})
    parsed(key, {"status": "success", "result": [row, {**row, "uuid": CLOUD_ID}]})
    parsed(key, {"success": True, "response": {**row, "invoice": GATES_ID}})
    parsed(key, {**row, "id": BTCPAY_ID})


@pytest.mark.parametrize("key", ["cryptocloud", "egates", "btcpay"])
@given(data=st.data())
@some
def test_one_field_changed(key: str, data: st.DataObject) -> None:
    """A field that is broken or gone costs its own value, never the invoice or its status.

    Only what JSON has no number for makes a row one that can't be read.
    """
    sample = orjson.loads(fixture_bytes(FIXTURES[key]))
    row = row_of(sample)
    name = data.draw(st.sampled_from(names_of(key)))
    value: Any = None
    if data.draw(st.booleans()):
        row[name] = value = data.draw(any_json)
    else:
        row.pop(name, None)
    is_no_number = isinstance(value, float) and not math.isfinite(value)
    for entry in parsed(key, sample):
        if not is_no_number and name not in ("uuid", "invoice", "id", "status", "additionalStatus"):
            assert isinstance(entry, Invoice)
            assert (entry.id, entry.status) == (IDS[key], InvoiceStatus.PAID)


@given(status=any_json)
@some
def test_no_status_becomes_paid_by_accident(status: Any) -> None:
    """Only the provider's own words for it make an invoice paid."""
    words = {
        "cryptocloud": "paid overpaid",
        "cryptocloud_v1": "paid overpaid",
        "egates": "SUCCESS",
        "btcpay": "Settled",
    }
    for key, sample in SAMPLES.items():
        payload = orjson.loads(orjson.dumps(sample))
        row_of(payload)["status_invoice" if key == "cryptocloud_v1" else "status"] = status
        for entry in parsed(key, payload):
            if isinstance(entry, Invoice) and entry.status.is_paid:
                assert isinstance(status, str)
                word = status.strip()
                assert (word.upper() if key == "egates" else word) in words[key].split()


@pytest.mark.parametrize("key", PROVIDERS)
@given(text=any_text | odd_text | st.from_regex(r"\s*(https?://)?[a-z./?#-]*(INV-)?\w{6,10}\s*"))
@example(text="https://pay.cryptocloud.plus/AB12CD34")
@example(text=f"{GATES_ID}-{GATES_ID}")
@some
def test_parse_invoice_id(key: str, text: str) -> None:
    """Whatever is typed is an ID or none, and an ID stays what it is."""
    id_ = PROVIDERS[key].parse_invoice_id(text)
    if id_ is not None:
        assert PROVIDERS[key].parse_invoice_id(id_) == id_
        again = id_ if key in CASE_MATTERS else id_.lower()
        assert PROVIDERS[key].parse_invoice_id(f" {again}\n") == id_
        assert id_.isascii()


@given(number=st.floats(allow_nan=False, allow_infinity=False))
@example(number=0.1)
@example(number=-0.0)
@example(number=1e16)
@some
def test_amount_of_a_float(number: float) -> None:
    """A float's amount is the same number, in as few digits as say so."""
    amount = read_amount(number)
    if amount is None:
        # Neither is an amount of money, and of the latter the last digits are lost.
        assert 0 < abs(number) < 1e-40 or abs(number) >= 2**53
        return
    assert float(amount) == number
    assert amount == Decimal(repr(number))
    assert len(amount.as_tuple().digits) <= 17
    assert not (amount == 0 and amount.is_signed())


@given(amount=st.decimals(allow_nan=False, allow_infinity=False, places=18))
@some
def test_amount_of_a_text(amount: Decimal) -> None:
    """A text's amount is digit for digit what was written."""
    read = read_amount(f" {amount:f} ")
    assert read is None or str(read) == str(Decimal(f"{amount:f}"))
    assert read is not None or len(amount.as_tuple().digits) > 40


@given(value=any_json)
@example(value=math.nan)
@example(value=math.inf)
@example(value=10**5000)
@some
def test_readers(value: Any) -> None:
    """Each reader gives a value of its type, or None."""
    try:
        amount = read_amount(value)
    except BadResponse:
        assert isinstance(value, float)
        assert not math.isfinite(value)
    else:
        assert amount is None or amount.is_finite()
    for moment in (read_unix_time(value), *(read_local_time(value, zone or UTC) for zone in ZONES)):
        assert moment is None or moment.tzinfo is UTC
    for text in (read_text(value), read_link(value)):
        assert text is None or text.strip() == text != ""


@given(text=any_text | odd_text | st.from_regex(r"[A-Z][a-z]{2}, ?\d+ [A-Z][a-z]{2} \d+ [\d:]+ .*"))
@some
def test_retry_after(text: str) -> None:
    """Whatever a Retry-After header says, it is a wait of at most a day, or nothing."""
    seconds = parse_retry_after(text)
    assert seconds is None or 0 <= seconds <= 24 * 60 * 60


async def check_provider(session: ClientSession, key: str, url: str = ADDRESS) -> None:
    """Read an invoice and the account; accept only what may leave a provider."""
    provider = PROVIDERS[key](session, made_up_settings(key, url=url))
    try:
        found = await provider.async_get_invoices([IDS[key]])
    except FIVE:
        pass
    else:
        assert set(found) == {IDS[key]}
        assert_sound(found[IDS[key]])
    with suppress(*FIVE):
        assert isinstance(await provider.async_get_account(), Account)


bodies = (
    st.binary(max_size=60)
    | any_json.map(lambda value: json.dumps(value, default=str).encode())
    | st.sampled_from([fixture_bytes(name) for name in FIXTURES.values()]).flatmap(
        lambda sample: st.integers(0, len(sample)).map(lambda end: sample[:end])
    )
    | st.sampled_from([b"[", b'{"a":', b"9"]).map(lambda part: part * 5000)
    | st.sampled_from([b'"\\ud800"', b"1e400", b"NaN", b"null", b"\xef\xbb\xbf{}"])
)
content_types = st.sampled_from(
    ["application/json", "text/html", "text/plain", "", ";", "a/b/c", "json; charset=nonsense"]
) | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12)
header_texts = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)


@pytest.mark.parametrize("key", PROVIDERS)
@given(
    body=bodies,
    status=st.sampled_from([200, 400, 401, 403, 404, 422, 429, 500]) | st.integers(200, 999),
    content_type=content_types,
    retry_after=header_texts,
)
@over_the_wire
async def test_any_answer(key: str, wire: Wire, session: ClientSession, **answer: Any) -> None:
    """Any bytes with any status and any headers are an invoice, an account or an error."""
    headers = {"Retry-After": answer["retry_after"]}
    wire.answer(Answer(answer["body"], answer["status"], answer["content_type"], headers))
    await check_provider(session, key)


class RawServer:
    """A server that answers a connection with bytes, HTTP or not, and hangs up."""

    def __init__(self) -> None:
        """Answer nothing yet."""
        self.url = ""
        self.answer = b""

    async def async_serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        await reader.read(1)
        writer.write(self.answer)
        writer.close()


@pytest.fixture
async def raw_server(
    socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[RawServer]:
    """Serve bytes on loopback."""
    monkeypatch.setattr(http, "REQUEST_TIMEOUT", ClientTimeout(total=2))
    raw = RawServer()
    server = await asyncio.start_server(raw.async_serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        raw.url = f"http://{host}:{port}"
        yield raw


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@given(
    answer=st.binary(max_size=80)
    | st.binary(max_size=40).map(lambda rest: OK + rest)
    | st.sampled_from(
        [
            b"",
            b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 999 \xff\r\n\r\n{}",
            b"HTTP/1.1 -1 OK\r\n\r\n",
            b"HTTP/9.9 200 OK\r\n\r\n{}",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            OK + b"Content-Length: 99\r\n\r\n{}",
            OK + b"Content-Length: -1\r\n\r\n{}",
            OK + b"Content-Encoding: gzip\r\n\r\nnot gzip",
            OK + b"Content-Encoding: br\r\n\r\nnot brotli",
            OK + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
            OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            OK + b"X: " + b"y" * 20_000 + b"\r\n\r\n{}",
            OK + b"Set-Cookie: \xff=\x00\r\n\r\n{}",
            OK + b"Retry-After: \xff\xfe\r\n\r\n{}",
            OK + b"Content-Type: \xff/\xfe; charset=\xff\r\n\r\n{}",
            b"HTTP/1.1 429 \r\nRetry-After: \xff\r\n\r\n",
        ]
    )
)
@over_the_wire
async def test_any_bytes(raw_server: RawServer, session: ClientSession, answer: bytes) -> None:
    """A server need not even speak HTTP."""
    raw_server.answer = answer
    await check_provider(session, "cryptocloud", raw_server.url)
