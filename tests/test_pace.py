"""How fast an account is read, whatever its provider and the clocks do."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
import random
from typing import Any, ClassVar, override
from unittest.mock import Mock

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.crypto_invoices.pace import (
    FIRST_BACK_OFF,
    LONGEST_BACK_OFF,
    LONGEST_RETRY_AFTER,
    SHORTEST_RETRY_AFTER,
    Pace,
)
from custom_components.crypto_invoices.providers.base import Provider, parse_retry_after
from custom_components.crypto_invoices.providers.budget import WINDOW, Budget
from custom_components.crypto_invoices.providers.model import (
    Account,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    Trouble,
)
from custom_components.crypto_invoices.schedule import LAST_LOOK, MISSING_INTERVAL, YOUNG_INTERVAL

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = 3600.0
# How late Home Assistant's timers may ring.
LATE = 0.5


class OneByOne(Provider):
    """A provider that needs a request for each invoice."""

    key = "made_up"
    name = "Made up"
    fields = ()
    requests_per_minute: ClassVar[int] = 60

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Take anything."""
        return text

    @override
    async def async_get_account(self) -> Account:
        """Prove nothing."""
        raise NotImplementedError

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Read nothing."""
        raise NotImplementedError


class InBatches(OneByOne):
    """A provider that reads a hundred at once."""

    batch_size: ClassVar[int] = 100
    can_revert: ClassVar[bool] = True


class Unlimited(OneByOne):
    """A provider that takes anything."""

    requests_per_minute: ClassVar[int] = 1_000_000


def invoice(id_: str, status: InvoiceStatus = InvoiceStatus.PENDING, **more: Any) -> Invoice:
    """Return an invoice."""
    made = Invoice(id=id_, status=status, provider_status="x")
    return replace(made, **more)


class World:
    """An account as its coordinator drives it, with clocks of its own and no network."""

    def __init__(self, provider: type[Provider] = Unlimited, seed: int = 1) -> None:
        """Begin with nothing tracked."""
        self.now = 1_000.0
        self.wall = NOW
        self.provider = provider(Mock(), {"url": "http://made.up"})
        self.provider.answer_seconds = 0.0
        self.provider.budget = Budget(provider.requests_per_minute, lambda: self.now)
        rng = random.Random(seed)
        self.pace = Pace(lambda: self.now, self.provider, rng, lambda: self.wall)
        self.answers: dict[str, Invoice | ProviderError] = {}
        self.looks: dict[str, list[float]] = {}
        self.requests: list[float] = []

    def track(self, *invoices: Invoice, status: InvoiceStatus | None = None) -> None:
        """Begin with these."""
        self.answers |= {made.id: made for made in invoices}
        self.pace.start({made.id: status for made in invoices})

    def pass_time(self, seconds: float) -> None:
        """Let both clocks go on."""
        self.now += seconds
        self.wall += timedelta(seconds=seconds)

    def read(self) -> list[str]:
        """Read what is due."""
        due = self.pace.take_due()
        for begin in range(0, len(due), self.provider.batch_size):
            self.requests.append(self.now)
            self.provider.budget.count(1)
            for id_ in due[begin : begin + self.provider.batch_size]:
                self.looks.setdefault(id_, []).append(self.now)
        if due:
            self.pace.plan({id_: self.answers[id_] for id_ in due}, self.wall)
        return due

    def run(self, seconds: float, late: float = LATE) -> None:
        """Go on as the coordinator does, with timers that ring late."""
        end = self.now + seconds
        while (wait := self.pace.seconds_until_due()) is not None and self.now + wait <= end:
            self.pass_time(wait + late)
            self.read()
        self.pass_time(max(0.0, end - self.now))

    def gaps(self, id_: str) -> list[float]:
        """Return how long an invoice was not looked at, each time."""
        return [after - before for before, after in pairwise(self.looks[id_])]


def most_in_a_window(moments: Iterable[float]) -> int:
    """Return how many of these moments lie in one window, at most."""
    moments = list(moments)
    return max(sum(begin <= moment < begin + WINDOW for moment in moments) for begin in moments)


@given(
    size=st.integers(1, 150),
    provider=st.sampled_from([Unlimited, InBatches]),
    late=st.floats(-1, LATE),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_young_is_never_late(size: int, provider: type[Provider], late: float, seed: int) -> None:
    """A young invoice is seen every 30 seconds, however the timers ring."""
    world = World(provider, seed)
    world.track(*(invoice(f"{number}") for number in range(size)))
    world.run(14 * 60, late)
    for id_ in world.answers:
        assert world.looks[id_][0] <= 1_000 + 2
        assert max(world.gaps(id_)) <= YOUNG_INTERVAL + 1e-6
        assert world.now - world.looks[id_][-1] <= YOUNG_INTERVAL + 1e-6


@given(
    provider=st.sampled_from([OneByOne, InBatches]),
    size=st.integers(1, 200),
    answer_seconds=st.sampled_from([0.0, 0.1, 9.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=20, deadline=None)
def test_short_budget(
    provider: type[Provider], size: int, answer_seconds: float, seed: int
) -> None:
    """When the budget is short, it is never exceeded, some is left, and nothing is starved."""
    world = World(provider, seed)
    world.provider.answer_seconds = answer_seconds
    world.track(*(invoice(f"{number}") for number in range(size)))
    while world.now < 1_000 + 14 * 60:
        world.read()
        world.pass_time(world.pace.seconds_until_due() or 0)
    budget = provider.requests_per_minute
    assert most_in_a_window(world.requests) <= budget - int(budget * 0.2)
    turns = Counter({id_: len(looks) for id_, looks in world.looks.items()})
    assert len(turns) == size
    # Joining may favour some; nobody falls behind for good.
    rounds = -(-size // (0.8 * budget * provider.batch_size))
    longest = max(max(world.gaps(id_), default=0.0) for id_ in world.answers)
    if not answer_seconds:
        assert longest <= rounds * WINDOW + YOUNG_INTERVAL + 2


def test_slow_answers() -> None:
    """Where each answer takes nine seconds, what was read is published soon, and little asked."""
    world = World(Unlimited)
    world.track(*(invoice(f"{number}") for number in range(500)))
    world.provider.answer_seconds = None
    assert len(world.read()) == 2 * world.provider.concurrency
    world.provider.answer_seconds = 9.0
    assert len(world.read()) == world.provider.concurrency
    world.provider.answer_seconds = 2.0
    assert len(world.read()) == 5 * world.provider.concurrency
    world.provider.answer_seconds = 0.04
    assert len(world.read()) == 468


def test_reserve_is_for_hints() -> None:
    """What polling leaves is there for hints and actions; these count for polling."""
    world = World(OneByOne)
    world.track(*(invoice(f"{number}") for number in range(100)))
    assert len(world.read()) == 48
    assert world.provider.budget.left == 12
    assert world.pace.take_hinted(["99"], 2.0) == (["99"], 0.0)
    assert world.pace.take_hinted(["99", "98"], 2.0) == (["98"], 2.0)
    world.pass_time(WINDOW)
    # Where others take more than what is left to them, polling takes what is left of its own.
    world.provider.budget.count(40)
    assert len(world.read()) == 20
    assert len(world.read()) == 10
    assert world.read() == []


def test_final_ones_stop() -> None:
    """A paid invoice is read once more where a payment can go back; then nothing is planned."""
    world = World(InBatches)
    world.track(invoice("1", InvoiceStatus.PAID))
    world.run(2 * HOUR)
    assert len(world.looks["1"]) == 2
    assert 0.85 * LAST_LOOK - 2 <= world.gaps("1")[0] <= LAST_LOOK
    assert world.pace.seconds_until_due() is None
    world = World(Unlimited)
    world.track(invoice("1", InvoiceStatus.PAID))
    world.run(2 * HOUR)
    assert len(world.looks["1"]) == 1
    assert world.pace.seconds_until_due() is None


def test_grace_ends() -> None:
    """What expired is looked at for a day more, and then no more."""
    world = World(InBatches)
    world.track(invoice("1", InvoiceStatus.EXPIRED, expires_at=NOW))
    world.run(48 * HOUR)
    assert 24 <= len(world.looks["1"]) <= 30
    assert world.pace.seconds_until_due() is None


def test_paid_once_more() -> None:
    """A payment that is taken back is looked at as what is open is."""
    world = World(InBatches)
    world.track(invoice("1"))
    world.run(60)
    world.answers["1"] = invoice("1", InvoiceStatus.PAID)
    world.run(60)
    world.answers["1"] = invoice("1")
    world.run(2 * HOUR)
    assert len(world.looks["1"]) >= 20


END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("expires_at", [None, NOW - timedelta(days=400), END, NOW])
def test_any_expiry(expires_at: datetime | None) -> None:
    """Whatever the expiry, a young invoice is looked at as any other."""
    world = World(InBatches)
    world.track(invoice("1", expires_at=expires_at))
    world.run(15 * 60)
    assert max(world.gaps("1")) <= YOUNG_INTERVAL
    world.run(10 * 24 * HOUR)
    assert max(world.gaps("1")) <= 6 * HOUR


def test_created_long_ago() -> None:
    """An old invoice is old at the first look, unless it was just added by hand."""
    old = invoice("1", created_at=NOW - timedelta(days=30))
    world = World(InBatches)
    world.track(old)
    world.run(5 * HOUR)
    assert len(world.looks["1"]) == 1
    world = World(InBatches)
    world.answers["1"] = old
    world.pace.add(["1"])
    world.run(10 * 60)
    assert len(world.looks["1"]) > 19


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=-9000)])
@pytest.mark.parametrize("age", [5 * 60, 30 * 60, 3 * HOUR])
def test_the_wall_is_set(jump: timedelta, age: float) -> None:
    """When somebody sets the clock, looks go on, ages too, and nothing is lost."""
    world = World(InBatches)
    ids = [f"{number}" for number in range(250)]
    world.track(*(invoice(id_) for id_ in ids))
    world.run(age)
    as_before = world.pace.seconds_until_due()
    calm = World(InBatches)
    calm.track(*(invoice(id_) for id_ in ids))
    calm.run(age)
    world.wall += jump
    assert world.pace.seconds_until_due() == as_before
    for one in (world, calm):
        one.run(10 * 60)
    longest = 30 if age < 15 * 60 else 900
    for id_ in ids:
        late = [gap for gap in world.gaps(id_) if gap > longest + 1e-6]
        assert not late
    # All were looked at once more, together with those that were due anyway.
    assert len(calm.requests) <= len(world.requests) <= len(calm.requests) + 60


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
def test_age_after_the_wall_is_set(jump: timedelta) -> None:
    """Where the provider says when an invoice was made, its age is worked out anew."""
    world = World(InBatches)
    created_at = NOW + jump - timedelta(minutes=1)
    world.track(invoice("1", created_at=created_at), invoice("2"))
    world.run(60)
    world.wall += jump
    world.run(10 * 60)
    ages = {id_: world.wall - world.pace._known[id_].first_seen for id_ in ("1", "2")}
    for age in ages.values():
        assert timedelta(minutes=10) < age < timedelta(minutes=13)
    assert max(world.gaps("1")[-5:]) <= YOUNG_INTERVAL


def test_suspended() -> None:
    """After a sleep, in which only the wall's clock went on, everything open is looked at soon."""
    world = World(InBatches)
    old = NOW - timedelta(days=20)
    soon = NOW + timedelta(hours=7)
    world.track(invoice("1", created_at=old), invoice("2", created_at=old, expires_at=soon))
    world.run(60)
    world.wall += timedelta(hours=7)
    before = world.now
    world.run(11 * 60)
    assert any(look > before for look in world.looks["1"])
    assert len([look for look in world.looks["2"] if look > before]) >= 5


