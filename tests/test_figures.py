"""What the documentation says was measured is what was measured."""

import json
from pathlib import Path

import pytest

from . import figures
from .figures import COMMITTED, MARK, PAGES, Figures, collect, fill, keep

MEASURED: Figures = json.loads(COMMITTED.read_text())
MARKED = [page for page in PAGES if "<!-- figure:" in page.read_text()]
BENCH = {
    "title": "CPU",
    "unit": "ms",
    "ours": 2,
    "others": {"floor": 1},
    "ratios": {"floor": 2},
    "goals": {"floor": 2},
    "reached": True,
    "notes": {},
}


@pytest.mark.parametrize("page", MARKED, ids=lambda page: page.name)
def test_pages(page: Path) -> None:
    """Each mark names a figure and is closed, and what stands there is the figure."""
    text = page.read_text()
    assert text == fill(text, MEASURED), "run script/figures"
    assert len(MARK.findall(text)) == text.count("<!-- figure:") == text.count("<!-- /figure -->")


def test_where_and_when() -> None:
    """Each figure has a date, and the Home Assistant that it was measured with."""
    assert {page.name for page in MARKED} >= {"README.md", "once.md", "performance.md"}
    for name, figure in MEASURED.items():
        assert figure.keys() == {"value", "date", "home_assistant"}, name
        assert figure["date"] > "2026-11", name


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a cache of our own."""
    monkeypatch.setattr(figures, "CACHE", tmp_path)
    return tmp_path


def test_collected(cache: Path) -> None:
    """What runs kept is taken over, by the name of the run."""
    keep("simulate", {"seeds": 1200, "failures": []})
    (cache / "bench.json").write_text(
        json.dumps({"home_assistant": "2026.11.0", "short": False, "figures": {"refresh": BENCH}})
    )
    found = collect()
    assert {name: figure["value"] for name, figure in found.items()} == {
        "simulate.seeds": 1200,
        "simulate.failures": 0,
        "bench.refresh": BENCH,
    }
    assert found["bench.refresh"]["home_assistant"] == "2026.11.0"
    page = (
        "<!-- figure:simulate.seeds -->?<!-- /figure --> seeds,"
        " <!-- figure:simulate.failures -->?<!-- /figure --> failures\n"
        "<!-- figure:bench -->\n?\n<!-- /figure -->\n"
    )
    filled = fill(page, found)
    assert "-->1,200<!-- /figure --> seeds, <!-- figure:simulate.failures -->0<!--" in filled
    assert "| CPU    | 2.00 ms | floor: 1.00 | 2.00x floor | ≤ 2.00x floor | reached |" in filled
    assert fill(filled, found) == filled
    with pytest.raises(KeyError):
        fill("<!-- figure:simulate.days -->?<!-- /figure -->", found)


def test_written(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script writes both, and leaves what was not asked for as it was."""
    keep("simulate", {"seeds": 7})
    keep("tests", {"number": 6})
    page, committed = cache / "page.md", cache / "committed.json"
    page.write_text(
        "<!-- figure:simulate.seeds -->1<!-- /figure --> <!-- figure:tests.number --><!-- /figure -->"
    )
    old = {"tests.number": {"value": 5, "date": "2026-11-01", "home_assistant": "2026.10.4"}}
    committed.write_text(json.dumps(old))
    monkeypatch.setattr(figures, "COMMITTED", committed)
    monkeypatch.setattr(figures, "PAGES", [page])
    figures.main("simulate")
    assert json.loads(committed.read_text())["tests.number"] == old["tests.number"]
    assert ">7<!-- /figure --> <!-- figure:tests.number -->5<" in page.read_text()
