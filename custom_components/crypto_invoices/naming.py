"""What invoices are called: one line, short enough for a list."""

import re

from .book.record import Record

_LONGEST_NAME = 60
LONGEST_ATTRIBUTE = 255
_GAPS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def invoice_name(record: Record) -> str:
    """Return what an invoice's device is called."""
    return f"Invoice {one_line(record.order_id or record.id)}"


def one_line(text: str, longest: int = _LONGEST_NAME) -> str:
    """Return a text that somebody else wrote as one line of so many characters at most."""
    line = _GAPS.sub(" ", text).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
