"""Every provider, over HTTP: what can go wrong, and what then leaves the provider."""

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
import ipaddress
from pathlib import Path
import ssl
import time
import traceback
from typing import Any
from unittest.mock import Mock

from aiohttp import ClientSession, ClientTimeout, web
from aiohttp.test_utils import TestServer, unused_port
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
import orjson
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS, http
from custom_components.crypto_invoices.providers.cache import LastRead
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
    UnavailableReason,
)
from custom_components.crypto_invoices.providers.provider import FieldKind, Provider, fingerprint
from custom_components.crypto_invoices.providers.status import parse_retry_after
from sandbox import registry
from sandbox.faults import Fault
from tests.conftest import SandboxServer

from .conftest import IDS, Answer, Asked, Wire, made_up_settings, read_one

KEYS = tuple(PROVIDERS)
IN_SANDBOX = tuple(registry.PROVIDERS)
SETTINGS = made_up_settings("cryptocloud")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a fault makes of an invoice, and of an account that is being set up."""

    invoice: type[ProviderError] | InvoiceStatus
    account: type[ProviderError] | None
    reason: UnavailableReason | None = None
    retry_after: tuple[float, float] | None = None


def alike(error: type[ProviderError], **details: Any) -> Outcome:
    """Return the outcome of a fault that befalls every request."""
    return Outcome(invoice=error, account=error, **details)


FAULTS: Mapping[Fault, Outcome] = {
    Fault.UNAUTHORIZED: alike(AuthError),
    Fault.FORBIDDEN: alike(AuthError),
    Fault.RATE_LIMITED: alike(RateLimited),
    Fault.RATE_LIMITED_SECONDS: alike(RateLimited, retry_after=(7, 7)),
    Fault.RATE_LIMITED_DATE: alike(RateLimited, retry_after=(1, 7)),
    Fault.SERVER_ERROR: alike(ProviderUnavailable, reason=UnavailableReason.SERVER_ERROR),
    Fault.BAD_GATEWAY: alike(ProviderUnavailable, reason=UnavailableReason.SERVER_ERROR),
    Fault.TIMEOUT: alike(ProviderUnavailable, reason=UnavailableReason.TIMEOUT),
    Fault.SLOW_BODY: alike(ProviderUnavailable, reason=UnavailableReason.TIMEOUT),
    Fault.LATE_ANSWER: alike(ProviderUnavailable, reason=UnavailableReason.TIMEOUT),
    Fault.CUT_CONNECTION: alike(ProviderUnavailable, reason=UnavailableReason.CANNOT_CONNECT),
    Fault.TRUNCATED: alike(BadResponse),
    Fault.HTML: alike(BadResponse),
    Fault.EMPTY: alike(BadResponse),
    Fault.REDIRECT: alike(BadResponse),
    Fault.OVERSIZED: alike(BadResponse),
    Fault.WRONG_TYPES: Outcome(invoice=BadResponse, account=None),
    Fault.MISSING_ROWS: Outcome(invoice=InvoiceNotFound, account=None),
    Fault.EXTRA_FIELDS: Outcome(invoice=InvoiceStatus.PENDING, account=None),
    Fault.UNKNOWN_STATUS: Outcome(invoice=InvoiceStatus.UNKNOWN, account=None),
}
SLOW = {Fault.TIMEOUT, Fault.SLOW_BODY, Fault.LATE_ANSWER}
IMPATIENT = ClientTimeout(total=0.2)


@pytest.fixture
def small_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take an answer of a thousand bytes for too large."""
    monkeypatch.setattr(http, "MAX_ANSWER_BYTES", 1000)


def opened(session: ClientSession, sandbox: SandboxServer, key: str, **changes: str) -> Provider:
    """Return an account at the sandbox."""
    return PROVIDERS[key](session, {**sandbox.settings(key), **changes})


def assert_like(error: BaseException | None, outcome: Outcome, secrets: list[str]) -> None:
    """Compare an error with what is expected, and look for secrets in all of it."""
    assert isinstance(error, ProviderError)
    assert getattr(error, "reason", None) is outcome.reason
    if outcome.retry_after:
        assert isinstance(error, RateLimited)
        assert error.retry_after is not None
        assert outcome.retry_after[0] <= error.retry_after <= outcome.retry_after[1]
    shown = "".join(traceback.format_exception(error)) + repr(error)
    assert not any(secret in shown for secret in secrets)


