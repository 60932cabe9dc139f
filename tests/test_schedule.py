"""When invoices are looked at: the policy, and the heap that keeps it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import heapq
from itertools import pairwise
import random
from typing import Any

from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.crypto_invoices import schedule as module
from custom_components.crypto_invoices.providers.model import Invoice, InvoiceStatus
from custom_components.crypto_invoices.schedule import (
    LAST_LOOK,
    YOUNG_INTERVAL,
    Known,
    Schedule,
    next_look,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
START = datetime(1, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

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


def known(
    status: InvoiceStatus = InvoiceStatus.PENDING,
    *,
    age: float = 0,
    since: float = 0,
    expires_in: float | None = None,
    can_revert: bool = False,
) -> Known:
    """Return what is known of an invoice."""
    expires_at = None if expires_in is None else NOW + timedelta(seconds=expires_in)
    return Known(
        invoice=Invoice(id="1", status=status, provider_status="x", expires_at=expires_at),
        first_seen=NOW - timedelta(seconds=age),
        status_since=NOW - timedelta(seconds=since),
        can_revert=can_revert,
    )


@st.composite
def anything_known(draw: st.DrawFn) -> Known:
    """Return any invoice, seen at any time."""
    invoice = Invoice(
        id="1",
        status=draw(st.sampled_from(InvoiceStatus)),
        provider_status="x",
        expires_at=draw(moments),
        monitored_until=draw(moments),
    )
    first_seen, since = draw(moments) or NOW, draw(moments) or NOW
    return Known(invoice, first_seen, since, draw(st.booleans()))


@given(anything_known())
@example(replace(known(), invoice=replace(known().invoice, expires_at=END)))
@example(
    replace(known(), invoice=replace(known().invoice, status=InvoiceStatus.EXPIRED, expires_at=END))
)
def test_any_invoice_has_a_sane_interval(what: Known) -> None:
    """Whatever the times, what can still change is looked at again, and nothing too often."""
    interval = next_look(what, NOW)
    if interval is None:
        assert not what.invoice.status.is_open
        return
    assert 0 < interval <= 6 * HOUR
    if not (what.invoice.status.is_paid and what.can_revert):
        assert interval >= YOUNG_INTERVAL


@given(
    status=st.sampled_from(OPEN),
    age=st.integers(-int(DAY), int(15 * MINUTE) - 1),
    expires_in=st.one_of(st.none(), st.floats(-40 * DAY, 40 * DAY)),
)
def test_young(status: InvoiceStatus, age: int, expires_in: float | None) -> None:
    """A young invoice is looked at every 30 seconds, whatever its expiry says."""
    what = known(status, age=age, expires_in=expires_in)
    assert next_look(what, NOW) == YOUNG_INTERVAL == 30


@given(age=st.floats(0, 400 * DAY), expires_in=st.floats(-10 * MINUTE, 10 * MINUTE))
def test_near_expiry(age: float, expires_in: float) -> None:
    """Around its expiry, an invoice is looked at every minute."""
    assert next_look(known(age=age, expires_in=round(expires_in, 3)), NOW) in (30, 60)


@given(
    status=st.sampled_from(BUSY),
    age=st.floats(0, 400 * DAY),
    since=st.floats(0, 59 * MINUTE),
    expires_in=st.one_of(st.none(), st.floats(-DAY, 40 * DAY)),
)
def test_busy(status: InvoiceStatus, age: float, since: float, expires_in: float | None) -> None:
    """Where money is on its way, a minute is the most, also after the expiry."""
    assert next_look(known(status, age=age, since=since, expires_in=expires_in), NOW) in (30, 60)


@given(age=st.integers(0, 400 * int(DAY)), expires_in=st.integers(601, 400 * int(DAY)))
def test_expiry_is_not_slept_through(age: int, expires_in: int) -> None:
    """The next look comes before the last ten minutes are over, however old the invoice is."""
    interval = next_look(known(age=age, expires_in=expires_in), NOW)
    assert interval is not None
    assert interval <= max(expires_in - 10 * MINUTE, 30)


def test_older_is_slower() -> None:
    """The older an open invoice, the longer the interval."""
    ages = (0, 16 * MINUTE, 2 * HOUR, 7 * HOUR, 2 * DAY, 8 * DAY)
    intervals = [next_look(known(age=age), NOW) for age in ages]
    assert intervals == [30, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR]


@pytest.mark.parametrize("status", ENDED_UNPAID)
def test_grace(status: InvoiceStatus) -> None:
    """What ended unpaid is looked at for a day more, slowly, then never."""
    assert next_look(known(status, since=23 * HOUR), NOW) == HOUR
    assert next_look(known(status, since=25 * HOUR), NOW) is None
    assert next_look(known(status, since=25 * HOUR, expires_in=-23 * HOUR), NOW) == HOUR
    forever = replace(known(status).invoice, expires_at=END)
    assert next_look(Known(forever, NOW, NOW - timedelta(hours=49), can_revert=False), NOW) is None


@pytest.mark.parametrize("status", ENDED_UNPAID)
def test_monitored(status: InvoiceStatus) -> None:
    """Where the provider says how long it looks for late money, that counts."""
    what = known(status, since=25 * HOUR)
    for seconds, interval in ((1, HOUR), (-1, None)):
        until = NOW + timedelta(seconds=seconds)
        monitored = replace(what, invoice=replace(what.invoice, monitored_until=until))
        assert next_look(monitored, NOW) == interval


def test_open_after_its_expiry() -> None:
    """What stays open long after its expiry is looked at as slowly as in the grace."""
    assert next_look(known(age=2 * HOUR, expires_in=-11 * MINUTE), NOW) == HOUR


@pytest.mark.parametrize("status", [*PAID, InvoiceStatus.REFUNDED])
def test_final(status: InvoiceStatus) -> None:
    """What is final is not looked at again."""
    assert next_look(known(status), NOW) is None


@pytest.mark.parametrize("status", PAID)
@given(early=st.floats(0.85, 1))
def test_last_look(status: InvoiceStatus, early: float) -> None:
    """Where a payment can be taken back, there is one late look, then none."""
    left = next_look(known(status, can_revert=True), NOW)
    assert left == LAST_LOOK
    assert next_look(known(status, since=left * early + 1, can_revert=True), NOW) is None


def ids_of(size: int) -> list[str]:
    """Return made-up IDs."""
    return [f"i{number}" for number in range(size)]


type Step = tuple[str, set[int], float]


def steps() -> st.SearchStrategy[list[Step]]:
    """Return what happens to a schedule, one after the other."""
    step = st.tuples(
        st.sampled_from(["plan", "together", "once", "hasten", "forget", "take", "wait"]),
        st.sets(st.integers(0, 12), max_size=8),
        st.sampled_from([0.0, 1.0, 30.0, 60.0, 3600.0]),
    )
    return st.lists(step, max_size=60)


class Model:
    """A schedule, and for each invoice between which moments its look has to come."""

    def __init__(self, batch_size: int, seed: int) -> None:
        """Begin with nothing planned."""
        self.schedule = Schedule(batch_size, random.Random(seed))
        self.now = 100.0
        self.latest: dict[str, float] = {}
        self.earliest: dict[str, float] = {}

    def plan(self, id_: str, seconds: float) -> None:
        """Plan a look."""
        self.schedule.plan(id_, self.now, seconds)
        self._expect([id_], seconds)

    def together(self, ids: list[str], seconds: float) -> None:
        """Plan looks together."""
        self.schedule.plan_together(ids, self.now, seconds)
        self._expect(ids, seconds)

    def _expect(self, ids: list[str], seconds: float) -> None:
        for id_ in ids:
            self.latest[id_] = self.now + seconds
            self.earliest[id_] = self.now + seconds * 0.3

    def once(self, id_: str, seconds: float) -> None:
        """Plan a look for now."""
        self.schedule.plan_at_once(id_, self.now)
        self.latest[id_] = min(self.latest.get(id_, self.now), self.now)
        self.earliest[id_] = min(self.earliest.get(id_, self.now), self.now)

    def hasten(self, id_: str, seconds: float) -> None:
        """Plan a look sooner."""
        self.schedule.hasten(id_, self.now, seconds)
        if id_ in self.latest:
            self.latest[id_] = min(self.latest[id_], self.now + seconds)
            self.earliest[id_] = min(self.earliest[id_], self.now)

    def forget(self, id_: str, seconds: float) -> None:
        """Plan none."""
        self.schedule.forget(id_)
        self.latest.pop(id_, None)

    def take(self, most: int) -> None:
        """Take what is due: each once, not too early, and all of it if there is room."""
        taken = self.schedule.take_due(self.now, most)
        assert len(taken) == len(set(taken)) <= most
        for id_ in taken:
            assert self.earliest[id_] <= self.now
            del self.latest[id_]
        if len(taken) < most:
            assert all(due > self.now for due in self.latest.values())

    def check(self) -> None:
        """Compare what can be asked."""
        assert len(self.schedule) == len(self.latest)
        next_due = self.schedule.next_due()
        assert (next_due is None) == (not self.latest)
        assert next_due is None or next_due <= min(self.latest.values())


@settings(max_examples=300)
@given(steps=steps(), batch_size=st.sampled_from([1, 3, 100]), seed=st.integers(0, 9))
def test_against_a_model(steps: list[Step], batch_size: int, seed: int) -> None:
    """Whatever happens, each invoice is planned once, taken when due, and never too late."""
    model = Model(batch_size, seed)
    for what, numbers, seconds in steps:
        ids = [f"i{number}" for number in sorted(numbers)]
        if what == "wait":
            model.now += seconds
        elif what == "take":
            model.take(2 * len(ids))
        elif what == "together":
            model.together(ids, seconds)
        else:
            for id_ in ids:
                getattr(model, what)(id_, seconds)
        model.check()
    assert set(model.schedule.take_due(model.now + 1e9, 1_000)) == model.latest.keys()


@given(
    count=st.integers(1, 40),
    batch_size=st.sampled_from([1, 4, 10]),
    most=st.integers(1, 10),
    seed=st.integers(0, 99),
)
def test_nothing_is_starved(count: int, batch_size: int, most: int, seed: int) -> None:
    """However short the budget, everything gets its turn before anything gets a third one."""
    schedule = Schedule(batch_size, random.Random(seed))
    now = 0.0
    schedule.plan_together(ids_of(count), now, 0)
    turns: Counter[str] = Counter()
    waits: dict[str, float] = dict.fromkeys(ids_of(count), now)
    rounds_needed = -(-count // most)
    for _ in range(6 * rounds_needed):
        # Each is due again before the others had their turn.
        taken = schedule.take_due(now, most)
        assert len(taken) <= most
        for id_ in taken:
            turns[id_] += 1
            assert now - waits[id_] <= (2 * rounds_needed + 1) * 30
            waits[id_] = now
            schedule.plan(id_, now, 30)
        now += 30
    assert min(turns[id_] for id_ in waits) >= 2


@given(count=st.integers(1, 300), seed=st.integers(0, 99))
def test_joining_fills_batches(count: int, seed: int) -> None:
    """Requests that are made anyway take along what is due before long, and no more than fits."""
    schedule = Schedule(100, random.Random(seed))
    schedule.plan("first", 0, 10)
    for id_ in ids_of(count):
        schedule.plan(id_, 0, 60)
    assert schedule.take_due(0, 500) == []
    # None of the others is due before 51; they may come from 30 on.
    assert schedule.take_due(20, 500) == ["first"]
    schedule.plan("first", 20, 15)
    taken = schedule.take_due(35, 500)
    assert taken[0] == "first"
    assert len(taken) == min(count + 1, 100)
    schedule.plan("first", 36, 0)
    assert len(schedule.take_due(36, 7)) == min(7, count + 1 - len(taken) + 1)


def test_joins_past_what_cannot_come() -> None:
    """One that was just looked at doesn't keep those behind it from coming along."""
    schedule = Schedule(100, random.Random(1))
    schedule.plan("hourly", 0, 3600)
    schedule.plan("young", 2000, 30)
    schedule.plan("just looked at", 2020, 30)
    assert set(schedule.take_due(2030, 100)) == {"young", "hourly"}


