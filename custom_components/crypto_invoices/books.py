"""What the invoices of an account ask for and brought, and what became of them; on disk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
import logging
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .providers.model import Invoice, InvoiceStatus

_LOGGER = logging.getLogger(__name__)

STORAGE_VERSION = 1
# Readings tell again what a crash loses, but for what is no longer read.
_SAVE_DELAY = 5
# An invoice that is no longer tracked is remembered by its ID, so that it is neither
# counted twice nor followed again: for so long, and so many of them.
REMEMBERED_FOR = timedelta(days=30)
MOST_REMEMBERED = 5000
# How old the note may be of what was listed: it is not worth a write each time.
_LISTED_AGAIN = timedelta(hours=1)
# Sums are exact: no amount has more digits than fit in here, however many are added.
_EXACT = Context(prec=500)
_BROUGHT = frozenset({InvoiceStatus.PAID, InvoiceStatus.OVERPAID, InvoiceStatus.UNDERPAID})

type Money = tuple[str, Decimal]
"""A currency, and an amount in it."""


class Sums:
    """Exact sums by currency, which cost what changes and not what there is."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.totals: dict[str, Decimal] = {}
        self._parts: dict[str, Money] = {}

    def put(self, invoice_id: str, part: Money | None) -> bool:
        """Let an invoice have this part in the sums; return whether that is new."""
        before = self._parts.get(invoice_id)
        if part == before:
            return False
        if before is not None:
            self._add(before[0], _EXACT.minus(before[1]))
        if part is None:
            self._parts.pop(invoice_id, None)
        else:
            self._parts[invoice_id] = part
            self._add(*part)
        return True

    def part(self, invoice_id: str) -> Money | None:
        """Return what an invoice has in the sums."""
        return self._parts.get(invoice_id)

    def settle(self, invoice_id: str) -> None:
        """Leave what an invoice brought in the sums for good, and forget whose it was."""
        self._parts.pop(invoice_id, None)

    def settled(self) -> dict[str, Decimal]:
        """Return what is in the sums for good."""
        totals = dict(self.totals)
        for currency, amount in self._parts.values():
            totals[currency] = _EXACT.subtract(totals[currency], amount)
        return totals

    def begin(self, settled: Mapping[str, Decimal]) -> None:
        """Begin with what is in the sums for good."""
        self.totals.update(settled)

    def _add(self, currency: str, amount: Decimal) -> None:
        """Add to a sum."""
        self.totals[currency] = _EXACT.add(self.totals.get(currency, Decimal(0)), amount)


@dataclass(slots=True)
class Record:
    """What became of an invoice that has ended, or that is no longer tracked."""

    final_since: datetime | None = None
    """Since when it is seen to be final, with what it brought."""
    paid_at: datetime | None = None
    gone_at: datetime | None = None
    """Since when it is no longer tracked."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An invoice as it was read, and what the ledger makes of it."""

    invoice: Invoice
    is_believed: bool
    """Not a step back that was said once, nor a word that nobody knows."""
    was_paid_before: bool
    """Whether it was paid already when it was added."""


