"""Dotted paths into an answer, such as ``data.payments.0.state``."""

from collections.abc import Iterator
from dataclasses import dataclass
import re
from typing import Any

# The names of JSON's fields, without what no API uses and a person may have meant otherwise.
_STEP = re.compile(r"[\w@$:~-]{1,80}")
_LONGEST = 300
_MOST_LISTED = 12


class Missing(Exception):
    """A path leads to nothing."""

    def __init__(self, there: tuple[str, ...]) -> None:
        """Keep the paths that there are instead, where this one ends."""
        super().__init__("nothing is there")
        self.there = there


@dataclass(frozen=True, slots=True)
class Path:
    """A path: names of fields, and numbers of entries, which begin with 0."""

    text: str
    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Path | None:
        """Return the path that a user typed, or None."""
        text = text.strip().removeprefix("$.").replace("[", ".").replace("]", "").removeprefix(".")
        steps = tuple(text.split("."))
        if len(text) > _LONGEST or not all(_STEP.fullmatch(step) for step in steps):
            return None
        return cls(text, steps)

    def find(self, payload: object) -> Any:
        """Return what it leads to, None for ``null``. Raises Missing."""
        found: Any = payload
        for number, step in enumerate(self.steps):
            if isinstance(found, dict) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                raise Missing(inside(found, self.steps[:number]))
        return found


def inside(value: object, steps: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths of what is right in a value, not too many of them."""
    names: Iterator[str] = iter(())
    if isinstance(value, dict):
        names = iter(value)
    elif isinstance(value, list):
        names = map(str, range(len(value)))
    return tuple(
        ".".join((*steps, name)) for name, _ in zip(names, range(_MOST_LISTED), strict=False)
    )
