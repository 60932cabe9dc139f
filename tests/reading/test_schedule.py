"""When invoices are polled: the policy, and who goes first."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import random

from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.providers.model import Invoice, InvoiceStatus
from custom_components.crypto_invoices.reading.schedule import (
    LAST_POLL,
    SPREAD,
    YOUNG_INTERVAL,
    interval_after_miss,
    next_due,
    next_poll,
    plan_together,
    take_due,
)
from custom_components.crypto_invoices.reading.watched import Watched

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
START = datetime(1, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
LEASE = 75.0

OPEN = [status for status in InvoiceStatus if status.is_open]
BUSY = [InvoiceStatus.PROCESSING, InvoiceStatus.PARTIALLY_PAID]
ENDED_UNPAID = [
    InvoiceStatus.EXPIRED,
    InvoiceStatus.CANCELED,
    InvoiceStatus.FAILED,
    InvoiceStatus.UNDERPAID,
]
PAID = [InvoiceStatus.PAID, InvoiceStatus.OVERPAID]

moments = st.one_of(
    st.none(),
    st.sampled_from([START, END, NOW]),
    st.integers(-40 * 86_400, 40 * 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds)),
)
ages = st.one_of(st.floats(0, 400 * DAY), st.just(2000 * 365 * DAY))


def invoice(
    status: InvoiceStatus = InvoiceStatus.PENDING, expires_in: float | None = None
) -> Invoice:
    """Return an invoice."""
    expires_at = None if expires_in is None else NOW + timedelta(seconds=expires_in)
    return Invoice(id="1", status=status, provider_status="x", expires_at=expires_at)


def interval(
    status: InvoiceStatus = InvoiceStatus.PENDING,
    *,
    age: float = 0,
    since: float = 0,
    expires_in: float | None = None,
    can_revert: bool = False,
) -> float | None:
    """Return in how many seconds an invoice is polled again."""
    return next_poll(
        invoice(status, expires_in), age=age, unchanged_for=since, now=NOW, can_revert=can_revert
    )


anything = st.builds(
    Invoice,
    id=st.just("1"),
    status=st.sampled_from(InvoiceStatus),
    provider_status=st.just("x"),
    expires_at=moments,
    monitored_until=moments,
)


@given(what=anything, age=ages, since=ages, now=st.sampled_from([NOW, START, END]))
@example(what=replace(invoice(), expires_at=END), age=0, since=0, now=START)
@example(what=replace(invoice(InvoiceStatus.EXPIRED), expires_at=END), age=0, since=0, now=START)
def test_any_invoice_has_a_sane_interval(
    what: Invoice, age: float, since: float, now: datetime
) -> None:
    """Whatever the times, what can still change is polled again, and nothing too often."""
    for can_revert in (False, True):
        seconds = next_poll(what, age=age, unchanged_for=since, now=now, can_revert=can_revert)
        if seconds is None:
            assert not what.status.is_open
            continue
        assert 0 < seconds <= 6 * HOUR
        if not what.status.is_paid:
            assert seconds >= YOUNG_INTERVAL


@given(
    status=st.sampled_from(OPEN),
    age=st.integers(-int(DAY), int(15 * MINUTE) - 1),
    expires_in=st.one_of(st.none(), st.floats(-40 * DAY, 40 * DAY)),
)
def test_young(status: InvoiceStatus, age: int, expires_in: float | None) -> None:
    """A young invoice is polled every 30 seconds, whatever its expiry says."""
    assert interval(status, age=age, expires_in=expires_in) == YOUNG_INTERVAL == 30


@given(age=st.floats(0, 400 * DAY), expires_in=st.floats(-10 * MINUTE, 10 * MINUTE))
def test_near_expiry(age: float, expires_in: float) -> None:
    """Around its expiry, an invoice is polled every minute."""
    assert interval(age=age, expires_in=round(expires_in, 3)) in (30, 60)


@given(
    status=st.sampled_from(BUSY),
    age=st.floats(0, 400 * DAY),
    since=st.floats(0, 59 * MINUTE),
    expires_in=st.one_of(st.none(), st.floats(-DAY, 40 * DAY)),
)
def test_busy(status: InvoiceStatus, age: float, since: float, expires_in: float | None) -> None:
    """Where money is on its way, a minute is the most, also after the expiry."""
    assert interval(status, age=age, since=since, expires_in=expires_in) in (30, 60)


@given(age=st.integers(0, 400 * int(DAY)), expires_in=st.integers(601, 400 * int(DAY)))
def test_expiry_is_not_slept_through(age: int, expires_in: int) -> None:
    """The next poll comes before the last ten minutes are over, however old the invoice is."""
    seconds = interval(age=age, expires_in=expires_in)
    assert seconds is not None
    assert seconds <= max(expires_in - 10 * MINUTE, 30)


def test_older_is_slower() -> None:
    """The older an open invoice, the longer the interval."""
    how_old = (0, 16 * MINUTE, 2 * HOUR, 7 * HOUR, 2 * DAY, 8 * DAY)
    intervals = [interval(age=age) for age in how_old]
    assert intervals == [30, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR]
    assert interval(age=2 * HOUR, expires_in=-11 * MINUTE) == HOUR


@pytest.mark.parametrize("status", ENDED_UNPAID)
def test_grace(status: InvoiceStatus) -> None:
    """What ended unpaid is polled for a day more, slowly, then never."""
    assert interval(status, since=23 * HOUR) == HOUR
    assert interval(status, since=25 * HOUR) is None
    assert interval(status, since=25 * HOUR, expires_in=-23 * HOUR) == HOUR
    forever = replace(invoice(status), expires_at=END)
    assert next_poll(forever, age=0, unchanged_for=49 * HOUR, now=NOW, can_revert=False) is None
    for seconds, expected in ((1, HOUR), (-1, None)):
        until = NOW + timedelta(seconds=seconds)
        monitored = replace(invoice(status), monitored_until=until)
        found = next_poll(monitored, age=0, unchanged_for=25 * HOUR, now=NOW, can_revert=False)
        assert found == expected


@pytest.mark.parametrize("status", [*PAID, InvoiceStatus.REFUNDED])
def test_final(status: InvoiceStatus) -> None:
    """What is final is not polled again."""
    assert interval(status) is None


@pytest.mark.parametrize("status", PAID)
@given(early=st.floats(1 - SPREAD, 1))
def test_last_poll(status: InvoiceStatus, early: float) -> None:
    """Where a payment can be taken back, there is one late poll, then none."""
    left = interval(status, can_revert=True)
    assert left == LAST_POLL
    assert interval(status, since=left * early + 1, can_revert=True) is None


def test_misses() -> None:
    """What can't be read is polled ever more slowly; in an outage, sooner at first."""
    assert [interval_after_miss(n, is_outage=True) for n in (1, 2, 3)] == [30, 60, 120]
    assert [interval_after_miss(n, is_outage=False) for n in (1, 2, 9, 10**6)] == [
        60,
        120,
        900,
        900,
    ]


