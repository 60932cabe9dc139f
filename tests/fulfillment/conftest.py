"""A shop whose account keeps what is to be fulfilled."""

from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.todo.const import DOMAIN as TODO
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.crypto_invoices.const import CONF_TO_FULFILL, DOMAIN
from tests.conftest import async_settle, pass_time
from tests.delivery.conftest import Home, home, number_of_invoices, turns

__all__ = ["home", "number_of_invoices"]

REPEATED = {"trigger": "crypto_invoices.paid", "options": {"repeat": True}}
# At the end of an automation.
FULFILL = {
    "action": "crypto_invoices.fulfill",
    "data": {"announcement_id": "{{ trigger.announcement_id }}"},
}


class Shop:
    """A home with an account that keeps what is to be fulfilled."""

    def __init__(self, home: Home, freezer: FrozenDateTimeFactory) -> None:
        """Begin with nothing owed."""
        self.home = home
        self._freezer = freezer
        self.hass: HomeAssistant = home.hass
        self.entry = home.entry

    async def switch(self, **options: Any) -> None:
        """Change options of the account."""
        options = {**self.entry.options, **options}
        self.hass.config_entries.async_update_entry(self.entry, options=options)
        await turns()

    def entity_id(self, platform: str) -> str | None:
        """Return what the list is called, or the sensor."""
        unique_id = f"{self.entry.entry_id}_to_fulfill"
        return er.async_get(self.hass).async_get_entity_id(platform, DOMAIN, unique_id)

    async def items(self, *statuses: str) -> dict[str, dict[str, Any]]:
        """Return the items of the list by the invoice's ID, as an action has them."""
        entity_id = self.entity_id(TODO)
        answer: Any = await self.hass.services.async_call(
            TODO,
            "get_items",
            {"entity_id": entity_id, "status": [*statuses] or ["needs_action", "completed"]},
            blocking=True,
            return_response=True,
        )
        return {item["uid"]: item for item in answer[entity_id]["items"]}

    async def open(self) -> list[str]:
        """Return the orders that are owed, the oldest first."""
        return [self.home.order(uid) for uid in await self.items("needs_action")]

    async def tick(self, uid: str, *, status: str = "completed") -> None:
        """Tick an item, or take its tick back."""
        await self.hass.services.async_call(
            TODO,
            "update_item",
            {"entity_id": self.entity_id(TODO), "item": uid, "status": status},
            blocking=True,
        )
        await turns()

    async def fulfill(self, **data: str) -> Any:
        """Run the action."""
        answer = await self.hass.services.async_call(
            DOMAIN, "fulfill", data, blocking=True, return_response=True
        )
        await turns()
        return answer

    async def pay(self) -> str:
        """Let the next invoice be paid, and return its ID."""
        [order] = await self.home.pay()
        await self.wait(seconds=1)
        return next(id_ for id_ in self.records if self.home.order(id_) == order)

    async def revert(self, invoice_id: str) -> None:
        """Let a payment be taken back, and be believed to be."""
        self.home.sandbox.store.act("cryptocloud", invoice_id, "revert")
        for seconds in (0, 130, 130):
            await self.wait(seconds=seconds)
            await self.home.pay_these([])

    async def wait(self, **time: float) -> None:
        """Let time pass, with everything that is due meanwhile: at the end of it."""
        passed = timedelta(**time)
        # Timers are asked how far that is from now: the calendar is turned after that.
        pass_time(self.hass, passed.total_seconds())
        self._freezer.tick(passed)
        await turns()
        if self.entry.state is ConfigEntryState.LOADED:
            # Whoever waits for the disk, in a thread, goes on before more time passes.
            await self.entry.runtime_data.book.async_commit()
            await turns()

    async def reload(self) -> None:
        """Reload the account."""
        await self.hass.config_entries.async_reload(self.entry.entry_id)
        await async_settle(self.hass)
        await turns()

    @property
    def records(self) -> dict[str, Any]:
        """The records of the account."""
        records: dict[str, Any] = self.entry.runtime_data.book.records
        return records


@pytest.fixture
def plain_shop(home: Home, freezer: FrozenDateTimeFactory) -> Shop:
    """Return a shop that doesn't keep what is to be fulfilled."""
    return Shop(home, freezer)


@pytest.fixture
async def shop(plain_shop: Shop) -> Shop:
    """Return a shop that keeps what is to be fulfilled."""
    shop = plain_shop
    await shop.switch(**{CONF_TO_FULFILL: True})
    return shop
