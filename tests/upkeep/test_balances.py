"""What an account holds: shown as far as it is known, and never given up."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.homeassistant.const import DOMAIN as HOMEASSISTANT
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest

from custom_components.crypto_invoices.providers.capabilities import PermissionMissing
from custom_components.crypto_invoices.providers.model import (
    Balance,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnavailableReason,
)
from tests.conftest import account_state, async_settle, async_until

from .shop import Orders, Shop, async_open_shop, async_pass

HOUR = 60 * 60


class Till:
    """What is in the till, and who may look into it."""

    def __init__(self) -> None:
        """Begin with some francs, which anybody may see."""
        self.trouble: ProviderError | None = None
        self.waiting: asyncio.Event | None = None
        self.looks = 0

    async def async_look(self, _: Shop) -> Sequence[Balance]:
        """Return what is in it."""
        self.looks += 1
        if self.waiting is not None:
            await self.waiting.wait()
        if self.trouble is not None:
            raise self.trouble
        return [Balance(amount=Decimal(100), currency="CHF")]


@pytest.fixture
def till(monkeypatch: pytest.MonkeyPatch, orders: Orders) -> Till:
    """Let the shop say what it holds."""
    till = Till()

    async def async_get_balances(self: Shop) -> Sequence[Balance]:
        return await till.async_look(self)

    monkeypatch.setattr(Shop, "async_get_balances", async_get_balances, raising=False)
    return till


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        (PermissionMissing("see_balance"), 200),
        (ProviderUnavailable(UnavailableReason.TIMEOUT), 200),
        (RateLimited(900), 1000),
    ],
)
async def test_refused_once(
    hass: HomeAssistant,
    till: Till,
    freezer: FrozenDateTimeFactory,
    trouble: ProviderError,
    seconds: float,
) -> None:
    """One answer isn't the last word; as long as the provider says, it is not asked again."""
    entry = await async_open_shop(hass, on=False)
    assert account_state(hass, entry, "balance_CHF").state == "100"
    till.trouble = trouble
    await async_pass(hass, freezer, HOUR - 60, step=600)
    await async_pass(hass, freezer, 90, step=30)
    assert account_state(hass, entry, "balance_CHF").state == "unavailable"
    till.trouble, looks = None, till.looks
    await async_pass(hass, freezer, seconds / 4, step=1)
    await entry.runtime_data.balances.async_request_refresh()
    assert till.looks == looks or seconds < 900
    await async_pass(hass, freezer, seconds)
    assert account_state(hass, entry, "balance_CHF").state == "100"


async def test_who_asks_leaves(hass: HomeAssistant, till: Till) -> None:
    """A script that is stopped while it waits for the balance makes nothing unavailable."""
    assert await async_setup_component(hass, HOMEASSISTANT, {})
    entry = await async_open_shop(hass, on=False)
    balances, looks = entry.runtime_data.balances, till.looks
    till.waiting = asyncio.Event()
    script = hass.async_create_task(
        hass.services.async_call(
            HOMEASSISTANT,
            "update_entity",
            {"entity_id": account_state(hass, entry, "balance_CHF").entity_id},
            blocking=True,
        )
    )
    await async_until(lambda: till.looks > looks)
    script.cancel()
    await asyncio.wait((script,))
    assert balances.last_update_success
    till.waiting.set()
    await async_settle(hass)
    assert balances.last_update_success
