"""From readings to transitions: what each is called, which ID it has, and what is known then."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.book.transitions import (
    KINDS,
    Transition,
    enter,
    is_step_back,
    note_announced,
    pending_transition,
)
from custom_components.crypto_invoices.providers.model import Invoice, InvoiceStatus as S

from .conftest import NOW, euros, record


def reading(status: S, **fields: Any) -> Invoice:
    """Return an invoice that was read."""
    return Invoice(**{"id": "A", "status": status, "provider_status": status.value, **fields})


def told(one: Record, statuses: Sequence[S]) -> list[Transition]:
    """Return what is announced while these are believed, each before the next."""
    transitions = []
    for status in statuses:
        enter(one, reading(status), NOW)
        if transition := pending_transition("entry", one):
            note_announced(one, transition)
            transitions.append(transition)
        assert one.is_announced
        assert pending_transition("entry", one) is None
    return transitions


@pytest.mark.parametrize(
    ("statuses", "kinds"),
    [
        ([S.PENDING, S.PENDING], []),
        ([S.PAID, S.PAID], ["paid"]),
        ([S.OVERPAID], ["overpaid"]),
        ([S.PARTIALLY_PAID, S.PAID], ["partially_paid", "paid"]),
        ([S.PAID, S.OVERPAID], ["paid", "overpaid"]),
        ([S.PROCESSING, S.PAID], ["status_changed", "paid"]),
        ([S.EXPIRED, S.PAID], ["expired", "paid"]),
        ([S.CANCELED], ["canceled"]),
        ([S.UNDERPAID], ["underpaid"]),
        ([S.FAILED], ["status_changed"]),
        ([S.PAID, S.PENDING], ["paid", "payment_reverted"]),
        ([S.PAID, S.PROCESSING], ["paid", "payment_reverted"]),
        ([S.PAID, S.PENDING, S.PAID], ["paid", "payment_reverted", "paid"]),
        ([S.PAID, S.CANCELED], ["paid", "payment_reverted"]),
        ([S.PAID, S.REFUNDED], ["paid", "payment_reverted"]),
        ([S.OVERPAID, S.PAID], ["overpaid", "status_changed"]),
        ([S.EXPIRED, S.PENDING], ["expired", "status_changed"]),
        ([S.PARTIALLY_PAID, S.PENDING], ["partially_paid", "status_changed"]),
        # A word that nobody knows says nothing.
        ([S.UNKNOWN, S.UNKNOWN], []),
        ([S.UNKNOWN, S.PAID], ["paid"]),
        ([S.PAID, S.UNKNOWN, S.PAID], ["paid"]),
    ],
)
def test_kinds(statuses: list[S], kinds: list[str]) -> None:
    """What changes is called what happened."""
    transitions = told(record(), statuses)
    assert [transition.kind for transition in transitions] == kinds
    assert len({transition.id for transition in transitions}) == len(kinds)


@settings(deadline=None)
@given(st.lists(st.sampled_from(S), max_size=12))
def test_any_order(statuses: list[S]) -> None:
    """Whatever is believed in whatever order, each announcement has an ID and a known kind."""
    transitions = told(record(), statuses)
    assert len({transition.id for transition in transitions}) == len(transitions)
    assert {transition.kind for transition in transitions} <= {*KINDS}
    payments = [one.is_payment for one in transitions].count(True)
    reverted = [one.kind for one in transitions].count("payment_reverted")
    assert 0 <= payments - reverted <= 1


def test_id_is_for_ever() -> None:
    """The same payment has the same ID, in every version and in every copy."""
    transition = pending_transition("entry", record(status=S.PAID, announced=S.PENDING))
    assert transition
    assert transition.id == "3fba12445919591692276bdfea26190c"


@pytest.mark.parametrize("found", [S.PAID, S.OVERPAID])
def test_found_again(found: S) -> None:
    """What a kill kept from being written has the same ID, even if more has arrived meanwhile."""
    before = pending_transition("entry", record(status=S.PAID, announced=S.PENDING))
    after = pending_transition("entry", record(status=found, announced=S.PENDING))
    assert before
    assert after
    assert before.id == after.id
    assert after.is_payment


def test_another_payment_has_another_id() -> None:
    """Another account, invoice, watching or payment: another ID."""
    paid = {"status": S.PAID, "announced": S.PENDING}
    found = [
        pending_transition("entry", record(**paid)),
        pending_transition("other", record(**paid)),
        pending_transition("entry", record("B", **paid)),
        pending_transition("entry", record(times_watched=1, **paid)),
        told(record(), [S.PAID, S.PENDING, S.PAID])[-1],
    ]
    assert len({one.id for one in found if one}) == len(found)


def test_first_sight() -> None:
    """The status at first sight announces nothing; a word that nobody knows is no sight."""
    for first in (S.PAID, S.PENDING, S.EXPIRED):
        one = record(status=S.UNKNOWN, announced=None)
        assert told(one, [S.UNKNOWN, first]) == []
        assert one.announced is first
    assert [one.kind for one in told(one, [S.PAID])] == ["paid"]


@pytest.mark.parametrize(
    ("before", "after", "is_back"),
    [
        (S.PENDING, S.PAID, False),
        (S.PENDING, S.EXPIRED, False),
        (S.EXPIRED, S.PAID, False),
        (S.EXPIRED, S.PROCESSING, True),
        (S.PAID, S.OVERPAID, False),
        (S.PAID, S.PENDING, True),
        (S.PAID, S.REFUNDED, True),
        (S.OVERPAID, S.PAID, True),
        (S.PARTIALLY_PAID, S.PENDING, True),
        (S.PROCESSING, S.PARTIALLY_PAID, False),
        (S.CANCELED, S.EXPIRED, False),
        (S.UNKNOWN, S.PENDING, False),
    ],
)
def test_step_back(before: S, after: S, *, is_back: bool) -> None:
    """What was further before is a step back, which is doubted."""
    assert is_step_back(before, after) is is_back


def test_what_was_asked_is_a_fact() -> None:
    """An invoice is never re-denominated: what it was made for stays."""
    one = record(asked=None)
    enter(one, reading(S.PENDING, amount=Decimal("12.5"), currency="EUR"), NOW)
    enter(one, reading(S.PAID, amount=Decimal("13.5"), currency="USD"), NOW)
    assert one.asked == one.brought == euros("12.5")


def test_a_status_that_nobody_knows() -> None:
    """Paid, then an odd word: what was paid is received, and not outstanding as well."""
    one = record(created_at=NOW)
    enter(one, reading(S.PAID, amount_received=Decimal(10), currency="EUR"), NOW)
    enter(one, reading(S.UNKNOWN), NOW + timedelta(hours=1))
    assert one.brought == euros("10")
    assert one.missing is None
    assert one.ended_at == NOW


@pytest.mark.parametrize(
    ("status", "fields", "missing", "brought"),
    [
        (S.PENDING, {}, "10", None),
        (S.PARTIALLY_PAID, {"received": euros("6.4")}, "3.6", None),
        (S.PROCESSING, {"received": euros("12")}, "0", None),
        (S.PAID, {}, None, "10"),
        (S.PAID, {"received": euros("9.99")}, None, "9.99"),
        (S.OVERPAID, {"received": euros("11")}, None, "11"),
        (S.UNDERPAID, {"received": euros("6.4")}, None, "6.4"),
        (S.UNDERPAID, {}, None, None),
        (S.EXPIRED, {"received": euros("1")}, None, None),
        (S.REFUNDED, {"received": euros("10")}, None, None),
        (S.PENDING, {"asked": None}, None, None),
        # Confirmed without money.
        (S.PAID, {"is_test": True}, None, None),
        (S.PENDING, {"is_test": True}, None, None),
    ],
)
def test_money(status: S, fields: dict[str, Any], missing: str | None, brought: str | None) -> None:
    """Outstanding is what is still missing; received is final money, and never a test's."""
    one = record(status=status, **fields)
    assert one.missing == (missing and euros(missing))
    assert one.brought == (brought and euros(brought))


