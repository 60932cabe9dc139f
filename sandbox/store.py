"""The invoices, in memory, and everything that can be done to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal

from .invoice import SandboxInvoice
from .provider import Provider
from .states import STEPS, Action, ConflictError, SandboxError, State, UnknownError, known


@dataclass(frozen=True, slots=True)
class Change:
    """An invoice went from one state to another; None is before it was made or after its end."""

    invoice: SandboxInvoice
    before: State | None
    after: State | None


SMALLEST = Decimal("0.00000001")
LARGEST = Decimal(10**9)

type Listener = Callable[[Change], None]


def utcnow() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def _money(amount: Decimal) -> Decimal:
    """Round to cents what is worth cents, and to the smallest coin what isn't."""
    return amount.quantize(Decimal("0.01") if amount >= 1 else SMALLEST, ROUND_UP)


class Store:
    """Every provider's invoices, by id."""

    def __init__(
        self, providers: Mapping[str, Provider], *, clock: Callable[[], datetime] = utcnow
    ) -> None:
        """Begin with no invoices; a test may bring a clock of its own."""
        self.clock = clock
        self._providers = providers
        self._invoices: dict[str, dict[str, SandboxInvoice]] = {key: {} for key in providers}
        self._listeners: list[Listener] = []
        self._made = 0

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell the listener of every change, until what is returned is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def create(
        self,
        provider: str,
        *,
        amount: Decimal = Decimal(25),
        currency: str | None = None,
        order_id: str | None = None,
        expires_in: timedelta | None = None,
        coin_chosen: bool = False,
        invoice_id: str | None = None,
        callback_url: str | None = None,
    ) -> SandboxInvoice:
        """Make an invoice; what isn't said is what the provider would take."""
        row = known(self._providers, provider)
        invoices = self._invoices[provider]
        invoice_id = row.canonical_id(invoice_id or row.new_id())
        currency = currency or row.currencies[0]
        if invoice_id in invoices:
            raise ConflictError(f"{row.name} already has an invoice {invoice_id}")
        if currency not in row.currencies:
            raise SandboxError(f"{row.name} takes {', '.join(row.currencies)}, not {currency}")
        if not (amount.is_finite() and SMALLEST <= amount <= LARGEST):
            raise SandboxError(f"amount must be from {SMALLEST:f} to {LARGEST}")
        self._made += 1
        now = self.clock()
        lifetime = row.lifetime if expires_in is None else expires_in
        invoice = SandboxInvoice(
            id=invoice_id,
            provider=provider,
            number=self._made,
            amount=amount,
            currency=currency,
            order_id=f"ORDER-{self._made:04}" if order_id is None else order_id,
            created_at=now,
            updated_at=now,
            expires_at=now + lifetime,
            lifetime=lifetime,
            coin_chosen=coin_chosen,
            callback_url=callback_url,
        )
        invoices[invoice_id] = invoice
        self._tell(invoice, None, invoice.state)
        return invoice

    def find(self, provider: str, invoice_id: str) -> SandboxInvoice | None:
        """Return the invoice as it stands now, or None."""
        row = known(self._providers, provider)
        invoice = self._invoices[provider].get(row.canonical_id(invoice_id))
        return invoice and self._aged(invoice)

    def get(self, provider: str, invoice_id: str) -> SandboxInvoice:
        """Return the invoice as it stands now, or raise."""
        if invoice := self.find(provider, invoice_id):
            return invoice
        raise UnknownError(f"{known(self._providers, provider).name} has no invoice {invoice_id}")

    def all(self, provider: str) -> list[SandboxInvoice]:
        """Return the provider's invoices as they stand now, oldest first."""
        return [self._aged(invoice) for invoice in known(self._invoices, provider).values()]

    def actions(self, invoice: SandboxInvoice) -> list[Action]:
        """Return what makes sense in the invoice's present state."""
        return [
            action
            for action in known(self._providers, invoice.provider).actions
            if invoice.state in STEPS[action].starts
            and not (action is Action.CHOOSE_COIN and invoice.coin_chosen)
        ]

    def act(self, provider: str, invoice_id: str, action: str) -> SandboxInvoice:
        """Do something to an invoice: pay it, cancel it, delete it."""
        invoice, row = self.get(provider, invoice_id), known(self._providers, provider)
        if action not in row.actions:
            raise SandboxError(f"{row.name} knows {', '.join(row.actions)}, not {action}")
        action = Action(action)
        if action not in self.actions(invoice):
            raise ConflictError(f"{action} makes no sense while {invoice.id} is {invoice.state}")
        self._move(invoice, action)
        return invoice

    def _move(self, invoice: SandboxInvoice, action: Action) -> None:
        """Take the step, and tell."""
        step, before, now = STEPS[action], invoice.state, self.clock()
        if step.end is None:
            del self._invoices[invoice.provider][invoice.id]
            self._tell(invoice, before, None)
            return
        invoice.state = step.end
        invoice.updated_at = now
        if step.share is not None:
            received = invoice.amount * step.share
            invoice.received = _money(received) if step.share % 1 else received
            invoice.paid_at = (invoice.paid_at or now) if step.share >= 1 else None
        if action is Action.CHOOSE_COIN or invoice.received:
            invoice.coin_chosen = True
        if action is Action.EXPIRE:
            invoice.expires_at = min(invoice.expires_at, now)
        if action is Action.REVERT and invoice.expires_at <= now:
            # An invoice that is open again needs time to be paid in.
            invoice.expires_at = now + max(invoice.lifetime, timedelta(minutes=15))
        self._tell(invoice, before, step.end)

    def _aged(self, invoice: SandboxInvoice) -> SandboxInvoice:
        """Let the invoice expire if its time has come."""
        if invoice.state is State.PENDING and invoice.expires_at <= self.clock():
            self._move(invoice, Action.EXPIRE)
        return invoice

    def _tell(self, invoice: SandboxInvoice, before: State | None, after: State | None) -> None:
        """Tell everyone who asked."""
        change = Change(invoice, before, after)
        for listener in tuple(self._listeners):
            listener(change)
