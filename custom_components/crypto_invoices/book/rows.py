"""From what a book knows to rows of its database, and back.

Money is text, times are ISO 8601 in UTC.
"""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
import json
import sqlite3

from ..providers.model import InvoiceStatus
from .contents import Carried, Changes, Contents
from .item import Item
from .record import Money, Record, Tombstone, brought_by
from .sums import put

type Row = sqlite3.Row
type Value = str | int | None


def read_contents(database: sqlite3.Connection, paid_since: datetime) -> Contents:
    """Return what is in the file; raises whatever a malformed row provokes."""
    found = Contents()
    for row in database.execute("SELECT * FROM in_memory"):
        found.records[row["id"]] = read_record(row)
    for row in database.execute("SELECT * FROM carried"):
        money = _read_money(row["amount"], row["currency"])
        if money is None:
            raise ValueError("a sum has no amount")
        found.carried[money.currency] = Carried(money, row["number"])
    # Exact, as no sum in SQL would be; 10,000 rows take some milliseconds.
    sums: dict[str, Decimal] = {}
    for row in database.execute(
        "SELECT status, is_test, asked_amount, asked_currency,"
        " received_amount, received_currency FROM on_disk"
    ):
        put(sums, _read_brought(row))
    found.on_disk = [Money(amount, currency) for currency, amount in sums.items()]
    lately = (write_time(paid_since),)
    for row in database.execute(
        "SELECT * FROM on_disk WHERE coalesce(paid_at, ended_at) >= ?", lately
    ):
        found.note_paid(row["id"], read_record(row).counted_at)
    for row in database.execute("SELECT * FROM tombstones WHERE paid_at >= ?", lately):
        found.note_paid(row["id"], _read_time(row["paid_at"]))
    found.facts = {row["name"]: row["value"] for row in database.execute("SELECT * FROM facts")}
    return found


def write_changes(database: sqlite3.Connection, changes: Changes) -> None:
    """Write what changed, within a transaction."""
    database.executemany(
        "DELETE FROM tombstones WHERE id = ?", [(id_,) for id_ in changes.forgotten]
    )
    database.executemany(
        "INSERT OR REPLACE INTO records VALUES"
        " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?, ?, ?, ?, ?, ?, ?, ?)",
        [_record_row(record) for record in changes.records],
    )
    database.executemany(
        "INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?, ?, ?, ?)",
        [_tombstone_row(gone) for gone in changes.gone],
    )
    database.executemany("DELETE FROM records WHERE id = ?", [(gone.id,) for gone in changes.gone])
    database.executemany(
        "INSERT OR REPLACE INTO carried VALUES (?, ?, ?)",
        [(sum_.amount.currency, str(sum_.amount.amount), sum_.number) for sum_ in changes.carried],
    )
    database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", changes.facts.items())
    if changes.forget_before is not None:
        database.execute(
            "DELETE FROM tombstones WHERE gone_at < ?", (write_time(changes.forget_before),)
        )


def _record_row(record: Record) -> tuple[Value, ...]:
    """Return a record as a row."""
    return (
        record.id,
        record.times_watched,
        record.order_id,
        record.memo,
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
        memo=row["memo"],
        is_automatic=bool(row["is_automatic"]),
        has_device=bool(row["has_device"]),
        asked=_read_money(row["asked_amount"], row["asked_currency"]),
        status=InvoiceStatus(row["status"]),
        announced=None if announced is None else InvoiceStatus(announced),
        counts=Counter({str(kind): int(n) for kind, n in json.loads(row["counts"]).items()}),
        received=_read_money(row["received_amount"], row["received_currency"]),
        created_at=_read_time(row["created_at"]),
        expires_at=_read_time(row["expires_at"]),
        paid_at=_read_time(row["paid_at"]),
        ended_at=_read_time(row["ended_at"]),
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
        fulfilled_at=_read_time(row["item_fulfilled_at"]),
    )


def _tombstone_row(gone: Tombstone) -> tuple[Value, ...]:
    """Return a tombstone as a row."""
    times = (_time(gone.gone_at), _time(gone.created_at), _time(gone.paid_at))
    return (gone.id, gone.times_watched, *times, *_money(gone.brought))


def read_tombstone(row: Row) -> Tombstone:
    """Return the tombstone in a row; raises whatever a malformed one provokes."""
    return Tombstone(
        id=row["id"],
        times_watched=row["times_watched"],
        gone_at=datetime.fromisoformat(row["gone_at"]),
        created_at=_read_time(row["created_at"]),
        paid_at=_read_time(row["paid_at"]),
        brought=_read_money(row["brought_amount"], row["brought_currency"]),
    )


def _read_brought(row: Row) -> Money | None:
    """Return what the record in a row adds to the money received."""
    received = _read_money(row["received_amount"], row["received_currency"])
    # Of ten thousand rows at a start, this is most of the work.
    asked = None if received else _read_money(row["asked_amount"], row["asked_currency"])
    return brought_by(InvoiceStatus(row["status"]), asked, received, is_test=bool(row["is_test"]))


def _read_money(amount: str | None, currency: str | None) -> Money | None:
    """Return stored money; raises ValueError for an amount that spoils every sum."""
    if amount is None or currency is None:
        return None
    number = Decimal(amount)
    if not number.is_finite():
        raise ValueError(amount)
    return Money(number, currency)


def _read_time(text: str | None) -> datetime | None:
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
