"""What is true at the providers: the invoices, and what was paid."""

from collections.abc import Callable, Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web

from sandbox.core import SANDBOX, Sandbox
from sandbox.cryptocloud_row import FEE, TEST, usd
from sandbox.invoice import SandboxInvoice
from sandbox.lnbits_row import millisatoshi
from sandbox.states import SandboxError, State
from sandbox.store import Change

from .log import Log
from .plan import ACCOUNTS, Event

PAID = frozenset({State.PAID, State.OVERPAID, State.MARKED_PAID})
OPEN = frozenset({State.PENDING, State.PROCESSING, State.PARTIALLY_PAID})
# In these, what was received is final.
_BROUGHT = PAID | {State.UNDERPAID}
# By then, everybody has seen it.
_FRESH = timedelta(hours=2)
_CENT = Decimal("0.01")
_ORDER = "order-"
# What is older is over for everybody: the providers need not look through it each time.
_KEPT = timedelta(days=12)


@dataclass(slots=True)
class Bill:
    """An invoice of the plan, as it came to be."""

    number: int
    account: str
    invoice: SandboxInvoice
    is_promised: bool = False
    """Whether each of its payments is to be announced."""
    is_deleted: bool = False
    """Whether staff want to watch it no more."""
    was_paid_before: bool = False
    """Whether it was, or may have been, paid when it was added: that is announced to nobody."""
    was_deleted: bool = False
    """Whether they ever wanted that."""
    has_left: bool = False
    """Whether it was deleted, and that is on disk."""
    left: tuple[str, Decimal] | None = None
    """What it had brought by then."""
    is_being_added: bool = False
    payments: int = 0
    """How often it became paid."""
    reverts: int = 0
    """How often its payment was taken back."""

    @property
    def brought(self) -> tuple[str, Decimal] | None:
        """What it adds to the money received, as its provider says it, or said it at its end."""
        if self.has_left:
            return self.left
        if self.invoice.state not in _BROUGHT or self.invoice.order_id.endswith(TEST):
            return None
        return _AMOUNTS[self.account](self.invoice)


def _in_satoshi_or_fiat(invoice: SandboxInvoice) -> tuple[str, Decimal]:
    """Return what LNbits says."""
    if invoice.currency == "sat":
        return "sat", Decimal(millisatoshi(invoice)) / 1000
    return invoice.currency, invoice.amount


def _in_dollars(invoice: SandboxInvoice) -> tuple[str, Decimal]:
    """Return what CryptoCloud credits, whatever was asked for."""
    return "USD", (usd(invoice, invoice.received) * (1 - FEE)).quantize(_CENT)


def _as_received(invoice: SandboxInvoice) -> tuple[str, Decimal]:
    """Return what was received."""
    return invoice.currency, invoice.received


_AMOUNTS: Mapping[str, Callable[[SandboxInvoice], tuple[str, Decimal]]] = {
    "lnbits": _in_satoshi_or_fiat,
    "cryptocloud": _in_dollars,
    "btcpay": _as_received,
    "egates": _as_received,
    "own_api": _as_received,
}


class Bills:
    """All invoices of the plan, by number."""

    def __init__(self, app: web.Application, auto_watched: AbstractSet[str], log: Log) -> None:
        """Begin with none."""
        self._auto_watched = auto_watched
        self.made: Callable[[Bill], object] = id
        """Called with each that is made."""
        self._sandbox: Sandbox = app[SANDBOX]
        self._log = log
        self.all: dict[int, Bill] = {}
        self._by_id: dict[str, Bill] = {}
        self._sandbox.store.subscribe(self._changed)

    def __iter__(self) -> Iterator[Bill]:
        """Yield them in the order they were made."""
        return iter(self.all.values())

    def of(self, account: str) -> Iterator[Bill]:
        """Yield those of an account."""
        return (bill for bill in self.all.values() if bill.account == account)

    def get(self, number: int) -> Bill | None:
        """Return one, None while it isn't made."""
        return self.all.get(number)

    def is_fresh(self, bill: Bill) -> bool:
        """Whether an invoice has changed a short while ago."""
        return bill.invoice.updated_at > self._sandbox.store.clock() - _FRESH

    def make(self, event: Event) -> None:
        """Let an invoice be made at its provider."""
        self._sandbox.store.create(
            event.account,
            amount=event.amount,
            currency=event.what,
            order_id=order_of(event),
        )

    def act(self, bill: Bill, what: str) -> None:
        """Let something happen to an invoice, if it can."""
        try:
            self._sandbox.store.act(bill.account, bill.invoice.id, what)
        except SandboxError as err:
            self._log.write(f"{bill.number} can't {what}: {type(err).__name__}")

    def age(self) -> None:
        """Let providers look through what is not too old."""
        oldest = self._sandbox.store.clock() - _KEPT
        for invoices in self._sandbox.store._invoices.values():
            for id_ in [one.id for one in invoices.values() if one.created_at < oldest]:
                del invoices[id_]

    def _changed(self, change: Change) -> None:
        """Note what is made, whoever made it, and count payments."""
        invoice, before, after = change.invoice, change.before, change.after
        self._log.write(f"{invoice.provider} {invoice.id} is {after}")
        if before is None:
            number = invoice.order_id.removeprefix(_ORDER).removesuffix(TEST)
            if number.isdigit():
                bill = Bill(int(number), invoice.provider, invoice)
                bill.is_promised = invoice.provider in self._auto_watched
                self.all[bill.number] = self._by_id[invoice.id] = bill
                self.made(bill)
        elif (found := self._by_id.get(invoice.id)) is not None:
            found.payments += after in PAID and before not in PAID
            found.reverts += before in PAID and after not in PAID


def order_of(event: Event) -> str:
    """Return the ID of the order that an invoice is made for."""
    return f"{_ORDER}{event.invoice}{TEST if event.number else ''}"


def credentials_of(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Return what is entered in the dialogs."""
    return {
        key: {
            **sandbox.providers[key].credentials,
            **sandbox.providers[key].push_credentials,
            **sandbox.providers[key].invoicing_credentials,
        }
        for key in ACCOUNTS
    }
