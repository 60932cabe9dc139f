"""From a record to a row of the database, and back."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
import json
import sqlite3

from ..providers.model import InvoiceStatus
from .item import Item
from .record import Money, Record, Tombstone, brought_by

type Row = sqlite3.Row
type Value = str | int | None


def record_row(record: Record) -> tuple[Value, ...]:
    """Return a record as a row."""
    return (
        record.id,
        record.times_watched,
        record.order_id,
        record.is_automatic,
        record.has_device,
        *_money(record.asked),
        record.status.value,
        None if record.announced is None else record.announced.value,
        json.dumps(record.counts, sort_keys=True),
        *_money(record.received),
        _time(record.created_at),
        _time(record.expires_at),
        _time(record.paid_at),
        _time(record.ended_at),
        record.payment_url,
        record.payment_text,
        record.is_test,
        record.is_over,
        record.is_dated_here,
        *_item(record.item),
    )


def read_record(row: Row) -> Record:
    """Return the record in a row; raises whatever a malformed one provokes."""
    announced = row["announced"]
    return Record(
        id=row["id"],
        times_watched=row["times_watched"],
        order_id=row["order_id"],
        is_automatic=bool(row["is_automatic"]),
        has_device=bool(row["has_device"]),
        asked=read_money(row["asked_amount"], row["asked_currency"]),
        status=InvoiceStatus(row["status"]),
        announced=None if announced is None else InvoiceStatus(announced),
        counts=Counter({str(kind): int(n) for kind, n in json.loads(row["counts"]).items()}),
        received=read_money(row["received_amount"], row["received_currency"]),
        created_at=read_time(row["created_at"]),
        expires_at=read_time(row["expires_at"]),
        paid_at=read_time(row["paid_at"]),
        ended_at=read_time(row["ended_at"]),
        payment_url=row["payment_url"],
        payment_text=row["payment_text"],
        is_test=bool(row["is_test"]),
        is_over=bool(row["is_over"]),
        is_dated_here=bool(row["is_dated_here"]),
        item=_read_item(row),
    )


def _item(item: Item | None) -> tuple[Value, ...]:
    """Return what is owed for a payment as columns."""
    if item is None:
        return (None,) * 7
    return (
        item.announcement_id,
        item.previous.value,
        write_time(item.since),
        write_time(item.tried_at),
        item.attempts,
        json.dumps(item.heard_by),
        _time(item.fulfilled_at),
    )


def _read_item(row: Row) -> Item | None:
    """Return what is owed for a payment; raises whatever a malformed row provokes."""
    if row["item_announcement_id"] is None:
        return None
    return Item(
        announcement_id=row["item_announcement_id"],
        previous=InvoiceStatus(row["item_previous"]),
        since=datetime.fromisoformat(row["item_since"]),
        tried_at=datetime.fromisoformat(row["item_tried_at"]),
        attempts=int(row["item_attempts"]),
        heard_by=tuple(str(key) for key in json.loads(row["item_heard_by"])),
        fulfilled_at=read_time(row["item_fulfilled_at"]),
    )


def tombstone_row(gone: Tombstone) -> tuple[Value, ...]:
    """Return a tombstone as a row."""
    times = (_time(gone.gone_at), _time(gone.created_at), _time(gone.paid_at))
    return (gone.id, gone.times_watched, *times, *_money(gone.brought))


def read_tombstone(row: Row) -> Tombstone:
    """Return the tombstone in a row; raises whatever a malformed one provokes."""
    return Tombstone(
        id=row["id"],
        times_watched=row["times_watched"],
        gone_at=datetime.fromisoformat(row["gone_at"]),
        created_at=read_time(row["created_at"]),
        paid_at=read_time(row["paid_at"]),
        brought=read_money(row["brought_amount"], row["brought_currency"]),
    )


def read_brought(row: Row) -> Money | None:
    """Return what the record in a row adds to the money received."""
    received = read_money(row["received_amount"], row["received_currency"])
    # Of ten thousand rows at a start, this is most of the work.
    asked = None if received else read_money(row["asked_amount"], row["asked_currency"])
    return brought_by(InvoiceStatus(row["status"]), asked, received, is_test=bool(row["is_test"]))


def read_money(amount: str | None, currency: str | None) -> Money | None:
    """Return stored money; raises ValueError for an amount that spoils every sum."""
    if amount is None or currency is None:
        return None
    number = Decimal(amount)
    if not number.is_finite():
        raise ValueError(amount)
    return Money(number, currency)


def read_time(text: str | None) -> datetime | None:
    """Return a stored time."""
    return None if text is None else datetime.fromisoformat(text)


def _money(money: Money | None) -> tuple[str | None, str | None]:
    """Return money as two columns."""
    return (None, None) if money is None else (str(money.amount), money.currency)


def write_time(moment: datetime) -> str:
    """Return a time as it is compared in the database."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _time(moment: datetime | None) -> str | None:
    """Return a time that may not be known."""
    return None if moment is None else write_time(moment)
