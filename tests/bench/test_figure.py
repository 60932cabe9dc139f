"""What the benchmark prints."""

import pytest

from bench.figure import BATCHED, FLOOR, Figure, number, share, table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0123, "0.012"),
        (1.234, "1.23"),
        (56.78, "56.8"),
        (425.3, "425"),
        (12345.6, "12,346"),
    ],
)
def test_number(value: float, text: str) -> None:
    """Three digits count."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2.00x"), (1.0, "1.00x"), (0.02, "1/50.0"), (0.0, "0x")]
)
def test_share(value: float, text: str) -> None:
    """A ratio reads as people say it."""
    assert share(value) == text


@pytest.mark.parametrize(("ours", "reached"), [(3.0, True), (7.0, False), (5.0, False)])
def test_goals(ours: float, *, reached: bool) -> None:
    """A figure is reached when all of its goals are."""
    figure = Figure(
        key="x",
        title="cost",
        unit="ms",
        ours=ours,
        others={FLOOR: 3.0, BATCHED: 200.0},
        goals={FLOOR: 2, BATCHED: 1 / 50},
    )
    assert figure.is_reached == reached
    assert figure.as_dict()["reached"] == reached
    lines = table([figure]).splitlines()
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    assert lines[2].endswith("reached |" if reached else "missed |")
