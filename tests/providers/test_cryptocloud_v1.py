"""CryptoCloud, legacy API version 1: the status of one invoice a request."""

import asyncio
from typing import Any

from aiohttp import ClientSession
import pytest

from custom_components.crypto_invoices.providers.cryptocloud.v1 import CryptoCloudV1
from custom_components.crypto_invoices.providers.cryptocloud.v2 import CryptoCloud
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    RateLimited,
)

from .conftest import ADDRESS, Answer, Asked, Wire, fixture_bytes, read_account, read_one

ID = "INV-AB12CD34"


@pytest.fixture
def provider(session: ClientSession) -> CryptoCloudV1:
    """Return an account."""
    return CryptoCloudV1(session, {"url": ADDRESS, "api_key": "made-up-key"})


def status(word: object) -> Answer:
    """Answer with an invoice's status."""
    return Answer({"status": "success", "status_invoice": word})


async def test_sample(wire: Wire, provider: CryptoCloudV1) -> None:
    """The page's sample is a paid invoice whose amounts are unknown, not zero."""
    wire.answer(Answer(fixture_bytes("cryptocloud_v1_info.json")))
    assert await read_one(provider, ID) == Invoice(
        id=ID,
        status=InvoiceStatus.PAID,
        provider_status="paid",
        amount=None,
        currency=None,
        amount_received=None,
        expires_at=None,
        payment_url="https://pay.cryptocloud.plus/AB12CD34",
    )


async def test_request(wire: Wire, provider: CryptoCloudV1) -> None:
    """One GET with the ID, prefix included, in the query and nothing in the body."""
    wire.answer(status("paid"))
    await provider.async_get_invoices([ID, ID])
    (asked,) = wire.asked
    assert (asked.method, str(asked.url)) == ("GET", f"{ADDRESS}/v1/invoice/info?uuid={ID}")
    assert asked.headers["Authorization"] == "Token made-up-key"
    assert asked.body is None
    assert not asked.follows_redirects


@pytest.mark.parametrize(
    "answer",
    [
        Answer({"status": "error", "error": "Invoice not found"}, 400),
        Answer({"status": "error", "error": "Invoice not found"}, 404),
        Answer({"message": "Not found"}, 404),
        Answer({"status": "error"}, 422),
        status("created"),
    ],
)
async def test_account(wire: Wire, provider: CryptoCloudV1, answer: Answer) -> None:
    """The key is proven with an invoice that need not be there."""
    wire.answer(answer)
    account = await provider.async_get_account()
    (asked,) = wire.asked
    assert asked.url.path == "/v1/invoice/info"
    assert CryptoCloudV1.parse_invoice_id(asked.url.query["uuid"])
    assert account.title == "CryptoCloud (legacy API)"
    assert "made-up-key" not in repr(account)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("created", InvoiceStatus.PENDING),
        ("partial", InvoiceStatus.PARTIALLY_PAID),
        ("paid", InvoiceStatus.PAID),
        ("overpaid", InvoiceStatus.OVERPAID),
        ("canceled", InvoiceStatus.CANCELED),
        ("frozen", InvoiceStatus.UNKNOWN),
        ("success", InvoiceStatus.UNKNOWN),
    ],
)
async def test_status(
    wire: Wire, provider: CryptoCloudV1, word: str, expected: InvoiceStatus
) -> None:
    """Each word has its status; the request's own success is not a payment."""
    wire.answer(status(word))
    invoice = await read_one(provider, ID)
    assert isinstance(invoice, Invoice)
    assert (invoice.status, invoice.provider_status) == (expected, word)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "success"},
        {"status": "success", "status_invoice": None},
        {"status": "success", "status_invoice": ""},
        {"status": "success", "status_invoice": True},
        {"status": "failure", "status_invoice": "paid"},
        {"status_invoice": "paid"},
        {"status": ["success"], "status_invoice": "paid"},
        {},
        [],
        None,
        "paid",
    ],
)
async def test_broken_answer(wire: Wire, provider: CryptoCloudV1, body: object) -> None:
    """An answer that isn't clearly the invoice's status is none: nothing is paid by accident."""
    wire.answer(Answer(body if body is not None else b"null"))
    assert isinstance(await read_one(provider, ID), BadResponse)


async def test_failed_request_is_no_payment(wire: Wire, provider: CryptoCloudV1) -> None:
    """A request that failed tells nothing of the invoice, whatever else it says."""
    wire.answer(Answer({"status": "error", "status_invoice": "paid"}))
    assert isinstance(await read_one(provider, ID), InvoiceNotFound)


