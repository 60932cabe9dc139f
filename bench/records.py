"""What records cost that are over: with each payment, and at a start."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
import re
from statistics import median
from uuid import uuid4

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from custom_components.crypto_invoices.book.contents import Changes
from custom_components.crypto_invoices.book.loading import book_storage
from custom_components.crypto_invoices.book.record import Money, Record
from custom_components.crypto_invoices.coordinator import CryptoInvoicesCoordinator
from custom_components.crypto_invoices.providers.model import InvoiceStatus

from .figure import FEWER, LIMIT, Figure
from .home import Home, make_due, running
from .measure import Action, cpu_seconds, in_turn, longest_stall
from .workbench import MILLI, Bench, Figures, refresh_ours

KIBI = 1024
MOST_WRITTEN = 32 * KIBI
LONGEST_STALL = 50.0
PAYMENTS = 10


def over(number: int) -> Iterable[Record]:
    """Make records of invoices that were paid, and have no device any more."""
    for _ in range(number):
        yield Record(
            id=f"INV-{uuid4().hex[:8].upper()}",
            order_id="Two tickets",
            has_device=False,
            asked=Money(Decimal("24.90"), "USD"),
            status=InvoiceStatus.PAID,
            announced=InvoiceStatus.PAID,
            received=Money(Decimal("24.90"), "USD"),
            created_at=datetime(2026, 10, 1, tzinfo=UTC),
            ended_at=datetime(2026, 10, 2, tzinfo=UTC),
            is_over=True,
        )


def _fill(hass: HomeAssistant, entry: ConfigEntry, number: int) -> None:
    """Write more records into the book of an account that isn't loaded."""
    storage = book_storage(hass, entry.entry_id)
    storage.open(must_exist=True, paid_since=datetime.now(UTC))
    storage.write(Changes(records=list(over(number))))
    storage.close()


async def _add_account(bench: Bench, home: Home, records: int) -> ConfigEntry:
    """Set up an account with so many records, some of which are open."""
    ids = await bench.invoices("cryptocloud", bench.sizes.open)
    entry = await home.add_account("cryptocloud", bench.settings("cryptocloud"), ids)
    await home.hass.config_entries.async_unload(entry.entry_id)
    await home.hass.async_add_executor_job(_fill, home.hass, entry, records - bench.sizes.open)
    await _start(home, entry)()
    return entry


def _start(home: Home, entry: ConfigEntry) -> Action:
    """Return the start of an account, with its first reading."""

    async def start() -> None:
        await home.hass.config_entries.async_setup(entry.entry_id)
        await home.hass.async_block_till_done(wait_background_tasks=True)

    return start


async def records(bench: Bench) -> Figures:
    """What many records cost when few of them are open."""
    few, many = bench.sizes.open, bench.sizes.tracked
    async with running() as small, running() as large:
        entries = {
            small: await _add_account(bench, small, few),
            large: await _add_account(bench, large, many),
        }
        written = [await _written(bench, home, entry) for home, entry in entries.items()]
        yield Figure(
            key="written",
            title=f"written to the disk per payment with {many:,} records",
            unit="KiB",
            ours=written[1] / KIBI,
            others={LIMIT: MOST_WRITTEN / KIBI, FEWER: written[0] / KIBI},
            goals={LIMIT: 1, FEWER: 1.1},
        )
        starts = {
            name: _start(home, entry)
            for name, (home, entry) in zip((FEWER, "ours"), entries.items(), strict=True)
        }

        async def unload() -> None:
            for home, entry in entries.items():
                if entry.state.recoverable:
                    await home.hass.config_entries.async_unload(entry.entry_id)
                    await home.hass.async_block_till_done()

        async def cpu(action: Action) -> float:
            await unload()
            return await cpu_seconds(action)

        async def stall(action: Action) -> float:
            await unload()
            return await longest_stall(action)

        seconds = await in_turn(bench.sizes.times, starts, cpu)
        yield Figure(
            key="start",
            title=f"CPU of a start with {many:,} records, {few} open",
            unit="ms",
            ours=seconds["ours"] * MILLI,
            others={FEWER: seconds[FEWER] * MILLI},
            goals={FEWER: 1.2},
        )
        stalls = await in_turn(bench.sizes.rest_times, starts, stall)
        yield Figure(
            key="start_stall",
            title="longest stall of it",
            unit="ms",
            ours=stalls["ours"] * MILLI,
            others={LIMIT: LONGEST_STALL, FEWER: stalls[FEWER] * MILLI},
            goals={LIMIT: 1},
        )


async def _written(bench: Bench, home: Home, entry: ConfigEntry) -> float:
    """Return how much is written for a payment, until it is announced."""
    coordinator: CryptoInvoicesCoordinator = entry.runtime_data.coordinator
    refresh = refresh_ours(home, coordinator)
    taken = []
    for invoice_id in list(coordinator.data)[:PAYMENTS]:
        await bench.act("cryptocloud", [invoice_id], "pay")
        await home.write_out()
        make_due(coordinator)
        before = _bytes_written()
        await refresh()
        taken.append(_bytes_written() - before)
    return median(taken)


def _bytes_written() -> int:
    """Return how much this process has written to files so far."""
    found = re.search(r"^wchar: (\d+)$", Path("/proc/self/io").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
