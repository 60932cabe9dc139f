"""Stories that ended badly once."""

from datetime import UTC, datetime
from decimal import Decimal

from .plan import HOUR, Event, Plan
from .story import tell

_NOON = datetime(2026, 11, 2, 11, tzinfo=UTC)


def _made(at: float, account: str = "btcpay") -> Event:
    """Return an invoice that is made."""
    return Event(
        at=at, kind="made", account=account, invoice=1, what="EUR", amount=Decimal("24.90")
    )


def _paid(at: float, account: str = "btcpay") -> Event:
    """Return its payment."""
    return Event(at=at, kind="act", account=account, invoice=1, what="pay")


def test_day_after_wrong_clock() -> None:
    """A day begins also where the clock was far behind in the evening before."""
    events = (
        _made(60),
        _paid(120),
        Event(at=6 * HOUR, kind="clock", number=-720, seconds=3 * HOUR),
    )
    assert not tell(Plan(1, 0.6, _NOON, events)).failure
