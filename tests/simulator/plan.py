"""What is going to happen in a shop: drawn from a seed before anything does."""

from collections.abc import Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from custom_components.crypto_invoices.providers.pages import PAGE

from .chance import Chance
from .weather import ANSWERED, ON_THE_WAY

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
# A shop of some size: 250 invoices in a week.
INVOICES_PER_DAY = 250 / 7
# Shops open at one of these: an ordinary week, and those in which a clock is set by an hour.
BEGINNINGS = (
    datetime(2026, 11, 2, 9, tzinfo=UTC),
    datetime(2026, 10, 24, 20, tzinfo=UTC),
    datetime(2027, 3, 27, 20, tzinfo=UTC),
    datetime(2026, 12, 30, 12, tzinfo=UTC),
)
# So often that 300 weeks have more than 20,000 of them.
_KILLS_PER_DAY = 10.0
# What a provider with several machines does, and what is easily believed.
_OFTEN = (*["lag"] * 3, *["listed late"] * 2, *["missing_rows"] * 2, "unknown_status")
AUTOMATIONS = ("payments", "changes")
# The number of the invoice that its account is set up with, and where that is.
FIRST, FIRST_AT = 0, "egates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account of the shop."""

    key: str
    """What the sandbox calls its provider."""
    name: str
    share: int
    """Of the invoices, beside the others."""
    currencies: tuple[str, ...]
    has_list: bool = False
    """Whether its invoices can be watched automatically."""
    can_make: bool = True
    """Whether Home Assistant can make invoices there."""


