"""A measured figure: ours, the others', and how they compare."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FLOOR = "floor"
BATCHED = "rest, batched"
EACH = "rest, each"
FEWER = "fewer"
LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a run. The goals are the most that ours may be, as a share of another."""

    key: str
    title: str
    unit: str
    ours: float
    others: Mapping[str, float]
    goals: Mapping[str, float]
    notes: Mapping[str, float] = field(default_factory=dict)
    """What is worth knowing beside it, in the same unit."""

    def ratio(self, other: str) -> float:
        """Return ours as a share of another."""
        return self.ours / self.others[other]

    @property
    def is_reached(self) -> bool:
        """Whether all goals are reached."""
        return all(self.ratio(other) <= most for other, most in self.goals.items())

    def as_dict(self) -> dict[str, Any]:
        """Return what is written to the file."""
        return {
            "title": self.title,
            "unit": self.unit,
            "ours": self.ours,
            "others": dict(self.others),
            "ratios": {other: self.ratio(other) for other in self.others},
            "goals": dict(self.goals),
            "reached": self.is_reached,
            "notes": dict(self.notes),
        }


def number(value: float) -> str:
    """Return a number with three digits that count."""
    if not value:
        return "0"
    digits = 0
    while abs(value) * 10**digits < 100 and digits < 3:
        digits += 1
    return f"{value:,.{digits}f}"


def share(value: float) -> str:
    """Return a ratio as people say it: 1.4x or 1/52."""
    return f"1/{number(1 / value)}" if 0 < value < 0.8 else f"{number(value)}x"


def table(figures: Iterable[Figure]) -> str:
    """Return a table in Markdown."""
    rows = [("figure", "ours", "others", "ratio", "goal", "")]
    for figure in figures:
        others = [*figure.others]
        rows.append(
            (
                figure.title,
                f"{number(figure.ours)} {figure.unit}",
                "; ".join(f"{other}: {number(figure.others[other])}" for other in others),
                "; ".join(f"{share(figure.ratio(other))} {other}" for other in others),
                "; ".join(f"≤ {share(most)} {other}" for other, most in figure.goals.items()),
                "reached" if figure.is_reached else "missed",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
