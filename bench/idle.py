"""What goes by itself: an hour of many invoices, and a month's requests."""

from datetime import datetime, timedelta
from functools import partial
import gc
from statistics import mean, median
import time
from unittest.mock import patch

from homeassistant.util import dt as dt_util

from custom_components.crypto_invoices.coordinator import CryptoInvoicesCoordinator
from custom_components.crypto_invoices.reading.schedule import next_due

from .figure import BATCHED, Figure
from .home import lift_budget, running
from .measure import cpu_seconds
from .month import HOUR, rest_requests_per_hour, simulate
from .workbench import MILLI, Bench, Figures, refresh_ours


class SimulatedTime:
    """Clocks that go as fast as somebody turns them."""

    def __init__(self) -> None:
        """Begin now."""
        self.passed = 0.0

    def monotonic(self) -> float:
        """Return the seconds."""
        return time.monotonic() + self.passed

    def utcnow(self) -> datetime:
        """Return the time of day."""
        return datetime.now(dt_util.UTC) + timedelta(seconds=self.passed)


async def _cpu_of_an_hour(bench: Bench, tracked: int, hours: int) -> float:
    """Return the CPU of an hour of an account of which most invoices are final."""
    ids = await bench.invoices("cryptocloud", tracked)
    await bench.act("cryptocloud", ids[bench.sizes.open :], "pay")
    clock = SimulatedTime()
    package = "custom_components.crypto_invoices"
    async with running() as home:
        with (
            patch(f"{package}.account.monotonic", clock.monotonic),
            patch(f"{package}.clients.monotonic", clock.monotonic),
            patch.object(dt_util, "utcnow", clock.utcnow),
        ):
            entry = await home.add_account("cryptocloud", bench.settings("cryptocloud"), ids)
            coordinator: CryptoInvoicesCoordinator = entry.runtime_data.coordinator
            lift_budget(coordinator)
            refresh = refresh_ours(home, coordinator)

            async def let_pass(seconds: float) -> None:
                end = clock.passed + seconds
                while (due := next_due(coordinator.intake.planned)) is not None:
                    wait = max(1.0, due - clock.monotonic())
                    if clock.passed + wait >= end:
                        break
                    clock.passed += wait
                    await refresh()
                clock.passed = max(clock.passed, end)

            # The last looks at what is paid are over then, and what is open is not young.
            await let_pass(1.5 * HOUR)
            await home.write_out()
            taken = []
            for _ in range(hours):
                gc.collect()
                taken.append(await cpu_seconds(partial(let_pass, HOUR)))
            return median(taken)


async def hours(bench: Bench) -> Figures:
    """What many tracked invoices cost when few of them are open."""
    sizes = bench.sizes
    times = 4 if sizes.times > 5 else 1
    few = await _cpu_of_an_hour(bench, sizes.open, times)
    many = await _cpu_of_an_hour(bench, sizes.tracked, times)
    yield Figure(
        key="hour",
        title=f"CPU per hour with {sizes.tracked:,} tracked, {sizes.open} open",
        unit="ms",
        ours=many * MILLI,
        others={f"{sizes.open} tracked": few * MILLI},
        goals={f"{sizes.open} tracked": 1.2},
    )


async def months(bench: Bench) -> Figures:
    """How many requests a month makes."""
    outcome = simulate(bench.session, 1_000, bench.sizes.days)
    yield Figure(
        key="requests",
        title="requests per hour, 1,000 invoices tracked in a shop's month",
        unit="",
        ours=outcome.requests / (bench.sizes.days * 24),
        others={BATCHED: rest_requests_per_hour(outcome)},
        goals={BATCHED: 1 / 20},
        notes={
            "tracked": mean(outcome.tracked),
            "open": mean(outcome.open),
            "looks per hour": outcome.looks / (bench.sizes.days * 24),
            "seconds until a payment of a young invoice is seen, mean": mean(outcome.waits),
            "the same, longest": max(outcome.waits),
            "the same, mean of rest": 15.0,
        },
    )
    # A list every half a minute is the same on every day.
    days = min(bench.sizes.days, 3.0)
    outcome = simulate(bench.session, 1_000, days, is_auto_watched=True)
    yield Figure(
        key="requests_auto_watch",
        title="requests per hour of such a month, watched automatically",
        unit="",
        ours=outcome.requests / (days * 24),
        others={BATCHED: rest_requests_per_hour(outcome, is_listing=True)},
        goals={BATCHED: 1 / 6},
        notes={
            "for the list": outcome.lists / (days * 24),
            "seconds until a payment of a young invoice is seen, mean": mean(outcome.waits),
            "the same, longest": max(outcome.waits),
        },
    )
