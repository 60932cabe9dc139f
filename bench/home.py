"""Home Assistant in this process: config entries, registries and states, no frontend, no HTTP."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any
from unittest.mock import Mock

from homeassistant import bootstrap, loader
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntries,
    ConfigEntry,
)
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from custom_components.crypto_invoices.book.loading import looked_up
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.coordinator import CryptoInvoicesCoordinator
from custom_components.crypto_invoices.providers.model import Invoice, InvoiceStatus
from custom_components.crypto_invoices.reading.schedule import plan_together
from custom_components.crypto_invoices.watching import async_watch
from demo import CHECKOUT

# Neither pushes nor browsers are measured: without them no server is needed.
NOT_NEEDED = {"http", "webhook"}


class Home:
    """A Home Assistant that runs."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Take it as it is."""
        self.hass = hass
        self._numbers = count(1)

    async def add_account(
        self, provider: str, settings: Mapping[str, Any], invoice_ids: Iterable[str]
    ) -> ConfigEntry:
        """Set up an account of ours with invoices."""
        number = next(self._numbers)
        entry: ConfigEntry = ConfigEntry(
            version=1,
            minor_version=1,
            domain=DOMAIN,
            title=f"Account {number}",
            data={
                "provider": provider,
                "webhook_id": f"hook-{number}",
                "invoices": [looked_up(invoice(id_)) for id_ in invoice_ids],
                **settings,
            },
            options={},
            source=SOURCE_USER,
            unique_id=f"account-{number}",
            discovery_keys=MappingProxyType({}),
            subentries_data=[],
        )
        await self.hass.config_entries.async_add(entry)
        await self.hass.async_block_till_done(wait_background_tasks=True)
        if not hasattr(entry, "runtime_data"):
            raise RuntimeError(f"the account was not set up: {entry.state} {entry.reason}")
        return entry

    async def add_invoices(self, entry: ConfigEntry, invoice_ids: Iterable[str]) -> None:
        """Add invoices to an account, as its dialog does."""
        coordinator: CryptoInvoicesCoordinator = entry.runtime_data.coordinator
        await async_watch(coordinator, [invoice(id_) for id_ in invoice_ids])

    async def add_rest(self, resources: list[dict[str, Any]]) -> list[Any]:
        """Set up the core `rest` integration; return its coordinators."""
        if not await async_setup_component(self.hass, "rest", {"rest": resources}):
            raise RuntimeError("rest was not set up")
        await self.hass.async_block_till_done()
        sensors = sum(len(resource["sensor"]) for resource in resources)
        if (
            read := len([s for s in self.hass.states.async_all("sensor") if s.state == "created"])
        ) < sensors:
            raise RuntimeError(f"rest reads {read} of {sensors} invoices")
        return [*self.hass.data["rest"]["coordinator"]]

    async def write_out(self) -> None:
        """Write now what would be written later, in the middle of a measurement."""
        self.hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
        await self.hass.async_block_till_done()


def invoice(invoice_id: str) -> Invoice:
    """Return an invoice as a dialog looks it up."""
    return Invoice(id=invoice_id, status=InvoiceStatus.PENDING, provider_status="created")


def make_due(coordinator: CryptoInvoicesCoordinator) -> None:
    """Make the next refresh one of every invoice, in batches as they are read again and again."""
    now = coordinator.clocks.monotonic()
    plan_together(
        list(coordinator.data.values()), now, 0, coordinator.provider.batch_size, Random(1)
    )


def lift_budget(coordinator: CryptoInvoicesCoordinator) -> None:
    """Let nothing but the requests themselves take time."""
    coordinator.provider.budget.per_minute = 10**9


@asynccontextmanager
async def running() -> AsyncGenerator[Home]:
    """Start a Home Assistant with nothing in it, and stop it at the end."""
    with TemporaryDirectory(prefix="bench-") as folder:
        (Path(folder) / "custom_components").symlink_to(
            CHECKOUT / "custom_components", target_is_directory=True
        )
        hass = HomeAssistant(folder)
        loader.async_setup(hass)
        hass.config_entries = ConfigEntries(hass, {})
        await hass.config.async_set_time_zone("UTC")
        dt_util.set_default_time_zone(dt_util.UTC)
        await bootstrap.async_load_base_functionality(hass)
        hass.config.components.update(NOT_NEEDED)
        # Where images would be fetched from.
        hass.http = Mock()
        # Home Assistant's own client resolves names with it.
        await async_setup_component(hass, "network", {})
        hass.set_state(CoreState.running)
        try:
            yield Home(hass)
        finally:
            await hass.async_block_till_done()
            await hass.async_stop(force=True)
