"""What is announced."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from homeassistant.util import dt as dt_util

from ..book.record import Money, Record
from ..book.transitions import Transition

# A payment that is announced so long after it was made is late.
_LATE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A transition of an invoice, as Home Assistant hears of it."""

    entry_id: str
    account: str
    provider: str
    transition: Transition
    record: Record
    """A copy: the invoice as it was when this was found."""

    @property
    def id(self) -> str:
        """The announcement ID."""
        return self.transition.id

    @property
    def invoice_id(self) -> str:
        """The invoice's ID at its provider."""
        return self.record.id

    @property
    def age(self) -> timedelta:
        """How long ago it happened, as far as that is known; never less than nothing."""
        since = self.record.paid_at or self.record.ended_at
        return timedelta() if since is None else max(dt_util.utcnow() - since, timedelta())

    def as_dict(self) -> dict[str, Any]:
        """Return what an event's attributes and a trigger's variables say, as plain values."""
        record = self.record
        paid_at = record.paid_at
        return {
            "announcement_id": self.id,
            "invoice_id": record.id,
            "provider": self.provider,
            "account": self.account,
            "status": self.transition.status.value,
            "previous_status": self.transition.previous.value,
            "amount": _number(record.asked),
            "currency": record.asked.currency if record.asked else None,
            "amount_received": _number(record.received),
            "order_id": record.order_id,
            "created_at": record.created_at.isoformat() if record.created_at else None,
            "paid_at": paid_at.isoformat() if paid_at else None,
            "is_test": record.is_test,
            "is_late": self.age > _LATE,
        }


def _number(money: Money | None) -> float | None:
    """Return an amount as templates compare it."""
    return None if money is None else float(money.amount)