def test_every_fault_is_in_the_table() -> None:
    """A fault that the sandbox learns has an outcome here."""
    assert set(FAULTS) == set(Fault)


@pytest.mark.parametrize("key", IN_SANDBOX)
@pytest.mark.parametrize("fault", Fault)
async def test_fault(
    monkeypatch: pytest.MonkeyPatch,
    sandbox: SandboxServer,
    session: ClientSession,
    fault: Fault,
    key: str,
) -> None:
    """Whatever goes wrong at a provider becomes its error, or costs nothing at all."""
    outcome = FAULTS[fault]
    secrets = [text for name, text in sandbox.settings(key).items() if name != "url"]
    id_ = sandbox.store.create(key, amount=Decimal("25.10")).id
    provider = opened(session, sandbox, key)
    healthy = await read_one(provider, id_)
    assert isinstance(healthy, Invoice)

    sandbox.switch(key, fault)
    if fault in SLOW:
        monkeypatch.setattr(http, "REQUEST_TIMEOUT", IMPATIENT)
    entry = await read_one(provider, id_)
    if isinstance(outcome.invoice, InvoiceStatus):
        assert isinstance(entry, Invoice)
        assert entry.status is outcome.invoice
        assert (entry.amount, entry.currency) == (healthy.amount, healthy.currency)
    else:
        assert type(entry) is outcome.invoice
        assert isinstance(entry, ProviderError)
        assert_like(entry, outcome, secrets)
    if outcome.account is None:
        assert isinstance(await provider.async_get_account(), Account)
    else:
        with pytest.raises(outcome.account) as raised:
            await provider.async_get_account()
        assert_like(raised.value, outcome, secrets)

    monkeypatch.undo()
    sandbox.switch(key, None)
    assert await read_one(provider, id_) == healthy
    # Credentials went nowhere but to the provider.
    assert not sandbox.sandbox.requests[key, "elsewhere"]


@pytest.mark.parametrize(
    ("key", "action", "status"),
    [
        ("cryptocloud", None, InvoiceStatus.PENDING),
        ("cryptocloud", "choose_coin", InvoiceStatus.PENDING),
        ("cryptocloud", "partly_pay", InvoiceStatus.PARTIALLY_PAID),
        ("cryptocloud", "pay", InvoiceStatus.PAID),
        ("cryptocloud", "overpay", InvoiceStatus.OVERPAID),
        ("cryptocloud", "expire", InvoiceStatus.CANCELED),
        ("cryptocloud", "cancel", InvoiceStatus.CANCELED),
        ("cryptocloud_v1", None, InvoiceStatus.PENDING),
        ("cryptocloud_v1", "partly_pay", InvoiceStatus.PARTIALLY_PAID),
        ("cryptocloud_v1", "pay", InvoiceStatus.PAID),
        ("cryptocloud_v1", "cancel", InvoiceStatus.CANCELED),
        ("egates", None, InvoiceStatus.PENDING),
        ("egates", "pay", InvoiceStatus.PAID),
        ("egates", "underpay", InvoiceStatus.UNDERPAID),
        ("egates", "cancel", InvoiceStatus.CANCELED),
    ],
)
async def test_life_of_an_invoice(
    sandbox: SandboxServer,
    session: ClientSession,
    key: str,
    action: str | None,
    status: InvoiceStatus,
) -> None:
    """What a payer does is what a reading says, with the amount where the provider tells it."""
    invoice = sandbox.store.create(key, amount=Decimal("25.10"), order_id="HA-1")
    if action:
        sandbox.store.act(key, invoice.id, action)
    provider = opened(session, sandbox, key)
    entry = await read_one(provider, invoice.id)
    assert isinstance(entry, Invoice)
    assert (entry.id, entry.status) == (invoice.id, status)
    knows_amounts = "amount" in provider.reported_fields
    assert entry.amount == (Decimal("25.10") if knows_amounts else None)
    assert entry.order_id == ("HA-1" if knows_amounts else None)
    assert (entry.expires_at is not None) == ("expires_at" in provider.reported_fields)