def test_one_by_one_never_joins() -> None:
    """Where each invoice is a request of its own, none comes early."""
    schedule = Schedule(1, random.Random(1))
    for id_ in ids_of(10):
        schedule.plan(id_, 0, 30)
    assert schedule.take_due(25, 10) == []


def test_spread() -> None:
    """Those that were added together don't stay together for ever."""
    schedule = Schedule(100, random.Random(1))
    schedule.plan_together(ids_of(1_000), 0, 0)
    now = 0.0
    for _ in range(50):
        now += 30
        while taken := schedule.take_due(now, 100):
            schedule.plan_together(taken, now, 30)
    dues = {look.due for look in schedule._planned.values()}
    assert len(dues) == 10
    assert max(dues) - min(dues) > 1


class Comparisons:
    """Counts what heaps compare."""

    def __init__(self) -> None:
        """Count from nothing."""
        self.count = 0


@pytest.fixture
def heap_steps(monkeypatch: pytest.MonkeyPatch) -> Comparisons:
    """Count the heap operations, each of which is O(log n)."""
    steps = Comparisons()

    class CountedHeap:
        """The heap functions, counted."""

        @staticmethod
        def heappush(heap: list[Any], item: Any) -> None:
            """Push."""
            steps.count += 1
            heapq.heappush(heap, item)

        @staticmethod
        def heappop(heap: list[Any]) -> Any:
            """Pop."""
            steps.count += 1
            return heapq.heappop(heap)

        @staticmethod
        def heapify(heap: list[Any]) -> None:
            """Heapify, which is as much work as its size."""
            steps.count += len(heap)
            heapq.heapify(heap)

    monkeypatch.setattr(module, "heapq", CountedHeap)
    return steps


