"""What is announced."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final, override
from uuid import UUID, uuid5

from ..providers.model import InvoiceStatus

NOT_FULFILLED: Final = "not_fulfilled"
# A payment that is announced so long after it was made is late.
_LATE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A transition of an invoice, as Home Assistant hears of it."""

    id: str
    entry_id: str
    invoice_id: str
    kind: str
    previous: InvoiceStatus
    status: InvoiceStatus
    is_test: bool
    happened_at: datetime | None
    """As far as that is known."""
    now: Callable[[], datetime] = field(repr=False)
    """The clock by which it happened: the provider's where that is known."""
    values: Mapping[str, Any]
    """The invoice as it was when this was found, as plain values."""

    @property
    def text(self) -> str:
        """What happened, as a sentence in Home Assistant's language."""
        return str(self.values["text"])

    @property
    def is_payment(self) -> bool:
        """Whether this is when the invoice became paid."""
        return self.status.is_paid and not self.previous.is_paid

    @property
    def age(self) -> timedelta:
        """How long ago it happened, as far as that is known; never less than nothing."""
        if self.happened_at is None:
            return timedelta()
        return max(self.now() - self.happened_at, timedelta())

    def as_dict(self) -> dict[str, Any]:
        """Return what an event's attributes and a trigger's variables say, as plain values."""
        return {**self.values, "is_late": self.age > _LATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder(Announcement):
    """A payment that is still owed after a time. Triggers hear of it, and nobody else."""

    after: timedelta

    @property
    @override
    def is_payment(self) -> bool:
        """Return that it isn't: that was announced before."""
        return False

    @classmethod
    def of(cls, payment: Announcement, text: str, since: datetime, after: timedelta) -> Reminder:
        """Return what is said of a payment that has been owed for a time."""
        known = {one.name: getattr(payment, one.name) for one in fields(payment)}
        id_ = uuid5(UUID(payment.id), f"{NOT_FULFILLED}/{after.total_seconds()}").hex
        changed = {"text": text, "announcement_id": id_, "open_since": since.isoformat()}
        values = {**payment.values, **changed}
        return cls(**{**known, "id": id_, "kind": NOT_FULFILLED, "values": values}, after=after)
