"""From answers to records: what is watched, what is entered, and when it is polled next."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import batched

import pytest

from custom_components.crypto_invoices.book.item import Item
from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.providers.model import (
    Answer,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus as S,
    ProviderError,
    ProviderUnavailable,
    UnavailableReason,
)
from custom_components.crypto_invoices.reading.evidence import DOUBTED_FOR
from custom_components.crypto_invoices.reading.interval import unchanged_for
from custom_components.crypto_invoices.reading.problems import note_problem
from custom_components.crypto_invoices.reading.watched import Taken

from .world import DAY, HOUR, LONGEST_STALL, NOW, InBatches, Stalls, World, invoice


class Read:
    """An account whose answers a test gives itself."""

    def __init__(
        self,
        *invoices: Invoice,
        begin: Callable[[Invoice], Record] = Record.begin,
        wall: timedelta = timedelta(),
    ) -> None:
        """Watch these, each read once; the clock on the wall may be wrong."""
        self.world = World(InBatches)
        self.world.loop.wall_offset = wall
        self.world.down = ProviderUnavailable(UnavailableReason.TIMEOUT)
        self.world.start(*invoices, begin=begin)
        self.intake = self.world.intake
        self.answer(*invoices)

    def answer(
        self, *rows: Invoice, errors: dict[str, ProviderError] | None = None, asked: float = 0.0
    ) -> Taken:
        """Take an answer; ``asked`` is how many seconds ago it was asked for."""
        now = self.world.now
        found: dict[str, Invoice | ProviderError] = {row.id: row for row in rows}
        return self.intake.take([Answer(now - asked, now, {**found, **(errors or {})})])

    def wait(self, seconds: float) -> None:
        """Let time pass, and nothing happen."""
        self.world.loop.passed += seconds

    def due_in(self, id_: str) -> float | None:
        """Return in how many seconds an invoice is polled next."""
        due = self.intake.watched[id_].due
        return None if due is None else due - self.world.now


def test_a_replica_lags() -> None:
    """Paid, then pending twice within seconds, then paid: that is one payment, and stays shown."""
    read = Read(invoice("1"))
    assert read.answer(invoice("1", S.PAID)).changed == ["1"]
    for wait in (0.5, 2.1):
        read.wait(wait)
        assert read.answer(invoice("1")).changed == []
        assert read.intake.watched["1"].invoice == invoice("1", S.PAID)
        assert read.world.status("1") is S.PAID
    read.wait(1)
    assert read.answer(invoice("1", S.PAID)).changed == []
    assert read.intake.watched["1"].doubt is None
    # What was doubted once begins anew.
    read.wait(DOUBTED_FOR)
    read.answer(invoice("1"))
    assert read.world.status("1") is S.PAID


def test_a_payment_is_taken_back() -> None:
    """A doubt plans its own poll, whatever else would be due, and is believed by that one."""
    read = Read(invoice("1"))
    read.answer(invoice("1", S.PAID))
    read.wait(10)
    read.answer(invoice("1"))
    due_in = read.due_in("1")
    assert due_in is not None
    assert DOUBTED_FOR <= due_in <= DOUBTED_FOR + 30
    read.wait(due_in)
    assert read.answer(invoice("1"), asked=0.5).changed == ["1"]
    assert read.world.status("1") is S.PENDING


def test_answers_in_the_wrong_order() -> None:
    """What was asked for before the latest answer came may bring an invoice forward, never back."""
    read = Read(invoice("1"), invoice("2"))
    read.wait(9)
    read.answer(invoice("1", S.PAID), asked=0.1)
    # These were asked for long before.
    read.wait(1)
    assert read.answer(invoice("1"), invoice("2", S.PAID), asked=8).changed == ["2"]
    assert read.intake.watched["1"].doubt is None
    assert read.world.status("1") is read.world.status("2") is S.PAID
    read.wait(1)
    assert read.answer(errors={"1": InvoiceNotFound("1")}, asked=9).changed == []
    assert read.intake.watched["1"].invoice == invoice("1", S.PAID)


def test_first_sight_of_a_rebuilt_record() -> None:
    """A record that begins with its next reading believes that, and announces nothing."""

    def rebuilt(made: Invoice) -> Record:
        return replace(Record.begin(made), announced=None)

    read = Read(invoice("1", S.PAID), begin=rebuilt)
    assert read.world.book.records["1"].announced is S.PAID


def test_unreadable_and_back() -> None:
    """An error is news once; it is asked for ever more slowly; a good answer ends that."""
    read = Read(invoice("1"), invoice("2"))
    waits = []
    for number in range(6):
        read.wait(1)
        taken = read.answer(errors={"1": BadResponse(f"{number}")})
        assert bool(taken.lost) == (number == 0)
        waits.append(read.due_in("1") or 0.0)
    assert waits[:5] == sorted(waits[:5])
    assert waits[-1] <= 15 * 60
    read.wait(1)
    assert read.answer(invoice("1")).found == ["1"]
    assert read.intake.watched["1"].misses == 0


def test_unknown_word() -> None:
    """A word that nobody knows keeps the invoice open, and what was received."""
    read = Read(invoice("1", S.PAID, amount_received=Decimal(5), currency="EUR"))
    read.wait(1)
    taken = read.answer(replace(invoice("1", S.UNKNOWN), provider_status="frozen"))
    assert taken.unknown_words == {"frozen"}
    assert read.world.status("1") is S.PAID
    assert read.due_in("1") is not None


def test_unknown_word_while_the_clock_is_ahead() -> None:
    """What an unknown word keeps open is polled soon, too, when the clock is set right."""
    read = Read(invoice("1", S.PAID, created_at=NOW), wall=timedelta(days=10))
    read.wait(1)
    read.answer(invoice("1", S.UNKNOWN, created_at=NOW))
    assert (read.due_in("1") or 0.0) > HOUR
    read.world.loop.wall_offset = timedelta()
    read.intake.follow_jump(read.world.clocks.take_jump())
    assert (read.due_in("1") or 0.0) <= 5 * 60


def test_owed_while_the_clock_is_ahead() -> None:
    """What was announced an hour ago is owed for an hour when the clock is set right, too."""
    read = Read(invoice("1", S.PAID, created_at=NOW), wall=timedelta(days=365))
    record, ahead = read.world.book.records["1"], read.world.clocks.now()
    record.item = Item(announcement_id="a", previous=S.PENDING, since=ahead, tried_at=ahead)
    read.world.loop.wall_offset = timedelta()
    read.intake.follow_jump(read.world.clocks.take_jump())
    assert record.item.since == record.item.tried_at == read.world.clocks.now()


@pytest.mark.parametrize("added", [1, 200])
def test_watched_is_compared_with_the_book(added: int) -> None:
    """What was added is due now, with what is due anyway; what was removed is forgotten whole."""
    read = Read(invoice("1"), invoice("2"))
    world = read.world
    ids = [f"n{number}" for number in range(added)]
    world.loop.run(world.book.async_add(Record.begin(invoice(id_)) for id_ in ids))
    world.book.remove("1", NOW)
    assert read.intake.follow_book()
    assert not read.intake.follow_book()
    assert read.intake.watched.keys() == {"2", *ids}
    assert all((read.due_in(id_) or 0.0) <= 0 for id_ in ids)
    # An answer that was on its way is about nobody.
    assert read.answer(invoice("1", S.PAID)).changed == []


def test_watched_again_is_another() -> None:
    """An invoice that is removed and added between two steps has nothing of the one before."""
    read = Read(invoice("1"))
    read.answer(errors={"1": InvoiceNotFound("1")})
    before = read.intake.watched["1"]
    read.world.book.remove("1", NOW)
    read.world.loop.run(read.world.book.async_add([Record.begin(invoice("1"))]))
    read.intake.follow_book()
    after = read.intake.watched["1"]
    assert before.problem is not None
    assert (after.problem, after.misses, after.error) == (None, 0, None)


@pytest.mark.parametrize(
    "created_at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), NOW]
)
def test_any_time(created_at: datetime) -> None:
    """Whatever the provider takes for the time, the invoice is polled, also when a clock is set."""
    read = Read(invoice("1", created_at=created_at, expires_at=created_at))
    for jump in (timedelta(minutes=-1), timedelta(days=400)):
        read.intake.follow_jump(jump)
        read.wait(30)
        read.answer(invoice("1", created_at=created_at, expires_at=created_at))
        assert 0 < (read.due_in("1") or 0.0) <= 6 * HOUR


@pytest.mark.parametrize("is_told", [True, False])
def test_wall_clock_is_behind_when_a_payment_is_seen(*, is_told: bool) -> None:
    """Ten days behind, then set right: a payment is as old as it is, by either clock."""
    read = Read(invoice("1"))
    world = read.world
    right = world.loop.wall()
    world.loop.wall_offset = timedelta(days=-10)
    world.clocks.take_jump()
    if is_told:
        world.clocks.note_server_time(right, world.now)
    read.wait(60)
    read.answer(invoice("1", S.PAID))
    world.loop.wall_offset = timedelta()
    read.intake.follow_jump(world.clocks.take_jump())
    ended_at = world.book.records["1"].ended_at
    assert ended_at is not None
    assert abs(ended_at - right) < timedelta(minutes=2)
    assert world.book.sums.paid_since(right - timedelta(hours=1)) == 1


def test_a_doubt_that_was_contradicted() -> None:
    """Paid for long, taken back, and then a stale answer: it is polled once more."""
    read = Read(invoice("1", S.PAID))
    read.wait(2 * HOUR)
    read.answer(invoice("1", S.PAID))
    assert read.due_in("1") is None
    read.answer(invoice("1"))
    read.wait(3)
    read.answer(invoice("1", S.PAID))
    assert HOUR / 2 < (read.due_in("1") or 0) <= HOUR
    read.wait(HOUR)
    read.answer(invoice("1", S.PAID))
    assert read.due_in("1") is None


@pytest.mark.parametrize("days", [-10, 10])
def test_wall_clock_is_wrong_at_the_start(days: int) -> None:
    """What ended yesterday still gets its late money, whatever day the machine takes it for."""
    ended = Record.begin(invoice("1", S.EXPIRED))
    ended.ended_at = NOW
    read = Read(invoice("1", S.EXPIRED), begin=lambda _: ended, wall=timedelta(days=days))
    read.answer(invoice("1", S.EXPIRED))
    assert not read.world.book.records["1"].is_over
    read.world.clocks.note_server_time(NOW + timedelta(days=2), read.world.now)
    read.answer(invoice("1", S.EXPIRED))
    assert read.world.book.records["1"].is_over


@pytest.mark.parametrize("is_known", [True, False])
def test_how_long_ago_it_ended(*, is_known: bool) -> None:
    """By the provider's clock, or else as long as it was watched since: the wall's says nothing."""
    ended = Record.begin(invoice("1", S.PAID))
    ended.ended_at = NOW
    read = Read(invoice("1", S.PAID), begin=lambda _: ended, wall=timedelta(days=300))
    read.wait(60)
    if is_known:
        read.world.clocks.note_server_time(NOW + timedelta(days=3), read.world.now)
    seconds = unchanged_for(read.intake.watched["1"], read.world.clocks)
    assert seconds == (3 * 24 * HOUR if is_known else 60)
    ended.is_dated_here = True
    assert unchanged_for(read.intake.watched["1"], read.world.clocks) == 60


def test_what_can_still_change() -> None:
    """The record says when nothing can change any more, and takes it back."""
    read = Read(invoice("1"), invoice("2", S.EXPIRED))
    records = read.world.book.records
    over = []
    for wait, rows in (
        (0.0, [invoice("1"), invoice("2", S.EXPIRED)]),
        (0.0, [invoice("1", S.REFUNDED)]),
        (2 * DAY, [invoice("2", S.EXPIRED)]),
        # Late money is money.
        (0.0, [invoice("2", S.PAID)]),
    ):
        read.wait(wait)
        read.answer(*rows)
        over.append([id_ for id_, record in records.items() if record.is_over])
        assert all((read.due_in(id_) is None) == record.is_over for id_, record in records.items())
    assert over == [[], ["1"], ["1", "2"], ["1"]]


def test_ten_thousand_rows_hold_up_nobody() -> None:
    """However many payments there are in one reading, others have their turn in between."""
    invoices = [invoice(f"{number}") for number in range(10_000)]
    read = Read(*invoices)
    now = read.world.now + 1
    answers = [
        Answer(now, now, {one.id: replace(one, status=S.PAID) for one in some})
        for some in batched(invoices, 100, strict=False)
    ]

    async def take() -> float:
        stalls = Stalls()
        taken = await read.intake.async_take(answers)
        assert len(taken.changed) == 10_000
        return await stalls.async_end()

    assert read.world.loop.run(take()) < LONGEST_STALL


def test_the_same_answer_again() -> None:
    """An answer that is the one before, byte for byte, ends a problem, and counts for one."""
    row = invoice("1")
    read = Read(row)
    note_problem(read.intake.watched["1"], BadResponse("x"), read.world.now)
    assert readings_with_a_problem(read) == 1
    read.answer(row)
    assert readings_with_a_problem(read) == 0
    odd = invoice("1", S.UNKNOWN)
    for _ in range(3):
        read.answer(odd)
    assert readings_with_a_problem(read) == 3


def readings_with_a_problem(read: Read) -> int:
    """Return how many readings in a row said that something is wrong with the invoice."""
    problem = read.intake.watched["1"].problem
    return problem.readings if problem else 0


def test_only_what_can_change_is_planned() -> None:
    """What is over costs polls nothing, and what is gone is not planned by who still holds it."""
    read = Read(invoice("1"), invoice("2"), invoice("3"))
    held = read.intake.watched["2"]
    read.answer(invoice("1", S.REFUNDED))
    read.world.remove("2")
    held.plan(read.world.now)
    assert [one.record.id for one in read.intake.planned] == ["3"]