def some_watched(count: int) -> list[Watched]:
    """Return invoices that nothing is planned for yet."""
    return [
        Watched(Record.begin(replace(invoice(), id=f"i{number}")), born=0, since=0)
        for number in range(count)
    ]


type Step = tuple[str, set[int], float]
steps = st.lists(
    st.tuples(
        st.sampled_from(["plan", "together", "never", "take", "wait"]),
        st.sets(st.integers(0, 12), max_size=8),
        st.sampled_from([0.0, 1.0, 30.0, 60.0, 3600.0]),
    ),
    max_size=60,
)


class Model:
    """Some invoices, and for each between which moments its poll has to come."""

    def __init__(self, batch_size: int, seed: int) -> None:
        """Begin with nothing planned."""
        self.watched = some_watched(13)
        self.batch_size = batch_size
        self.random = random.Random(seed)
        self.now = 100.0
        self.latest: dict[Watched, float] = {}
        self.earliest: dict[Watched, float] = {}

    def do(self, what: str, some: list[Watched], seconds: float) -> None:
        """Plan or take."""
        if what == "wait":
            self.now += seconds
        elif what == "take":
            self.take(2 * len(some))
        elif what == "plan":
            for one in some:
                one.plan(self.now + seconds)
                self.latest[one] = self.earliest[one] = self.now + seconds
        else:
            period = None if what == "never" else seconds
            plan_together(some, self.now, period, self.batch_size, self.random)
            for one in some:
                self.latest.pop(one, None)
                if period is not None:
                    self.latest[one] = self.now + period
                    self.earliest[one] = self.now + period * 0.3

    def take(self, most: int) -> None:
        """Take what is due: each once, not too early, and all of it if there is room."""
        taken = take_due(self.watched, self.now, most, self.batch_size, lease=LEASE)
        assert len(taken) == len(set(taken)) <= most
        assert all(self.earliest[one] <= self.now for one in taken)
        if len(taken) < most:
            assert all(due > self.now for one, due in self.latest.items() if one not in taken)
        for one in taken:
            # A reading is a lease: whatever becomes of it, it comes again.
            self.latest[one] = self.earliest[one] = self.now + LEASE

    def check(self) -> None:
        """Compare what is planned."""
        planned = {one for one in self.watched if one.due is not None}
        assert planned == self.latest.keys()
        due = next_due(self.watched)
        assert (due is None) == (not planned)
        assert due is None or due <= min(self.latest.values())


