"""What to believe of a reading, by what it says and when it was asked. Pure."""

from dataclasses import dataclass
from enum import Enum, auto

from ..book.transitions import is_step_back
from ..providers.model import InvoiceStatus

# A step back has to be said again this many seconds after it was said first: replicas lag.
DOUBTED_FOR = 120.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """A step back that was said, and is not believed yet."""

    since: float
    """When the first answer that said so was received, in monotonic seconds."""

    @property
    def until(self) -> float:
        """From when on an answer that is asked for confirms it."""
        return self.since + DOUBTED_FOR


class Verdict(Enum):
    """What becomes of a reading."""

    BELIEVED = auto()
    DOUBTED = auto()
    IGNORED = auto()
    """It is older than what is known."""


def judge(
    known: InvoiceStatus,
    said: InvoiceStatus,
    *,
    asked: float,
    known_at: float,
    doubt: Doubt | None,
) -> Verdict:
    """Return what becomes of a reading; times are monotonic seconds.

    ``known`` was last said by an answer that was received at ``known_at``. An answer that was
    asked for before may bring an invoice forward, never back, and neither makes nor confirms
    a doubt.
    """
    overlaps = asked < known_at
    if said is known or said is InvoiceStatus.UNKNOWN:
        return Verdict.IGNORED if overlaps else Verdict.BELIEVED
    if not is_step_back(known, said):
        return Verdict.BELIEVED
    if overlaps:
        return Verdict.IGNORED
    if doubt is not None and asked >= doubt.until:
        return Verdict.BELIEVED
    return Verdict.DOUBTED
