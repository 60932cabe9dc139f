"""How much processor time, wall time and memory something takes, and how long it holds up others."""

import asyncio
from collections.abc import Awaitable, Callable
import gc
from statistics import median
import time
import tracemalloc

type Action = Callable[[], Awaitable[object]]


async def cpu_seconds(action: Action) -> float:
    """Return the processor time of this process; the sandbox has a process of its own."""
    begin = time.process_time()
    await action()
    return time.process_time() - begin


async def wall_seconds(action: Action) -> float:
    """Return how long it takes."""
    begin = time.perf_counter()
    await action()
    return time.perf_counter() - begin


async def in_turn(
    times: int,
    actions: dict[str, Action],
    measure: Callable[[Action], Awaitable[float]],
    pick: Callable[[list[float]], float] = median,
) -> dict[str, float]:
    """Measure several things, each in turn, and return the median of each, or another pick.

    In turn, so that what else the machine does befalls all of them.
    """
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(times):
        for name, action in actions.items():
            gc.collect()
            taken[name].append(await measure(action))
    return {name: pick(values) for name, values in taken.items()}


async def longest_stall(action: Action) -> float:
    """Return the longest time that nobody else got a turn on the event loop.

    It is the loop's own processor time, so that other processes don't count.
    """
    loop = asyncio.get_running_loop()
    longest, is_over = 0.0, False
    last = time.thread_time()

    def beat() -> None:
        nonlocal longest, last
        longest = max(longest, time.thread_time() - last)
        if not is_over:
            loop.call_soon(beat)
        last = time.thread_time()

    loop.call_soon(beat)
    await asyncio.sleep(0)
    longest = 0.0
    await action()
    is_over = True
    await asyncio.sleep(0)
    return longest


async def bytes_kept(action: Action, package: str = "") -> tuple[int, int]:
    """Return how much more memory Python's objects have afterwards, and a package's share.

    The share is what its own lines allocated, not what they had others allocate.
    """
    gc.collect()
    tracemalloc.start()
    try:
        await action()
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
        own = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.Filter(inclusive=True, filename_pattern=f"*/{package}/*")]
        )
        return kept, sum(trace.size for trace in own.traces)
    finally:
        tracemalloc.stop()