ACCOUNTS = {
    account.key: account
    for account in (
        Account(
            key="btcpay",
            name="BTCPay Server",
            share=4,
            currencies=("EUR", "USD", "BTC"),
            has_list=True,
        ),
        Account(
            key="cryptocloud",
            name="CryptoCloud",
            share=3,
            currencies=("USD", "EUR", "RUB"),
            has_list=True,
        ),
        Account(
            key="lnbits",
            name="LNbits",
            share=3,
            currencies=("sat", "EUR"),
            has_list=True,
        ),
        Account(key="egates", name="E-Gates", share=2, currencies=("USDT", "ETH")),
        Account(
            key="own_api",
            name="the shop's own API",
            share=2,
            currencies=("EUR", "USD"),
            can_make=False,
        ),
    )
}
HAVE_LISTS = frozenset(key for key, account in ACCOUNTS.items() if account.has_list)
# How often an account is watched automatically that can be, how often pushes come, answers are
# dated, and lists are late.
_AUTO_WATCHED, _PUSHING, _DATED, _LATE = 0.5, 0.6, 0.8, 0.4
# How many rows a page of a list has.
_ROWS = (1, 3, PAGE, PAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens, in the order of its time."""

    at: float
    kind: str
    account: str = ""
    invoice: int = 0
    """By its number; what is about none has none."""
    what: str = ""
    seconds: float = 0.0
    number: float = 0.0
    amount: Decimal = Decimal(0)

    def __str__(self) -> str:
        """Say what happens."""
        return _WORDS[self.kind].format(
            e=self,
            name=ACCOUNTS[self.account].name if self.account else "",
            lasts=duration(self.seconds),
        )


_WORDS = {
    "made": "invoice {e.invoice} over {e.amount} {e.what} is made at {name}",
    "created": "staff make invoice {e.invoice} over {e.amount} {e.what} at {name}",
    "added": "staff add invoice {e.invoice}{e.what}",
    "act": "invoice {e.invoice} at {name}: {e.what}",
    "deleted": "staff delete invoice {e.invoice}{e.what}",
    "forged": "somebody forges a push about invoice {e.invoice} to {name}",
    "weather": "{name}: {e.what} for {lasts}, {e.number:.0%} of requests",
    "hung up": "{name} hangs up",
    "new key": "{name} accepts another key only, which staff enter {lasts} later",
    "options": "staff change the options of {name}: {e.what}",
    "reloaded": "staff reload {name}",
    "saved": "staff save the automation for {e.what}, which takes {lasts}",
    "switched": "staff switch the automation for {e.what} off for {lasts}",
    "stopped": "Home Assistant is stopped, and begins again {lasts} later",
    "killed": "Home Assistant is killed {e.what}, and begins again {lasts} later",
    "lost": "Home Assistant is stopped, and begins again {lasts} later: the file of {name} is {e.what}",
    "disk": "the disk is {e.what} for {lasts}",
    "clock": "the clock on the wall is wrong by {e.number:g} hours for {lasts}",
    "backup": "a backup takes {lasts}",
}


def duration(seconds: float) -> str:
    """Return how long something takes, in words."""
    for unit, length in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it."""

    seed: int
    days: float
    begin: datetime
    events: tuple[Event, ...] = field(repr=False)
    auto_watched: frozenset[str] = HAVE_LISTS
    """The accounts that are watched automatically; at the others, staff add what is made."""
    pushing: frozenset[str] = frozenset(ACCOUNTS)
    """The accounts whose provider can reach Home Assistant."""
    dated: frozenset[str] = frozenset(ACCOUNTS)
    """The accounts whose provider says what time it is."""
    late: frozenset[str] = frozenset()
    """The accounts where invoices are listed some minutes after they are made, at times."""
    rows: int = PAGE
    """On a page of a list: a shop of any size has as many pages as one that is larger."""


def make_plan(seed: int, days: float, *, pace: float = 1.0, in_one_life: bool = False) -> Plan:
    """Draw what is going to happen, without stops and kills where that is wanted.

    At another pace, what else happens in ``pace`` days happens in one. Only bad weather lasts as
    long as ever, unless that is days: providers are asked as often as ever, too.
    """
    chance = Chance(seed)
    until = days * pace * DAY
    dice = chance.of("set-up")
    auto_watched = frozenset(key for key in sorted(HAVE_LISTS) if dice.random() < _AUTO_WATCHED)
    pushing = frozenset(key for key in ACCOUNTS if dice.random() < _PUSHING)
    dated = frozenset(key for key in ACCOUNTS if dice.random() < _DATED)
    late = frozenset(key for key in sorted(HAVE_LISTS) if dice.random() < _LATE)
    rows = dice.choice(_ROWS)
    invoices = list(_invoices(chance.of("customers"), until, auto_watched))
    events = [
        _first(chance.of("first customer")),
        *invoices,
        *_staff(chance.of("staff"), until, invoices),
        *_providers(chance.of("providers"), until),
        *_machine(chance.of("machine"), until, invoices),
    ]
    if in_one_life:
        events = [event for event in events if event.kind not in ("stopped", "killed")]
    if pace != 1:
        events = [_at_pace(event, pace) for event in events]
    # What comes later is no longer part of it, but customers who are on their way.
    events = [event for event in events if event.at < days * DAY or event.invoice]
    begin = chance.of("begin").choice(BEGINNINGS)
    events.sort(key=lambda event: event.at)
    return Plan(seed, days, begin, tuple(events), auto_watched, pushing, dated, late, rows)


def _at_pace(event: Event, pace: float) -> Event:
    """Return an event as it is where everything happens more often."""
    is_weather = event.kind == "weather" and event.seconds < DAY
    seconds = event.seconds if is_weather else event.seconds / pace
    return replace(event, at=event.at / pace, seconds=seconds)


def _times(dice: Random, per_day: float, until: float) -> Iterator[float]:
    """Yield moments that come so often."""
    at = dice.expovariate(per_day / DAY)
    while at < until:
        yield at
        at += dice.expovariate(per_day / DAY)


def _first(dice: Random) -> Event:
    """Draw when the invoice is paid that an account is set up with."""
    at = dice.uniform(MINUTE, 30 * MINUTE)
    return Event(at=at, kind="act", account=FIRST_AT, invoice=FIRST, what="pay")


def _invoices(dice: Random, until: float, auto_watched: AbstractSet[str]) -> Iterator[Event]:
    """Draw the life of each of the others."""
    accounts = list(ACCOUNTS.values())
    shares = [account.share for account in accounts]
    for number, at in enumerate(_times(dice, INVOICES_PER_DAY, until), FIRST + 1):
        account = dice.choices(accounts, shares)[0]
        currency = dice.choice(account.currencies)
        for event in _invoice(dice, number, at + MINUTE, account, currency):
            if event.kind != "added" or account.key not in auto_watched:
                yield event


def _amount(dice: Random, currency: str) -> Decimal:
    """Draw an amount that has as many digits as the currency."""
    match currency:
        case "sat":
            return Decimal(dice.randint(1, 250_000))
        case "BTC" | "ETH":
            return Decimal(dice.randint(1000, 900_000)) / Decimal(10**8)
    return Decimal(dice.randint(150, 45_000)) / 100


def _invoice(
    dice: Random, number: int, at: float, account: Account, currency: str
) -> Iterator[Event]:
    """Draw the life of one invoice."""

    def event(kind: str, when: float, what: str = "") -> Event:
        return Event(at=when, kind=kind, account=account.key, invoice=number, what=what)

    by_staff = account.can_make and dice.random() < 0.35
    kind = "created" if by_staff else "made"
    yield Event(
        at=at,
        kind=kind,
        account=account.key,
        invoice=number,
        what=currency,
        amount=_amount(dice, currency),
        # Some are paid with test money, where a provider has that.
        number=float(account.key == "cryptocloud" and dice.random() < 0.1),
    )
    if not by_staff:
        added = event("added", at + min(dice.lognormvariate(3.0, 1.2), 5 * MINUTE))
        if dice.random() < 0.3:
            seconds = dice.uniform(0.001, 0.9)
            added = replace(added, what=", and close the page at once", seconds=seconds)
        yield added
    if dice.random() < 0.03:
        yield event("forged", at + dice.uniform(0, HOUR))
    for when, what in _fate(dice, at, account):
        yield event("act", when, what)
    if dice.random() < 0.06:
        deleted = event("deleted", at + dice.lognormvariate(8.0, 1.5))
        if dice.random() < 0.6:
            seconds = dice.lognormvariate(6.0, 1.5)
            deleted = replace(deleted, what=", and add it again", seconds=seconds)
        yield deleted


# What a customer may do, and how often: at a provider where all of that is possible.
_FATES: Mapping[str, tuple[int, frozenset[str]]] = {
    "pays": (50, frozenset(ACCOUNTS)),
    "never pays": (9, frozenset(ACCOUNTS)),
    "pays late": (9, frozenset(ACCOUNTS) - {"lnbits"}),
    "pays too much": (8, frozenset(ACCOUNTS) - {"lnbits"}),
    "pays in two parts": (6, frozenset({"btcpay", "cryptocloud", "own_api"})),
    "pays too little": (5, frozenset({"btcpay", "egates"})),
    "is confirmed later": (25, frozenset({"btcpay"})),
    "takes a transaction back": (4, frozenset({"btcpay"})),
    "replaces a transaction": (6, frozenset({"btcpay"})),
    "is never confirmed": (3, frozenset({"btcpay"})),
    "is marked as paid": (2, frozenset({"btcpay"})),
    "is marked as invalid after that": (4, frozenset({"btcpay"})),
    "is canceled": (3, frozenset({"cryptocloud", "egates", "own_api"})),
}


def _fate(dice: Random, at: float, account: Account) -> list[tuple[float, str]]:
    """Draw what a customer does."""
    possible = {what: often for what, (often, where) in _FATES.items() if account.key in where}
    soon = at + min(dice.lognormvariate(5.3, 0.9), 40 * MINUTE)
    later = soon + dice.uniform(MINUTE, 30 * MINUTE)
    late = soon + dice.uniform(MINUTE, 18 * HOUR)
    seen = [(soon, "process"), (soon + 20, "revert"), (soon + 25, "process")]
    return {
        "pays": [(soon, "pay")],
        "never pays": [],
        "pays late": [(soon, "expire"), (late, "pay")],
        "pays too much": [(soon, "overpay")],
        "pays in two parts": [(soon, "partly_pay"), (later, "pay")],
        "pays too little": [(soon, "underpay")],
        "is confirmed later": [seen[0], (later, "pay")],
        "takes a transaction back": [seen[0], (later, "revert")],
        "replaces a transaction": [*seen, (later, "pay")],
        "is never confirmed": [seen[0], (later, "fail")],
        "is marked as paid": [(later, "mark_paid")],
        "is marked as invalid after that": [
            (later, "mark_paid"),
            (later + dice.uniform(MINUTE, 30 * MINUTE), "mark_invalid"),
        ],
        "is canceled": [(soon, "cancel")],
    }[dice.choices(list(possible), list(possible.values()))[0]]


def _staff(dice: Random, until: float, events: list[Event]) -> Iterator[Event]:
    """Draw what staff do beside; they often save automations while something is going on."""
    keys = list(ACCOUNTS)
    busy = [event.at for event in events if event.at < until]
    for at in _times(dice, 6.0, until):
        when = at
        if busy and dice.random() < 0.7:
            when = dice.choice(busy) + dice.choice((0.1, 0.5, 1.0, 2.0, 5.0, 31.0))
        seconds = dice.choice((0.0, 0.0, 0.5, 3.0, 12.0))
        yield Event(at=when, kind="saved", what=dice.choice(AUTOMATIONS), seconds=seconds)
    for at in _times(dice, 1.0, until):
        yield Event(at=at, kind="reloaded", account=dice.choice(keys))
    for at in _times(dice, 0.3, until):
        yield Event(
            at=at, kind="switched", what=dice.choice(AUTOMATIONS), seconds=dice.uniform(5, HOUR)
        )
    for at in _times(dice, 0.5, until):
        what = dice.choice(("cleanup after a day", "cleanup after a week", "every device"))
        yield Event(at=at, kind="options", account=dice.choice(keys), what=what)
    for at in _times(dice, 1 / 7, until):
        yield Event(
            at=at,
            kind="new key",
            account=dice.choice(("cryptocloud", "egates", "own_api")),
            seconds=dice.uniform(MINUTE, 8 * HOUR),
        )


def _providers(dice: Random, until: float) -> Iterator[Event]:
    """Draw what goes wrong at the providers."""
    keys = list(ACCOUNTS)
    for at in _times(dice, 6.0, until):
        fault = dice.choice((*ANSWERED, *ON_THE_WAY, *_OFTEN))
        seconds = min(dice.lognormvariate(6.5, 1.5), 9 * HOUR)
        yield Event(
            at=at,
            kind="weather",
            account=dice.choice(keys),
            what=fault,
            seconds=seconds,
            number=dice.choice((0.2, 0.5, 1.0, 1.0)),
        )
    for at in _times(dice, 1 / 14, until):
        key = dice.choice(keys)
        seconds = dice.uniform(DAY, 5 * DAY)
        yield Event(
            at=at, kind="weather", account=key, what="no connection", seconds=seconds, number=1.0
        )
    for at in _times(dice, 0.5, until):
        yield Event(at=at, kind="hung up", account="lnbits")


def _machine(dice: Random, until: float, events: list[Event]) -> Iterator[Event]:
    """Draw what happens to the machine; most kills come while something is going on."""
    for at in _times(dice, 0.5, until):
        yield Event(at=at, kind="stopped", seconds=_down(dice))
    busy = [event.at for event in events if event.at < until]
    for at in _times(dice, _KILLS_PER_DAY, until):
        turns = int(dice.lognormvariate(2.5, 1.2))
        if busy and dice.random() < 0.8:
            when = dice.choice(busy) + dice.choice((0.0, 0.001, 0.3, 1.0, 5.0, 31.0))
        else:
            when = at
        match dice.choice(("turns", "turns", "before", "after", "rest")):
            case "turns":
                what, number = f"{turns} turns of its loop later", turns
            case "rest":
                what, number = "while nothing goes on", 0
            case side:
                number = dice.choice((1, 1, 2, 3))
                what = f"{side} its write number {number} from now"
        yield Event(at=when, kind="killed", what=what, number=number, seconds=_down(dice))
    for at in _times(dice, 1 / 7, until):
        yield Event(
            at=at,
            kind="lost",
            account=dice.choice(list(ACCOUNTS)),
            what=dice.choice(("gone", "damaged")),
            seconds=_down(dice),
        )
    for at in _times(dice, 0.3, until):
        yield Event(
            at=at,
            kind="disk",
            what=dice.choice(("full", "full", "unreadable")),
            seconds=dice.uniform(5, 30 * MINUTE),
        )
    for at in _times(dice, 0.2, until):
        yield Event(
            at=at,
            kind="clock",
            number=dice.choice((-720, -24, -1, 1, 2, 24, 720, 9000)),
            seconds=dice.uniform(10, 4 * HOUR),
        )
    for at in _times(dice, 1.0, until):
        yield Event(at=at, kind="backup", seconds=dice.uniform(5, 20 * MINUTE))


def _down(dice: Random) -> float:
    """Draw for how long Home Assistant is down."""
    return dice.choice((1.0, 20.0, 20.0, 60.0, 600.0, 2 * HOUR))
