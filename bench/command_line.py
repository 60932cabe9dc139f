"""Reads the command line, measures, prints the table and writes the file."""

import argparse
import asyncio
from collections.abc import Sequence
import logging
import os
from pathlib import Path
import platform
import tempfile
import time
from typing import Any

from homeassistant.const import __version__ as home_assistant_version
import orjson

from demo import CHECKOUT
from demo.sandbox import Sandbox
from demo.server import free_ports

from .figure import Figure, number, table
from .figures import ALL
from .workbench import SHORT, Sizes, ready

RESULTS = CHECKOUT / ".cache" / "bench.json"
SHORT_RESULTS = RESULTS.with_name("bench-short.json")


async def measure(sizes: Sizes, names: Sequence[str]) -> list[Figure]:
    """Measure one after the other, with a sandbox in a process of its own."""
    figures: list[Figure] = []
    for name in names:
        # Each begins with a sandbox without invoices.
        with tempfile.TemporaryDirectory() as folder:
            sandbox = Sandbox(free_ports(1)[0], Path(folder) / "sandbox.log", demo_invoices=False)
            async with sandbox, ready(sandbox, sizes) as bench:
                begin = time.monotonic()
                async for figure in ALL[name](bench):
                    figures.append(figure)
                    others = ", ".join(
                        f"{other} {number(value)}" for other, value in figure.others.items()
                    )
                    print(f"{figure.title}: {number(figure.ours)} {figure.unit} ({others})")
                    for note, value in figure.notes.items():
                        print(f"  {note}: {number(value)}")
                print(f"  ({name} took {time.monotonic() - begin:.0f} s)", flush=True)
    return figures


def results(figures: Sequence[Figure], *, is_short: bool) -> dict[str, Any]:
    """Return what is written."""
    return {
        "home_assistant": home_assistant_version,
        "python": platform.python_version(),
        "machine": {"type": platform.machine(), "processors": os.cpu_count()},
        "short": is_short,
        "figures": {figure.key: figure.as_dict() for figure in figures},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a small form, to see that it works")
    parser.add_argument("--only", nargs="+", choices=ALL, default=[*ALL], metavar="NAME")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    # Home Assistant warns of integrations that it has not tested, and the like.
    logging.basicConfig(level=logging.ERROR)
    figures = asyncio.run(measure(SHORT if options.short else Sizes(), options.only))
    output: Path = options.output or (SHORT_RESULTS if options.short else RESULTS)
    output.parent.mkdir(parents=True, exist_ok=True)
    content = orjson.dumps(results(figures, is_short=options.short), option=orjson.OPT_INDENT_2)
    output.write_bytes(content + b"\n")
    print(f"\n{table(figures)}\n\nwritten to {output}")
    if options.short:
        print("The goals are for the full form: so few invoices say nothing about them.")
    return 0
