"""One run of a plan, and the shortest story of it that still fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
import time
import traceback
from typing import TextIO

from .plan import DAY, Event, Plan
from .shop import Shop

# A story is made shorter for so long, and not at all if one telling takes longer.
_PATIENCE = 240.0


@dataclass(slots=True, kw_only=True)
class Result:
    """What became of a run."""

    plan: Plan
    invoices: int = 0
    payments: int = 0
    kills: int = 0
    stops: int = 0
    requests: int = 0
    runs: int = 0
    seconds: float = 0.0
    """Of one core, however busy the machine is."""
    objects: list[tuple[int, int]] = field(default_factory=list)
    """How many there were in memory, by day."""
    digest: str = ""
    lines: int = 0
    failure: str = ""
    at: float = 0.0
    """When it failed, in seconds from the beginning."""
    where: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    """The last lines of the log."""


def tell(plan: Plan, file: TextIO | None = None) -> Result:
    """Run a plan."""
    result, began = Result(plan=plan), time.process_time()
    with Shop(plan, file) as shop:
        try:
            shop.run()
        except Exception as err:  # noqa: BLE001 - whatever it is, it is a failure of this seed
            result.failure = str(err) or repr(err)
            result.where = traceback.format_exception(err)[-6:]
            result.at = shop.loop.passed - shop.begin
            result.last = list(shop.log.last)
        result.invoices = len(shop.bills.all)
        result.payments = sum(bill.payments for bill in shop.bills)
        result.kills, result.stops = shop.home.kills, shop.home.stops
        result.requests = shop.session.requests
        result.objects = shop.limits.objects
        result.runs = shop.home.heard.number_of_runs
        result.digest, result.lines = shop.log.digest, shop.log.lines
    result.seconds = time.process_time() - began
    return result


def shorten(
    events: Sequence[Event], still_fails: Callable[[Sequence[Event]], bool], patience: float
) -> list[Event]:
    """Leave out as many events as possible, first whole invoices, while it still fails."""
    until = time.monotonic() + patience
    groups: list[list[Event]] = []
    for (number, _), together in groupby(sorted(events, key=_story_of), _story_of):
        # What belongs together goes together: an invoice's life. The rest is alone.
        life = list(together)
        groups += [life] if number else [[event] for event in life]
    for size in _halves(len(groups)):
        position = 0
        while position < len(groups) and time.monotonic() < until:
            rest = groups[:position] + groups[position + size :]
            if still_fails(_in_order(rest)):
                groups = rest
            else:
                position += size
    kept = _in_order(groups)
    for event in tuple(kept):
        fewer = [one for one in kept if one is not event]
        if time.monotonic() < until and still_fails(fewer):
            kept = fewer
    return kept


def _story_of(event: Event) -> tuple[int, str]:
    """Return what an event is part of."""
    return event.invoice, "" if event.invoice else event.kind


def _in_order(groups: Sequence[Sequence[Event]]) -> list[Event]:
    """Return events in the order of their time."""
    return sorted((event for group in groups for event in group), key=lambda event: event.at)


def _halves(number: int) -> list[int]:
    """Return a half, a quarter, and so on down to one."""
    sizes = []
    while number > 1:
        number = (number + 1) // 2
        sizes.append(number)
    return sizes


@dataclass(frozen=True, slots=True)
class Story:
    """Some events that end badly."""

    seed: int
    events: Sequence[Event]
    of: int
    """How many events there were in all."""
    failed: Result

    def __str__(self) -> str:
        """Tell it."""
        lines = [f"seed {self.seed}: {len(self.events)} events, of {self.of}"]
        lines += [f"- {_moment(event.at)} {event}" for event in self.events]
        lines.append(f"- {_moment(self.failed.at)} {self.failed.failure}")
        return "\n".join(lines)


def shortest(failed: Result, patience: float = _PATIENCE) -> Story:
    """Return the shortest story that still fails in the same way, as far as there is time."""
    plan, kind, last = failed.plan, _kind_of(failed.failure), failed

    def still_fails(events: Sequence[Event]) -> bool:
        nonlocal last
        days = max((event.at for event in events), default=0.0) / DAY
        told = tell(replace(plan, days=min(days + 0.01, plan.days), events=tuple(events)))
        if not told.failure or _kind_of(told.failure) != kind:
            return False
        last = told
        return True

    events = [event for event in plan.events if event.at <= failed.at]
    if not still_fails(events):
        return Story(plan.seed, plan.events, len(plan.events), failed)
    events = shorten(events, still_fails, patience)
    return Story(plan.seed, events, len(plan.events), last)


def _kind_of(failure: str) -> str:
    """Return what is the same of two failures that are about other invoices or amounts."""
    words = failure.split()
    return " ".join(word for word in words if word.isalpha())[:80]


def _moment(seconds: float) -> str:
    """Return a moment as people say it."""
    day, rest = divmod(seconds, DAY)
    minute = int(rest // 60)
    return f"day {int(day) + 1}, {minute // 60:02}:{minute % 60:02}:{rest % 60:04.1f}"