@settings(max_examples=200)
@given(steps=steps, batch_size=st.sampled_from([1, 3, 100]), seed=st.integers(0, 9))
def test_against_a_model(steps: list[Step], batch_size: int, seed: int) -> None:
    """Whatever happens, what is planned stays planned, and comes when it is due, never later."""
    model = Model(batch_size, seed)
    for what, numbers, seconds in steps:
        model.do(what, [model.watched[number] for number in sorted(numbers)], seconds)
        model.check()
    taken = take_due(model.watched, model.now + 1e9, 1_000, batch_size, lease=LEASE)
    assert set(taken) == model.latest.keys()


@given(
    count=st.integers(1, 40),
    batch_size=st.sampled_from([1, 4, 10]),
    most=st.integers(1, 10),
    seed=st.integers(0, 99),
)
def test_nothing_is_starved(count: int, batch_size: int, most: int, seed: int) -> None:
    """However short the budget, everything gets its turn before anything gets a third one."""
    rng, now, watched = random.Random(seed), 0.0, some_watched(count)
    plan_together(watched, now, 0, batch_size, rng)
    turns: Counter[Watched] = Counter()
    before = dict.fromkeys(watched, now)
    rounds_needed = -(-count // most)
    for _ in range(6 * rounds_needed):
        # Each is due again before the others had their turn.
        taken = take_due(watched, now, most, batch_size, lease=LEASE)
        assert len(taken) <= most
        for one in taken:
            turns[one] += 1
            assert now - before[one] <= (2 * rounds_needed + 1) * 30
            before[one] = now
            plan_together([one], now, 30, batch_size, rng)
        now += 30
    assert min(turns[one] for one in watched) >= 2


@given(count=st.integers(1, 300), seed=st.integers(0, 99))
def test_joining_fills_batches(count: int, seed: int) -> None:
    """Requests that are made anyway take along what is due before long, and no more than fits."""
    rng = random.Random(seed)
    first, *others = watched = some_watched(count + 1)
    first.plan(10)
    for one in others:
        plan_together([one], 0, 60, 100, rng)

    def take(now: float, most: int = 500) -> list[Watched]:
        return take_due(watched, now, most, 100, lease=LEASE)

    assert take(0) == []
    # None of the others is due before 51; they may come from 30 on.
    assert take(20) == [first]
    first.plan(35)
    taken = take(35)
    assert taken[0] is first
    assert len(taken) == min(count + 1, 100)
    first.plan(36)
    assert len(take(36, 7)) == min(7, count + 1 - len(taken) + 1)


def test_one_by_one_never_joins() -> None:
    """Where each invoice is a request of its own, none comes early."""
    watched = some_watched(10)
    for one in watched:
        plan_together([one], 0, 30, 1, random.Random(1))
    assert take_due(watched, 25, 10, 1, lease=LEASE) == []


def test_spread() -> None:
    """Those that were added together don't stay together for ever."""
    rng, now, watched = random.Random(1), 0.0, some_watched(1_000)
    plan_together(watched, 0, 0, 100, rng)
    for _ in range(50):
        now += 30
        while taken := take_due(watched, now, 100, 100, lease=LEASE):
            plan_together(taken, now, 30, 100, rng)
    dues = {one.due for one in watched if one.due is not None}
    assert len(dues) == 10
    assert max(dues) - min(dues) > 1


@pytest.mark.parametrize("batch_size", [1, 100])
def test_ten_thousand_due_at_once(batch_size: int) -> None:
    """They come in the order they were planned, in full batches, each once."""
    watched, taken = some_watched(10_000), list[Watched]()
    plan_together(watched, 0, 0, batch_size, random.Random(1))
    for size in (4_000, 4_000, 2_000, 0):
        some = take_due(watched, 5, 4_000, batch_size, lease=LEASE)
        assert len(some) == size
        taken += some
    assert taken == watched
    assert next_due(watched) == 5 + LEASE