@pytest.mark.parametrize("key", IN_SANDBOX)
async def test_wrong_key(sandbox: SandboxServer, session: ClientSession, key: str) -> None:
    """A key of another account, or a part of the right one, is not accepted."""
    id_ = sandbox.store.create(key).id
    right = sandbox.settings(key)["api_key"]
    for wrong in ("another-key", right[:-1], f"{right}x", "ключ", "a\ud800b"):
        provider = opened(session, sandbox, key, api_key=wrong)
        with pytest.raises(AuthError):
            await provider.async_get_account()
        with pytest.raises(AuthError):
            await provider.async_get_invoices([id_])


@pytest.mark.parametrize("answer", ["drop", "error", "null"])
async def test_unknown_invoice_among_many(
    sandbox: SandboxServer, session: ClientSession, answer: str
) -> None:
    """However a batch is answered that has an unknown ID in it, that ID alone is not found."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(100)]
    sandbox.store.act("cryptocloud", ids[60], "delete")
    sandbox.sandbox.set("cryptocloud", "unknown_uuid", answer)
    found = await opened(session, sandbox, "cryptocloud").async_get_invoices(ids)
    assert isinstance(found.pop(ids[60]), InvoiceNotFound)
    assert all(isinstance(entry, Invoice) for entry in found.values())
    assert sandbox.requests("cryptocloud") <= 15


@pytest.mark.parametrize("way", ["empty", "invoice_id", "invoice_id_timestamp", "timestamp"])
async def test_every_way_of_signing(
    sandbox: SandboxServer, session: ClientSession, way: str
) -> None:
    """A gateway is understood whatever it wants signed."""
    sandbox.sandbox.set("egates", "signing", way)
    id_ = sandbox.store.create("egates").id
    provider = opened(session, sandbox, "egates")
    await provider.async_get_account()
    assert provider.discovered_settings == {"signing": way}
    assert isinstance(await read_one(provider, id_), Invoice)


@pytest.mark.parametrize("key", IN_SANDBOX)
async def test_many_invoices(sandbox: SandboxServer, session: ClientSession, key: str) -> None:
    """A hundred and fifty invoices each come out as themselves."""
    ids = [sandbox.store.create(key, order_id=str(number)).id for number in range(150)]
    sandbox.store.act(key, ids[7], "pay")
    answers = await opened(session, sandbox, key).async_get_answers(ids)
    assert sorted(id_ for answer in answers for id_ in answer.rows) == sorted(ids)
    assert all(0 < answer.asked <= answer.received for answer in answers)
    found = {id_: row for answer in answers for id_, row in answer.rows.items()}
    paid = [id_ for id_, each in found.items() if isinstance(each, Invoice) and each.status.is_paid]
    assert paid == [ids[7]]
    assert all(isinstance(entry, Invoice) and entry.id == id_ for id_, entry in found.items())


@pytest.mark.parametrize("key", KEYS)
async def test_session_that_is_closed(session: ClientSession, key: str) -> None:
    """Whoever asks while everything is shut down hears that nobody answers."""
    provider = PROVIDERS[key](session, made_up_settings(key))
    await session.close()
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.async_get_account()
    assert not caught.value.was_reached


@pytest.mark.parametrize("key", ["cryptocloud", "egates"])
async def test_what_comes_as_it_came(
    sandbox: SandboxServer, session: ClientSession, key: str
) -> None:
    """What stays the same is not parsed again; what changed is, also beside it."""
    ids = [sandbox.store.create(key).id for _ in range(3)]
    provider = opened(session, sandbox, key)
    first = await provider.async_get_invoices(ids)
    again = await provider.async_get_invoices(ids)
    assert all(again[id_] is first[id_] for id_ in ids)
    sandbox.store.act(key, ids[1], "pay")
    later = await provider.async_get_invoices(ids)
    assert [later[id_] is first[id_] for id_ in ids] == [True, False, True]
    paid = later[ids[1]]
    assert isinstance(paid, Invoice)
    assert paid.status is InvoiceStatus.PAID
    # A part of them comes in an answer of its own.
    assert (await provider.async_get_invoices(ids[:2])) == {id_: later[id_] for id_ in ids[:2]}


@pytest.mark.parametrize(
    ("status", "content_type", "error"),
    [
        (500, "application/json", ProviderUnavailable),
        (302, "application/json", BadResponse),
        (200, "text/html", BadResponse),
    ],
)
async def test_same_bytes_as_an_error(
    wire: Wire, session: ClientSession, status: int, content_type: str, error: type[ProviderError]
) -> None:
    """An error is an error, also with the body of the last good answer."""
    [id_] = invoice_ids(1)
    content = orjson.dumps({"status": "success", "result": [{"uuid": id_, "status": "paid"}]})
    provider = PROVIDERS["cryptocloud"](session, SETTINGS)
    wire.answer(Answer(content))
    assert isinstance(await read_one(provider, id_), Invoice)
    wire.answer(Answer(content, status, content_type))
    assert isinstance(await read_one(provider, id_), error)
    wire.answer(Answer(content))
    assert isinstance(await read_one(provider, id_), Invoice)


async def test_same_nonsense(wire: Wire, session: ClientSession) -> None:
    """Rows that can't be read are an error each time, without what went wrong before."""
    [id_] = invoice_ids(1)
    provider = PROVIDERS["cryptocloud"](session, SETTINGS)
    wire.answer(Answer({"status": "success", "result": [{"uuid": id_, "status": []}]}))
    errors = [await read_one(provider, id_) for _ in range(3)]
    bad = [error for error in errors if isinstance(error, BadResponse)]
    assert bad == errors
    assert len({len(traceback.format_tb(error.__traceback__)) for error in bad}) == 1


