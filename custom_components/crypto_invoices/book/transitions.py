"""From readings to transitions: what counts as a step back, and what a change is called. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid5

from ..providers.model import Invoice, InvoiceStatus
from .item import Item
from .record import Money, Record, asked_for

# Fixed for ever: the same transition gets the same ID after a kill, or in a copy.
_IDS = UUID("5f0c1d3e-6c0b-4d52-9a3f-6f1f2f6f7c11")
_PAYMENT_REVERTED = "payment_reverted"
_STATUS_CHANGED = "status_changed"
_OF_ITS_OWN = frozenset(
    {
        InvoiceStatus.PARTIALLY_PAID,
        InvoiceStatus.PAID,
        InvoiceStatus.OVERPAID,
        InvoiceStatus.UNDERPAID,
        InvoiceStatus.EXPIRED,
        InvoiceStatus.CANCELED,
    }
)
KINDS = (*sorted(status.value for status in _OF_ITS_OWN), _PAYMENT_REVERTED, _STATUS_CHANGED)
# How far an invoice has come.
_PROGRESS = {
    InvoiceStatus.PENDING: 0,
    InvoiceStatus.PROCESSING: 1,
    InvoiceStatus.PARTIALLY_PAID: 1,
    InvoiceStatus.PAID: 3,
    InvoiceStatus.OVERPAID: 4,
}
_ENDED_UNPAID = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """From the status that automations know to the one that is believed."""

    id: str
    """The announcement ID: the same whoever finds the same transition."""
    counted_as: str
    previous: InvoiceStatus
    status: InvoiceStatus

    @property
    def kind(self) -> str:
        """What happened, as event entities and triggers call it."""
        return kind_of(self.previous, self.status)

    @property
    def is_payment(self) -> bool:
        """Whether this is when the invoice became paid."""
        return self.status.is_paid and not self.previous.is_paid


def pending_transition(entry_id: str, record: Record) -> Transition | None:
    """Return what has to be announced of a record, if anything is."""
    previous = record.announced
    if previous is None or previous is record.status:
        return None
    kind = kind_of(previous, record.status)
    if record.status.is_paid and not previous.is_paid:
        # Paid and overpaid are one payment: whichever a restart finds has the same ID.
        kind = "payment"
    elif kind == _STATUS_CHANGED:
        kind = record.status.value
    name = f"{entry_id}/{record.id}/{record.times_watched}/{kind}/{record.counts[kind]}"
    return Transition(
        id=uuid5(_IDS, name).hex, counted_as=kind, previous=previous, status=record.status
    )


def is_next(entry_id: str, record: Record, transition: Transition) -> bool:
    """Whether a transition begins where a record is, and not where another one was."""
    as_it_was = replace(record, status=transition.status)
    pending = pending_transition(entry_id, as_it_was)
    return pending is not None and pending.id == transition.id


def note_announced(record: Record, transition: Transition) -> None:
    """Take down that automations know of a transition."""
    record.announced = transition.status
    record.counts = record.counts + Counter([transition.counted_as])


def owe(record: Record, transition: Transition, heard_by: Iterable[str], now: datetime) -> bool:
    """Let what a payment was made for be owed; return whether that is news.

    Each payment is owed once, also if it is announced again.
    """
    item = record.item
    if not transition.is_payment:
        return False
    if item is not None and item.announcement_id == transition.id:
        if item.is_open:
            record.item = replace(item, tried_at=max(now, item.tried_at))
        return record.item is not item
    record.item = Item(
        announcement_id=transition.id,
        previous=transition.previous,
        since=now,
        tried_at=now,
        heard_by=tuple(heard_by),
    )
    return True


def fulfill(record: Record, now: datetime | None) -> bool:
    """Note that what is owed was given, or with None that it was not; return whether it is news."""
    item = record.item
    if item is None or item.is_open is (now is None):
        return False
    record.item = replace(item, fulfilled_at=now)
    return True


def take_back(record: Record) -> bool:
    """Owe nothing for a payment that was reverted; return whether that is news.

    What was fulfilled stays so: somebody has to know.
    """
    if record.status.is_paid or not record.is_owed:
        return False
    record.item = None
    return True


def kind_of(previous: InvoiceStatus, status: InvoiceStatus) -> str:
    """Return what a change of status is called."""
    if previous.is_paid and not status.is_paid:
        return _PAYMENT_REVERTED
    if status in _OF_ITS_OWN and not (previous.is_paid and status is InvoiceStatus.PAID):
        return status.value
    return _STATUS_CHANGED


def is_step_back(before: InvoiceStatus, after: InvoiceStatus) -> bool:
    """Whether an invoice was further before; a word that nobody knows is neither."""
    if before is InvoiceStatus.UNKNOWN:
        return False
    if before.is_paid and not after.is_paid:
        return True
    return _PROGRESS.get(after, _ENDED_UNPAID) < _PROGRESS.get(before, _ENDED_UNPAID)


def enter(record: Record, invoice: Invoice, now: datetime, *, is_dated_here: bool = False) -> None:
    """Enter a believed reading into a record.

    ``now`` dates what the provider doesn't, by this machine's clock if ``is_dated_here``.
    """
    before = record.brought, record.status.is_paid
    if record.asked is None:
        record.asked = asked_for(invoice)
    if invoice.status is not InvoiceStatus.UNKNOWN:
        # What a word that nobody knows says of the money, nobody knows either.
        record.status = invoice.status
        record.announced = record.announced or invoice.status
        if invoice.amount_received is not None and invoice.currency is not None:
            record.received = Money(invoice.amount_received, invoice.currency)
        elif record.received is not None and not record.received.amount:
            # Nothing had arrived, and what has since isn't said.
            record.received = None
    record.order_id = invoice.order_id or record.order_id
    record.memo = invoice.memo or record.memo
    record.created_at = invoice.created_at or record.created_at
    record.expires_at = invoice.expires_at
    if invoice.is_test is not None:
        record.is_test = invoice.is_test
    is_new = (record.brought, record.status.is_paid) != before
    _date(record, invoice, now, is_new=is_new, is_dated_here=is_dated_here)


def _date(
    record: Record, invoice: Invoice, now: datetime, *, is_new: bool, is_dated_here: bool
) -> None:
    """Date the end of an invoice, and its payment where the provider does."""
    if record.status.is_open:
        record.ended_at = record.paid_at = None
        return
    if record.ended_at is None or is_new:
        # What is paid long after it ended has to be seen for as long as any other.
        record.ended_at, record.is_dated_here = now, is_dated_here
    record.paid_at = (invoice.paid_at or record.paid_at) if record.status.is_paid else None
