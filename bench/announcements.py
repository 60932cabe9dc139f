"""Payments: from the hint to the automation's action, and a thousand of them in one reading."""

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median, quantiles
import time

from homeassistant.core import Event, callback
from homeassistant.setup import async_setup_component

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.coordinator import CryptoInvoicesCoordinator

from .figure import FEWER, LIMIT, Figure
from .floor import read_cryptocloud
from .home import Home, lift_budget, make_due, running
from .measure import Action, cpu_seconds, longest_stall, wall_seconds
from .workbench import MILLI, Bench, Figures, refresh_ours

HEARD = "bench_heard"
# In milliseconds: how much longer than the reading itself it may take, and when it is not smooth.
LONGER_THAN_READING = 10.0
SLOWEST = 30.0
LONGEST_STALL = 50.0
PATIENCE = 60
# How long after the last payment the next one comes: what that left to do is done.
PAUSE = 0.1


async def _listen(home: Home) -> None:
    """Let an automation hear every payment; its action fires an event."""
    automation = {
        "id": "heard",
        "alias": "heard",
        "triggers": [{"trigger": f"{DOMAIN}.paid"}],
        "actions": [
            {"event": HEARD, "event_data": {"invoice_id": "{{ trigger.invoice_id }}"}},
        ],
        "mode": "parallel",
        "max": 10_000,
    }
    if not await async_setup_component(home.hass, "automation", {"automation": [automation]}):
        raise RuntimeError("the automation was not set up")


class _Heard:
    """When the automation's action ran for which invoice."""

    def __init__(self, home: Home) -> None:
        """Begin to listen."""
        self.at: dict[str, float] = {}
        self._more = asyncio.Event()
        home.hass.bus.async_listen(HEARD, self._heard)

    @callback
    def _heard(self, event: Event) -> None:
        self.at[event.data["invoice_id"]] = time.perf_counter()
        self._more.set()

    async def until(self, number: int) -> None:
        """Wait until it ran for so many."""
        async with asyncio.timeout(PATIENCE):
            while len(self.at) < number:
                self._more.clear()
                await self._more.wait()


async def hints(bench: Bench) -> Figures:
    """How long it takes from a push that is believed to the automation's action."""
    ids = await bench.invoices("cryptocloud", bench.sizes.hinted)
    key = bench.credentials["cryptocloud"]["api_key"]
    async with running() as home:
        entry = await home.add_account("cryptocloud", bench.settings("cryptocloud"), ids)
        coordinator: CryptoInvoicesCoordinator = entry.runtime_data.coordinator
        lift_budget(coordinator)
        await _listen(home)
        heard = _Heard(home)
        taken: list[float] = []
        alone: list[float] = []
        for number, id_ in enumerate(ids, start=1):

            async def read(one: str = id_) -> None:
                await read_cryptocloud(bench.session, bench.sandbox.url, key, [one], 1)

            await bench.act("cryptocloud", [id_], "pay")
            await home.hass.async_block_till_done(wait_background_tasks=True)
            await asyncio.sleep(PAUSE)
            alone.append(await wall_seconds(read))
            begin = time.perf_counter()
            coordinator.async_hint([id_])
            await heard.until(number)
            taken.append(heard.at[id_] - begin)
    reading = median(alone) * MILLI
    yield Figure(
        key="hint",
        title="from a hint to the action, median, beyond the reading itself",
        unit="ms",
        ours=median(taken) * MILLI - reading,
        others={LIMIT: LONGER_THAN_READING},
        goals={LIMIT: 1},
        notes={"the reading itself": reading},
    )
    yield Figure(
        key="hint_slowest",
        title="from a hint to the action, 99th percentile",
        unit="ms",
        ours=quantiles(taken, n=100, method="inclusive")[98] * MILLI,
        others={LIMIT: SLOWEST},
        goals={LIMIT: 1},
    )


async def _burst(bench: Bench, number: int, measure: Callable[[Action], Awaitable[float]]) -> float:
    """Pay many invoices between two readings; measure until all are announced."""
    ids = await bench.invoices("cryptocloud", number)
    async with running() as home:
        entry = await home.add_account("cryptocloud", bench.settings("cryptocloud"), ids)
        coordinator: CryptoInvoicesCoordinator = entry.runtime_data.coordinator
        lift_budget(coordinator)
        await _listen(home)
        heard = _Heard(home)
        await bench.act("cryptocloud", ids, "pay")
        await home.write_out()
        make_due(coordinator)

        async def pay() -> None:
            await refresh_ours(home, coordinator)()
            await heard.until(number)

        return await measure(pay)


async def bursts(bench: Bench) -> Figures:
    """What it costs, and how long others wait, when very many invoices are paid together."""
    number = bench.sizes.invoices
    few = number // 10
    cpu = {
        name: await _burst(bench, many, cpu_seconds) / many
        for name, many in ((FEWER, few), ("ours", number))
    }
    yield Figure(
        key="payment",
        title=f"CPU of a payment, announced, with {number:,} in one reading",
        unit="ms",
        ours=cpu["ours"] * MILLI,
        others={FEWER: cpu[FEWER] * MILLI},
        goals={FEWER: 1.2},
    )
    yield Figure(
        key="payments_stall",
        title="longest stall of it",
        unit="ms",
        ours=await _burst(bench, number, longest_stall) * MILLI,
        others={LIMIT: LONGEST_STALL},
        goals={LIMIT: 1},
    )


async def removals(bench: Bench) -> Figures:
    """How long others wait when an action removes very many invoices."""
    number = bench.sizes.removed
    ids = await bench.invoices("cryptocloud", number)
    taken: dict[str, float] = {}
    async with running() as home:
        for name, some in ((FEWER, ids[: number // 10]), ("ours", ids)):
            await home.add_account("cryptocloud", bench.settings("cryptocloud"), some)
            await home.write_out()

            async def remove(ids: list[str] = some) -> None:
                await home.hass.services.async_call(
                    DOMAIN,
                    "untrack_invoices",
                    {"invoice_ids": ids},
                    blocking=True,
                    return_response=True,
                )
                await home.hass.async_block_till_done()

            taken[name] = await longest_stall(remove)
    yield Figure(
        key="removals_stall",
        title=f"longest stall while an action removes {number:,} invoices",
        unit="ms",
        ours=taken["ours"] * MILLI,
        others={LIMIT: LONGEST_STALL, FEWER: taken[FEWER] * MILLI},
        goals={LIMIT: 1},
    )