def test_last_read() -> None:
    """No more is remembered than asked for, and what can't be parsed is not."""
    last: LastRead[object] = LastRead(2)
    first = last.read("1", b"x", object)
    assert last.read("1", b"x", object) is first
    with pytest.raises(BadResponse):
        last.read("2", b"x", Mock(side_effect=BadResponse("x")))
    assert last.read("2", b"x", lambda: 2) == 2
    assert last.read("3", b"x", lambda: 3) == 3
    assert last.read("1", b"x", object) is not first


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    """Return a server's side of TLS with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context


@pytest.fixture
async def https_server(
    socket_enabled: None, self_signed: ssl.SSLContext
) -> AsyncGenerator[tuple[str, list[str]]]:
    """Serve over TLS; keep which paths were asked for."""
    asked: list[str] = []

    async def async_answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", async_answer)
    server = TestServer(app, host="127.0.0.1", scheme="https")
    await server.start_server(ssl=self_signed)
    yield str(server.make_url("")).rstrip("/"), asked
    await server.close()


async def trouble(session: ClientSession, key: str, **changes: str) -> ProviderUnavailable:
    """Return why a provider can't be reached, having looked both ways."""
    provider = PROVIDERS[key](session, made_up_settings(key, **changes))
    with pytest.raises(ProviderUnavailable) as of_account:
        await provider.async_get_account()
    with pytest.raises(ProviderUnavailable) as of_invoices:
        await provider.async_get_invoices([IDS[key]])
    assert of_invoices.value.reason is of_account.value.reason
    return of_account.value


@pytest.mark.parametrize("key", KEYS)
async def test_bad_certificate(
    https_server: tuple[str, list[str]], session: ClientSession, key: str
) -> None:
    """A certificate that nobody vouches for is named as the trouble; no key is sent."""
    url, asked = https_server
    assert (await trouble(session, key, url=url)).reason is UnavailableReason.CERTIFICATE
    assert not asked


