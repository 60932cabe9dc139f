"""A shop's month in simulated time: how many requests the schedule makes, and what that gets."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import heapq
from itertools import count
import math
import random
from statistics import mean
from typing import Any, ClassVar, override

from aiohttp import ClientSession

from custom_components.crypto_invoices.book.book import REMEMBERED_FOR
from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.providers.budget import Budget
from custom_components.crypto_invoices.providers.cryptocloud.v2 import CryptoCloud
from custom_components.crypto_invoices.providers.model import Invoice, InvoiceStatus
from custom_components.crypto_invoices.providers.pages import Page
from custom_components.crypto_invoices.reading.allowance import Allowance
from custom_components.crypto_invoices.reading.schedule import (
    YOUNG_INTERVAL,
    next_due,
    next_poll,
    plan_together,
    take_due,
)
from custom_components.crypto_invoices.reading.watched import Watched
from custom_components.crypto_invoices.upkeep.horizon import OVERLAP
from custom_components.crypto_invoices.upkeep.lister import EVERY
from custom_components.crypto_invoices.upkeep.sweep import Sweep

HOUR = 3600.0
DAY = 24 * HOUR
MONTH = 30 * DAY
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)

# Most are paid within minutes, some within the day, some never.
PAID_AT_ONCE = 0.7
PAID_LATER = 0.1
MEDIAN_PAYMENT = 4 * 60.0
LIFETIME = timedelta(days=1)
# Half of what Home Assistant's timers are late, at most.
TIMER = 0.25


@dataclass(slots=True)
class Life:
    """An invoice's life: when it is made, and paid if ever."""

    id: str
    made: float
    paid: float | None
    detected: float | None = None

    def at(self, now: float) -> Invoice:
        """Return the invoice as its provider has it at a time."""
        created_at = BEGIN + timedelta(seconds=self.made)
        status = InvoiceStatus.PENDING
        if self.paid is not None and self.paid <= now:
            status = InvoiceStatus.PAID
        elif self.made + LIFETIME.total_seconds() <= now:
            status = InvoiceStatus.CANCELED
        return Invoice(
            id=self.id,
            status=status,
            provider_status=status.value,
            created_at=created_at,
            expires_at=created_at + LIFETIME,
        )


@dataclass(slots=True)
class Outcome:
    """What a month comes to."""

    requests: int = 0
    lists: int = 0
    """How many of the requests were for the list of new invoices."""
    looks: int = 0
    tracked: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """How long after each payment of a young invoice it was seen."""
    late_waits: list[float] = field(default_factory=list)


class Silent(CryptoCloud):
    """CryptoCloud's batches, lists and budget without its network."""

    key: ClassVar[str] = "silent"

    def __init__(self, session: ClientSession) -> None:
        """Begin with an empty list."""
        super().__init__(session, {"url": "http://silent", "api_key": "-"})
        self.moment = BEGIN
        self.made: list[Invoice] = []
        """All that there is, the oldest first."""
        self.lists = 0

    @override
    def now(self) -> datetime:
        """Return the simulated time."""
        return self.moment

    @override
    async def _async_list(self, period: Mapping[str, str], offset: int, *, limit: int) -> Page:
        """Return a page of some days, the newest first."""
        self.lists += 1
        first, last = (
            datetime.strptime(period[name], "%d.%m.%Y").replace(tzinfo=UTC)
            for name in ("start", "end")
        )
        begin, end = (
            bisect_left(self.made, moment, key=lambda one: one.created_at or BEGIN)
            for moment in (first, last + timedelta(days=1))
        )
        rows = self.made[begin:end][::-1]
        page = {one.id: one for one in rows[offset : offset + limit]}
        return Page(len(page), page, len(rows))

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Any]:
        """Read nothing: the month looks the invoices up itself."""
        raise NotImplementedError


def lives(rng: random.Random, tracked: int, until: float) -> Iterator[Life]:
    """Make invoices at random moments, so that as many are tracked a month after the first."""
    made = 0.0
    for number in count():
        made += rng.expovariate(tracked / MONTH)
        if made > until:
            return
        chance = rng.random()
        paid: float | None = None
        if chance < PAID_AT_ONCE:
            paid = made + min(rng.lognormvariate(math.log(MEDIAN_PAYMENT), 0.8), DAY - 1)
        elif chance < PAID_AT_ONCE + PAID_LATER:
            paid = made + rng.uniform(HOUR / 4, 20 * HOUR)
        yield Life(f"i{number}", made, paid)