def test_small_steps_are_no_jump() -> None:
    """A clock that is corrected by seconds changes nothing."""
    world = World(InBatches)
    world.track(invoice("1", created_at=NOW - timedelta(days=30)))
    world.run(60)
    for _ in range(3):
        world.wall += timedelta(seconds=5)
        world.run(300)
    assert len(world.looks["1"]) == 1


RETRY_AFTER = {
    "0": SHORTEST_RETRY_AFTER,
    "-30": SHORTEST_RETRY_AFTER,
    "7": 7.0,
    "2592000": LONGEST_RETRY_AFTER,
    "9" * 400: LONGEST_RETRY_AFTER,
    "Thu, 01 Jan 1970 00:00:00 GMT": SHORTEST_RETRY_AFTER,
    "Fri, 31 Dec 9999 23:59:59 GMT": LONGEST_RETRY_AFTER,
}


@pytest.mark.parametrize("header", RETRY_AFTER)
@pytest.mark.parametrize("partial", [False, True])
def test_retry_after(header: str, *, partial: bool) -> None:
    """The provider is left alone for as long as it asks, within reason."""
    error = RateLimited(parse_retry_after(header))
    world = World(InBatches)
    if partial:
        world.answers = {"1": invoice("1"), "2": error}
        world.pace.plan(world.answers, world.wall)
    else:
        assert world.pace.back_off(error) >= RETRY_AFTER[header]
        world.pace.stay_due(["1"])
    assert world.pace.is_backing_off
    wait = world.pace.seconds_until_due()
    assert wait is not None
    # A timer that rings a second too early is no reason to come too early.
    assert RETRY_AFTER[header] + 1 <= wait <= max(RETRY_AFTER[header] + 1, YOUNG_INTERVAL)
    world.pass_time(RETRY_AFTER[header])
    assert not world.pace.is_backing_off