@pytest.mark.parametrize("key", KEYS)
async def test_no_tls(sandbox: SandboxServer, session: ClientSession, key: str) -> None:
    """A server without TLS has no bad certificate: it can't be reached this way."""
    url = sandbox.url.replace("http://", "https://")
    assert (await trouble(session, key, url=url)).reason is UnavailableReason.CANNOT_CONNECT


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("key", KEYS)
async def test_nobody_there(session: ClientSession, key: str) -> None:
    """A port where nobody listens can't be reached."""
    error = await trouble(session, key, url=f"http://127.0.0.1:{unused_port()}")
    assert error.reason is UnavailableReason.CANNOT_CONNECT
    assert error.retry_after is None


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "url",
    [
        "",
        "/",
        "api.example",
        "//api.example",
        "http://",
        "https://:443",
        "ftp://api.example",
        "tcp://api.example",
        "ws://api.example",
        "javascript:alert(1)",
        "http://[::1",
        "http://api.example:99999",
        "http://api.example:port",
        "http://\ud800.example",
        "http://api\n.example",
        f"http://{'a' * 300}.example.",
    ],
)
async def test_address_that_is_none(session: ClientSession, key: str, url: str) -> None:
    """An address that no request can be made to is one that can't be reached."""
    assert (await trouble(session, key, url=url)).reason is UnavailableReason.CANNOT_CONNECT


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("api_key", ["a\nb", "a\r\nHost: b", "a\0b"])
async def test_key_that_is_none(
    sandbox: SandboxServer, session: ClientSession, key: str, api_key: str
) -> None:
    """A key that no header can carry is not sent, nor a part of it."""
    error = await trouble(session, key, url=sandbox.url, api_key=api_key)
    assert error.reason is UnavailableReason.CANNOT_CONNECT
    assert not sandbox.sandbox.requests


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("7", 7),
        (" 120 ", 120),
        ("+5", 5),
        ("1.5", 1.5),
        ("-1", 0),
        ("-" + "9" * 400, 0),
        ("86400", 86400),
        ("86401", 86400),
        ("9" * 400, 86400),
        ("9" * 5000, 86400),
        ("soon", None),
        ("NaN", None),
        ("inf", None),
        ("1e3", None),
        ("0x10", None),
        ("7s", None),
        ("1_0", None),
        ("\u0667", None),
        ("7, 8", None),
        ("\x00", None),
        ("2026-01-01T00:00:00Z", None),
        ("Wed, 32 Oct 2026 07:28:00 GMT", None),
        ("Wed, 21 Oct 2026 25:61:00 GMT", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00", 0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 0),
        ("Wed Oct 21 07:28:00 2015", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86400),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    """Both forms of Retry-After are understood, within a day; nonsense says nothing."""
    assert parse_retry_after(text) == seconds


@pytest.fixture
def far_away() -> Generator[None]:
    """Be in a time zone that nobody would take for UTC."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TZ", "XYZ-05:45")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    "write",
    [
        lambda moment: format_datetime(moment, usegmt=True),
        lambda moment: format_datetime(moment.astimezone(None)),
        lambda moment: format_datetime(moment.replace(tzinfo=None)),
        lambda moment: f"{moment:%A, %d-%b-%y %H:%M:%S} GMT",
        lambda moment: f"{moment:%a %b %d %H:%M:%S %Y}",
    ],
)
def test_retry_after_date(far_away: None, write: Callable[[datetime], str]) -> None:
    """A date is as many seconds away as it is, in each form that HTTP has had."""
    seconds = parse_retry_after(write(datetime.now(UTC) + timedelta(seconds=90)))
    assert seconds is not None
    assert 60 <= seconds <= 90


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("status", [429, 503])
async def test_asked_to_wait(wire: Wire, session: ClientSession, key: str, status: int) -> None:
    """A busy provider's wish to be left alone reaches whoever asks."""
    provider = PROVIDERS[key](session, made_up_settings(key))
    for text, seconds in (("30", 30), ("9" * 400, 86400), ("soon", None)):
        wire.answer(Answer(b"busy", status, "text/plain", {"Retry-After": text}))
        with pytest.raises((RateLimited, ProviderUnavailable)) as raised:
            await provider.async_get_account()
        error = raised.value
        assert isinstance(error, RateLimited | ProviderUnavailable)
        assert error.retry_after == seconds


@pytest.mark.parametrize("key", KEYS)
async def test_gateway_gives_up_waiting(wire: Wire, session: ClientSession, key: str) -> None:
    """A time-out that somebody on the way noticed is a time-out."""
    wire.answer(Answer(b"", 408, "text/plain"))
    assert (await trouble(session, key)).reason is UnavailableReason.TIMEOUT


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("case", [(200, BadResponse), (401, AuthError), (429, RateLimited)])
async def test_too_large(
    wire: Wire, small_answers: None, session: ClientSession, key: str, case: tuple[int, type]
) -> None:
    """An endless answer isn't read to its end, and an error is still the error it is."""
    status, error = case
    wire.answer(Answer(b" " * 1001, status))
    with pytest.raises(error):
        await PROVIDERS[key](session, made_up_settings(key)).async_get_account()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_redirect(wire: Wire, session: ClientSession, key: str, status: int) -> None:
    """No redirect is followed: the credentials are for this address."""
    wire.answer(Answer({}, status, headers={"Location": "https://elsewhere.example/"}))
    with pytest.raises(BadResponse):
        await PROVIDERS[key](session, made_up_settings(key)).async_get_account()
    assert {asked.url.host for asked in wire.asked} == {"api.example"}
    assert len(wire.asked) == 1


@pytest.mark.parametrize("content_type", ["text/html", "text/html; charset=utf-8", "TEXT/HTML"])
async def test_json_that_says_it_is_html(
    wire: Wire, session: ClientSession, content_type: str
) -> None:
    """A web page is no answer, whatever is in it."""
    wire.answer(Answer({"status": "success", "result": []}, 200, content_type))
    with pytest.raises(BadResponse):
        await PROVIDERS["cryptocloud"](session, SETTINGS).async_get_account()


@pytest.mark.parametrize("content_type", ["text/plain", "application/problem+json", "nonsense"])
async def test_json_that_says_it_is_text(
    wire: Wire, session: ClientSession, content_type: str
) -> None:
    """JSON under another name is still JSON."""
    wire.answer(Answer({"status": "success", "result": []}, 200, content_type))
    assert await PROVIDERS["cryptocloud"](session, SETTINGS).async_get_account()


def invoice_ids(count: int) -> list[str]:
    """Return this many CryptoCloud invoices."""
    return [f"INV-{number:08}" for number in range(count)]


async def test_down_in_the_middle(wire: Wire, session: ClientSession) -> None:
    """A server that goes down half-way costs a few time-outs, not one for each invoice."""
    provider = PROVIDERS["cryptocloud_v1"](session, SETTINGS)

    def answer(_: Asked) -> Answer:
        if len(wire.asked) > 40:
            raise TimeoutError
        return Answer({"status": "success", "status_invoice": "paid"})

    wire.answer(answer)
    found = await provider.async_get_invoices(invoice_ids(200))
    assert len(wire.asked) <= 40 + 3 + provider.concurrency
    assert list(map(type, found.values())).count(Invoice) == 40
    rest = [entry for entry in found.values() if not isinstance(entry, Invoice)]
    assert len(rest) == 160
    assert {getattr(entry, "reason", None) for entry in rest} == {UnavailableReason.TIMEOUT}


async def test_down_from_the_start(
    sandbox: SandboxServer, session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that doesn't answer at all costs a few time-outs, and the account knows."""
    monkeypatch.setattr(http, "REQUEST_TIMEOUT", IMPATIENT)
    ids = [sandbox.store.create("cryptocloud_v1").id for _ in range(60)]
    sandbox.switch("cryptocloud_v1", Fault.TIMEOUT)
    provider = opened(session, sandbox, "cryptocloud_v1")
    with pytest.raises(ProviderUnavailable) as raised:
        await provider.async_get_invoices(ids)
    assert raised.value.reason is UnavailableReason.TIMEOUT
    assert sandbox.requests("cryptocloud_v1") <= 3 + provider.concurrency


async def test_a_hiccup_now_and_then(wire: Wire, session: ClientSession) -> None:
    """Single failures among good answers stop nothing."""
    provider = PROVIDERS["cryptocloud_v1"](session, SETTINGS)

    def answer(asked: Asked) -> Answer:
        if asked.url.query["uuid"].endswith("7"):
            return Answer(b"", 500)
        return Answer({"status": "success", "status_invoice": "paid"})

    wire.answer(answer)
    found = await provider.async_get_invoices(invoice_ids(100))
    assert len(wire.asked) == 100
    assert sum(isinstance(entry, ProviderUnavailable) for entry in found.values()) == 10
    assert sum(isinstance(entry, Invoice) for entry in found.values()) == 90


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(b"", 500), ProviderUnavailable),
        (Answer(b"", 429), RateLimited),
        (Answer(b"{"), BadResponse),
        (Answer({"status": "success", "result": {}}), BadResponse),
    ],
)
async def test_one_batch_fails(
    wire: Wire, session: ClientSession, answer: Answer, error: type[ProviderError]
) -> None:
    """When the last of several batches fails, the invoices of the others still arrive."""
    ids = invoice_ids(250)

    def serve(asked: Asked) -> Answer:
        uuids = asked.json["uuids"]
        if ids[-1] in uuids:
            return answer
        rows = [{"uuid": uuid, "status": "paid"} for uuid in uuids]
        return Answer({"status": "success", "result": rows})

    wire.answer(serve)
    found = await PROVIDERS["cryptocloud"](session, SETTINGS).async_get_invoices(ids)
    assert set(found) == set(ids)
    assert all(isinstance(found[id_], Invoice) for id_ in ids[:200])
    assert all(type(found[id_]) is error for id_ in ids[200:])


