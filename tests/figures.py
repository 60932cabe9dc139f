"""Figures in the documentation: what runs measured, and where it is written.

A run keeps what it measured in .cache/figures/GROUP.json, script/bench in .cache/bench.json.
`script/figures` takes that over into docs/figures.json, and writes it between the marks
`<!-- figure:GROUP.NAME -->` and `<!-- /figure -->`. What was not measured stays as it was.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
import json
from pathlib import Path
import re
import sys
from typing import Any

from homeassistant.const import __version__ as home_assistant_version

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache"
COMMITTED = ROOT / "docs/figures.json"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARK = re.compile(r"(<!-- figure:([^>]+) -->)(.*?)(<!-- /figure -->)", re.DOTALL)

# By their names: the value, when it was measured, and with which Home Assistant.
type Figures = dict[str, dict[str, Any]]


def keep(group: str, measured: Mapping[str, Any]) -> None:
    """Keep what a run measured."""
    file = CACHE / f"figures/{group}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    about = {"home_assistant": home_assistant_version, "at": datetime.now(UTC).isoformat()}
    content = {**about, **measured}
    file.write_text(json.dumps(content, indent=2) + "\n")


def collect() -> Figures:
    """Return what runs measured since the cache is there."""
    found: Figures = {}
    for file in (*sorted(CACHE.glob("figures/*.json")), CACHE / "bench.json"):
        if not file.exists():
            continue
        measured = json.loads(file.read_text())
        about = {
            "date": measured.pop("at", f"{datetime.fromtimestamp(file.stat().st_mtime, UTC)}")[:10],
            "home_assistant": measured.pop("home_assistant", home_assistant_version),
        }
        for name, value in measured.get("figures", measured).items():
            counted = len(value) if isinstance(value, list) else value
            found[f"{file.stem}.{name}"] = {"value": counted, **about}
    return found


def text(name: str, figures: Figures) -> str:
    """Return what stands in a page: a figure, or the table of a group from script/bench."""
    # Not above: where a run keeps its figures, there may be no script/bench.
    from bench.figure import Figure, number, table

    if name in figures:
        value = figures[name]["value"]
        return number(value) if isinstance(value, float) else f"{value:,}"
    rows = [one["value"] for key, one in figures.items() if key.startswith(f"{name}.")]
    if not rows:
        raise KeyError(name)
    known = ("title", "unit", "ours", "others", "goals")
    return "\n" + table(Figure(key=name, **{one: row[one] for one in known}) for row in rows) + "\n"


def fill(page: str, figures: Figures) -> str:
    """Return a page with the figures in their places."""
    return MARK.sub(lambda mark: f"{mark[1]}{text(mark[2], figures)}{mark[4]}", page)


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int) -> None:
    """Keep how many tests there are; script/test has this as a plugin."""
    if exitstatus == 0:
        keep("tests", {"number": len(terminalreporter.stats["passed"])})


def main(*groups: str) -> None:
    """Take over what was measured, all of it or these groups, and write it into the pages."""
    measured = {
        name: figure
        for name, figure in collect().items()
        if not groups or name.rpartition(".")[0] in groups
    }
    figures: Figures = json.loads(COMMITTED.read_text()) | measured
    COMMITTED.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    for page in PAGES:
        page.write_text(fill(page.read_text(), figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
