"""What the invoices of an account add up to: exact, each payment once, and still there afterwards."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
import sqlite3
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import given, settings, strategies as st

from custom_components.crypto_invoices.book.book import Book
from custom_components.crypto_invoices.book.record import Money, Record
from custom_components.crypto_invoices.book.rows import read_record
from custom_components.crypto_invoices.book.sums import Sums, add_up
from custom_components.crypto_invoices.providers.model import InvoiceStatus as S

from .conftest import NOW, Disk, euros, open_book, read, record

IDS = "ABC"
STATUSES = [S.PENDING, S.PARTIALLY_PAID, S.PAID, S.OVERPAID, S.UNDERPAID, S.EXPIRED]
amounts = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=18
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["USD", "BTC"]), amounts)))
def test_exact(moneys: list[tuple[str, Decimal]]) -> None:
    """Sums are exact to the last digit, however far apart their parts are."""
    sums = add_up(Money(amount, currency) for currency, amount in moneys)
    for currency in ("USD", "BTC"):
        exact = sum(Fraction(amount) for name, amount in moneys if name == currency)
        assert Fraction(sums.get(currency, Decimal(0))) == exact


class Step(NamedTuple):
    """Something that is done with the book, maybe of one invoice."""

    what: str
    id_: str = ""
    status: S = S.PENDING
    amount: int = 1
    is_test: bool = False
    is_over: bool = False


steps = st.builds(
    Step,
    what=st.sampled_from(
        ["add", "add", "change", "change", "remove", "commit", "commit", "fail", "forget"]
    ),
    id_=st.sampled_from(IDS),
    status=st.sampled_from(STATUSES),
    amount=st.integers(1, 9),
    is_test=st.booleans(),
    is_over=st.booleans(),
)


def planned(step: Step) -> Record:
    """Return the record that a step is about."""
    is_over = step.is_over and not step.status.is_open
    return record(
        step.id_,
        step.status,
        asked=euros("100"),
        received=euros(str(step.amount)),
        is_test=step.is_test,
        is_over=is_over,
        # Such a one is not kept in memory.
        has_device=not is_over,
    )


async def async_do(book: Book, disk: Disk, step: Step) -> None:
    """Do something with a book."""
    match step.what:
        case "add":
            await book.async_add([planned(step)])
        case "change" if (one := book.records.get(step.id_)) is not None:
            new = planned(step)
            one.status = one.announced = new.status
            one.received, one.is_test, one.is_over = new.received, new.is_test, new.is_over
            one.has_device = new.has_device
            book.changed(one)
        case "remove":
            book.remove(step.id_, NOW)
        case "commit":
            await book.async_commit()
        case "fail":
            with disk.full():
                await book.async_commit()
        case "forget":
            book.forget_before(NOW + timedelta(days=1))


def all_records(path: Path) -> list[Record]:
    """Return what a file says of each watched invoice."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [read_record(row) for row in database.execute("SELECT * FROM records")]


def check(path: Path, book: Book) -> None:
    """Hold the sums against the file, which has everything."""
    there, contents = read(path)
    there.close()
    on_disk = all_records(path)
    expected = add_up(
        [*(one.brought for one in on_disk), *(one.amount for one in contents.carried.values())]
    )
    assert _without_zeros(book.sums.received) == _without_zeros(expected)
    assert _without_zeros(book.sums.outstanding) == _without_zeros(
        add_up(one.missing for one in on_disk)
    )
    assert book.sums.open_count == sum(one.status.is_open for one in on_disk)
    assert book.records.keys() <= {one.id for one in on_disk}
    with sqlite3.connect(path) as database:
        twice = database.execute("SELECT id FROM records JOIN tombstones USING (id)").fetchall()
    database.close()
    assert twice == [], "watched, and not watched any more"


def _without_zeros(sums: dict[str, Decimal]) -> dict[str, Decimal]:
    return {currency: amount for currency, amount in sums.items() if amount}


def with_a_file(test: Callable[[Path], None]) -> None:
    """Do something with a new file."""
    with TemporaryDirectory() as folder:
        test(Path(folder) / "book.db")


