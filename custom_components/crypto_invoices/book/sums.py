"""Exact sums by currency. Pure."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Context, Decimal

from .contents import Carried
from .record import Money, Record

# No amount has more digits than fit in here, however many are added.
_EXACT = Context(prec=500)


def add_up(moneys: Iterable[Money | None]) -> dict[str, Decimal]:
    """Return exact sums by currency."""
    sums: dict[str, Decimal] = {}
    for money in moneys:
        put(sums, money)
    return sums


def put(sums: dict[str, Decimal], money: Money | None, *, times: int = 1) -> None:
    """Add money to sums, or take it away with ``times=-1``."""
    if money is not None:
        amount = money.amount if times > 0 else _EXACT.minus(money.amount)
        sums[money.currency] = _EXACT.add(sums.get(money.currency, Decimal(0)), amount)


def carry(carried: dict[str, Carried], money: Money, *, times: int = 1) -> None:
    """Add the money of an invoice without a record, or take it back out."""
    old = carried.get(money.currency)
    total = {money.currency: old.amount.amount if old else Decimal(0)}
    put(total, money, times=times)
    number = (old.number if old else 0) + times
    carried[money.currency] = Carried(Money(total[money.currency], money.currency), number)


class Sums:
    """Running sums of an account: a change costs what changed, not what there is."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.received: dict[str, Decimal] = {}
        self.outstanding: dict[str, Decimal] = {}
        self._parts: dict[str, tuple[Money | None, Money | None]] = {}
        self._paid: dict[str, datetime] = {}
        self._since: datetime | None = None
        self._number_since = 0
        self._open: set[str] = set()

    @property
    def open_count(self) -> int:
        """How many invoices can still be paid."""
        return len(self._open)

    def begin(self, received: Iterable[Money], paid: dict[str, datetime]) -> None:
        """Begin with what records that are not in memory, and those before them, brought.

        ``paid`` has when each of them was paid that was paid lately.
        """
        self.received = add_up(received)
        self._paid, self._since = dict(paid), None

    def enter(self, record: Record) -> None:
        """Let a record have its part in the sums."""
        brought, missing = record.brought, record.missing
        old_brought, old_missing = self._parts.get(record.id, (None, None))
        if brought != old_brought:
            put(self.received, old_brought, times=-1)
            put(self.received, brought)
        if missing != old_missing:
            put(self.outstanding, old_missing, times=-1)
            put(self.outstanding, missing)
        if (brought, missing) != (old_brought, old_missing):
            self._parts[record.id] = (brought, missing)
        (self._open.add if record.status.is_open else self._open.discard)(record.id)
        self._note_paid(record.id, record.counted_at)

    def archive(self, record: Record) -> None:
        """Leave what a record brought in the sums for good; it is asked for no more."""
        put(self.outstanding, self._parts.pop(record.id, (None, None))[1], times=-1)
        self._open.discard(record.id)

    def adopt(self, invoice_id: str, money: Money | None) -> None:
        """Give what is in the sums already to an invoice that is watched again."""
        if money is not None:
            self._parts[invoice_id] = (money, None)

    def _note_paid(self, invoice_id: str, paid_at: datetime | None) -> None:
        """Note when an invoice was paid."""
        before = self._paid.pop(invoice_id, None)
        if paid_at is not None:
            self._paid[invoice_id] = paid_at
        if self._since is not None:
            self._number_since += _is_since(self._since, paid_at) - _is_since(self._since, before)

    def paid_since(self, moment: datetime) -> int:
        """Return how many invoices were paid since then.

        As long as it is the same day's beginning that is asked for, nothing is counted again.
        """
        if moment != self._since:
            self._since = moment
            self._number_since = sum(_is_since(moment, at) for at in self._paid.values())
        return self._number_since

    def forget_before(self, moment: datetime) -> None:
        """Forget what was paid before: no clock that is wrong makes it today again."""
        self._paid = {id_: at for id_, at in self._paid.items() if at >= moment}
        self._since = None

    @property
    def currencies(self) -> set[str]:
        """The currencies that there ever was something in."""
        return self.received.keys() | self.outstanding.keys()


def _is_since(moment: datetime, paid_at: datetime | None) -> bool:
    """Whether something was paid since then."""
    return paid_at is not None and paid_at >= moment
