"""The figures, one function each."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
import gc
from itertools import batched
from statistics import mean, median
import time
from typing import Any
from unittest.mock import patch

from aiohttp import ClientSession, TCPConnector
from homeassistant.config_entries import ConfigEntry
from homeassistant.util import dt as dt_util

from custom_components.crypto_invoices.coordinator import CryptoInvoicesCoordinator
from custom_components.crypto_invoices.providers.budget import Budget
from custom_components.crypto_invoices.providers.cryptocloud import CryptoCloud
from custom_components.crypto_invoices.providers.egates import EGates
from demo.sandbox import Sandbox

from . import floor, peer
from .figure import BATCHED, EACH, FEWER, FLOOR, Figure
from .home import Home, lift_budget, make_due, running
from .measure import Action, bytes_kept, cpu_seconds, in_turn, longest_stall, wall_seconds
from .month import HOUR, rest_requests_per_hour, simulate

MILLI = 1000.0
CHANGED = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much to measure."""

    invoices: int = 1_000
    one_by_one: int = 500
    tracked: int = 10_000
    open: int = 100
    days: float = 30.0
    times: int = 15
    rest_times: int = 3


SHORT = Sizes(invoices=100, one_by_one=40, tracked=400, open=50, days=2.0, times=3, rest_times=1)

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


def refresh_rest(home: Home, coordinators: list[Any]) -> Action:
    """Return a refresh as the timers of `rest` make it: all at once."""

    async def refresh() -> None:
        await asyncio.gather(*(coordinator.async_refresh() for coordinator in coordinators))
        await home.hass.async_block_till_done(wait_background_tasks=True)

    return refresh


def read_floor(bench: Bench, invoice_ids: list[str]) -> Action:
    """Return the floor's reading of CryptoCloud invoices."""
    key = bench.credentials["cryptocloud"]["api_key"]
    return partial(
        floor.read_cryptocloud,
        bench.session,
        bench.sandbox.url,
        key,
        invoice_ids,
        CryptoCloud.concurrency,
    )


def _after(prepare: Callable[[], Any], measured: Callable[[Action], Awaitable[float]]) -> Any:
    """Return a way of measuring that prepares first."""

    async def measure(action: Action) -> float:
        prepare()
        return await measured(action)

    return measure


async def refreshes(bench: Bench) -> Figures:
    """A refresh of many open invoices: unchanged, with some changed, and how long it stalls."""
    size, times = bench.sizes.invoices, bench.sizes.times
    ids = await bench.invoices("cryptocloud", size)
    async with running() as our_home, running() as batched_home, running() as each_home:
        entry = await our_home.add_account("cryptocloud", bench.settings("cryptocloud"), ids)
        ours: CryptoInvoicesCoordinator = entry.runtime_data
        lift_budget(ours)
        homes = (our_home, batched_home, each_home)
        actions = {
            "ours": refresh_ours(our_home, ours),
            FLOOR: read_floor(bench, ids),
            BATCHED: refresh_rest(
                batched_home, await batched_home.add_rest(bench.rest(ids, BATCHED))
            ),
            EACH: refresh_rest(each_home, await each_home.add_rest(bench.rest(ids, EACH))),
        }
        fast = {name: actions[name] for name in ("ours", FLOOR)}
        slow = {name: actions[name] for name in (BATCHED, EACH)}
        for home in homes:
            await home.write_out()

        def prepare() -> None:
            make_due(ours)

        async def measured(how: Callable[[Action], Awaitable[float]]) -> dict[str, float]:
            prepared = _after(prepare, how)
            await in_turn(1, actions, prepared)
            return await in_turn(times, fast, prepared) | await in_turn(
                bench.sizes.rest_times, slow, prepared
            )

        cpu = await measured(cpu_seconds)
        yield Figure(
            key="refresh",
            title=f"CPU of a refresh of {size:,} open invoices, nothing changed",
            unit="ms",
            ours=cpu["ours"] * MILLI,
            others={name: cpu[name] * MILLI for name in (FLOOR, BATCHED, EACH)},
            goals={FLOOR: 2, BATCHED: 1 / 50},
        )
        stall = await measured(longest_stall)
        yield await _changes(bench, ids, ours, {name: actions[name] for name in ("ours", BATCHED)})
        yield Figure(
            key="stall",
            title=f"longest stall of the event loop in a refresh of {size:,}",
            unit="ms",
            ours=stall["ours"] * MILLI,
            others={name: stall[name] * MILLI for name in (FLOOR, BATCHED, EACH)},
            goals={BATCHED: 1 / 50},
        )


