"""A payment that has to be fulfilled, or was: what is owed to whoever paid. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..providers.model import InvoiceStatus

# How long after a payment its automations are run again, until it is fulfilled.
REPEATED_AFTER = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15)),
    *(timedelta(hours=hours) for hours in range(1, 25)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is owed for one payment of an invoice."""

    announcement_id: str
    """The payment's."""
    previous: InvoiceStatus
    """What the invoice was before."""
    since: datetime
    """When the payment was announced."""
    tried_at: datetime
    """When the automations that repeat it were last run."""
    attempts: int = 1
    """How often they were run."""
    heard_by: tuple[str, ...] = ()
    """The keys of the automations that heard of the payment."""
    fulfilled_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is still owed."""
        return self.fulfilled_at is None

    @property
    def next_attempt(self) -> datetime | None:
        """When to run its automations again; None once it is fulfilled, or a day has passed.

        What came due several times while Home Assistant was off comes once.
        """
        if not self.is_open or not self.heard_by:
            return None
        tried_after = self.tried_at - self.since
        return next((self.since + after for after in REPEATED_AFTER if after > tried_after), None)

    def tried(self, now: datetime) -> Item:
        """Return it after one more attempt."""
        return replace(self, tried_at=max(now, self.tried_at), attempts=self.attempts + 1)

    def moved(self, jump: timedelta) -> Item:
        """Return it with its times moved along with the clock that dated them."""
        return replace(self, since=self.since + jump, tried_at=self.tried_at + jump)
