"""The simulator: the same seed is the same story, and a failure is told in few words."""

import json
from pathlib import Path

import pytest

from custom_components.crypto_invoices.book import record
from custom_components.crypto_invoices.providers.model import InvoiceStatus
from tests.explorer.mutants import ROOT, Mutant

from .command_line import main
from .mutants import MUTANTS
from .plan import make_plan
from .story import shortest, tell

_MORNING = 0.3


@pytest.fixture(autouse=True)
def _warnings(recwarn: pytest.WarningsRecorder) -> None:
    """Let warnings about the sandbox's short keys be nobody's business."""


def test_same_seed(tmp_path: Path) -> None:
    """The same seed makes the same log to the byte, another seed another."""
    logs = []
    for number, seed in enumerate((3, 3, 4)):
        path = tmp_path / f"{number}.log"
        with path.open("w") as file:
            told = tell(make_plan(seed, _MORNING), file)
        assert not told.failure
        assert told.invoices > 5
        assert told.kills
        logs.append((path.read_bytes(), told.digest))
    assert logs[0] == logs[1]
    assert logs[0][0].count(b"announced: ") > 5
    assert logs[0] != logs[2]


def test_shortest_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a day in which a promise is broken, the story has what breaks it and no more."""
    monkeypatch.setattr(
        record, "_BROUGHT", frozenset({InvoiceStatus.PAID, InvoiceStatus.UNDERPAID})
    )
    plan = make_plan(3, 0.3)
    failed = tell(plan)
    assert "were received, not" in failed.failure
    story = shortest(failed)
    assert "were received, not" in story.failed.failure
    kinds = [event.kind for event in story.events]
    assert kinds in (["made", "act"], ["created", "act"])
    told = str(story).splitlines()
    assert told[0] == f"seed {plan.seed}: 2 events, of {len(plan.events)}"
    assert told[2].endswith(": overpay")
    assert "were received, not" in told[3]


def test_one_life() -> None:
    """Where Home Assistant is never stopped, all the rest happens at the same moments."""
    all_of_it, in_one_life = make_plan(3, 7), make_plan(3, 7, in_one_life=True)
    ends = [event for event in all_of_it.events if event.kind in ("stopped", "killed")]
    assert ends
    assert [*in_one_life.events] == [event for event in all_of_it.events if event not in ends]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several seeds are run at a time, and the figures are written."""
    output = tmp_path / "figures" / "simulate.json"
    asked = ["--seed", "8", "--seeds", "2", "--days", "0.2", "--jobs", "2"]
    assert main([*asked, "--output", str(output)]) == 0
    figures = json.loads(output.read_text())
    assert (figures["seeds"], figures["first_seed"], figures["days"]) == (2, 8, 0.2)
    assert figures["invoices"] > 5
    assert figures["failures"] == []
    printed = capsys.readouterr().out
    assert "seed 8: " in printed
    assert "seed 9: " in printed
    assert "2 seeds of 0.2 days" in printed


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_applies(mutant: Mutant) -> None:
    """Each fault that can be planted is one of today's code."""
    assert mutant.planted_in(ROOT)