async def _changes(
    bench: Bench,
    ids: list[str],
    ours: CryptoInvoicesCoordinator,
    actions: dict[str, Action],
) -> Figure:
    """Pay some invoices of each batch before each refresh, others each time."""
    every = int(1 / CHANGED)
    changed = len(ids) // every
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for some in (ids[begin::every] for begin in range(min(every, 2 * bench.sizes.rest_times))):
        await bench.act("cryptocloud", some, "pay")
        for name, seconds in (
            await in_turn(1, actions, _after(partial(make_due, ours), cpu_seconds))
        ).items():
            taken[name].append(seconds)
    return Figure(
        key="changed",
        title=f"CPU of it with {changed} of the {len(ids):,} just paid",
        unit="ms",
        ours=median(taken["ours"]) * MILLI,
        others={BATCHED: median(taken[BATCHED]) * MILLI},
        goals={BATCHED: 1 / 10},
    )


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
    module = "custom_components.crypto_invoices.coordinator"
    async with running() as home:
        with (
            patch(f"{module}.monotonic", clock.monotonic),
            patch.object(dt_util, "utcnow", clock.utcnow),
        ):
            entry = await home.add_account("cryptocloud", bench.settings("cryptocloud"), ids)
            coordinator: CryptoInvoicesCoordinator = entry.runtime_data
            pace = coordinator._pace
            pace._wall = clock.utcnow
            pace._began = pace._beginning()
            coordinator.provider.budget = Budget(10**9, clock.monotonic)
            refresh = refresh_ours(home, coordinator)

            async def let_pass(seconds: float) -> None:
                end = clock.passed + seconds
                while (wait := pace.seconds_until_due()) is not None and clock.passed + wait < end:
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