@pytest.mark.parametrize("batch_size", [1, 100])
def test_the_next_look_is_no_scan(heap_steps: Comparisons, batch_size: int) -> None:
    """With 10,000 that sleep, one that is awake costs a few operations a look, for ever."""
    schedule = Schedule(batch_size, random.Random(1))
    for id_ in ids_of(10_000):
        schedule.plan(id_, 0, 1e9)
    now = 0.0
    heap_steps.count = 0
    for _ in range(1_000):
        schedule.plan("awake", now, 30)
        now = schedule.next_due() or 0.0
        assert schedule.take_due(now, 100) == ["awake"]
    assert heap_steps.count <= 1_000 * 6


@pytest.mark.parametrize("batch_size", [1, 100])
def test_what_is_planned_anew_is_not_kept(heap_steps: Comparisons, batch_size: int) -> None:
    """Hints plan the same invoices again and again: the heaps don't grow with them."""
    schedule = Schedule(batch_size, random.Random(1))
    schedule.plan_together(ids_of(300), 0, 3600)
    heap_steps.count = 0
    for turn in range(100):
        for id_ in ids_of(300)[::2]:
            schedule.plan(id_, turn, 3600)
    assert max(len(schedule._by_due), len(schedule._by_soonest)) <= 2 * 300 + 64
    assert sum(len(look.invoice_ids) for *_, look in schedule._by_due) <= 3 * 300 + 64
    assert heap_steps.count <= 15_000 * 4
    assert len(schedule.take_due(1e6, 1_000)) == 300


