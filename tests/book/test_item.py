"""What is owed for a payment: once each, until it is fulfilled or taken back."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from custom_components.crypto_invoices.book.contents import Changes
from custom_components.crypto_invoices.book.item import Item
from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.book.transitions import (
    Transition,
    fulfill,
    note_announced,
    owe,
    pending_transition,
    take_back,
)
from custom_components.crypto_invoices.providers.model import InvoiceStatus as S

from .conftest import NOW, make, read, record

MINUTE = timedelta(minutes=1)


def announce(one: Record, status: S) -> Transition:
    """Let an invoice be in another status, and let automations know."""
    one.status = status
    transition = pending_transition("entry", one)
    assert transition
    owe(one, transition, ["till"], NOW)
    take_back(one)
    note_announced(one, transition)
    return transition


def item(one: Record) -> Item:
    """Return what is owed, or was."""
    assert one.item
    return one.item


def test_a_payment_is_owed_once() -> None:
    """Announced again, or more of it: it is the same payment."""
    one = record()
    paid = announce(one, S.PAID)
    assert item(one).announcement_id == paid.id
    assert item(one).previous is S.PENDING
    assert owe(one, paid, ["another"], NOW + MINUTE)
    assert item(one) == replace(
        Item(announcement_id=paid.id, previous=S.PENDING, since=NOW, tried_at=NOW + MINUTE),
        heard_by=("till",),
    )
    before = one.item
    announce(one, S.OVERPAID)
    assert one.item is before
    fulfill(one, NOW)
    assert not owe(one, paid, ["another"], NOW + MINUTE)
    assert not one.is_owed


@pytest.mark.parametrize("status", [S.PROCESSING, S.PARTIALLY_PAID, S.UNDERPAID, S.EXPIRED])
def test_what_is_not_paid_owes_nothing(status: S) -> None:
    """Only who has paid is owed something."""
    one = record()
    announce(one, status)
    assert one.item is None


def test_fulfilled_once() -> None:
    """A second time changes nothing, and what was fulfilled can be owed again."""
    one = record()
    assert not fulfill(one, NOW)
    announce(one, S.PAID)
    assert not fulfill(one, None)
    assert fulfill(one, NOW)
    assert not fulfill(one, NOW + MINUTE)
    assert item(one).fulfilled_at == NOW
    assert not one.is_owed
    assert fulfill(one, None)
    assert one.is_owed


def test_a_reverted_payment_is_taken_back() -> None:
    """What was fulfilled by then stays so; the next payment is owed anew."""
    one = record()
    first = announce(one, S.PAID)
    announce(one, S.PENDING)
    assert one.item is None
    second = announce(one, S.PAID)
    assert item(one).announcement_id == second.id != first.id
    fulfill(one, NOW)
    announce(one, S.PENDING)
    assert item(one).announcement_id == second.id
    third = announce(one, S.PAID)
    assert item(one).announcement_id == third.id
    assert one.is_owed


def test_repeated_for_a_day() -> None:
    """After 1, 5, 15 and 60 minutes, then hourly; after a day no more."""
    one = record()
    announce(one, S.PAID)
    owed, minutes = item(one), list[float]()
    while (due := owed.next_attempt) is not None:
        minutes.append((due - NOW) / MINUTE)
        owed = owed.tried(due)
    assert minutes == [1, 5, 15, *range(60, 24 * 60 + 1, 60)]
    assert owed.attempts == 28
    assert owed.is_open


def test_what_was_missed_comes_once() -> None:
    """After some hours without Home Assistant it is tried once, and then at the next hour."""
    one = record()
    announce(one, S.PAID)
    owed = item(one)
    assert owed.next_attempt == NOW + MINUTE
    owed = owed.tried(NOW + 200 * MINUTE)
    assert owed.next_attempt == NOW + 240 * MINUTE
    # By a clock that was ahead for a while.
    assert owed.tried(NOW).tried_at == owed.tried_at


def test_nobody_is_run_again() -> None:
    """Nothing is repeated that is fulfilled, or that no automation heard of."""
    one = record()
    announce(one, S.PAID)
    assert replace(item(one), heard_by=()).next_attempt is None
    fulfill(one, NOW)
    assert item(one).next_attempt is None


def test_it_is_on_disk(path: Path) -> None:
    """It survives a restart as it is, and stays in memory."""
    owed, done, none = (record(id_, has_device=False, is_over=True) for id_ in "ABC")
    for one in (owed, done):
        announce(one, S.PAID)
    fulfill(done, NOW + MINUTE)
    make(path).write(Changes(records=[owed, done, none]))
    assert [one.may_rest for one in (owed, done, none)] == [False, False, True]
    assert read(path)[1].records == {"A": owed, "B": done}
