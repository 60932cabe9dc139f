"""The reader: whoever is cancelled, whatever overlaps, however the clocks go, it goes on."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.providers.budget import WINDOW
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    ClockWrong,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus as S,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnavailableReason,
)
from custom_components.crypto_invoices.reading.reader import LONGEST_SLEEP
from custom_components.crypto_invoices.reading.schedule import LAST_POLL, YOUNG_INTERVAL

from .world import (
    DAY,
    HOUR,
    LATE,
    NOW,
    InBatches,
    OneByOne,
    Unlimited,
    World,
    invoice,
    most_in_a_window,
)

END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
DOWN = ProviderUnavailable(UnavailableReason.TIMEOUT)
MINUTE = 60.0

type Rows = Mapping[str, Invoice | ProviderError]


def some(count: int, status: S = S.PENDING) -> list[Invoice]:
    """Return made-up invoices."""
    return [invoice(f"{number}", status) for number in range(count)]


# How often what is polled.


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(1, 150),
    provider=st.sampled_from([Unlimited, InBatches]),
    late=st.floats(-1, LATE),
    seed=st.integers(0, 99),
)
def test_young_is_never_late(size: int, provider: type[OneByOne], late: float, seed: int) -> None:
    """A young invoice is read every 30 seconds, however the timers ring."""
    world = World(provider, seed, late=late)
    world.start(*some(size))
    begin = world.now
    world.run(14 * MINUTE)
    for id_ in world.answers:
        assert world.polls[id_][0] <= begin + 2
        assert max(world.gaps(id_)) <= YOUNG_INTERVAL + 1e-3
        assert world.now - world.polls[id_][-1] <= YOUNG_INTERVAL + 1e-3


@settings(max_examples=10, deadline=None)
@given(
    provider=st.sampled_from([OneByOne, InBatches]),
    size=st.integers(1, 200),
    answer_seconds=st.sampled_from([0.0, 0.1, 9.0]),
    seed=st.integers(0, 99),
)
def test_short_budget(
    provider: type[OneByOne], size: int, answer_seconds: float, seed: int
) -> None:
    """When the budget is short, it is never exceeded, some is left, and nothing is starved."""
    world = World(provider, seed, answer_seconds=answer_seconds)
    world.start(*some(size))
    world.run(14 * MINUTE)
    budget = provider.requests_per_minute
    assert most_in_a_window(world.requests) <= budget - int(budget * 0.2)
    assert len(world.polls) == size
    assert not world.failures
    # Joining may favour some; nobody falls behind for good.
    rounds = -(-size // (0.8 * budget * provider.batch_size))
    if not answer_seconds:
        longest = max(max(world.gaps(id_)) for id_ in world.answers)
        assert longest <= rounds * WINDOW + YOUNG_INTERVAL + 2


def test_final_ones_stop() -> None:
    """A paid invoice is read once more where a payment can go back; then nothing is planned."""
    world = World(InBatches)
    world.start(invoice("1", S.PAID))
    world.run(2 * HOUR)
    assert len(world.polls["1"]) == 2
    assert 0.85 * LAST_POLL - 2 <= world.gaps("1")[0] <= LAST_POLL
    assert not world.is_planned()
    world = World(Unlimited)
    world.start(invoice("1", S.PAID))
    world.run(2 * HOUR)
    assert len(world.polls["1"]) == 1
    assert not world.is_planned()


def test_grace_ends() -> None:
    """What expired is polled for a day more, and then no more."""
    world = World(InBatches)
    world.start(invoice("1", S.EXPIRED, expires_at=NOW))
    world.run(2 * DAY)
    assert 24 <= len(world.polls["1"]) <= 30
    assert not world.is_planned()


def test_paid_once_more() -> None:
    """A payment that is taken back is believed after two minutes, and polled as what is open."""
    world = World(InBatches)
    world.start(invoice("1"))
    for status in (S.PAID, S.PENDING, S.PAID):
        world.answers["1"] = invoice("1", status)
        world.hint("1")
        world.run(3 * MINUTE)
        assert world.status("1") is status
    world.run(3 * HOUR)
    assert not world.is_planned()


def test_a_replica_lags() -> None:
    """Hints read yesterday's state twice within seconds: nothing is taken back."""
    world = World(InBatches)
    world.start(invoice("1"))
    statuses = []
    for status in (S.PAID, S.PENDING, S.PENDING, S.PAID):
        world.answers["1"] = invoice("1", status)
        world.hint("1")
        world.run(2.1)
        statuses.append(world.status("1"))
    assert statuses == [S.PAID] * 4
    world.run(HOUR)
    assert world.status("1") is S.PAID


