"""Simulates shops, one seed after the other, and says what became of them."""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
import json
import logging
import multiprocessing
from pathlib import Path
import sys
import time
import warnings

from .plan import make_plan
from .story import Result, shortest, tell

ROOT = Path(__file__).parents[2]
_FIGURES = ROOT / ".cache" / "figures" / "simulate.json"
# What is run before anything lands.
SHORT_SEEDS = 5
# A process that lived through so many shops is followed by a new one.
_SHOPS_PER_PROCESS = 10


def _arguments() -> argparse.ArgumentParser:
    """Return what can be asked for."""
    parser = argparse.ArgumentParser(prog="script/simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds (1)")
    parser.add_argument("--days", type=float, default=7, help="how many days each shop is open (7)")
    parser.add_argument(
        "--short", action="store_true", help=f"the first {SHORT_SEEDS} seeds, a day each"
    )
    parser.add_argument("--log", type=Path, help="write all that happens to this file")
    parser.add_argument(
        "--one-life", action="store_true", help="never stop nor kill Home Assistant"
    )
    parser.add_argument(
        "--pace", type=float, default=1.0, help="what else takes so many days happens in one (1)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many shops at a time (1)")
    parser.add_argument("--output", type=Path, default=_FIGURES, help="where to write the figures")
    parser.add_argument("--until-failure", action="store_true", help="end with the first failure")
    parser.add_argument("--no-story", action="store_true", help="make no failure's story shorter")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, and return how many seeds failed."""
    asked = _arguments().parse_args(arguments)
    if asked.short:
        asked.seeds, asked.days = SHORT_SEEDS, 1
    results: list[Result] = []
    figures: dict[str, object] = {}
    for result in _simulate_all(asked):
        results.append(result)
        # Whoever ends it early has figures, too.
        figures = _keep(results, asked.days, asked.output)
        _say(_line(result))
        if result.failure and not asked.no_story:
            _say("".join(result.where))
            _say(str(shortest(result)))
        if result.failure and asked.until_failure:
            break
    failed = [one for one in results if one.failure]
    _say(
        f"{figures['seeds']} seeds of {asked.days:g} days: {figures['invoices']} invoices,"
        f" {figures['payments']} payments, {figures['kills']} kills,"
        f" {len(failed)} failures, {figures['seconds_per_week']} s a week"
    )
    return len(failed)


def _simulate_all(asked: argparse.Namespace) -> Iterator[Result]:
    """Yield what became of each seed, in their order."""
    seeds = range(asked.seed, asked.seed + asked.seeds)
    simulate = partial(
        _simulate,
        days=asked.days,
        pace=asked.pace,
        in_one_life=asked.one_life,
        log=asked.log,
    )
    if asked.jobs == 1:
        yield from map(simulate, seeds)
        return
    with ProcessPoolExecutor(
        asked.jobs,
        mp_context=multiprocessing.get_context("spawn"),
        max_tasks_per_child=_SHOPS_PER_PROCESS,
    ) as pool:
        try:
            yield from pool.map(simulate, seeds)
        finally:
            pool.shutdown(cancel_futures=True)


def _simulate(
    seed: int, *, days: float, pace: float, in_one_life: bool, log: Path | None
) -> Result:
    """Run the plan of a seed."""
    # Thousands of lines say that a provider is down, as they should.
    logging.getLogger().setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
    plan = make_plan(seed, days, pace=pace, in_one_life=in_one_life)
    if log is None:
        return tell(plan)
    with log.open("w") as file:
        return tell(plan, file)


def _line(result: Result) -> str:
    """Return a result in a line."""
    outcome = f"FAILED: {result.failure}" if result.failure else "all is well"
    return (
        f"seed {result.plan.seed}: {result.invoices} invoices, {result.payments} payments,"
        f" {result.kills} kills, {result.stops} stops, {result.requests} requests,"
        f" {result.seconds:.1f} s, log {result.digest[:16]}: {outcome}"
    )


def _keep(results: Sequence[Result], days: float, output: Path) -> dict[str, object]:
    """Write the figures of all runs so far, and return them."""
    figures = _figures(results, days)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def _figures(results: Sequence[Result], days: float) -> dict[str, object]:
    """Return the figures of all runs."""
    seconds = sum(result.seconds for result in results)
    weeks = len(results) * days / 7
    return {
        "seeds": len(results),
        "first_seed": results[0].plan.seed,
        "days": int(days) if float(days).is_integer() else days,
        "invoices": sum(result.invoices for result in results),
        "payments": sum(result.payments for result in results),
        "kills": sum(result.kills for result in results),
        "stops": sum(result.stops for result in results),
        "requests": sum(result.requests for result in results),
        # In memory, by day, of the last shop.
        "objects": dict(results[-1].objects),
        "seconds": round(seconds, 1),
        "seconds_per_week": round(seconds / weeks, 1),
        "failures": [
            {"seed": result.plan.seed, "failure": result.failure}
            for result in results
            if result.failure
        ],
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _say(text: str) -> None:
    """Print a line, now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
