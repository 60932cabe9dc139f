"""A shop with a list of its orders."""

from collections.abc import Generator
from datetime import timedelta

from homeassistant.core import HomeAssistant
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS
from tests.conftest import Runs, async_automate

from .shop import TRUE_TIME, Orders, Shop


@pytest.fixture
def untranslated() -> set[str]:
    """Its texts are of no interest here."""
    return {Shop.key}


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Generator[Orders]:
    """Return what there is at the shop."""
    monkeypatch.setitem(PROVIDERS, Shop.key, Shop)
    orders = Orders()
    monkeypatch.setattr(Shop, "orders", orders, raising=False)
    yield orders
    TRUE_TIME.error = timedelta(0)


@pytest.fixture
async def runs(hass: HomeAssistant, reports: Runs) -> Runs:
    """Run an automation on any payment, and return what each run was told."""
    told = ("announcement_id", "created_at", "device_id", "invoice_id", "is_late", "paid_at")
    await async_automate(
        hass,
        {
            "mode": "parallel",
            "max": 1000,
            "triggers": {"trigger": "crypto_invoices.paid"},
            "actions": {
                "action": "test.report",
                "data": {name: f"{{{{ trigger.{name} }}}}" for name in told},
            },
        },
    )
    return reports
