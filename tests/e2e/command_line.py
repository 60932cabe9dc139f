"""Tell stories with a real Home Assistant, and say what came of each."""

import argparse
import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
import shutil
import signal
import sys
from tempfile import TemporaryDirectory
from time import monotonic
import traceback

from demo import CHECKOUT, DemoError, say
from demo.check import aligned
from tests.figures import keep as keep_figures

from .stories import discover
from .story import Figure, Outcome, Stage, Story

KEPT = CHECKOUT / ".cache/e2e"
SEED = 1


def keep(folder: Path, name: str) -> Path:
    """Move what a story left behind to where it can be looked at; return where that is."""
    place = KEPT / name
    shutil.rmtree(place, ignore_errors=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, place, symlinks=True)
    return place


async def tell(story: Story, seed: int, *, short: bool) -> tuple[Outcome, float]:
    """Tell a story; whatever goes wrong is part of the outcome."""
    with TemporaryDirectory(prefix=f"crypto-invoices-{story.name}-") as folder:
        stage = Stage(name=story.name, folder=Path(folder), seed=seed, short=short)
        stage.step(f"{story.title}, seed {seed}")
        # Whatever befalls this one, the others are still worth telling.
        (result,) = await asyncio.gather(story.run(stage), return_exceptions=True)
        outcome = result if isinstance(result, Outcome) else Outcome(wrong=_told(result))
        if outcome.failures:
            place = await asyncio.to_thread(keep, stage.folder, story.name)
            stage.step(f"failed; Home Assistant's folder and logs are in {place}")
        return outcome, monotonic() - stage.began


def _told(error: BaseException) -> tuple[str, ...]:
    """Return what a person has to know of an error."""
    if isinstance(error, DemoError):
        return (str(error), *error.details)
    return tuple("".join(traceback.format_exception(error)).splitlines())


async def tell_all(stories: Iterable[Story], seed: int, *, short: bool, jobs: int) -> bool:
    """Tell so many stories at a time, print the figures, and return whether all went well."""
    task = asyncio.current_task()
    if task:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    places = asyncio.Semaphore(jobs)

    async def tell_when_there_is_room(story: Story) -> Outcome:
        async with places:
            outcome, seconds = await tell(story, seed, short=short)
        took = Figure("seconds", f"{seconds:.1f}")
        return Outcome(figures=(*outcome.figures, took), wrong=outcome.wrong)

    async with asyncio.TaskGroup() as tasks:
        told = {story.name: tasks.create_task(tell_when_there_is_room(story)) for story in stories}
    outcomes = {name: task.result() for name, task in told.items()}
    sys.stdout.write(f"\n{summary(outcomes)}\n\n")
    sys.stdout.flush()
    for name, outcome in outcomes.items():
        if outcome.failures:
            print_failures(name, outcome.failures)
        elif not short:
            numbers = {one.name: one.value for one in outcome.figures if one.name != "seconds"}
            keep_figures(f"e2e.{name}", numbers)
    return not any(outcome.failures for outcome in outcomes.values())


def summary(outcomes: Mapping[str, Outcome]) -> str:
    """Return the figures of all stories as a table."""
    rows = [
        (name, figure.name, str(figure.value), verdict(figure))
        for name, outcome in outcomes.items()
        for figure in outcome.figures
    ]
    return aligned(("story", "figure", "value", ""), rows)


def verdict(figure: Figure) -> str:
    """Return whether a figure is what it has to be, nothing where it may be anything."""
    if figure.must_be is None:
        return ""
    return f"WRONG, must be {figure.must_be}" if figure.is_wrong else "right"


def print_failures(name: str, failures: Sequence[str]) -> None:
    """Print what is wrong."""
    sys.stderr.write("\n  ".join((f"script/e2e: the story {name} failed", *failures)) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and tell the stories."""
    stories = discover()
    parser = argparse.ArgumentParser(prog="script/e2e", description=__doc__)
    parser.add_argument(
        "--story",
        action="append",
        nargs="+",
        choices=list(stories),
        metavar="NAME",
        help="tell only these",
    )
    parser.add_argument("--short", action="store_true", help="tell them in short")
    parser.add_argument(
        "--seed", type=int, default=SEED, help=f"of what is left to chance ({SEED})"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        choices=range(1, 9),
        default=1,
        metavar="N",
        help="tell so many at a time (1)",
    )
    parser.add_argument("--list", action="store_true", help="name the stories, and end")
    options = parser.parse_args(arguments)
    if options.list:
        sys.stdout.writelines(
            f"{name}: {story.title}\n" for name, told in stories.items() for story in told
        )
        return 0
    wanted = [name for names in options.story or [list(stories)] for name in names]
    told = [story for name in dict.fromkeys(wanted) for story in stories[name]]
    try:
        return (
            0
            if asyncio.run(tell_all(told, options.seed, short=options.short, jobs=options.jobs))
            else 1
        )
    except asyncio.CancelledError:
        say("stopped")
        return 130