def test_nothing_had_arrived() -> None:
    """A zero is no amount any more once something has arrived that isn't said."""
    one = Record.begin(reading(S.PENDING, amount=Decimal(5), currency="EUR"))
    enter(one, reading(S.PENDING, amount_received=Decimal(0), currency="EUR"), NOW)
    assert one.received == euros("0")
    enter(one, reading(S.PAID, currency="EUR"), NOW)
    assert one.brought == euros("5")


def test_when_it_was_paid() -> None:
    """By the provider's time, else when it was seen; what was paid before nobody knows."""
    one = record()
    enter(one, reading(S.PAID), NOW)
    assert not one.paid_at
    assert one.counted_at == NOW
    enter(one, reading(S.PAID, paid_at=NOW - timedelta(days=1)), NOW)
    assert one.counted_at == NOW - timedelta(days=1)
    enter(one, reading(S.PENDING), NOW)
    assert [one.paid_at, one.ended_at, one.counted_at] == [None] * 3

    before = record(status=S.UNKNOWN, announced=None)
    enter(before, reading(S.PAID), NOW)
    assert before.counted_at is None
    test = record(is_test=True)
    enter(test, reading(S.PAID, paid_at=NOW), NOW)
    assert test.counted_at is None


def test_late_money_is_new() -> None:
    """What is paid long after it ended is to be seen for as long as any other."""
    one = record()
    enter(one, reading(S.EXPIRED), NOW)
    enter(one, reading(S.EXPIRED), NOW + timedelta(days=1))
    assert one.ended_at == NOW
    enter(one, reading(S.PAID), NOW + timedelta(days=2))
    assert one.ended_at == NOW + timedelta(days=2)


def test_test_money_that_is_late() -> None:
    """What becomes paid long after it ended begins anew, also where that brings nothing."""
    one = record(status=S.EXPIRED, ended_at=NOW, is_test=True)
    enter(one, reading(S.PAID, is_test=True), NOW + timedelta(hours=20))
    assert one.brought is None
    assert one.ended_at == NOW + timedelta(hours=20)


def test_money_beside_a_word_that_nobody_knows() -> None:
    """What was received stays received, whatever such an answer says of the money."""
    one = record(status=S.PENDING)
    enter(one, reading(S.PAID, amount_received=Decimal(10), currency="EUR"), NOW)
    enter(one, reading(S.UNKNOWN, amount_received=Decimal(0), currency="EUR"), NOW)
    assert one.brought == euros("10")
