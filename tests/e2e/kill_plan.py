"""When Home Assistant is killed, over its whole life."""

from dataclasses import dataclass
from enum import StrEnum

from sandbox.faults import Fault

from .story import Dice


class Moment(StrEnum):
    """What Home Assistant is doing when it is killed."""

    STARTING = "while starting"
    STARTED = "just started"
    PAYMENT = "just after a payment"
    REPORT = "just after a report"
    FAULT = "with a fault on"
    QUIET = "while nothing happens"


# Beside these, it is killed once after the set-up.
LONG = {
    Moment.STARTING: 5,
    Moment.STARTED: 4,
    Moment.PAYMENT: 4,
    Moment.REPORT: 6,
    Moment.FAULT: 4,
    Moment.QUIET: 2,
}
SHORT = {Moment.STARTING: 1, Moment.REPORT: 1, Moment.FAULT: 1}

# After these a person has to enter the keys again.
_ENDING = {Fault.UNAUTHORIZED, Fault.FORBIDDEN}
_SLOW = {Fault.TIMEOUT, Fault.SLOW_BODY}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedKill:
    """A kill to come."""

    moment: Moment
    share: float
    """How far into the moment, from 0 to 1."""

    fault: Fault | None = None
    at_next_start: int | None = None
    """How many requests of the next start still meet the fault."""


def plan(dice: Dice, *, short: bool) -> list[PlannedKill]:
    """Return the kills in the order they come."""
    moments = [
        moment for moment, number in (SHORT if short else LONG).items() for _ in range(number)
    ]
    dice.shuffle(moments)
    return [_planned(dice, moment) for moment in moments]


def _planned(dice: Dice, moment: Moment) -> PlannedKill:
    share = dice.random()
    if moment is not Moment.FAULT:
        return PlannedKill(moment=moment, share=share)
    fault = dice.choice([fault for fault in Fault if fault not in _ENDING])
    # A slow answer would hold up the start, and with it the whole story.
    left = None if fault in _SLOW else dice.choice((None, 1, 2))
    return PlannedKill(moment=moment, share=share, fault=fault, at_next_start=left)