@pytest.mark.parametrize("batch_size", [1, 100])
def test_ten_thousand_due_at_once(heap_steps: Comparisons, batch_size: int) -> None:
    """They come in the order they were planned, in full batches, each once."""
    schedule = Schedule(batch_size, random.Random(1))
    schedule.plan_together(ids_of(10_000), 0, 0)
    heap_steps.count = 0

    def batches() -> Iterator[list[str]]:
        while taken := schedule.take_due(5, 4_000):
            yield taken

    taken = list(batches())
    assert [len(some) for some in taken] == [4_000, 4_000, 2_000]
    assert [id_ for some in taken for id_ in some] == ids_of(10_000)
    assert heap_steps.count <= 20_000
    assert schedule.next_due() is None


def test_same_policy_over_a_life() -> None:
    """A pending invoice that nobody pays: each look is at most its interval after the last."""
    schedule = Schedule(100, random.Random(3))
    invoice = Invoice(
        id="1", status=InvoiceStatus.PENDING, provider_status="x", expires_at=NOW + timedelta(1)
    )
    seen: list[float] = [0.0]
    schedule.plan("1", 0, 0)
    while (due := schedule.next_due()) is not None and due < DAY:
        assert schedule.take_due(due, 100) == ["1"]
        seen.append(due)
        at = NOW + timedelta(seconds=due)
        schedule.plan("1", due, next_look(Known(invoice, NOW, NOW, can_revert=False), at))
    gaps = [(after - before, before) for before, after in pairwise(seen)]
    assert all(gap <= 30 for gap, age in gaps if age < 15 * MINUTE)
    assert all(gap <= 60 for gap, age in gaps if age > DAY - 10 * MINUTE)
    assert max(gap for gap, _ in gaps) <= 15 * MINUTE
    assert 150 < len(seen) < 250