@pytest.mark.parametrize("moment", [None, LONG_AGO, NOW - timedelta(days=400), END, NOW])
def test_any_time(moment: datetime | None) -> None:
    """Whatever the provider takes for the time, what was just added is polled as any other."""
    world = World(InBatches)
    world.start()
    world.add(invoice("1", expires_at=moment, created_at=moment))
    world.run(15 * MINUTE)
    assert max(world.gaps("1")) <= YOUNG_INTERVAL
    world.loop.wall_offset = timedelta(minutes=-1)
    world.run(10 * DAY)
    assert max(world.gaps("1")) <= 6 * HOUR
    assert not world.failures


def test_created_long_ago() -> None:
    """An old invoice is old at a start, unless it was just added by hand."""
    old = invoice("1", created_at=NOW - timedelta(days=30))
    world = World(InBatches)
    world.start(old)
    world.run(5 * HOUR)
    assert len(world.polls["1"]) == 1
    world = World(InBatches)
    world.start()
    world.add(old)
    world.run(10 * MINUTE)
    assert len(world.polls["1"]) > 19


def test_refused_ids_cost_little() -> None:
    """IDs that are refused for good cost a request each per quarter of an hour, at most."""
    for error in (InvoiceNotFound("x"), BadResponse("x")):
        world = World(OneByOne)
        world.start(*some(20), invoice("good"))
        world.answers.update({one.id: error for one in some(20)})
        world.run(2 * HOUR)
        before = world.now
        world.run(10 * HOUR)
        asked = [world.polled_since(one.id, before) for one in some(20)]
        assert max(asked) <= 10 * 4 / 0.85 + 1
        assert world.polled_since("good", before) > 60
        world.answers.update({one.id: one for one in some(20)})
        world.run(15 * MINUTE)
        assert all(one.error is None for one in world.intake.watched.values())


def world_that_knows_no_more(of: Invoice) -> World:
    """Return an account at its start: an invoice ended five days ago, and isn't known any more."""
    world = World(InBatches)
    world.clocks.note_server_time(NOW, world.now)

    def begin(one: Invoice) -> Record:
        if one is not of:
            return Record.begin(one)
        world.answers[of.id] = InvoiceNotFound(of.id)
        return replace(Record.begin(of), ended_at=NOW - timedelta(days=5))

    world.start(of, invoice("open"), begin=begin)
    return world


@pytest.mark.parametrize("moment", [0.0, 2 * MINUTE, 20 * HOUR])
def test_not_known_for_a_while(moment: float) -> None:
    """What was paid before the start is found, once its provider knows it again."""
    world = world_that_knows_no_more(invoice("1", S.EXPIRED))
    world.run(moment)
    assert len(world.polls["1"]) <= 6 + moment / (10 * MINUTE)
    world.answers["1"] = invoice("1", S.PAID)
    world.run(HOUR)
    assert world.status("1") is S.PAID


def test_not_known_for_good() -> None:
    """What ended and was deleted at its provider is polled for a day."""
    world = world_that_knows_no_more(invoice("1", S.EXPIRED))
    world.run(25 * HOUR)
    assert world.polled_since("1", world.now - 2 * HOUR)
    before = world.now
    world.run(10 * DAY)
    assert not world.polled_since("1", before)


@pytest.mark.parametrize("provider", [OneByOne, InBatches])
@pytest.mark.parametrize("error", [DOWN, BadResponse("x"), InvoiceNotFound("x")])
def test_one_that_fails_always(provider: type[OneByOne], error: ProviderError) -> None:
    """An invoice that spoils each reading of it waits ever longer, and holds up nobody else."""
    world = World(provider)
    world.start(invoice("1"), invoice("2"))
    world.answers["2"] = error
    # Whether the provider is down is only known once another one could be read.
    world.run(MINUTE)
    failures, before = len(world.failures), world.now
    world.run(13 * MINUTE)
    world.hint("2")
    assert len(world.failures) == failures
    assert max(world.gaps("1")[2:]) <= YOUNG_INTERVAL
    assert world.polled_since("2", before) <= 7
    world.answers["2"] = invoice("2", S.PAID)
    world.run(HOUR)
    assert world.status("2") is S.PAID


