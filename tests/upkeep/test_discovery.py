"""What is new in a list, whatever its order and whatever times it tells."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.crypto_invoices.providers.model import Invoice, InvoiceStatus
from custom_components.crypto_invoices.upkeep.discovery import Filter, Since, find_new, newest_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = NOW - timedelta(days=1)
EARLIEST = NOW - timedelta(days=30)
STATUSES = (InvoiceStatus.PENDING, InvoiceStatus.PAID, InvoiceStatus.EXPIRED)


def row(id_: str, minutes: float | None = None, **more: Any) -> Invoice:
    """Return an invoice that was made so long before now."""
    made = None if minutes is None else NOW - timedelta(minutes=minutes)
    return Invoice(
        **{
            "id": id_,
            "status": InvoiceStatus.PAID,
            "provider_status": "x",
            "created_at": made,
            **more,
        }
    )


def new_ids(listed: list[Invoice], since: Since) -> list[str]:
    """Return what is new, in the order in which it is announced."""
    return [
        one.invoice.id
        for one in find_new(listed, since, EARLIEST)
        if one.baseline is InvoiceStatus.PENDING and one.invoice.status.is_paid
    ]


ages = st.one_of(st.none(), st.integers(-60 * 24 * 365 * 70, 60 * 24))
there = st.lists(st.tuples(ages, st.sampled_from(STATUSES)), max_size=12)


@given(before=there, after=st.lists(st.integers(1, 600), max_size=8), order=st.randoms())
def test_order_means_nothing_where_times_are_told(
    before: list[tuple[int | None, InvoiceStatus]], after: list[int], order: Any
) -> None:
    """What was there is never new; what was made later is, once, the oldest first."""
    old = [row(f"old {n}", age, status=status) for n, (age, status) in enumerate(before)]
    since = Since.read(Since.begin(old, START, NOW).write())
    assert since
    later = [row(f"new {n}", -age) for n, age in enumerate(after)]
    # The newest that was there may be a little ahead of the clock.
    later = [one for one in later if one.created_at and one.created_at > since.moment]
    listed = [*old, *later, *later]
    order.shuffle(listed)
    found = new_ids(listed, since)
    assert set(found) == {one.id for one in later}
    assert len(found) == len(set(found))
    times = {one.id: one.created_at or NOW for one in later}
    assert [times[id_] for id_ in found] == sorted(times.values())


def test_same_moment() -> None:
    """What is made in the very moment of the newest that was there is new, as its ID is."""
    since = Since.begin([row("A", 5), row("B", 5), row("C", 9)], START, NOW)
    assert new_ids([row("D", 5), row("A", 5), row("B", 5), row("C", 9)], since) == ["D"]


def test_nothing_was_there() -> None:
    """Then everything is new that the list has, but nothing older than it reached."""
    since = Since.begin([], START, NOW)
    assert new_ids([row("A", 1), row("B", 24 * 60 + 1)], since) == ["A"]


def test_too_old() -> None:
    """What was made so long ago that it may be forgotten isn't new."""
    since = Since.begin([], NOW - timedelta(days=90), NOW - timedelta(days=89))
    assert new_ids([row("A", 29 * 24 * 60), row("B", 31 * 24 * 60)], since) == ["A"]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([row("A"), row("B", 1)], ["B", "A"]),
        ([row("A", 1), row("B"), row("C", 3)], ["C", "B", "A"]),
        ([row("A", 60), row("B", 1), row("C")], ["B"]),
        ([row("A"), row("old", 60)], []),
        ([row("A"), row("B")], []),
    ],
)
def test_rows_without_a_time(listed: list[Invoice], expected: list[str]) -> None:
    """One was made after the row below it, where the newest come first; else nobody knows."""
    since = Since.begin([row("old", 30)], START, NOW)
    assert new_ids(listed, since) == expected


def test_open_before() -> None:
    """What was open when it began is watched as it was, and what nobody can date, if it is open."""
    since = Since.begin([row("newest", 5)], START, NOW)
    listed = [
        row("partly", 7, status=InvoiceStatus.PARTIALLY_PAID),
        row("older", 2 * 24 * 60, status=InvoiceStatus.PENDING),
        row("undated", status=InvoiceStatus.PROCESSING),
    ]
    assert {one.invoice.id: one.baseline for one in find_new(listed, since, EARLIEST)} == {
        "partly": InvoiceStatus.PARTIALLY_PAID,
        "undated": InvoiceStatus.PROCESSING,
    }


def test_how_far_a_list_goes() -> None:
    """No time in the future says how far, and none that is not told."""
    assert newest_of([row("A", -60), row("B", 4), row("C", 9), row("D")], NOW) == (
        NOW - timedelta(minutes=4)
    )
    assert newest_of([row("A", -60), row("D")], NOW) is None


@given(st.text(max_size=8), st.text(max_size=8))
def test_filter_takes_any_text(amount: str, order_id: str) -> None:
    """Whatever an option says, it is a filter."""
    chosen = Filter.of({"only_from_amount": amount, "only_order_id": order_id})
    chosen.includes(row("A", amount=Decimal(5), order_id=order_id))