@settings(max_examples=120, deadline=None)
@given(st.lists(st.lists(steps, min_size=1, max_size=4), max_size=8))
def test_at_once(rounds: list[list[Step]]) -> None:
    """Whatever is done at the same time, the sums are what the records and the past add up to."""

    async def run(path: Path) -> None:
        book, disk = open_book(path, must_exist=False)
        for some in rounds:
            await asyncio.gather(*(async_do(book, disk, step) for step in some))
            assert await book.async_commit()
            check(path, book)
            again, there = open_book(path)
            assert _without_zeros(again.sums.received) == _without_zeros(book.sums.received)
            assert _without_zeros(again.sums.outstanding) == _without_zeros(book.sums.outstanding)
            there.close()
        await book.async_close()

    with_a_file(lambda path: asyncio.run(run(path)))


@dataclass
class Model:
    """What each invoice brought, and what those brought that nobody will ask about any more."""

    brought: dict[str, Decimal] = field(default_factory=dict)
    past: Decimal = Decimal(0)
    forgets: bool = False

    def copy(self) -> Model:
        """Return what is so now."""
        return Model(dict(self.brought), self.past)

    def follow(self, step: Step, book: Book, *, was_watched: bool) -> None:
        """Note what a step did to one invoice."""
        is_news = step.what == "change" if was_watched else step.what == "add"
        if is_news:
            money = book.records[step.id_].brought
            self.brought[step.id_] = money.amount if money else Decimal(0)
        self.forgets |= step.what == "forget"

    def note_written(self, path: Path) -> None:
        """Forget what is forgotten on disk: its money stays."""
        watched = {one.id for one in all_records(path)}
        for id_ in self.brought.keys() - watched if self.forgets else ():
            self.past += self.brought.pop(id_)
        self.forgets = False


@settings(max_examples=120, deadline=None)
@given(st.lists(steps | st.just(Step("reload")) | st.just(Step("kill")), max_size=25))
def test_one_after_the_other(plan: list[Step]) -> None:
    """Each payment counts once, for as long as the account is there, whatever became of it."""

    async def run(path: Path) -> None:
        book, disk = open_book(path, must_exist=False)
        model, on_disk = Model(), Model()
        for step in plan:
            was_watched = step.id_ in book.records
            if step.what == "kill":
                disk.close()
                model = on_disk.copy()
            elif step.what == "reload":
                await book.async_close()
            else:
                await async_do(book, disk, step)
                model.follow(step, book, was_watched=was_watched)
            if step.what in ("commit", "reload"):
                model.note_written(path)
                on_disk = model.copy()
            if step.what in ("kill", "reload"):
                book, disk = open_book(path)
            received = book.sums.received.get("EUR", Decimal(0))
            assert received == model.past + sum(model.brought.values())
        await book.async_close()

    with_a_file(lambda path: asyncio.run(run(path)))


def test_paid_today() -> None:
    """Those paid since the day began are counted; a clock that is set back finds them again."""
    sums = Sums()
    sums.begin([], {"before": NOW - timedelta(hours=1)})
    paid = record(status=S.PAID, paid_at=NOW)
    sums.enter(paid)
    sums.enter(record("test", S.PAID, paid_at=NOW, is_test=True))
    sums.enter(record("unknown when", S.PAID))
    assert sums.paid_since(NOW) == 1
    assert sums.paid_since(NOW - timedelta(hours=2)) == 2
    # A month ahead for a moment.
    assert sums.paid_since(NOW + timedelta(days=31)) == 0
    assert sums.paid_since(NOW) == 1
    # It is still so when it is no longer watched, and not when it is taken back.
    sums.archive(paid)
    assert sums.paid_since(NOW) == 1
    sums.enter(replace(paid, status=S.PENDING))
    assert sums.paid_since(NOW) == 0
    sums.forget_before(NOW)
    assert sums._paid == {}, "it grows"
    assert sums.paid_since(NOW - timedelta(hours=2)) == 0


def test_currencies_stay() -> None:
    """A currency has its sums from its first invoice on, also when nothing is left of it."""
    sums = Sums()
    one = record(asked=euros("7"))
    sums.enter(one)
    assert sums.outstanding == {"EUR": Decimal(7)}
    sums.archive(one)
    assert sums.currencies == {"EUR"}
    assert sums.outstanding == {"EUR": Decimal(0)}
    assert sums.open_count == 0