# Many.


def test_ten_thousand_at_a_start() -> None:
    """What is open comes first; what had ended follows, a batch a second."""
    world = World(InBatches)
    begin = world.now
    world.start(*(invoice(f"{n}", S.EXPIRED if n >= 100 else S.PENDING) for n in range(10_000)))
    assert world.polls.keys() >= {f"{number}" for number in range(100)}
    assert len(world.polls) <= 1_500
    world.run(3 * MINUTE)
    assert len(world.polls) == 10_000
    assert most_in_a_window(world.requests) <= InBatches.requests_per_minute
    assert world.now == begin + 3 * MINUTE


@pytest.mark.parametrize(("provider", "minutes"), [(InBatches, 3), (OneByOne, 10_000 / 48 * 1.05)])
def test_ten_thousand_due_at_once(provider: type[OneByOne], minutes: float) -> None:
    """However many are due at the same moment, the budget is kept and each gets its turn."""
    world = World(provider)
    world.start(*some(10_000))
    world.run(minutes * 60)
    assert len(world.polls) == 10_000
    assert most_in_a_window(world.requests) <= provider.requests_per_minute
    # None has had a second turn long before the last had its first.
    first_turns = [polls[0] for polls in world.polls.values()]
    second_turns = [polls[1] for polls in world.polls.values() if len(polls) > 1]
    assert max(first_turns) <= min(second_turns, default=world.now) + WINDOW


