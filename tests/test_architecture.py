"""The diagram in docs/architecture.md is drawn from the imports, and no arrow points up."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
import re

from .conftest import PACKAGE

DOCS = Path(__file__).parents[1] / "docs" / "architecture.md"
# Modules at the top that are no doors of Home Assistant's.
ACCOUNT = {"account", "runtime", "setting_up"}
FACE = {"coordinator", "deposits", "devices", "entity", "watching"}
WORDS = {
    "clients",
    "const",
    "errors",
    "identifiers",
    "integrations",
    "invoice_values",
    "issues",
    "lookup",
    "money",
    "networks",
    "permissions",
    "qr",
    "texts",
}


def modules() -> dict[str, Path]:
    """Return the modules of the integration by their dotted names."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }


def imports(name: str, path: Path) -> Iterator[str]:
    """Yield which of our modules a module imports."""
    known = modules()
    package = name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - node.level + 1]
        target = [*base, *(node.module or "").split(".")] if node.module else base
        dotted = ".".join(part for part in target if part)
        for candidate in (dotted, f"{dotted}.__init__" if dotted else "__init__"):
            if candidate in known:
                yield candidate
        for alias in node.names:
            if (inner := f"{dotted}.{alias.name}" if dotted else alias.name) in known:
                yield inner


def room(name: str) -> str:
    """Return the room that a module is in."""
    folder, _, module = name.rpartition(".")
    if folder and not folder.startswith("sensor"):
        return folder.partition(".")[0]
    if module in ACCOUNT:
        return "account"
    if module in FACE:
        return "face"
    return "words" if module in WORDS else "doors"


def arrows() -> dict[str, set[str]]:
    """Return which rooms each room imports from."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, path in modules().items():
        found[room(name)] |= {room(target) for target in imports(name, path)} - {room(name)}
    return dict(found)


def test_diagram() -> None:
    """The diagram has each arrow that there is, and no other."""
    drawn = "\n".join(
        f"    {upper} --> {lower}"
        for upper, lowers in sorted(arrows().items())
        for lower in sorted(lowers)
    )
    [diagram] = re.findall(r"```mermaid\ngraph TD\n(.*?)\n```", DOCS.read_text(), re.DOTALL)
    assert diagram == drawn, f"docs/architecture.md should have:\n{drawn}"


def test_modules_import_without_circles() -> None:
    """No module imports, by whatever way, what imports it."""
    graph = {name: {*imports(name, path)} - {name} for name, path in modules().items()}
    for name, targets in graph.items():
        # A package says what is in it; who is inside does not import it.
        targets -= {target for target in targets if target == f"{name.rpartition('.')[0]}.__init__"}
    TopologicalSorter(graph).prepare()


def test_rooms_have_a_direction() -> None:
    """The rooms below know nothing of those above."""
    TopologicalSorter(arrows()).prepare()
    assert arrows()["providers"] == set()


def test_sizes() -> None:
    """A module reads in one sitting, and a class too."""
    for name, path in modules().items():
        text = path.read_text()
        assert text.count("\n") <= 300, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= 200, f"{name}: {node.name}"
    assert PACKAGE.joinpath("__init__.py").read_text().count("\n") < 80
    counts = [len({*imports(name, path)}) for name, path in modules().items()]
    assert sum(counts) / len(counts) < 4.5


def reached_from(name: str) -> set[str]:
    """Return which of our modules a module needs, by whatever way."""
    known = modules()
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for target in {*imports(waiting[-1], known[waiting.pop()])} - reached:
            reached.add(target)
            waiting.append(target)
    # A package that only says what is in it.
    return {target for target in reached if not target.endswith("__init__")}


def test_triggers_are_thin() -> None:
    """Triggers need to know what is announced and who listens, not how that is found out."""
    assert len(reached_from("trigger")) <= 7, reached_from("trigger")
