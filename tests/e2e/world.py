"""A Home Assistant and a sandbox, and how a user sets up accounts."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
import sqlite3
from time import monotonic

from demo import DOMAIN, DemoError
from demo.accounts import add_account, add_invoices, find_entities
from demo.client import Client
from demo.home_assistant import RealHomeAssistant
from demo.sandbox import Sandbox, SandboxInvoice, SandboxProvider
from demo.server import free_ports

from .reporting import rest_command
from .story import Dice, Stage

PATIENCE = 30


@dataclass(frozen=True, slots=True)
class World:
    """What a story plays with."""

    sandbox: Sandbox
    hass: RealHomeAssistant


@asynccontextmanager
async def world(
    stage: Stage, *, demo_invoices: bool = False, rest_commands: str = "", more: str = ""
) -> AsyncGenerator[World]:
    """Start a sandbox, which may have invoices, and a Home Assistant that can report to it.

    It may have more REST commands and more configuration, as YAML.
    """
    hass_port, sandbox_port = free_ports(2)
    sandbox = Sandbox(sandbox_port, stage.folder / "sandbox.log", demo_invoices=demo_invoices)
    hass = RealHomeAssistant(
        stage.folder / "config",
        hass_port,
        more=rest_command(sandbox.url) + rest_commands + more,
    )
    async with sandbox, hass:
        yield World(sandbox, hass)


async def until(true: Callable[[], Awaitable[bool]], patience: float = PATIENCE) -> bool:
    """Ask until it is true or patience ends; return which."""
    deadline = monotonic() + patience
    while monotonic() < deadline:
        if await true():
            return True
        await asyncio.sleep(0.02)
    return False


async def make_invoices(
    sandbox: Sandbox, dice: Dice, provider: str, number: int
) -> list[SandboxInvoice]:
    """Make invoices over different amounts."""
    amounts = [Decimal(dice.randint(100, 99_999)) / 100 for _ in range(number)]
    return [
        invoice
        for amount in amounts
        for invoice in await sandbox.create(provider, amount=str(amount))
    ]


async def track_in_two_steps(
    running: World, client: Client, key: str, invoices: Sequence[SandboxInvoice]
) -> str:
    """Add an account with half of the invoices, then the others; return the entry's id."""
    half = len(invoices) // 2
    provider = await provider_with(running.sandbox, key, invoices[:half])
    account = await add_account(client, provider, running.sandbox.url)
    await add_invoices(client, account.entry_id, (invoice.id for invoice in invoices[half:]))
    await wait_until_there(running, client, account.entry_id, key, invoices)
    return account.entry_id


async def wait_until_there(
    running: World, client: Client, entry_id: str, key: str, invoices: Sequence[SandboxInvoice]
) -> None:
    """Wait until invoices that were added to an account have their entities."""
    provider = await provider_with(running.sandbox, key, invoices)

    async def all_are_there() -> bool:
        try:
            return bool(await find_entities(client, entry_id, provider))
        except DemoError:
            return False

    if not await until(all_are_there):
        await find_entities(client, entry_id, provider)


async def provider_with(
    sandbox: Sandbox, key: str, invoices: Sequence[SandboxInvoice], *, pushing: bool = False
) -> SandboxProvider:
    """Return a provider as if it had only these invoices; pushing, its pushes are believed."""
    found = next(provider for provider in await sandbox.providers() if provider.key == key)
    credentials = found.credentials | (found.push_credentials if pushing else {})
    return replace(found, credentials=credentials, invoices=tuple(invoices))


async def wait_until_saved(hass: RealHomeAssistant, invoices: int) -> None:
    """Wait until the accounts with their invoices are on the disk: a user's work takes longer."""
    storage = hass.folder / ".storage"

    def count() -> int:
        return sum(_records(book) for book in storage.glob(f"{DOMAIN}.*.db"))

    def entries_are_saved() -> bool:
        file = storage / "core.config_entries"
        return file.exists() and '"invoices":' not in file.read_text()

    async def all_are_saved() -> bool:
        return await asyncio.to_thread(lambda: count() == invoices and entries_are_saved())

    if not await until(all_are_saved):
        raise DemoError(f"{invoices} invoices were not saved within {PATIENCE} seconds")


def _records(book: Path) -> int:
    """Return how many invoices are in an account's book."""
    with closing(sqlite3.connect(f"file:{book}?mode=ro", uri=True)) as database:
        try:
            [[number]] = database.execute("SELECT count(*) FROM records").fetchall()
        except sqlite3.OperationalError:
            # It is being made, or written.
            return 0
        return int(number)
