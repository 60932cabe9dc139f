"""What is counted as lost, repeated and untrue."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from tests.e2e.reporting import Report
from tests.e2e.tally import Kill, Payment, Tally, count

PAYMENTS = {
    "INV-1": Payment(at=10, status="paid", amount=Decimal("24.9")),
    "INV-2": Payment(at=20, status="overpaid", amount=Decimal(5)),
}


def told(at: float, invoice_id: str, announcement_id: str = "", status: str = "paid") -> Report:
    """Return the report of a run."""
    payment = PAYMENTS.get(invoice_id)
    return Report(
        at=at,
        announcement_id=announcement_id or f"about {invoice_id}",
        invoice_id=invoice_id,
        status=status,
        amount=payment.amount if payment else None,
    )


ONCE = told(11, "INV-1"), told(21, "INV-2", status="overpaid")


def wrong(tally: Tally) -> set[str]:
    """Return the names of the figures that are not what they have to be."""
    return {figure.name for figure in tally.figures if figure.is_wrong}


@pytest.mark.parametrize(
    ("reports", "kills", "names"),
    [
        (ONCE, (), set()),
        (ONCE[:1], (), {"reported", "lost"}),
        ((*ONCE, told(22, "INV-3")), (), {"announced though unpaid"}),
        ((told(9, "INV-1"), *ONCE[1:]), (), {"announced though unpaid"}),
        ((ONCE[0], told(21, "INV-2")), (), {"announced with a wrong status or amount"}),
        ((*ONCE, told(30, "INV-1")), (), {"repeated though saved"}),
        ((*ONCE, told(30, "INV-1")), (5, 40), {"repeated though saved"}),
        ((*ONCE, told(30, "INV-1")), (12,), set()),
        ((*ONCE, told(30, "INV-1", "another")), (12,), {"repeated with another id"}),
        ((*ONCE, told(30, "INV-1"), told(31, "INV-1")), (12,), {"repeated though saved"}),
    ],
    ids=[
        "once",
        "lost",
        "unpaid",
        "early",
        "untrue",
        "repeated",
        "killed at other times",
        "killed",
        "another id",
        "repeated twice",
    ],
)
def test_figures(reports: Sequence[Report], kills: Sequence[float], names: set[str]) -> None:
    """Each thing that must not be makes its figure wrong, and has its evidence."""
    tally = count(PAYMENTS, reports, [Kill(at=at, all_saved=False) for at in kills])
    assert wrong(tally) == names
    assert len(tally.evidence) == len(names - {"reported"})


def test_repeat_after_a_quiet_kill() -> None:
    """What was saved by the time of the kill must not come again."""
    reports = (*ONCE, told(30, "INV-1"))
    assert wrong(count(PAYMENTS, reports, [Kill(at=12, all_saved=True)])) == {
        "repeated though saved"
    }


def test_costly_kills() -> None:
    """A kill that made several announcements come again counts once, a late report's too."""
    reports = (*ONCE, told(30, "INV-1"), told(31, "INV-2", status="overpaid"))
    tally = count(PAYMENTS, reports, [Kill(at=20.9, all_saved=False)])
    assert not wrong(tally)
    assert len(tally.repeated) == 2
    assert len(tally.costly_kills) == 1