async def test_one_unknown_invoice(wire: Wire, provider: CryptoCloudV1) -> None:
    """An invoice that the provider refuses costs itself alone."""
    wire.answer(
        lambda asked: (
            Answer({"status": "error", "error": "Invoice not found"}, 400)
            if asked.url.query["uuid"] == ID
            else status("paid")
        )
    )
    found = await provider.async_get_invoices([ID, "INV-EF56GH78"])
    assert isinstance(found[ID], InvoiceNotFound)
    assert isinstance(found["INV-EF56GH78"], Invoice)


@pytest.mark.parametrize(
    ("http_status", "body"),
    [
        (401, {"message": "Unauthenticated."}),
        (401, {"status": "error", "error": "Unauthorized"}),
        (401, b"<html>"),
        (403, {"detail": "Signature verification failed"}),
        (406, {"status": "error", "error": "Unauthorized"}),
        (400, {"status": "error", "result": {"authorization": "Unauthorized request."}}),
        (400, {"detail": "Invalid header padding"}),
        (200, {"detail": "Invalid header padding"}),
    ],
)
async def test_bad_key(wire: Wire, provider: CryptoCloudV1, http_status: int, body: object) -> None:
    """Every way in which a bad key looks starts a new authentication."""
    wire.answer(Answer(body, http_status))
    assert isinstance(await read_one(provider, ID), AuthError)
    assert await read_account(provider) is AuthError


@pytest.mark.parametrize(
    "answer",
    [
        Answer({"status": "error", "error": "uuid is required"}, 400),
        Answer({"status": "error", "result": {"uuid": "unknown"}}, 400),
        Answer(b"<h1>Bad request</h1>", 400, "text/html"),
        Answer(b"<h1>One moment, please</h1>", 403, "text/html"),
        Answer(b"<h1>Not found</h1>", 404, "text/html"),
        Answer({"status": "error", "error": "uuid is required"}, 200),
    ],
)
async def test_not_a_bad_key(wire: Wire, provider: CryptoCloudV1, answer: Answer) -> None:
    """No other refusal asks the user for a new key."""
    wire.answer(answer)
    assert isinstance(await read_one(provider, ID), BadResponse | InvoiceNotFound)
    assert await read_account(provider) is not AuthError


@pytest.mark.parametrize("body", [b"<h1>Home</h1>", b"", b"[]", b'{"version": 1}'])
async def test_another_server_is_no_account(
    wire: Wire, provider: CryptoCloudV1, body: bytes
) -> None:
    """A 200 of some other server proves nothing."""
    wire.answer(Answer(body))
    assert await read_account(provider) is BadResponse


async def test_concurrency(wire: Wire, provider: CryptoCloudV1) -> None:
    """A few requests are under way together, and never more than that."""
    running = peak = 0
    several = asyncio.Event()

    async def async_answer(_: Asked) -> Answer:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        if running == 4:
            # Soon, not now: whoever else would start does so first.
            asyncio.get_running_loop().call_soon(several.set)
        await several.wait()
        running -= 1
        return status("paid")

    wire.answer(async_answer)
    ids = [f"INV-{number:08}" for number in range(30)]
    async with asyncio.timeout(10):
        found = await provider.async_get_invoices(ids)
    assert peak == 4
    assert len(wire.asked) == len(found) == 30
    assert all(isinstance(entry, Invoice) for entry in found.values())


@pytest.mark.parametrize("answer", [Answer({"message": "Unauthenticated."}, 401), Answer({}, 429)])
async def test_account_trouble_stops_the_rest(
    wire: Wire, provider: CryptoCloudV1, answer: Answer
) -> None:
    """Once the account is refused, the other invoices are not asked for."""
    wire.answer(answer)
    ids = [f"INV-{number:08}" for number in range(200)]
    with pytest.raises((AuthError, RateLimited)):
        await provider.async_get_invoices(ids)
    assert len(wire.asked) <= CryptoCloudV1.concurrency


@pytest.mark.parametrize(
    "typed", ["inv-ab12cd34", "AB12CD34", "https://pay.cryptocloud.plus/x", ""]
)
def test_parse_invoice_id(typed: str) -> None:
    """Both versions share their IDs."""
    assert CryptoCloudV1.parse_invoice_id(typed) == CryptoCloud.parse_invoice_id(typed)


async def test_reports(provider: CryptoCloudV1) -> None:
    """This account can tell the status and nothing else."""
    assert provider.reported_fields == {"status"}
    assert provider.discovered_settings == {}


async def test_another_accounts_key(wire: Wire, session: ClientSession) -> None:
    """Accounts are told apart by address and key."""
    wire.answer(status("paid"))
    settings: list[dict[str, Any]] = [
        {"url": ADDRESS, "api_key": "a"},
        {"url": ADDRESS, "api_key": "b"},
        {"url": "https://other.example", "api_key": "a"},
    ]
    accounts = [await CryptoCloudV1(session, each).async_get_account() for each in settings]
    assert len({account.unique_id for account in accounts}) == 3
