"""A home with automations that are saved, switched and renamed while invoices are paid."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from itertools import repeat
from typing import Any, NamedTuple

from homeassistant.components.automation.const import DOMAIN as AUTOMATION
from homeassistant.config import async_hass_config_yaml
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import save_yaml
import pytest
from pytest_homeassistant_custom_component.common import (
    MockModule,
    MockPlatform,
    mock_integration,
    mock_platform,
)

from tests.conftest import AddAccount, SandboxServer, async_settle, pass_time

PAID = {"trigger": "crypto_invoices.paid"}
# An action that takes until the test lets it end.
LONG = {"action": "test.long"}
# A trigger that arms only when the test lets it, as one of a slow integration.
SLOW = {"trigger": "slow"}


class Heard(NamedTuple):
    """A run that has reported."""

    order: str
    attempt: int
    id: str
    trigger: str


class Home:
    """Automations in their file, and invoices that can be paid."""

    def __init__(self, hass: HomeAssistant, sandbox: SandboxServer, entry: ConfigEntry) -> None:
        """Begin with no automation."""
        self.hass = hass
        self.entry = entry
        self.sandbox = sandbox
        self.may_end = asyncio.Event()
        """Lets the long actions end."""
        self.may_arm = asyncio.Event()
        """Lets slow triggers arm."""
        self.begun = 0
        """How many long actions have begun."""
        self._heard: list[tuple[str, Heard]] = []
        self.automations: dict[str, dict[str, Any]] = {}
        self._orders = iter(entry.runtime_data.book.records)
        self._saves = 0
        self._under_way: list[asyncio.Future[None]] = []

    async def async_setup(self) -> None:
        """Set up what the automations run, and the automations."""
        await self.hass.async_add_executor_job(self._write)
        mock_integration(self.hass, MockModule("slow"))
        mock_platform(self.hass, "slow.trigger", _SlowTrigger(self.may_arm))
        self.hass.services.async_register("test", "report", self._report)
        self.hass.services.async_register("test", "long", self._take_long)
        config = await async_hass_config_yaml(self.hass)
        assert await async_setup_component(self.hass, AUTOMATION, config)

    async def _report(self, call: ServiceCall) -> None:
        data = call.data
        heard = Heard(data["order"], data["attempt"], data["id"], str(data["trigger"]))
        self._heard.append((data["automation"], heard))

    async def _take_long(self, call: ServiceCall) -> None:
        self.begun += 1
        await self.may_end.wait()

    def _write(self) -> None:
        save_yaml(
            self.hass.config.path("configuration.yaml"),
            {AUTOMATION: list(self.automations.values())},
        )

    async def save(self, key: str, *actions: dict[str, Any], **changes: Any) -> None:
        """Create an automation, or save it with a change, as the editor does."""
        self.add(key, *actions, **changes)
        await self.reload(id=key)

    def add(self, key: str, *actions: dict[str, Any], **changes: Any) -> None:
        """Write an automation into the file, or change it there."""
        self._saves += 1
        before = self.automations.get(key) or {
            "id": key,
            "alias": key,
            "triggers": [PAID],
            "actions": [reporting(key)],
            "mode": "parallel",
            "max": 1000,
        }
        changed = {**before, **changes, "description": f"Save {self._saves}"}
        if actions:
            changed["actions"] = list(actions)
        self.automations[key] = changed

    async def reload(self, **data: Any) -> None:
        """Reload the automations from their file."""
        await self.hass.async_add_executor_job(self._write)
        await self.hass.services.async_call(AUTOMATION, "reload", data, blocking=True)

    async def change_all(self) -> None:
        """Write all automations with a change by hand, and reload them."""
        self._saves += 1
        for automation in self.automations.values():
            automation["description"] = f"Save {self._saves}"
        await self.reload()

    async def begin(self, key: str, step: Coroutine[Any, Any, None]) -> None:
        """Begin a step in which an automation is not armed again before it may."""
        entity_id = self.entity_id(key)
        self._under_way.append(asyncio.ensure_future(step))
        async with asyncio.timeout(30):
            for _ in repeat(None):
                await asyncio.sleep(0)
                if not self.hass.states.is_state(entity_id, "on"):
                    return

    async def begin_to_save(self, key: str, **changes: Any) -> None:
        """Begin to save an automation, up to where it is being armed."""
        await self.begin(key, self.save(key, **changes))

    def entity_id(self, key: str) -> str:
        """Return what the automation is called."""
        found = er.async_get(self.hass).async_get_entity_id(AUTOMATION, AUTOMATION, key)
        assert found, key
        return found

    async def switch(self, key: str, *, on: bool, **data: Any) -> None:
        """Switch an automation on or off."""
        await self.hass.services.async_call(
            AUTOMATION,
            "turn_on" if on else "turn_off",
            {"entity_id": self.entity_id(key), **data},
            blocking=True,
        )

    async def delete(self, key: str) -> None:
        """Delete an automation as the editor does."""
        del self.automations[key]
        await self.hass.async_add_executor_job(self._write)
        er.async_get(self.hass).async_remove(self.entity_id(key))
        await turns()

    async def drop(self, key: str) -> None:
        """Take an automation out of the file by hand, and reload."""
        del self.automations[key]
        await self.reload()

    async def rename(self, key: str, name: str) -> None:
        """Change the entity ID of an automation."""
        er.async_get(self.hass).async_update_entity(
            self.entity_id(key), new_entity_id=f"{AUTOMATION}.{name}"
        )
        await turns()

    async def pay(self, number: int = 1) -> list[str]:
        """Let the next invoices be paid and read; return their order IDs."""
        return await self.pay_these([next(self._orders) for _ in range(number)])

    async def pay_these(self, ids: list[str]) -> list[str]:
        """Let invoices be paid and read; return their order IDs."""
        for invoice_id in ids:
            self.sandbox.store.act("cryptocloud", invoice_id, "pay")
        coordinator = self.entry.runtime_data.coordinator
        for one in coordinator.data.values():
            one.plan(coordinator.clocks.monotonic())
        await coordinator.async_refresh()
        await turns()
        return [self.order(invoice_id) for invoice_id in ids]

    def order(self, invoice_id: str) -> str:
        """Return the order ID of an invoice."""
        return str(self.entry.runtime_data.book.records[invoice_id].order_id)

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        pass_time(self.hass, seconds)
        await turns()

    async def rest(self) -> None:
        """Let everything end."""
        self.may_end.set()
        self.may_arm.set()
        await asyncio.gather(*self._under_way)
        await turns()
        for _ in range(3):
            await self.wait(31)
        await async_settle(self.hass)

    def heard(self, key: str = "a") -> list[tuple[str, int]]:
        """Return which orders an automation has heard of, at which attempt."""
        return [(heard.order, heard.attempt) for name, heard in self._heard if name == key]

    def orders(self, key: str = "a") -> list[str]:
        """Return which orders an automation has heard of."""
        return [order for order, _ in self.heard(key)]

    def runs(self, key: str = "a") -> list[Heard]:
        """Return what an automation has reported."""
        return [heard for name, heard in self._heard if name == key]

    @property
    def unannounced(self) -> int:
        """How much would be announced after a restart."""
        if self.entry.state is not ConfigEntryState.LOADED:
            return 0
        return len(self.entry.runtime_data.book.unannounced)


def reporting(key: str) -> dict[str, Any]:
    """Return the action that reports a run."""
    return {
        "action": "test.report",
        "data": {
            "automation": key,
            "order": "{{ trigger.order_id }}",
            "attempt": "{{ trigger.attempt }}",
            "id": "{{ trigger.announcement_id }}",
            "trigger": "{{ trigger.id }}",
        },
    }


class _SlowTrigger(MockPlatform):
    """Arms only when it may."""

    def __init__(self, may_arm: asyncio.Event) -> None:
        super().__init__()
        self._may_arm = may_arm

    async def async_validate_trigger_config(self, hass: HomeAssistant, config: Any) -> Any:
        return config

    async def async_attach_trigger(self, hass: HomeAssistant, *_: Any) -> Callable[[], None]:
        await self._may_arm.wait()
        return lambda: None


async def turns(number: int = 200) -> None:
    """Let whatever is ready to run have its turns of the loop."""
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.fixture
def number_of_invoices() -> int:
    """Return how many can be paid."""
    return 12


@pytest.fixture
async def home(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, number_of_invoices: int
) -> AsyncGenerator[Home]:
    """Return a home with an account."""
    invoices = [
        sandbox.store.create("cryptocloud", order_id=f"HA-{number}")
        for number in range(number_of_invoices)
    ]
    entry = await add_account("cryptocloud", *(invoice.id for invoice in invoices))
    home = Home(hass, sandbox, entry)
    await home.async_setup()
    yield home
    home.may_end.set()
    home.may_arm.set()
