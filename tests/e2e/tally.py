"""Compare what was paid with what was reported."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

from .reporting import Report
from .story import Figure

# A report that is on its way at a kill still arrives; no start is that quick.
LINGERING = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """An invoice that was paid: just before when, how, and how much it asks for."""

    at: float
    status: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """When Home Assistant was killed, and whether everything announced was saved by then."""

    at: float
    all_saved: bool


@dataclass(slots=True)
class Tally:
    """How often each payment was reported, and why where it was more than once."""

    paid: int
    reported: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    repeated_for_no_reason: list[str] = field(default_factory=list)
    other_ids: list[str] = field(default_factory=list)
    unpaid: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    costly_kills: set[Kill] = field(default_factory=set)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return what is printed."""
        return (
            Figure("paid", self.paid),
            Figure("reported", len(self.reported), must_be=self.paid),
            Figure("lost", len(self.lost), must_be=0),
            Figure("announced though unpaid", len(self.unpaid), must_be=0),
            Figure("announced with a wrong status or amount", len(self.untrue), must_be=0),
            Figure("repeated with the same id", len(self.repeated)),
            Figure("repeated with another id", len(self.other_ids), must_be=0),
            Figure("repeated though saved", len(self.repeated_for_no_reason), must_be=0),
            Figure("kills between a run and its save", len(self.costly_kills)),
        )

    @property
    def evidence(self) -> tuple[str, ...]:
        """Return the details of what must not be."""
        told = {
            "lost": self.lost,
            "announced though unpaid": self.unpaid,
            "announced with a wrong status or amount": self.untrue,
            "repeated with another id": self.other_ids,
            "repeated though saved": self.repeated_for_no_reason,
        }
        return tuple(f"{what}: {', '.join(ids)}" for what, ids in told.items() if ids)


def count(
    payments: Mapping[str, Payment], reports: Sequence[Report], kills: Iterable[Kill]
) -> Tally:
    """Compare payments, by invoice, with reports, oldest first."""
    tally = Tally(len(payments))
    kills = tuple(kills)
    by_invoice: dict[str, list[Report]] = {}
    by_announcement: dict[str, list[Report]] = {}
    for report in reports:
        by_invoice.setdefault(report.invoice_id, []).append(report)
        by_announcement.setdefault(report.announcement_id, []).append(report)
        payment = payments.get(report.invoice_id)
        if payment is None or report.at < payment.at:
            tally.unpaid.append(report.invoice_id)
        elif report.status != payment.status or report.amount != payment.amount:
            tally.untrue.append(f"{report.invoice_id} ({report.status}, {report.amount})")
    tally.reported = by_invoice.keys() & payments.keys()
    tally.lost = [invoice_id for invoice_id in payments if invoice_id not in by_invoice]
    tally.other_ids = [
        f"{invoice_id} ({', '.join(sorted(ids))})"
        for invoice_id, told in by_invoice.items()
        if len(ids := {report.announcement_id for report in told}) > 1
    ]
    for told in by_announcement.values():
        _count_repeats(tally, told, kills)
    return tally


def _count_repeats(tally: Tally, told: Sequence[Report], kills: Sequence[Kill]) -> None:
    """Look for what explains each repeat: a kill before the announcement was saved."""
    if len(told) > 1:
        tally.repeated.append(told[0].announcement_id)
    for first, again in pairwise(told):
        between = [kill for kill in kills if first.at <= kill.at + LINGERING <= again.at]
        if not between or any(kill.all_saved for kill in between):
            tally.repeated_for_no_reason.append(f"{again.invoice_id} ({again.announcement_id})")
        else:
            tally.costly_kills.add(between[0])