@pytest.mark.parametrize("header", [None, "", "soon", "1e3", "٣", "Thu, 99 Foo"])
def test_nonsense_in_retry_after(header: str | None) -> None:
    """What is no wait is none: the back-off decides."""
    world = World()
    seconds = world.pace.back_off(RateLimited(parse_retry_after(header)))
    assert 0.7 * FIRST_BACK_OFF <= seconds <= FIRST_BACK_OFF + 1


@given(seed=st.integers(0, 999), failures=st.integers(1, 40))
def test_back_off(seed: int, failures: int) -> None:
    """Failures in a row double the wait, with jitter, up to 15 minutes; a success ends that."""
    world = World(seed=seed)
    error = ProviderUnavailable(Trouble.TIMEOUT)
    waits = [world.pace.back_off(error) - 1 for _ in range(failures)]
    for number, wait in enumerate(waits):
        longest = min(FIRST_BACK_OFF * 2**number, LONGEST_BACK_OFF)
        assert 0.7 * longest <= wait <= longest
    world.pass_time(LONGEST_BACK_OFF)
    assert not world.pace.is_backing_off
    world.pace.plan({"1": invoice("1")}, world.wall)
    assert 0.7 * FIRST_BACK_OFF <= world.pace.back_off(error) - 1 <= FIRST_BACK_OFF


