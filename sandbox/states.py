"""What can happen to an invoice, in words that belong to no provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class State(StrEnum):
    """Where an invoice stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    OVERPAID = "overpaid"
    UNDERPAID = "underpaid"
    EXPIRED = "expired"
    CANCELED = "canceled"
    FAILED = "failed"
    MARKED_PAID = "marked_paid"


class Action(StrEnum):
    """What a payer, a merchant or time does to an invoice."""

    PAY = "pay"
    CHOOSE_COIN = "choose_coin"
    PARTLY_PAY = "partly_pay"
    OVERPAY = "overpay"
    UNDERPAY = "underpay"
    EXPIRE = "expire"
    CANCEL = "cancel"
    PROCESS = "process"
    FAIL = "fail"
    MARK_PAID = "mark_paid"
    MARK_INVALID = "mark_invalid"
    REVERT = "revert"
    DELETE = "delete"


NODE_ACTIONS = frozenset({Action.PROCESS, Action.FAIL, Action.MARK_PAID, Action.MARK_INVALID})
"""What happens where a merchant runs a node: confirmations, and the merchant's own word."""


class SandboxError(Exception):
    """Something was asked for that makes no sense; the message says what."""

    status = 400


class UnknownError(SandboxError):
    """There is no such provider or invoice."""

    status = 404


class ConflictError(SandboxError):
    """It makes sense, but not in the invoice's present state."""

    status = 409


def known[Value](table: Mapping[str, Value], provider: str) -> Value:
    """Return what a table has for a provider, or raise if there is no such provider."""
    if provider not in table:
        raise UnknownError(f"no provider {provider}; there are {', '.join(table)}")
    return table[provider]


@dataclass(frozen=True, slots=True)
class Step:
    """The states an action starts from, the one it ends in, and the share then received."""

    label: str
    starts: frozenset[State]
    end: State | None
    share: Decimal | None = None


_ANY = frozenset(State)
_PENDING = frozenset({State.PENDING})
_OPEN = _PENDING | {State.PARTIALLY_PAID}
_PROCESSING = frozenset({State.PROCESSING})
_CLOSED_UNPAID = frozenset({State.EXPIRED, State.CANCELED})

# Late money is real: what has expired or was canceled can still be paid.
STEPS: Mapping[Action, Step] = {
    Action.PAY: Step("Pay", _OPEN | _PROCESSING | _CLOSED_UNPAID, State.PAID, Decimal(1)),
    Action.CHOOSE_COIN: Step("Choose coin", _PENDING, State.PENDING),
    Action.PARTLY_PAY: Step("Pay half", _PENDING, State.PARTIALLY_PAID, Decimal("0.5")),
    Action.OVERPAY: Step("Pay too much", _OPEN, State.OVERPAID, Decimal("1.25")),
    Action.UNDERPAY: Step("Pay too little", _OPEN, State.UNDERPAID, Decimal("0.8")),
    Action.EXPIRE: Step("Let expire", _OPEN, State.EXPIRED),
    Action.CANCEL: Step("Cancel", _PENDING, State.CANCELED),
    Action.PROCESS: Step("Pay, unconfirmed", _OPEN | {State.EXPIRED}, State.PROCESSING, Decimal(1)),
    Action.FAIL: Step("Never confirm", _PROCESSING, State.FAILED),
    Action.MARK_PAID: Step(
        "Mark as paid",
        _OPEN | _PROCESSING | _CLOSED_UNPAID | {State.UNDERPAID, State.FAILED},
        State.MARKED_PAID,
    ),
    Action.MARK_INVALID: Step(
        "Mark as invalid",
        _OPEN | _PROCESSING | {State.EXPIRED, State.UNDERPAID, State.MARKED_PAID},
        State.CANCELED,
    ),
    Action.REVERT: Step("Back to unpaid", _ANY - _PENDING, State.PENDING, Decimal(0)),
    Action.DELETE: Step("Delete", _ANY, None),
}
