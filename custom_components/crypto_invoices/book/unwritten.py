"""What the book in memory has, and the one on disk doesn't yet."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from .contents import Carried, Changes
from .record import Record, Tombstone


class Unwritten:
    """Collects what the next transaction writes, and what the last one didn't."""

    def __init__(
        self,
        records: Mapping[str, Record],
        carried: Mapping[str, Carried],
        facts: Mapping[str, str],
    ) -> None:
        """Begin with a book that is on disk as it is in memory."""
        self._records = records
        self._carried = carried
        self._facts = facts
        self.records: dict[str, Record] = {}
        self.gone: dict[str, Tombstone] = {}
        """The tombstones of invoices whose records are to be deleted."""
        self._forgotten: set[str] = set()
        self.currencies: set[str] = set()
        """Those in which another sum is carried."""
        self.facts: set[str] = set()
        self.forget_before: datetime | None = None
        """Tombstones older than that are to be deleted."""

    def watch_again(self, invoice_id: str) -> None:
        """Delete the tombstone of an invoice that is watched again."""
        self.gone.pop(invoice_id, None)
        self._forgotten.add(invoice_id)

    def remove(self, gone: Tombstone) -> None:
        """Put a tombstone in the place of a record."""
        self.records.pop(gone.id, None)
        self._forgotten.discard(gone.id)
        self.gone[gone.id] = gone

    def take(self) -> Changes | None:
        """Return what the next transaction writes."""
        changes = Changes(
            # Copies: a record may change while it is written.
            records=[replace(record) for record in self.records.values()],
            gone=list(self.gone.values()),
            forgotten=list(self._forgotten),
            carried=[self._carried[currency] for currency in self.currencies],
            facts={name: self._facts[name] for name in self.facts},
            forget_before=self.forget_before,
        )
        if changes == Changes():
            return None
        self.records, self.gone, self._forgotten = {}, {}, set()
        self.currencies, self.facts, self.forget_before = set(), set(), None
        return changes

    def give_back(self, changes: Changes) -> None:
        """Write with the next transaction what this one did not."""
        for copy in changes.records:
            if copy.id not in self.gone:
                self.records.setdefault(copy.id, self._records.get(copy.id, copy))
        for gone in changes.gone:
            if gone.id not in self._records:
                self.gone.setdefault(gone.id, gone)
        self._forgotten.update(id_ for id_ in changes.forgotten if id_ not in self.gone)
        self.currencies.update(carried.amount.currency for carried in changes.carried)
        self.facts.update(changes.facts)
        self.forget_before = self.forget_before or changes.forget_before