class Books:
    """The books of one account: running sums, and a record of each invoice that has ended."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start with nothing; ``async_load`` reads what was kept."""
        self._store: Store[dict[str, Any]] = Store(
            hass, STORAGE_VERSION, f"{DOMAIN}.books.{entry_id}", private=True, atomic_writes=True
        )
        self.outstanding = Sums()
        self.received = Sums()
        self.records: dict[str, Record] = {}
        self.followed_until: datetime | None = None
        """Up to when what was made at the provider has been listed."""
        self._kept_until: datetime | None = None
        self._tracked: set[str] = set()
        self._day: datetime | None = None
        self._paid_today: set[str] = set()
        self._is_dirty = False

    async def async_load(self, tracked: Iterable[str]) -> None:
        """Read what was kept, and notice which invoices were removed or added since."""
        try:
            if (stored := await self._store.async_load()) is not None:
                self._parse(stored)
        except (
            HomeAssistantError,
            ArithmeticError,
            LookupError,
            OSError,
            TypeError,
            ValueError,
            AttributeError,
        ):
            _LOGGER.exception("The books %s can't be read: they start anew", self._store.path)
            self.received, self.records = Sums(), {}
        self._tracked = {id_ for id_, record in self.records.items() if not record.gone_at}
        self.follow(tracked)

    async def async_close(self) -> None:
        """Write what is not on disk yet."""
        if self._is_dirty:
            await self._store.async_save(self._data())

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()

    @property
    def currencies(self) -> set[str]:
        """The currencies that there ever was something in."""
        return self.outstanding.totals.keys() | self.received.totals.keys()

    @property
    def paid_today(self) -> int:
        """How many invoices were paid since midnight, local time."""
        self._turn_page()
        return len(self._paid_today)

    def observe(self, invoice_id: str, reading: Reading | None) -> None:
        """Enter a tracked invoice as it was read, or that it could not be."""
        invoice = reading.invoice if reading else None
        is_open = invoice is not None and invoice.status.is_open
        asked_for = _asked_for(invoice) if is_open else None
        # What is outstanding is read anew after a restart; only that there is such a currency isn't.
        changed = asked_for is not None and asked_for[0] not in self.currencies
        self.outstanding.put(invoice_id, asked_for)
        if reading and reading.is_believed:
            is_money_new = self.received.put(invoice_id, _brought(reading.invoice))
            changed |= self._record(invoice_id, reading, is_money_new=is_money_new) or is_money_new
        if changed:
            self._keep()

    def _record(self, invoice_id: str, reading: Reading, *, is_money_new: bool) -> bool:
        """Keep a record of an invoice that has ended; return whether there is news in it."""
        before = self.records.get(invoice_id)
        if reading.invoice.status.is_open:
            self._paid_today.discard(invoice_id)
            return self.records.pop(invoice_id, None) is not None
        now = dt_util.utcnow()
        # What is paid long after it ended is to be seen for as long as any other.
        since = None if before is None or is_money_new else before.final_since
        record = Record(final_since=since or now, paid_at=_when_paid(reading, before, now))
        self.records[invoice_id] = record
        self._count_today(invoice_id, record)
        return record != before

    def follow(self, tracked: Iterable[str]) -> None:
        """Follow what is tracked: what is not any more leaves what it brought, and its ID."""
        tracked = set(tracked)
        gone, back = self._tracked - tracked, tracked & self.records.keys() - self._tracked
        for invoice_id in gone:
            self.outstanding.put(invoice_id, None)
            self.records.setdefault(invoice_id, Record()).gone_at = dt_util.utcnow()
        for invoice_id in back:
            # As if it had ended now: somebody wants to see it.
            self.records[invoice_id].gone_at = self.records[invoice_id].final_since = None
        self._tracked = tracked
        if gone or back:
            # Whether or not anybody asks what was paid today.
            self._turn_page()
            self._keep()

    def follow_from(self, moment: datetime | None) -> None:
        """Note up to when what was made has been listed; after a restart, some of it is again."""
        self.followed_until, kept = moment, self._kept_until
        if moment == kept:
            return
        if moment is None or kept is None or moment - kept >= _LISTED_AGAIN:
            self._kept_until = moment
            self._keep()

    def _turn_page(self) -> None:
        """Begin a new day: none is paid yet, and what is long gone is forgotten."""
        today = dt_util.start_of_local_day()
        if self._day == today:
            return
        self._day = today
        self._paid_today.clear()
        for invoice_id, record in self.records.items():
            self._count_today(invoice_id, record)
        oldest = dt_util.utcnow() - REMEMBERED_FOR
        gone = sorted(
            (record.gone_at, id_) for id_, record in self.records.items() if record.gone_at
        )
        for number, (gone_at, invoice_id) in enumerate(reversed(gone)):
            if gone_at < oldest or number >= MOST_REMEMBERED:
                self.received.settle(invoice_id)
                del self.records[invoice_id]
                self._keep()

    def _count_today(self, invoice_id: str, record: Record) -> None:
        """Count an invoice among those that were paid today, or don't."""
        if self._day and record.paid_at and record.paid_at >= self._day:
            self._paid_today.add(invoice_id)
        else:
            self._paid_today.discard(invoice_id)

    def _keep(self) -> None:
        """Write soon."""
        self._is_dirty = True
        self._store.async_delay_save(self._data, _SAVE_DELAY)

    def _data(self) -> dict[str, Any]:
        """Return what is stored."""
        self._is_dirty = False
        settled = self.received.settled()
        until = self.followed_until
        return {
            "followed_until": None if until is None else until.isoformat(),
            # With those that are zero: their sensors stay.
            "received": {name: str(settled.get(name, 0)) for name in sorted(self.currencies)},
            "invoices": {
                id_: _stored(record, self.received.part(id_))
                for id_, record in self.records.items()
            },
        }

    def _parse(self, stored: Mapping[str, Any]) -> None:
        """Take what was stored; raises whatever a malformed file provokes."""
        self.received.begin({name: _finite(text) for name, text in stored["received"].items()})
        self.followed_until = self._kept_until = _read_time(stored.get("followed_until"))
        for invoice_id, saved in stored["invoices"].items():
            self.records[invoice_id] = Record(
                *(_read_time(saved.get(key)) for key in ("final_since", "paid_at", "gone_at"))
            )
            if "amount" in saved:
                self.received.put(invoice_id, (saved["currency"], _finite(saved["amount"])))


def _when_paid(reading: Reading, before: Record | None, now: datetime) -> datetime | None:
    """Return when an invoice was paid: as its provider says, or else when that was seen."""
    if not reading.invoice.status.is_paid:
        return None
    if reading.invoice.paid_at is not None:
        return min(reading.invoice.paid_at, now)
    if before is not None and before.paid_at is not None:
        return before.paid_at
    return None if reading.was_paid_before else now


def _asked_for(invoice: Invoice | None) -> Money | None:
    """Return what an invoice asks for, where its provider says so."""
    if invoice is None or invoice.amount is None or invoice.currency is None:
        return None
    return invoice.currency, invoice.amount


def _brought(invoice: Invoice) -> Money | None:
    """Return what an invoice brought; where that isn't told, a paid one brought what it asked."""
    if invoice.status not in _BROUGHT or invoice.currency is None:
        return None
    amount = invoice.amount_received
    if amount is None and invoice.status.is_paid:
        amount = invoice.amount
    return None if amount is None else (invoice.currency, amount)


def _stored(record: Record, part: Money | None) -> dict[str, str]:
    """Return a record as it is stored, with what its invoice brought."""
    times = {
        "final_since": record.final_since,
        "paid_at": record.paid_at,
        "gone_at": record.gone_at,
    }
    stored = {key: time.isoformat() for key, time in times.items() if time is not None}
    return stored if part is None else {**stored, "currency": part[0], "amount": str(part[1])}


def _finite(text: str) -> Decimal:
    """Return a stored amount; raises ValueError for one that spoils every sum."""
    amount = Decimal(text)
    if not amount.is_finite():
        raise ValueError(text)
    return amount


def _read_time(text: str | None) -> datetime | None:
    """Return a stored time."""
    return None if text is None else datetime.fromisoformat(text)
