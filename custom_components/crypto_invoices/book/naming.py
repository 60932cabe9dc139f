"""What invoices are called: one line, short enough for a list, and no two the same."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
import re

from ..texts import one_line
from .record import Money, Record

_LONGEST_NAME = 60
_LONGEST_AMOUNT = 24
_BETWEEN = " · "
# As much of an ID as people compare.
_TAIL = 6
# A hash: nobody reads that.
_HASH = re.compile(r"[0-9a-f]{32,}", re.IGNORECASE)


def id_tail(invoice_id: str) -> str:
    """Return the end of an invoice's ID, as far as it distinguishes invoices."""
    return invoice_id[-_TAIL:]


def base_name(record: Record, invoice_word: str, *, may_use_memo: bool) -> str:
    """Return what an invoice is called as long as no other is called the same.

    Its order ID, else its memo where that is allowed, else the end of its ID. ``invoice_word``
    puts the word invoice before what is no word itself, at its ``{id}``.
    """
    for text in (record.order_id, record.memo if may_use_memo else None):
        name = one_line(_HASH.sub(lambda found: id_tail(found[0]), text or ""), _LONGEST_NAME)
        if any(character.isalpha() for character in name) and not _HASH.fullmatch(text or ""):
            return name
        if name:
            return one_line(invoice_word.format(id=name), _LONGEST_NAME)
    return one_line(invoice_word.format(id=id_tail(record.id)), _LONGEST_NAME)


class Names:
    """The names of the invoices that have a device: each distinguishes its own from the others."""

    def __init__(
        self,
        records: Mapping[str, Record],
        base: Callable[[Record], str],
        write: Callable[[Money], str],
    ) -> None:
        """Begin with the records, which are always the present ones; ``write`` writes an amount."""
        self._records = records
        self._base = base
        self._write = write
        self._known: dict[str, tuple[str, Money | None]] = {}
        # How many are called so, and how many of them ask for the same.
        self._count: Counter[str | tuple[str, Money | None]] = Counter()
        self.compare()

    def name(self, record: Record) -> str:
        """Return what an invoice is called, with its amount or its ID where others were, too."""
        key = self._known.get(record.id) or (self._base(record), record.asked)
        base, asked = key
        added = ""
        if self._count[base] > 1:
            added += f"{_BETWEEN}{one_line(self._write(asked), _LONGEST_AMOUNT)}" if asked else ""
            added += f"{_BETWEEN}{id_tail(record.id)}" if self._count[key] > 1 else ""
        return one_line(base, _LONGEST_NAME - len(added)) + added

    def compare(self) -> set[str]:
        """Follow which invoices have a device; return whose names may be others now."""
        named = {id_ for id_, record in self._records.items() if record.has_device}
        return self.follow(self._known.keys() ^ named)

    def follow(self, changed: Iterable[str]) -> set[str]:
        """Follow the records of some invoices; return whose names may be others now."""
        touched = set[str]()
        for invoice_id in changed:
            record, key = self._records.get(invoice_id), None
            if record is not None and record.has_device:
                key = self._base(record), record.asked
            if (before := self._known.get(invoice_id)) == key:
                continue
            if before is not None:
                del self._known[invoice_id]
                touched.add(before[0])
                self._count.subtract((before[0], before))
            if key is not None:
                self._known[invoice_id] = key
                touched.add(key[0])
                self._count.update((key[0], key))
        if not touched:
            return touched
        return {id_ for id_, (base, _) in self._known.items() if base in touched}
