"""What is read from a book's file, and what is written to it."""

from dataclasses import dataclass, field
from datetime import datetime

from .record import Money, Record, Tombstone


@dataclass(frozen=True, slots=True)
class Carried:
    """What invoices that are no longer watched brought in one currency, and how many they were."""

    amount: Money
    number: int


@dataclass(slots=True, kw_only=True)
class Contents:
    """What is read when an account is loaded."""

    records: dict[str, Record] = field(default_factory=dict)
    """Those that are open, have a device, or have something to announce."""
    on_disk: list[Money] = field(default_factory=list)
    """What all others brought, added up by currency."""
    carried: dict[str, Carried] = field(default_factory=dict)
    paid: dict[str, datetime] = field(default_factory=dict)
    """When invoices were paid that are not among ``records``, as far as it was lately."""
    facts: dict[str, str] = field(default_factory=dict)

    def note_paid(self, invoice_id: str, paid_at: datetime | None) -> None:
        """Note when an invoice was paid, if it was."""
        if paid_at is not None:
            self.paid[invoice_id] = paid_at


@dataclass(slots=True, kw_only=True)
class Changes:
    """What one transaction writes."""

    records: list[Record] = field(default_factory=list)
    gone: list[Tombstone] = field(default_factory=list)
    """Their records are deleted."""
    forgotten: list[str] = field(default_factory=list)
    """Tombstones of invoices that are watched again."""
    carried: list[Carried] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    forget_before: datetime | None = None
    """Tombstones older than that are deleted."""
