"""The figures by name."""

from collections.abc import Callable, Mapping

from .announcements import bursts, hints, removals
from .growth import additions, set_ups
from .idle import hours, months
from .records import records
from .refreshes import one_by_one, refreshes
from .workbench import Bench, Figures

ALL: Mapping[str, Callable[[Bench], Figures]] = {
    "refreshes": refreshes,
    "hours": hours,
    "months": months,
    "one_by_one": one_by_one,
    "set_ups": set_ups,
    "additions": additions,
    "records": records,
    "hints": hints,
    "bursts": bursts,
    "removals": removals,
}