def test_jitter() -> None:
    """Not everybody comes back at the same moment."""
    error = ProviderUnavailable(Trouble.SERVER_ERROR)
    assert len({World(seed=seed).pace.back_off(error) for seed in range(20)}) == 20


@pytest.mark.parametrize(
    "error",
    [RateLimited(300), ProviderUnavailable(Trouble.SERVER_ERROR, retry_after=300)],
    ids=["limited", "down"],
)
def test_trouble_among_good_rows(error: ProviderError) -> None:
    """When the provider stops in the middle, what came counts, and it is left alone."""
    world = World(OneByOne)
    world.track(*(invoice(f"{number}") for number in range(8)))
    world.answers["7"] = error
    world.read()
    assert world.pace.is_backing_off
    assert (world.pace.seconds_until_due() or 0) >= 300
    # An answer that was on its way already doesn't shorten the wait.
    world.pace.plan({"1": invoice("1")}, world.wall)
    assert world.pace.is_backing_off
    world.answers["7"] = invoice("7")
    world.run(330)
    assert world.looks["7"][1] >= world.looks["7"][0] + 300
    assert world.pace.diagnostics()["backs_off_for"] is None
    assert world.pace.back_off(ProviderUnavailable(Trouble.TIMEOUT)) <= FIRST_BACK_OFF + 1


