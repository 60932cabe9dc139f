"""What is known of one watched invoice, and survives a restart."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from ..providers.model import Invoice, InvoiceStatus
from .item import Item

# In these, what was received is final.
_BROUGHT = frozenset({InvoiceStatus.PAID, InvoiceStatus.OVERPAID, InvoiceStatus.UNDERPAID})


class Money(NamedTuple):
    """An amount in a currency."""

    amount: Decimal
    currency: str


@dataclass(slots=True, kw_only=True)
class Record:
    """One invoice for as long as it is watched.

    What is still to be announced is the difference between ``status`` and ``announced``.
    Times are aware, and the provider's own or by its clock where it has one.
    """

    id: str
    times_watched: int = 0
    """How often it was watched before."""
    order_id: str | None = None
    memo: str | None = None
    """The first words of what the payer reads; part of its name only where a user allows it."""
    is_automatic: bool = False
    """Whether it is watched because the account is."""
    has_device: bool = True
    asked: Money | None = None
    """What it was made for: fixed at first knowledge, never re-denominated."""
    status: InvoiceStatus
    """The last believed status."""
    announced: InvoiceStatus | None
    """The status that automations know; None begins with the next reading."""
    counts: Counter[str] = field(default_factory=Counter)
    """How many announcements of each kind there were; replaced, as all that copies share."""
    received: Money | None = None
    """What the provider last said has arrived, final or not."""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    paid_at: datetime | None = None
    """When it was paid, as its provider says."""
    ended_at: datetime | None = None
    """Since when it is final, with what it brought."""
    payment_url: str | None = None
    payment_text: str | None = None
    """Where and what to pay, kept for providers that say it only once."""
    is_test: bool = False
    is_over: bool = False
    """Whether nothing of it can change any more, so that it is not polled."""
    is_dated_here: bool = False
    """Whether ``ended_at`` is by this machine's clock, which may have been wrong."""
    item: Item | None = None
    """What is owed for its latest payment, or was; None where nothing is to be fulfilled."""

    @classmethod
    def begin(cls, invoice: Invoice, baseline: InvoiceStatus | None = None) -> Record:
        """Return the record of an invoice that is watched from now on.

        ``baseline`` is the status that announces nothing, by default the one that it has.
        """
        return cls(
            id=invoice.id,
            order_id=invoice.order_id,
            memo=invoice.memo,
            asked=asked_for(invoice),
            status=baseline or invoice.status,
            announced=baseline or invoice.status,
            created_at=invoice.created_at,
            expires_at=invoice.expires_at,
            is_test=bool(invoice.is_test),
        )

    @property
    def is_announced(self) -> bool:
        """Whether there is nothing to announce."""
        return self.announced is None or self.announced is self.status

    @property
    def may_rest(self) -> bool:
        """Whether nobody asks for it, as nothing of it changes, is announced or shown."""
        return self.is_over and self.is_announced and not self.has_device and self.item is None

    @property
    def is_owed(self) -> bool:
        """Whether it is paid for, and still to be fulfilled."""
        return self.item is not None and self.item.is_open

    @property
    def counted_at(self) -> datetime | None:
        """When it was paid, or else when that was seen; None for what was paid before."""
        if not self.status.is_paid or self.is_test:
            return None
        is_news = bool(self.counts["payment"]) or not self.is_announced
        return self.paid_at or (self.ended_at if is_news else None)

    @property
    def missing(self) -> Money | None:
        """What is still to be paid, None where nothing is or nobody knows."""
        if not self.status.is_open or self.asked is None or self.is_test:
            return None
        if self.received is None or self.received.currency != self.asked.currency:
            return self.asked
        return Money(max(self.asked.amount - self.received.amount, Decimal(0)), self.asked.currency)

    @property
    def brought(self) -> Money | None:
        """What it adds to the money received."""
        return brought_by(self.status, self.asked, self.received, is_test=self.is_test)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """An invoice that was watched, and what it left in the sums."""

    id: str
    times_watched: int
    """How often it was watched."""
    gone_at: datetime
    created_at: datetime | None = None
    paid_at: datetime | None = None
    brought: Money | None = None

    @classmethod
    def of(cls, record: Record, now: datetime) -> Tombstone:
        """Return what stays of a record that is removed now."""
        return cls(
            id=record.id,
            times_watched=record.times_watched + 1,
            gone_at=now,
            created_at=record.created_at,
            paid_at=record.counted_at,
            brought=record.brought,
        )


def brought_by(
    status: InvoiceStatus, asked: Money | None, received: Money | None, *, is_test: bool
) -> Money | None:
    """Return what an invoice adds to the money received; test money is none.

    Where the provider doesn't say what arrived, a paid one brought what it asked for.
    """
    if is_test or status not in _BROUGHT:
        return None
    return received or (asked if status.is_paid else None)


def asked_for(invoice: Invoice) -> Money | None:
    """Return what an invoice was made for, where its provider says so."""
    if invoice.amount is None or invoice.currency is None:
        return None
    return Money(invoice.amount, invoice.currency)


def as_last_known(record: Record) -> Invoice:
    """Return what is known of an invoice that its provider no longer knows."""
    return Invoice(
        id=record.id,
        status=record.status,
        provider_status="",
        amount=record.asked.amount if record.asked else None,
        currency=record.asked.currency if record.asked else None,
        order_id=record.order_id,
        created_at=record.created_at,
        paid_at=record.paid_at,
    )


def as_asked(record: Record, invoice: Invoice) -> Invoice:
    """Return an invoice with what was asked for at first, whatever its provider says later.

    Where it says what has arrived in another currency, that is left out: nobody should compare
    euros with dollars.
    """
    asked = record.asked
    if asked is None or asked == (invoice.amount, invoice.currency):
        return invoice
    received = invoice.amount_received if invoice.currency == asked.currency else None
    return replace(invoice, amount=asked.amount, currency=asked.currency, amount_received=received)