@pytest.mark.parametrize("count", [2, 200])
def test_many_are_added_while_one_is_read(count: int) -> None:
    """What is added while another is being read is watched, and two hundred are one reading."""
    world = World(InBatches, answer_seconds=0.6)
    world.start(invoice("before"))
    world.run(0.3)
    world.add(*some(count))
    requests = len(world.requests)
    world.run(YOUNG_INTERVAL + 2)
    assert all(world.polls[f"{number}"] for number in range(count))
    assert len(world.requests) - requests <= 1 + -(-(count + 1) // 100)


def test_added_twice_while_the_provider_takes_its_time() -> None:
    """Two dialogs, 0.3 seconds apart, at a provider that answers after 0.6: both are watched."""
    world = World(OneByOne, answer_seconds=0.6)
    world.start()
    for id_ in ("first", "second"):
        world.add(invoice(id_))
        world.hint(id_)
        world.run(0.3)
    before = world.now + 1
    world.run(2 * MINUTE)
    for id_ in ("first", "second"):
        assert world.polled_since(id_, before) >= 3


def test_removed_while_a_reading_fails() -> None:
    """Who is gone is not asked for again, whatever became of the reading."""
    world = World(InBatches, answer_seconds=5)
    world.start(invoice("stays"), invoice("goes"))
    world.down = DOWN
    world.run(1)
    world.remove("goes")
    before = world.now
    world.run(10 * MINUTE)
    assert world.polled_since("stays", before) > 3
    assert world.polled_since("goes", before) == 0
    assert world.intake.watched.keys() == {"stays"}


# Who asks.


@pytest.mark.parametrize("cancelled_after", [1, 2, 3, 5, 8])
def test_a_caller_is_cancelled(cancelled_after: int) -> None:
    """At whichever turn of the loop: the reading goes on, and the invoice stays planned."""
    world = World(InBatches)
    world.start(invoice("1"))
    world.run(10)
    world.answer_seconds = 5
    world.intake.watched["1"].plan(world.now)
    world.answers["1"] = invoice("1", S.PAID)

    async def ask() -> None:
        caller = asyncio.ensure_future(world.reader.async_ask())
        for _ in range(cancelled_after):
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait((caller,))
        assert caller.cancelled()

    world.loop.run(ask())
    assert world.is_planned()
    assert world.intake.watched["1"].due is not None
    world.run(10)
    assert world.status("1") is S.PAID
    assert not world.failures


def test_several_ask() -> None:
    """Who asks while something is read waits for a reading that began later."""
    world = World(InBatches, answer_seconds=5)
    world.start(invoice("1"))
    world.run(1)
    asks = [world.loop.create_task(world.reader.async_ask()) for _ in range(3)]
    world.run(3.9)
    assert not any(ask.done() for ask in asks)
    world.run(0.2)
    assert all(ask.done() for ask in asks)
    assert len(world.requests) == 1


def test_nobody_waits_for_ever() -> None:
    """Stopping ends what is read and lets everybody go; who asks later is let go at once."""
    world = World(InBatches, answer_seconds=5)
    world.start(invoice("1"))
    world.run(1)
    ask = world.loop.create_task(world.reader.async_ask())
    [hint] = world.hint("1")
    world.loop.run(world.reader.async_stop())
    assert ask.done()
    assert hint.done()
    assert not world.is_planned()
    world.loop.run(world.reader.async_ask())
    assert world.hint("1") == []
    requests = len(world.requests)
    world.run(HOUR)
    assert len(world.requests) == requests


# What the provider does.


def test_no_answer_at_all() -> None:
    """A reading that never ends has a deadline, and what it read comes again."""
    world = World(InBatches)

    async def hang(ids: tuple[str, ...]) -> Rows:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    answer, world.answer = world.answer, hang
    world.start(invoice("1"))
    assert world.is_planned()
    world.run(2 * MINUTE)
    assert [type(failure) for failure in world.failures] == [ProviderUnavailable]
    world.answer = answer
    world.answers["1"] = invoice("1", S.PAID)
    world.run(3 * MINUTE)
    assert world.status("1") is S.PAID


def test_a_hint_while_a_poll_hangs() -> None:
    """The hint has a lane of its own; the poll that comes home later takes nothing back."""
    world = World(InBatches, answer_seconds=0.1)
    world.start(invoice("1"))
    world.run(1)
    answer = world.answer

    async def yesterday(ids: tuple[str, ...]) -> Rows:
        await asyncio.sleep(9)
        return {"1": invoice("1")}

    world.answer = yesterday
    world.run(YOUNG_INTERVAL)
    assert len(world.polls["1"]) == 2
    world.answer = answer
    world.answers["1"] = invoice("1", S.PAID)
    [hint] = world.hint("1")
    world.run(0.2)
    assert hint.result() is None
    assert world.status("1") is S.PAID
    world.run(10)
    assert world.status("1") is S.PAID
    assert world.intake.watched["1"].doubt is None


def test_a_hint_at_what_is_over_hangs() -> None:
    """While it is read it is planned again, and a timer is armed for that."""
    world = World(InBatches, answer_seconds=0.1)
    world.start(invoice("1", S.PAID))
    world.run(2 * HOUR)
    assert not world.is_planned()
    world.answer_seconds = 30
    world.hint("1")
    world.run(1)
    assert world.is_planned()
    world.run(HOUR)
    assert not world.is_planned()


def test_hints_come_all_the_time() -> None:
    """An invoice is read at most every two seconds for hints; unknown ones are nobody's."""
    world = World(InBatches, answer_seconds=0.1)
    world.start(invoice("1"), invoice("2"))
    world.run(5)
    before = world.now
    for _ in range(100):
        world.hint("1", "unknown")
        world.run(0.1)
    assert world.polled_since("1", before) <= 6
    # Those that are hinted at meanwhile don't wait for it.
    world.hint("1")
    world.hint("1", "2")
    before = world.now
    world.run(0.3)
    assert world.polls["2"][-1] == pytest.approx(before, abs=0.2)


def test_hints_at_others_put_no_poll_off() -> None:
    """What nobody hints at is polled in time, however often something else is planned anew."""
    world = World(Unlimited, answer_seconds=0.1)
    world.start(*some(100), invoice("silent"))
    world.run(2)
    begin = world.now
    for number in range(600):
        world.hint(f"{number % 100}")
        world.run(0.2)
    assert world.now - begin > 100
    assert max(world.gaps("silent")) <= YOUNG_INTERVAL + 1


@pytest.mark.parametrize("later", [0.5, 3.0, 7.0])
def test_a_push_that_is_faster_than_the_api(later: float) -> None:
    """What a provider reports a moment before it can be read there does not wait for a poll."""
    world = World(OneByOne, answer_seconds=0.1)
    world.start(invoice("1"), invoice("2"))
    world.run(HOUR)
    begin = world.now
    world.hint("1", is_news=True)
    world.run(later)
    world.answers["1"] = invoice("1", S.PAID)
    world.run(later + 4.5)
    assert world.status("1") is S.PAID
    # Where nothing comes of it, it costs a few polls; the others cost none.
    world.hint("2", is_news=True)
    world.run(MINUTE)
    assert world.polled_since("2", begin) <= 7
    world.hint("2")
    begin = world.now
    world.run(20)
    assert world.polled_since("2", begin) <= 1


def test_hints_take_all_there_is() -> None:
    """When hints have taken the whole budget, polls wait in line, and that is no failure."""
    world = World(OneByOne, answer_seconds=0.4)
    world.start(*some(100))
    world.run(2 * MINUTE)
    for _ in range(10):
        world.hint(*(f"{number}" for number in range(100)))
        world.run(20)
    assert not world.failures
    assert most_in_a_window(world.requests) <= 60


@pytest.mark.parametrize("mistake", [ValueError("ours"), KeyError("ours")])
def test_a_mistake(mistake: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake of ours is logged, and does not end the watching."""
    world = World(InBatches)
    world.down = mistake
    world.start(invoice("1"))
    world.run(2)
    [hint] = world.hint("1")
    assert hint.result() is not None
    assert "broke off" in caplog.text
    assert world.is_planned()
    world.down = None
    world.answers["1"] = invoice("1", S.PAID)
    world.run(5 * MINUTE)
    assert world.status("1") is S.PAID


@pytest.mark.parametrize("seconds", [0.0, 300.0, 30 * DAY])
@pytest.mark.parametrize("is_partial", [False, True])
def test_retry_after(seconds: float, *, is_partial: bool) -> None:
    """Nothing is asked before the time that the provider wants, within reason, hints included."""
    world = World(OneByOne)
    world.start(*some(8))
    world.run(5)
    error = RateLimited(seconds)
    if is_partial:
        world.answers["7"] = error
    else:
        world.down = error
    world.run(YOUNG_INTERVAL)
    world.down, world.answers["7"] = None, invoice("7", S.PAID)
    assert world.reader.is_backing_off or seconds == 0
    last = world.requests[-1]
    [hint] = world.hint("7")
    assert isinstance(hint.result(), RateLimited) or seconds == 0
    world.run(2 * HOUR)
    following = min(moment for moment in world.requests if moment > last)
    if seconds:
        assert following - last >= min(seconds, HOUR)
    assert following - last <= min(seconds, HOUR) + YOUNG_INTERVAL + 2
    assert world.status("7") is S.PAID


def test_down_for_a_week() -> None:
    """It costs a few requests each quarter of an hour, and ends within one."""
    world = World(InBatches)
    world.down = DOWN
    world.start(*some(300))
    world.run(7 * DAY)
    assert 7 * 24 * 4 <= len(world.requests) <= 7 * 24 * 4 / 0.7 * 7
    world.down = None
    world.answers["299"] = invoice("299", S.PAID)
    world.run(15 * MINUTE + 2)
    assert world.status("299") is S.PAID
    assert not world.reader.is_backing_off


def test_asked_while_the_budget_is_gone() -> None:
    """After a failure somebody has to ask, or an empty reading would pass for a success."""
    world = World(OneByOne)
    world.start(*some(2))
    world.run(5)
    world.down = DOWN
    world.run(YOUNG_INTERVAL)
    world.provider.budget.count(60)
    failures = len(world.failures)
    world.run(2 * MINUTE)
    assert len(world.failures) > failures


# Keys.


def test_a_key_is_refused_once() -> None:
    """One refusal is nobody's word: the payment is found within minutes."""
    world = World(InBatches)
    world.start(invoice("1"))
    world.run(5)
    world.down = AuthError("HTTP 403")
    world.run(YOUNG_INTERVAL)
    world.down, world.answers["1"] = None, invoice("1", S.PAID)
    assert world.reader.standing.is_key_doubted
    world.run(2 * MINUTE + 5)
    assert world.status("1") is S.PAID
    assert not world.reader.standing.is_key_doubted


def test_a_key_is_refused_for_good() -> None:
    """It is tried again each quarter of an hour, later each hour; a good answer ends that."""
    world = World(InBatches)
    world.start(invoice("1"))
    world.run(5)
    world.down = AuthError("HTTP 401")
    world.run(YOUNG_INTERVAL + MINUTE)
    assert len(world.failures) == 1
    world.run(2 * MINUTE)
    assert world.reader.standing.is_key_refused
    # A hint is read, but not all of them.
    before = len(world.failures)
    for _ in range(10):
        world.hint("1")
        world.run(MINUTE)
    assert 3 <= len(world.failures) - before <= 6
    before = len(world.failures)
    world.run(DAY)
    assert 24 <= len(world.failures) - before <= 24 + 4 * 4
    world.down = None
    world.run(HOUR + 5)
    assert not world.reader.standing.is_key_doubted
    assert not world.reader.is_backing_off


@pytest.mark.parametrize("error", [AuthError("HTTP 401"), DOWN, RateLimited(120)])
def test_a_hint_that_comes_too_soon_is_kept(error: ProviderError) -> None:
    """Nothing else is planned, the provider is to be left alone: it is read as soon as it may be."""
    world = World(Unlimited)
    world.start(invoice("1", S.PAID), invoice("2", S.PAID))
    world.run(5)
    assert not world.is_planned()
    world.down = error
    world.hint("1")
    [hint] = world.hint("2")
    world.run(3)
    assert isinstance(hint.result(), type(error) | RateLimited)
    assert world.is_planned()
    world.down, polls = None, len(world.polls["2"])
    world.run(3 * MINUTE)
    assert len(world.polls["2"]) == polls + 1


def test_the_clock_is_refused() -> None:
    """A refusal that speaks of time says nothing about the key, and is over when the time is."""
    world = World(InBatches)
    world.down = ClockWrong("the timestamp is refused")
    world.start(invoice("1"))
    world.run(HOUR)
    assert len(world.failures) > 4
    assert not world.reader.standing.is_key_doubted
    world.down, world.answers["1"] = None, invoice("1", S.PAID)
    world.run(15 * MINUTE + 5)
    assert world.status("1") is S.PAID


# Clocks.


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=-9000)])
@pytest.mark.parametrize("age", [5 * MINUTE, 30 * MINUTE, 3 * HOUR])
def test_the_wall_clock_is_set(jump: timedelta, age: float) -> None:
    """When somebody sets the clock, polls go on, and all that is open is read soon, once."""
    world, calm = World(InBatches), World(InBatches)
    for one in (world, calm):
        one.start(*some(250))
        one.run(age)
    world.loop.wall_offset = jump
    before = world.now
    for one in (world, calm):
        one.run(2 * LONGEST_SLEEP)
    longest = 30 if age < 15 * MINUTE else 15 * MINUTE
    for id_ in world.polls:
        assert max(world.gaps(id_)) <= longest + 1e-3
        assert world.polled_since(id_, before)
    # Once more, together with those that were due anyway.
    assert len(calm.requests) <= len(world.requests) <= len(calm.requests) + 60


