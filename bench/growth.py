"""What more invoices cost: to set up, to keep and to add."""

from functools import partial
import gc
from statistics import median

from homeassistant.config_entries import ConfigEntry

from custom_components.crypto_invoices.const import DOMAIN

from .figure import BATCHED, FEWER, Figure
from .home import Home, lift_budget, running
from .measure import bytes_kept, cpu_seconds
from .workbench import MILLI, Bench, Figures

KIBI = 1024


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
        goals={BATCHED: 1 / 4},
    )
    kept: dict[str, tuple[int, int]] = {}
    entities = 0
    for name in names:
        async with running() as home:
            await home.hass.async_block_till_done()
            kept[name] = await bytes_kept(partial(_set_up, bench, home, name, ids), DOMAIN)
            entities = max(entities, len(home.hass.states.async_entity_ids()))
    yield Figure(
        key="memory",
        title="memory per tracked invoice, all entities",
        unit="KiB",
        ours=kept["ours"][0] / size / KIBI,
        others={BATCHED: kept[BATCHED][0] / size / KIBI},
        goals={BATCHED: 2},
        notes={
            "entities per invoice, of which rest has one": entities / size,
            "of this in the integration's own code": kept["ours"][1] / size / KIBI,
        },
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
    firsts: list[float] = []
    parts: list[float] = []
    for _ in range(bench.sizes.rest_times):
        async with running() as home:
            # Whatever is done for the first time ever is done with these.
            await home.add_account("cryptocloud", bench.settings("cryptocloud"), ids[:5])
            entry = await home.add_account("cryptocloud", bench.settings("cryptocloud"), [])
            lift_budget(entry.runtime_data.coordinator)
            firsts.append(await _added(home, entry, ids[:some]))
            await _added(home, entry, ids[some:size])
            parts += [
                await _added(home, entry, ids[begin : begin + some])
                for begin in range(size, 2 * size, some)
            ]
    ours, first = median(parts) / some, median(firsts) / some
    yield Figure(
        key="adding",
        title=f"CPU of adding an invoice, {size + 1:,} to {2 * size:,}",
        unit="ms",
        ours=ours * MILLI,
        others={FEWER: first * MILLI},
        goals={FEWER: 1.3},
    )


async def _added(home: Home, entry: ConfigEntry, ids: list[str]) -> float:
    """Add invoices as the dialog does; return the CPU of it."""

    async def add() -> None:
        await home.add_invoices(entry, ids)
        await home.hass.async_block_till_done()

    await home.write_out()
    gc.collect()
    return await cpu_seconds(add)
