"""The words every provider speaks in, and that none of them knows Home Assistant."""

import ast
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields
from decimal import Decimal
import importlib
import importlib.util
from pathlib import Path
import sys
from typing import Any

import pytest

from custom_components.crypto_invoices import providers
from custom_components.crypto_invoices.providers.capabilities import (
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
)
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
from custom_components.crypto_invoices.providers.new_invoice import InvalidField

PACKAGE = Path(providers.__file__).parent


@pytest.mark.parametrize(
    ("status", "described"),
    [
        ("pending", "open"),
        ("processing", "open"),
        ("partially_paid", "open"),
        ("unknown", "open"),
        ("paid", "paid"),
        ("overpaid", "paid"),
        ("underpaid", "final"),
        ("expired", "final"),
        ("canceled", "final"),
        ("failed", "final"),
        ("refunded", "final"),
    ],
)
def test_status(status: str, described: str) -> None:
    """Paid is at least what was asked for; open is what may still change by itself."""
    assert InvoiceStatus(status).is_open is (described == "open")
    assert InvoiceStatus(status).is_paid is (described == "paid")
    assert f"{InvoiceStatus(status)}" == status


def test_statuses() -> None:
    """There are these eleven: automations are written against them."""
    assert len(InvoiceStatus) == 11


def invoice(**changes: Any) -> Invoice:
    """Return an invoice."""
    values = {"id": "1", "status": InvoiceStatus.PENDING, "provider_status": "created", **changes}
    return Invoice(**values)


def test_what_is_not_told_is_none() -> None:
    """Beyond ID and status nothing is assumed: no zero, no guess."""
    told = {"id", "status", "provider_status", "local_times", "is_final"}
    assert {field.name for field in fields(Invoice)} > told
    assert all(
        getattr(invoice(), field.name) is None
        for field in fields(Invoice)
        if field.name not in told
    )
    assert not invoice().local_times
    assert not invoice().is_final


def test_unchanged_is_equal() -> None:
    """Two readings that say the same are equal, so that nothing is published anew."""
    assert invoice(amount=Decimal("25.0")) == invoice(amount=Decimal(25))
    assert invoice(local_times={"created_at": "x"}) == invoice(local_times={"created_at": "x"})
    assert invoice(amount=Decimal("25.1")) != invoice(amount=Decimal(25))
    assert invoice(local_times={"created_at": "x"}) != invoice()


def test_frozen() -> None:
    """A reading can't be changed by whoever gets it."""
    frozen: Any = invoice()
    with pytest.raises(FrozenInstanceError):
        frozen.status = InvoiceStatus.PAID
    with pytest.raises(TypeError):
        frozen.local_times["created_at"] = "x"
    account: Any = Account(unique_id="1", title="One")
    with pytest.raises(FrozenInstanceError):
        account.title = "Two"
    assert not hasattr(invoice(), "__dict__")


def test_named() -> None:
    """What is given by its place could end up in another field."""
    by_place: Any = Invoice
    with pytest.raises(TypeError):
        by_place("1", InvoiceStatus.PAID, "paid")


def test_errors() -> None:
    """There are five errors in reading and four in doing, and one word for all of them."""
    reading = {AuthError, BadResponse, InvoiceNotFound, ProviderUnavailable, RateLimited}
    doing = {InvalidField, OutcomeUnknown, PermissionMissing, Rejected}
    assert set(ProviderError.__subclasses__()) == reading | doing


@pytest.mark.parametrize("reason", UnavailableReason)
def test_unavailable(reason: UnavailableReason) -> None:
    """Why a provider can't be reached is kept, with the wait it asks for."""
    assert str(ProviderUnavailable(reason)) == reason.value
    assert ProviderUnavailable(reason).retry_after is None
    error = ProviderUnavailable(reason, "HTTP 503", 30)
    assert (error.reason, str(error), error.retry_after) == (reason, "HTTP 503", 30)


def test_rate_limited() -> None:
    """A wait of nothing is not the same as no wait told."""
    assert RateLimited().retry_after is None
    assert RateLimited(0).retry_after == 0


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, at its top or deep inside."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.glob("**/*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_import_of_home_assistant(path: Path) -> None:
    """Providers need the standard library, a few packages and one another."""
    allowed = sys.stdlib_module_names | {"aiohttp", "jwt", "orjson", "yarl", ""}
    found = set(imports(path))
    assert {name.partition(".")[0] for name in found} <= allowed
    # More dots than there are folders lead out of the package.
    depth = len(path.relative_to(PACKAGE).parts)
    assert not any(name.startswith("." * (depth + 1)) for name in found)


def test_usable_without_home_assistant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no Home Assistant, the providers work all the same."""
    for name in [*sys.modules, "homeassistant"]:
        if name.partition(".")[0] in ("homeassistant", "custom_components"):
            monkeypatch.setitem(sys.modules, name, None)
    spec = importlib.util.spec_from_file_location(
        "providers_alone", PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
    )
    assert spec
    assert spec.loader
    alone = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    monkeypatch.setitem(sys.modules, spec.name, alone)
    try:
        spec.loader.exec_module(alone)
        assert set(alone.PROVIDERS) == set(providers.PROVIDERS)
        assert alone.PROVIDERS["cryptocloud"] is not providers.PROVIDERS["cryptocloud"]
        assert alone.PROVIDERS["cryptocloud"].parse_invoice_id("ab12cd34") == "INV-AB12CD34"
        for path in PACKAGE.glob("[!_]*.py"):
            assert importlib.import_module(f"{spec.name}.{path.stem}")
    finally:
        for name in set(sys.modules) - before - {spec.name}:
            del sys.modules[name]