def test_a_machine_slept() -> None:
    """After a sleep, in which only the wall clock went on, everything open is read soon."""
    world = World(InBatches)
    old = NOW - timedelta(days=20)
    expiring = invoice("2", created_at=old, expires_at=NOW + timedelta(hours=7.2))
    world.start(invoice("1", created_at=old), expiring)
    world.run(MINUTE)
    world.loop.wall_offset = timedelta(hours=7)
    before = world.now
    world.run(2 * LONGEST_SLEEP)
    assert world.polled_since("1", before)
    world.run(5 * MINUTE)
    assert world.polled_since("2", before) >= 5


def test_small_steps_are_no_jump() -> None:
    """A clock that is corrected by seconds changes nothing."""
    world = World(InBatches)
    world.start(invoice("1", created_at=NOW - timedelta(days=30)))
    world.run(MINUTE)
    for step in range(1, 4):
        world.loop.wall_offset = timedelta(seconds=5 * step)
        world.run(LONGEST_SLEEP)
    assert len(world.polls["1"]) == 1


def test_polling_is_off() -> None:
    """Who switched polling off is not polled for, hears hints all the same, and may ask."""
    world = World(InBatches)
    world.start()
    world.reader.is_polling_off = True
    world.add(invoice("1"))
    world.run(DAY)
    assert not world.requests
    world.answers["1"] = invoice("1", S.PAID)
    world.hint("1")
    assert world.status("1") is S.PAID
    world.run(DAY)
    assert len(world.requests) == 1
    world.intake.watched["1"].plan(world.now)
    world.loop.run(world.reader.async_ask())
    assert len(world.requests) == 2