async def one_by_one(bench: Bench) -> Figures:
    """Invoices that need a request each."""
    ids = await bench.invoices("egates", bench.sizes.one_by_one)
    async with running() as home:
        entry = await home.add_account("egates", bench.settings("egates"), ids)
        coordinator: CryptoInvoicesCoordinator = entry.runtime_data
        lift_budget(coordinator)
        await home.write_out()

        async def read_floor_one_by_one() -> None:
            await floor.read_egates(
                bench.session,
                bench.sandbox.url,
                bench.credentials["egates"],
                ids,
                EGates.concurrency,
            )

        def prepare() -> None:
            make_due(coordinator)
            coordinator._pace.took(1, 0.0)

        actions = {"ours": refresh_ours(home, coordinator), FLOOR: read_floor_one_by_one}
        await in_turn(1, actions, _after(prepare, wall_seconds))
        wall = await in_turn(max(3, bench.sizes.times // 3), actions, _after(prepare, wall_seconds))
    yield Figure(
        key="one_by_one",
        title=f"wall time of {len(ids)} open E-Gates invoices, one by one",
        unit="ms",
        ours=wall["ours"] * MILLI,
        others={FLOOR: wall[FLOOR] * MILLI},
        goals={FLOOR: 1.2},
    )


async def set_ups(bench: Bench) -> Figures:
    """What it takes to set invoices up, in time and memory."""
    size = bench.sizes.invoices
    ids = await bench.invoices("cryptocloud", size)
    names = ("ours", BATCHED)
    cpu: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(bench.sizes.rest_times):
        for name in names:
            async with running() as home:
                await _set_up(bench, home, name, ids[:5])
            async with running() as home:
                gc.collect()
                cpu[name].append(await cpu_seconds(partial(_set_up, bench, home, name, ids)))
    yield Figure(
        key="set_up",
        title=f"CPU of the set-up of {size:,} invoices with all their entities",
        unit="ms",
        ours=median(cpu["ours"]) * MILLI,
        others={BATCHED: median(cpu[BATCHED]) * MILLI},
        goals={BATCHED: 1 / 2},
    )
    kept: dict[str, float] = {}
    for name in names:
        async with running() as home:
            await home.hass.async_block_till_done()
            kept[name] = await bytes_kept(partial(_set_up, bench, home, name, ids))
    yield Figure(
        key="memory",
        title="memory per tracked invoice, all entities",
        unit="KiB",
        ours=kept["ours"] / size / 1024,
        others={BATCHED: kept[BATCHED] / size / 1024},
        goals={BATCHED: 1},
    )


async def _set_up(bench: Bench, home: Home, name: str, ids: list[str]) -> None:
    """Set up invoices, ours or with `rest`."""
    if name == "ours":
        await home.add_account("cryptocloud", bench.settings("cryptocloud"), ids)
    else:
        await home.add_rest(bench.rest(ids, name))


async def additions(bench: Bench) -> Figures:
    """What it costs to add invoices to many."""
    size, some = bench.sizes.invoices, max(20, bench.sizes.invoices // 10)
    ids = await bench.invoices("cryptocloud", 2 * size)
    firsts: list[tuple[float, float]] = []
    parts: list[tuple[float, float]] = []
    for _ in range(bench.sizes.rest_times):
        async with running() as home:
            # Whatever is done for the first time ever is done with these.
            await home.add_account("cryptocloud", bench.settings("cryptocloud"), ids[:5])
            entry = await home.add_account("cryptocloud", bench.settings("cryptocloud"), [])
            lift_budget(entry.runtime_data)
            firsts.append(await _added(home, entry, ids[:some]))
            await _added(home, entry, ids[some:size])
            parts += [
                await _added(home, entry, ids[begin : begin + some])
                for begin in range(size, 2 * size, some)
            ]
    ours, own = (median(part[index] for part in parts) / some for index in (0, 1))
    first, first_own = (median(part[index] for part in firsts) / some for index in (0, 1))
    yield Figure(
        key="adding",
        title=f"CPU of adding an invoice, {size + 1:,} to {2 * size:,}",
        unit="ms",
        ours=ours * MILLI,
        others={FEWER: first * MILLI},
        goals={FEWER: 1.3},
        notes={
            "of this in async_add_subentry, Home Assistant's own": own * MILLI,
            "the same for the first": first_own * MILLI,
        },
    )


async def _added(home: Home, entry: ConfigEntry, ids: list[str]) -> tuple[float, float]:
    """Add invoices as the dialog does; return the CPU of it, and Home Assistant's share."""
    coordinator: CryptoInvoicesCoordinator = entry.runtime_data
    own = 0.0
    done = asyncio.Event()

    async def add() -> None:
        nonlocal own
        begin = time.process_time()
        for invoice_id in ids:
            home.add_invoice(entry, invoice_id)
        own = time.process_time() - begin
        await done.wait()
        await home.hass.async_block_till_done()

    await home.write_out()
    gc.collect()
    stop = coordinator.async_add_tracking_listener(done.set)
    try:
        return await cpu_seconds(add), own
    finally:
        stop()


ALL: Mapping[str, Callable[[Bench], Figures]] = {
    "refreshes": refreshes,
    "hours": hours,
    "months": months,
    "one_by_one": one_by_one,
    "set_ups": set_ups,
    "additions": additions,
}
