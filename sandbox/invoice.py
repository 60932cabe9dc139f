"""An invoice, whichever provider's it is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from .states import State


@dataclass(slots=True, kw_only=True)
class SandboxInvoice:
    """One request for payment; `id` is what a user would type."""

    id: str
    provider: str
    number: int
    amount: Decimal
    currency: str
    order_id: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    lifetime: timedelta
    state: State = State.PENDING
    received: Decimal = Decimal(0)
    coin_chosen: bool = False
    paid_at: datetime | None = None
    """When all of the money was first seen."""
    callback_url: str | None = None
    """Where its own changes are posted to, if that was asked for."""
