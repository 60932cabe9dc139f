"""What every figure is measured with: a sandbox, a session, and how much to measure."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import batched
from typing import Any

from aiohttp import ClientSession, TCPConnector

from custom_components.crypto_invoices.coordinator import CryptoInvoicesCoordinator
from demo.sandbox import Sandbox

from . import peer
from .figure import BATCHED, Figure
from .home import Home
from .measure import Action

MILLI = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much to measure."""

    invoices: int = 1_000
    one_by_one: int = 500
    tracked: int = 10_000
    open: int = 100
    hinted: int = 200
    removed: int = 1_500
    days: float = 30.0
    times: int = 15
    rest_times: int = 3


SHORT = Sizes(
    invoices=50,
    one_by_one=20,
    tracked=200,
    open=20,
    hinted=10,
    removed=60,
    days=1.0,
    times=3,
    rest_times=1,
)

type Figures = AsyncGenerator[Figure]


@dataclass(frozen=True, slots=True)
class Bench:
    """A sandbox, a session for the floor, and how much to measure."""

    sandbox: Sandbox
    session: ClientSession
    sizes: Sizes
    credentials: Mapping[str, dict[str, str]]

    def settings(self, provider: str) -> dict[str, str]:
        """Return what an account of ours needs."""
        return {"url": self.sandbox.url, **self.credentials[provider]}

    async def invoices(self, provider: str, number: int) -> list[str]:
        """Make invoices at a provider."""
        made = await self.sandbox.create(provider, count=number)
        return [invoice.id for invoice in made]

    async def act(self, provider: str, invoice_ids: list[str], action: str) -> None:
        """Do something to invoices, some at a time."""
        for batch in batched(invoice_ids, 50, strict=False):
            paths = (f"/_sandbox/invoices/{provider}/{id_}" for id_ in batch)
            async with asyncio.TaskGroup() as group:
                for path in paths:
                    group.create_task(self._post(path, {"action": action}))

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        async with self.session.post(self.sandbox.url + path, json=body) as response:
            response.raise_for_status()

    def rest(self, invoice_ids: list[str], form: str) -> list[dict[str, Any]]:
        """Return the configuration of `rest` for CryptoCloud invoices."""
        write = peer.in_batches if form == BATCHED else peer.one_by_one
        key = self.credentials["cryptocloud"]["api_key"]
        return write(self.sandbox.url, f"Token {key}", invoice_ids)


@asynccontextmanager
async def ready(sandbox: Sandbox, sizes: Sizes) -> AsyncGenerator[Bench]:
    """Ask the sandbox for its keys."""
    credentials = {row.key: row.credentials for row in await sandbox.providers()}
    async with ClientSession(connector=TCPConnector(limit=0)) as session:
        yield Bench(sandbox, session, sizes, credentials)


def refresh_ours(home: Home, coordinator: CryptoInvoicesCoordinator) -> Action:
    """Return a refresh of all invoices, until all that follows from it is done."""

    async def refresh() -> None:
        await coordinator.async_refresh()
        await home.hass.async_block_till_done(wait_background_tasks=True)

    return refresh
