"""E-Gates: making an invoice with one signed request."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
from custom_components.crypto_invoices.providers.egates.gateway import EGates
from custom_components.crypto_invoices.providers.egates.signing import sign
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    Invoice,
    InvoiceStatus,
    ProviderError,
)
from custom_components.crypto_invoices.providers.new_invoice import Flaw, InvalidField

from .conftest import ADDRESS, Answer, Wire
from .test_creating import GOOD, NEW

SECRET = "eg-secret-demo"
NOW = datetime.fromtimestamp(1_700_000_000, UTC)
ETHER = NEW["egates"]
BODY = {
    "timestamp": 1_700_000_000,
    "ticker": "USDT",
    "payment_method": "ETHER",
    "amount": "12.5",
    "order_number": "HA-0001",
}


@pytest.fixture
def provider(session: ClientSession) -> EGates:
    """Return an account."""
    settings = {"url": ADDRESS, "api_key": "made-up-key", "api_secret": SECRET}
    return EGates(session, settings)


def test_capabilities(provider: EGates) -> None:
    """An invoice can be made, and nothing else."""
    assert isinstance(provider, CanCreateInvoice)
    for can in (CanCancelInvoice, CanListInvoices, CanReadBalance, CanReadStatistics):
        assert not isinstance(provider, can)


@pytest.mark.freeze_time(NOW)
@pytest.mark.parametrize(
    ("changes", "body", "signature"),
    [
        ({}, {}, "a9a92d33c9aed3c85f4dc67792d97b17dcdf54ae98c6b671159d6b31504b0c6d"),
        (
            {"callback_url": "https://ha.example/api/webhook/abc"},
            {"callback_url": "https://ha.example/api/webhook/abc"},
            "f67b88f71d5d4c7264632d426d788aff1af2678d88168a24e4076e672023c637",
        ),
        ({"amount": Decimal("0.000000000000000001")}, {"amount": "0.000000000000000001"}, None),
        ({"amount": Decimal("100.0")}, {"amount": "100.0"}, None),
        ({"order_id": "Tee & Kuchen=2"}, {"order_number": "Tee & Kuchen=2"}, None),
        ({"description": "Two\nlines"}, {"purpose_of_payment": "Two\nlines"}, None),
    ],
)
async def test_request(
    wire: Wire,
    provider: EGates,
    *,
    changes: dict[str, Any],
    body: dict[str, Any],
    signature: str | None,
) -> None:
    """One flat body, with amounts as they were written, and its signature by the contract."""
    wire.answer(Answer(GOOD["egates"]))
    await provider.async_create_invoice(replace(ETHER, **changes))
    (asked,) = wire.asked
    path = "/api/external/v1/gateway/create-payment-invoice"
    assert (asked.method, str(asked.url)) == ("POST", f"{ADDRESS}{path}")
    assert asked.json == {**BODY, **body}
    signed = {name: str(value) for name, value in asked.json.items()}
    assert asked.headers["SIGNATURE"] == (signature or sign(SECRET, signed))
    assert asked.headers["API-KEY"] == "made-up-key"
    assert asked.headers["Content-Type"] == "application/json"
    assert not asked.follows_redirects


async def test_created(wire: Wire, provider: EGates) -> None:
    """The answer's own names become the invoice; an address alone is nothing to scan."""
    wire.answer(Answer(GOOD["egates"]))
    assert await provider.async_create_invoice(ETHER) == Invoice(
        id="11111111-2222-4333-8444-555555555555",
        status=InvoiceStatus.PENDING,
        provider_status="PENDING",
        amount=Decimal("12.5"),
        currency="USDT",
        pay_amount=Decimal("12.5"),
        pay_currency="USDT",
        order_id="HA-0001",
        address="0xdemo",
        payment_url="https://pay.example/11111111-2222-4333-8444-555555555555",
        created_at=datetime(2026, 2, 3, 10, 11, 12, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("changes", "field", "flaw"),
    [
        ({"order_id": None}, "order_id", Flaw.NEEDED),
        ({"payment_method": None}, "payment_method", Flaw.NEEDED),
        ({"lifetime": timedelta(hours=1)}, "lifetime", Flaw.NOT_TAKEN),
        ({"currency": "BTC", "amount": Decimal("0.000000001")}, "amount", Flaw.TOO_MANY_DECIMALS),
    ],
)
async def test_refused_before(
    wire: Wire, provider: EGates, changes: dict[str, Any], field: str, flaw: Flaw
) -> None:
    """What the gateway needs is asked for here, and not by its refusal."""
    with pytest.raises(InvalidField) as err:
        await provider.async_create_invoice(replace(ETHER, **changes))
    assert (err.value.field, err.value.flaw) == (field, flaw)
    assert not wire.asked


@pytest.mark.parametrize("status", [200, 400, 422])
@pytest.mark.parametrize(
    ("errors", "kind", "text"),
    [
        ("Invalid signature", AuthError, None),
        ({"api_key": "Invalid API-KEY"}, AuthError, None),
        ("payment_method is not available", Rejected, "payment_method is not available"),
        ({"amount": ["Too small"]}, Rejected, "amount: Too small"),
        ("Currency not found", Rejected, "Currency not found"),
        (None, Rejected, "HTTP"),
    ],
)
async def test_reason(
    wire: Wire,
    provider: EGates,
    *,
    status: int,
    errors: Any,
    kind: type[ProviderError],
    text: str | None,
) -> None:
    """A refusal is told in the gateway's words; one of the key is one of the key."""
    envelope = {"success": False, "status": None, "response": None, "errors": errors}
    wire.answer(Answer(envelope, status))
    with pytest.raises(kind) as err:
        await provider.async_create_invoice(ETHER)
    if text:
        assert str(err.value).startswith(text)
    assert len(wire.asked) == 1


@pytest.mark.parametrize(
    "envelope",
    [
        {"success": True},
        {"success": True, "response": None},
        {"success": True, "response": {"status": "PENDING"}},
        {"success": True, "response": {"invoice_id": "1-7", "status": "PENDING"}},
        {"response": {}},
    ],
)
async def test_unreadable(wire: Wire, provider: EGates, envelope: Any) -> None:
    """A success that names no invoice has made one, for all that anybody knows."""
    wire.answer(Answer(envelope))
    with pytest.raises(OutcomeUnknown):
        await provider.async_create_invoice(ETHER)
