"""What an account owes for payments, or owed: derived from its records. Pure."""

from .item import Item
from .record import Record


class Items:
    """The records of payments that have to be fulfilled, and of those that were."""

    def __init__(self) -> None:
        """Begin with none."""
        self.owed: dict[str, Record] = {}
        """Those that are to be fulfilled, by invoice."""
        self.done: dict[str, Record] = {}
        self.version = 0
        """Another one whenever something of it changes."""
        self._known: dict[str, Item] = {}

    def enter(self, record: Record) -> None:
        """Let a record be among those that it belongs to."""
        item = record.item
        if item != self._known.get(record.id):
            self.leave(record.id)
            self.version += 1
        if item is not None:
            self._known[record.id] = item
            (self.owed if item.is_open else self.done)[record.id] = record

    def leave(self, invoice_id: str) -> None:
        """Forget an invoice that is watched no more."""
        if self._known.pop(invoice_id, None) is not None:
            self.owed.pop(invoice_id, None)
            self.done.pop(invoice_id, None)
            self.version += 1

    def find(self, announcement_id: str) -> Record | None:
        """Return the record of a payment with this announcement ID."""
        found = (
            id_ for id_, item in self._known.items() if item.announcement_id == announcement_id
        )
        invoice_id = next(found, "")
        return self.owed.get(invoice_id) or self.done.get(invoice_id)
