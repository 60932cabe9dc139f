"""What invoices are called: one line, short enough for a list."""

from .book.record import Record
from .texts import one_line

_LONGEST_NAME = 60


def invoice_name(record: Record) -> str:
    """Return what an invoice's device is called."""
    return f"Invoice {one_line(record.order_id or record.id, _LONGEST_NAME)}"