def test_one_that_always_times_out() -> None:
    """An invoice that is never answered for waits ever longer, and doesn't hold up the others."""
    world = World(OneByOne)
    world.track(invoice("1"), invoice("2"))
    world.answers["2"] = ProviderUnavailable(Trouble.TIMEOUT)
    world.run(14 * 60)
    assert max(world.gaps("1")) <= YOUNG_INTERVAL
    assert len(world.looks["2"]) <= 7
    world.answers["2"] = invoice("2")
    world.run(HOUR)
    assert min(world.gaps("2")[-4:]) < 2 * 60 + 1


def test_asked_while_the_budget_is_gone() -> None:
    """After a failure somebody has to ask, or an empty reading would pass for a success."""
    world = World(OneByOne)
    world.track(invoice("1"), invoice("2"))
    world.provider.budget.count(60)
    world.pace._polled.count(30)
    assert world.pace.take_due() == []
    world.pace.back_off(ProviderUnavailable(Trouble.TIMEOUT))
    assert len(world.pace.take_due()) == 1


@pytest.mark.parametrize("error", [InvoiceNotFound("x"), BadResponse("x")])
def test_refused_ids_cost_little(error: ProviderError) -> None:
    """IDs that are refused for good cost a request each per quarter of an hour, at most."""
    world = World(OneByOne)
    ids = [f"{number}" for number in range(20)]
    world.pace.start(dict.fromkeys(ids))
    world.answers = dict.fromkeys(ids, error)
    world.run(2 * HOUR)
    before = len(world.requests)
    world.run(10 * HOUR)
    most = 20 * 10 * HOUR / (MISSING_INTERVAL * 0.85 - 2)
    assert len(world.requests) - before <= most
    assert not world.pace.is_backing_off
    world.answers = {id_: invoice(id_) for id_ in ids}
    world.run(MISSING_INTERVAL)
    assert all(world.pace._known[id_] for id_ in ids)


def test_ten_thousand_at_a_start() -> None:
    """What is open comes first; what had ended follows, a batch a second."""
    world = World(InBatches)
    ids = [f"{number}" for number in range(10_000)]
    ended = dict.fromkeys(ids[100:], InvoiceStatus.EXPIRED)
    world.answers = {id_: invoice(id_, ended.get(id_, InvoiceStatus.PENDING)) for id_ in ids}
    world.pace.start({id_: ended.get(id_) for id_ in ids})
    first = world.read()
    assert set(ids[:100]) < set(first)
    assert len(first) <= 1_500
    world.run(3 * 60)
    assert len(world.looks) == 10_000
    assert most_in_a_window(world.requests) <= InBatches.requests_per_minute


@pytest.mark.parametrize(("provider", "minutes"), [(InBatches, 3), (OneByOne, 10_000 / 48 * 1.05)])
def test_ten_thousand_due_at_once(provider: type[Provider], minutes: float) -> None:
    """However many are due at the same moment, the budget is kept and each gets its turn."""
    world = World(provider)
    world.track(*(invoice(f"{number}") for number in range(10_000)))
    world.run(minutes * 60)
    assert len(world.looks) == 10_000
    assert most_in_a_window(world.requests) <= provider.requests_per_minute
    # None has had a second turn long before the last had its first.
    first_turns = {id_: looks[0] for id_, looks in world.looks.items()}
    second_turns = [looks[1] for looks in world.looks.values() if len(looks) > 1]
    assert max(first_turns.values()) <= min(second_turns, default=world.now) + WINDOW


def test_forgotten_while_read() -> None:
    """An invoice that was removed leaves nothing behind."""
    world = World(InBatches)
    world.track(invoice("1"), invoice("2"))
    world.read()
    world.pace.forget("2")
    world.run(300)
    assert len(world.looks["2"]) == 1
    assert "2" not in world.pace._known