class Account:
    """An account whose invoices live, read as its coordinator reads it."""

    def __init__(self, provider: Silent, rng: random.Random) -> None:
        """Begin with nothing tracked."""
        self.now = 0.0
        self.provider = provider
        self.provider.http.answer_seconds = 0.0
        self.provider.http.budget = Budget(provider.requests_per_minute, lambda: self.now)
        self.allowance = Allowance(provider, lambda: self.now)
        self.rng = rng
        self.watched: dict[str, Watched] = {}
        self.lives: dict[str, Life] = {}

    def add(self, life: Life) -> None:
        """Watch an invoice."""
        self.lives[life.id] = life
        record = Record.begin(life.at(self.now))
        one = self.watched[life.id] = Watched(record, self.now, self.now)
        one.plan(self.now)

    def forget(self, invoice_id: str) -> None:
        """Watch an invoice no more."""
        del self.watched[invoice_id], self.lives[invoice_id]

    def seconds_until_due(self) -> float | None:
        """Return when the reader's timer would ring."""
        if (due := next_due(self.watched.values())) is None:
            return None
        return max(1.0, due - self.now - 0.5, self.allowance.seconds_until_poll())

    def wall(self) -> datetime:
        """Return the time."""
        return BEGIN + timedelta(seconds=self.now)

    def read(self, outcome: Outcome | None) -> None:
        """Read what is due, and count."""
        size = self.provider.batch_size
        most = self.allowance.for_poll(is_failing=False)
        due = take_due(self.watched.values(), self.now + 1.5, most, size, lease=75.0)
        if not due:
            return
        requests = math.ceil(len(due) / size)
        self.allowance.count_poll(len(due))
        self.provider.budget.count(requests)
        together: defaultdict[float | None, list[Watched]] = defaultdict(list)
        for one in due:
            together[self._interval(one)].append(one)
        for interval, some in together.items():
            plan_together(some, self.now, interval, size, self.rng)
        if outcome is not None:
            outcome.requests += requests
            outcome.looks += len(due)

    def _interval(self, one: Watched) -> float | None:
        """Read an invoice; return in how many seconds to poll it again."""
        life = self.lives[one.record.id]
        invoice = life.at(self.now)
        if invoice.status is not one.record.status:
            one.record.status, one.since = invoice.status, self.now
        if invoice.status.is_paid and life.detected is None:
            life.detected = self.now
        return next_poll(
            invoice,
            age=self.now - one.born,
            unchanged_for=self.now - one.since,
            now=self.wall(),
            can_revert=self.provider.can_revert,
        )


class Lists:
    """What is made in an account that is watched automatically, found as its lister finds it."""

    def __init__(self, account: Account, due: float) -> None:
        """Begin to list when it is due; what is made before is known."""
        self._account = account
        self._made: dict[str, Life] = {}
        self._listed_to = BEGIN + timedelta(seconds=due)
        self._sweep = Sweep({}, lambda: account.now, REMEMBERED_FOR)
        self.due = due

    def add(self, life: Life) -> None:
        """Let the provider list an invoice."""
        self._account.provider.made.append(life.at(life.made))
        if self._account.now < MONTH:
            self._account.add(life)
        else:
            self._made[life.id] = life

    def read(self, outcome: Outcome | None) -> None:
        """List what is new, and what is read anew, and count."""
        account, provider = self._account, self._account.provider
        provider.moment, before = account.wall(), provider.lists
        listed = _run(self._read(self._listed_to - OVERLAP, None))
        self._listed_to = max([self._listed_to, *(one.created_at or BEGIN for one in listed)])
        if (piece := self._sweep.next_piece(account.wall())) is not None:
            listed += _run(self._read(*piece))
            self._sweep.listed(piece[1])
        for invoice in listed:
            if (life := self._made.pop(invoice.id, None)) is not None:
                account.add(life)
        self.due = account.now + EVERY + TIMER
        if outcome is not None:
            outcome.lists += provider.lists - before
            outcome.requests += provider.lists - before

    async def _read(self, since: datetime, until: datetime | None) -> list[Invoice]:
        """Return what was made in a time."""
        listing = self._account.provider.async_list_invoices(since=since, until=until)
        return [invoice async for invoice in listing]


def _run[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


def simulate(
    session: ClientSession,
    tracked: int,
    days: float,
    seed: int = 1,
    *,
    is_auto_watched: bool = False,
) -> Outcome:
    """Let an account reach its size for a month, then count for so many days."""
    rng = random.Random(seed)
    account = Account(Silent(session), rng)
    lists = Lists(account, MONTH) if is_auto_watched else None
    outcome = Outcome()
    end = MONTH + days * DAY
    removals: list[tuple[float, str]] = []
    coming = lives(rng, tracked, end)
    next_life = next(coming, None)
    next_sample = MONTH
    while True:
        wait = account.seconds_until_due()
        due = math.inf if wait is None else account.now + wait + TIMER
        arrival = math.inf if next_life is None else next_life.made
        listing = math.inf if lists is None else lists.due
        if min(due, arrival, listing) >= end:
            break
        account.now = max(account.now, min(due, arrival, listing))
        if lists is not None and listing <= account.now:
            lists.read(outcome if account.now >= MONTH else None)
        if next_life is not None and arrival <= account.now:
            (account if lists is None else lists).add(next_life)
            heapq.heappush(removals, (next_life.made + MONTH, next_life.id))
            next_life = next(coming, None)
        while removals and removals[0][0] <= account.now:
            account.forget(heapq.heappop(removals)[1])
        account.read(outcome if account.now >= MONTH else None)
        while account.now >= next_sample:
            next_sample += DAY / 4
            outcome.tracked.append(len(account.lives))
            outcome.open.append(
                sum(life.at(account.now).status.is_open for life in account.lives.values())
            )
    for life in account.lives.values():
        if life.paid is not None and life.detected is not None and life.made >= MONTH:
            is_young = life.paid - life.made < HOUR / 4 - YOUNG_INTERVAL
            (outcome.waits if is_young else outcome.late_waits).append(life.detected - life.paid)
    return outcome


def rest_requests_per_hour(outcome: Outcome, *, is_listing: bool = False) -> float:
    """Return what `rest` asks for the same invoices as often as we ask for young ones.

    Where it ``is_listing``, it asks for a page of new ones as often, too.
    """
    requests = mean(math.ceil(size / 100) for size in outcome.tracked) + is_listing
    return requests * HOUR / YOUNG_INTERVAL