@pytest.mark.parametrize("key", IN_SANDBOX)
@pytest.mark.parametrize("fault", [Fault.HTML, Fault.TRUNCATED, Fault.EMPTY, Fault.REDIRECT])
async def test_nothing_makes_sense(
    sandbox: SandboxServer, session: ClientSession, key: str, fault: Fault
) -> None:
    """When no answer makes sense, the account is in trouble, once, and not each invoice."""
    ids = [sandbox.store.create(key).id for _ in range(5)]
    provider = opened(session, sandbox, key)
    sandbox.switch(key, fault)
    with pytest.raises(BadResponse):
        await provider.async_get_invoices(ids)


@pytest.mark.parametrize("key", ["cryptocloud_v1", "egates"])
async def test_one_answer_makes_no_sense(
    sandbox: SandboxServer, session: ClientSession, key: str
) -> None:
    """When one answer of several makes no sense, it costs one invoice."""
    ids = [sandbox.store.create(key).id for _ in range(5)]
    provider = opened(session, sandbox, key)
    sandbox.switch(key, Fault.TRUNCATED, count=1)
    found = await provider.async_get_invoices(ids)
    assert sorted(type(entry).__name__ for entry in found.values()) == [
        "BadResponse",
        *["Invoice"] * 4,
    ]


