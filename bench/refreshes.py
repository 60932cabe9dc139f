"""Refreshes: of many invoices at once, unchanged and changed, and of many one by one."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from statistics import median
from typing import Any

from custom_components.crypto_invoices.coordinator import CryptoInvoicesCoordinator
from custom_components.crypto_invoices.providers.cryptocloud.v2 import CryptoCloud
from custom_components.crypto_invoices.providers.egates.gateway import EGates

from . import floor
from .figure import BATCHED, EACH, FLOOR, Figure
from .home import Home, lift_budget, make_due, running
from .measure import Action, cpu_seconds, in_turn, longest_stall, wall_seconds
from .workbench import MILLI, Bench, Figures, refresh_ours

CHANGED = 0.1


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
        ours: CryptoInvoicesCoordinator = entry.runtime_data.coordinator
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
            goals={FLOOR: 1.2, BATCHED: 1 / 75},
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
        goals={BATCHED: 1 / 20},
    )


async def one_by_one(bench: Bench) -> Figures:
    """Invoices that need a request each."""
    ids = await bench.invoices("egates", bench.sizes.one_by_one)
    async with running() as home:
        entry = await home.add_account("egates", bench.settings("egates"), ids)
        coordinator: CryptoInvoicesCoordinator = entry.runtime_data.coordinator
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

        actions = {"ours": refresh_ours(home, coordinator), FLOOR: read_floor_one_by_one}
        await in_turn(1, actions, _after(partial(make_due, coordinator), wall_seconds))
        # Whatever else the machine does only adds to it.
        wall = await in_turn(
            bench.sizes.times, actions, _after(partial(make_due, coordinator), wall_seconds), min
        )
    yield Figure(
        key="one_by_one",
        title=f"wall time of {len(ids)} open E-Gates invoices, one by one",
        unit="ms",
        ours=wall["ours"] * MILLI,
        others={FLOOR: wall[FLOOR] * MILLI},
        goals={FLOOR: 1.1},
    )
