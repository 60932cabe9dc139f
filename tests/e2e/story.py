"""What a story is, where it plays, and what comes of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

from demo import say


class Dice(Random):
    """Chance that falls the same way each time for the same seed."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a story came to, and what it has to be if that is fixed."""

    name: str
    value: int | float | str
    must_be: int | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether it is not what it has to be."""
        return self.must_be is not None and self.value != self.must_be


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The figures of a story, and what a person has to look at because it is wrong."""

    figures: tuple[Figure, ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Return everything that makes the story fail."""
        off = (
            f"{figure.name}: {figure.value}, must be {figure.must_be}"
            for figure in self.figures
            if figure.is_wrong
        )
        return (*off, *self.wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a story plays: a folder that is kept when it fails, its length and its chances."""

    name: str
    folder: Path
    seed: int
    short: bool
    began: float = field(default_factory=monotonic)

    def step(self, text: str) -> None:
        """Print a step with the time since the beginning."""
        say(f"{self.name} {monotonic() - self.began:6.1f} s  {text}")

    def dice(self, purpose: str) -> Dice:
        """Return dice of their own for a purpose: others that are thrown meanwhile don't matter."""
        return Dice(f"{self.seed} {self.name} {purpose}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Something that happens to a user, from beginning to end."""

    name: str
    title: str
    run: Callable[[Stage], Awaitable[Outcome]]
