"""Stories are found, told in turn, and what is wrong with one is seen."""

import asyncio
from pathlib import Path

import pytest

from demo import DemoError
from tests import figures
from tests.e2e import command_line
from tests.e2e.story import Figure, Outcome, Stage, Story


async def good(stage: Stage) -> Outcome:
    """Tell a story that goes well."""
    return Outcome(figures=(Figure("lost", 0, must_be=0), Figure("paid", 3)))


async def bad(stage: Stage) -> Outcome:
    """Tell a story whose figures are wrong."""
    (stage.folder / "log").write_text("oh")
    return Outcome(figures=(Figure("lost", 2, must_be=0),), wrong=("lost: INV-1, INV-2",))


async def stuck(stage: Stage) -> Outcome:
    """Tell a story that doesn't get far."""
    raise DemoError("Home Assistant ended by itself", "its last words")


async def broken(stage: Stage) -> Outcome:
    """Tell a story that has a fault of its own."""
    raise ZeroDivisionError


@pytest.fixture(autouse=True)
def kept(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Keep what failed in a scratch folder, and have stories of our own."""
    told = {"good": good, "bad": bad, "stuck": stuck, "broken": broken}
    stories = {name: (Story(name=name, title=name, run=run),) for name, run in told.items()}
    monkeypatch.setattr(command_line, "discover", lambda: stories)
    monkeypatch.setattr(command_line, "KEPT", tmp_path)
    monkeypatch.setattr(figures, "CACHE", tmp_path_factory.mktemp("cache"))
    return tmp_path


def test_list(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The stories are named."""
    monkeypatch.undo()
    assert command_line.main(["--list"]) == 0
    assert "kill: payments while Home Assistant is killed\n" in capsys.readouterr().out


def test_all_is_well(capsys: pytest.CaptureFixture[str], kept: Path) -> None:
    """The figures are printed, and nothing is kept."""
    assert command_line.main(["--story", "good"]) == 0
    assert "good   lost     0      right" in capsys.readouterr().out
    assert not list(kept.iterdir())
    assert figures.collect()["e2e.good.paid"]["value"] == 3


def test_short(kept: Path) -> None:
    """What is told in short is no figure to write down; neither is what failed."""
    assert command_line.main(["--story", "good", "--short"]) == 0
    assert command_line.main(["--story", "bad"]) == 1
    assert figures.collect() == {}


def test_wrong_figures(capsys: pytest.CaptureFixture[str], kept: Path) -> None:
    """A story that fails keeps its folder; the next one is told all the same."""
    assert command_line.main(["--story", "bad", "good"]) == 1
    output = capsys.readouterr()
    assert "WRONG, must be 0" in output.out
    assert "good   paid     3" in output.out
    assert f"are in {kept / 'bad'}\n" in output.out
    assert "lost: INV-1, INV-2" in output.err
    assert (kept / "bad/log").read_text() == "oh"


@pytest.mark.parametrize(
    ("name", "told"), [("stuck", "its last words"), ("broken", "ZeroDivisionError")]
)
def test_story_that_ends_early(name: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What kept it from its end is told."""
    assert command_line.main(["--story", name, "--story", "good"]) == 1
    output = capsys.readouterr()
    assert told in output.err
    assert "good" in output.out


def test_at_the_same_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many stories are told at a time as are asked for, and all are summed up in order."""
    meeting = asyncio.Barrier(2)

    async def meet(stage: Stage) -> Outcome:
        """Tell a story that needs another one beside it."""
        async with asyncio.timeout(5), meeting:
            return Outcome(figures=(Figure("met", 1),))

    pair = tuple(Story(name=name, title=name, run=meet) for name in ("one", "two"))
    monkeypatch.setattr(command_line, "discover", lambda: {"pair": pair})
    assert command_line.main(["--story", "pair", "--jobs", "2"]) == 0
    output = capsys.readouterr().out
    assert output.index("one    met") < output.index("two    met")


def test_unknown_story(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip is told at once."""
    with pytest.raises(SystemExit):
        command_line.main(["--story", "sleep"])
    assert "good, bad" in capsys.readouterr().err.replace("'", "")