async def test_key_revoked_in_the_middle(wire: Wire, session: ClientSession) -> None:
    """A key that stops working concerns the account, though some invoices were read."""
    wire.answer(
        lambda _: (
            Answer({"message": "Unauthenticated."}, 401)
            if len(wire.asked) > 5
            else Answer({"status": "success", "status_invoice": "paid"})
        )
    )
    provider = PROVIDERS["cryptocloud_v1"](session, SETTINGS)
    with pytest.raises(AuthError):
        await provider.async_get_invoices(invoice_ids(100))
    assert len(wire.asked) <= 5 + provider.concurrency


@pytest.mark.parametrize("key", KEYS)
def test_what_a_form_needs(key: str) -> None:
    """Every provider has a name, an address to ask for and a secret that isn't filled in."""
    provider = PROVIDERS[key]
    assert provider.key == key
    assert provider.name
    kinds = [field.kind for field in provider.fields]
    assert kinds.count(FieldKind.URL) == 1
    assert FieldKind.SECRET in kinds
    assert len({field.key for field in provider.fields}) == len(provider.fields)
    for field in provider.fields:
        if field.kind is FieldKind.SECRET:
            assert field.default is None
        if field.kind is FieldKind.URL and field.advanced:
            assert isinstance(field.default, str)
            assert field.default.startswith("https://")


def test_fingerprint() -> None:
    """A fingerprint is always the same for the same, and gives nothing away."""
    assert fingerprint("a", "b") == fingerprint("a", "b")
    assert len({fingerprint("a", "b"), fingerprint("ab"), fingerprint("b", "a")}) == 3
    assert "made-up" not in fingerprint("made-up")
    assert fingerprint("\ud800")
