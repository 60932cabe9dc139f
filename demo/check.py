"""Watch a payment at every provider arrive, without a person."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from . import DemoError
from .accounts import Account, WatchedInvoice
from .automation import notification_id
from .client import Client
from .sandbox import Sandbox
from .websocket import States

PATIENCE = 30
HEADER = ("provider", "invoice", "amount", "before", "after", "notified")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What Home Assistant showed of one payment."""

    provider: str
    invoice: str
    amount: str
    before: str
    after: str = "-"
    notified: bool = False
    wrong: str | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """Return its row of the table."""
        told = "yes" if self.notified else "no"
        return (self.provider, self.invoice, self.amount, self.before, self.after, told)


async def wait_for_invoices(client: Client, accounts: Sequence[Account]) -> States:
    """Wait until every status sensor says what the sandbox says."""
    watched = [watched for account in accounts for watched in account.watched]

    def differing(states: States) -> list[WatchedInvoice]:
        return [item for item in watched if _state(states, item.status) != item.invoice.state]

    try:
        return await client.ws.wait_for_states(
            lambda states: not differing(states), "the sensors of all invoices", PATIENCE
        )
    except DemoError as error:
        states = await client.ws.states()
        shown = (
            f"{item.status} is {_state(states, item.status)}, should be {item.invoice.state}"
            for item in differing(states)
        )
        raise DemoError(str(error), *shown) from None


def compare_amounts(states: States, accounts: Sequence[Account]) -> tuple[int, list[str]]:
    """Compare amounts told in the currency of the sandbox: how many are right, which are wrong."""
    right, wrong = 0, []
    for item in (watched for account in accounts for watched in account.watched):
        state = states.get(item.amount or "")
        if state is None or _unit(state) not in (item.invoice.currency, None):
            continue
        if _number(state) == item.invoice.amount:
            right += 1
        else:
            expected = f"{item.invoice.amount} {item.invoice.currency}"
            wrong.append(f"{item.amount} is {state['state']}, should be {expected}")
    return right, wrong


async def pay_one(client: Client, sandbox: Sandbox, account: Account, states: States) -> Outcome:
    """Pay the account's first open invoice and follow it through Home Assistant."""
    payable = (item for item in account.watched if "pay" in item.invoice.actions)
    if (item := next(payable, None)) is None:
        raise DemoError(f"{account.provider.name} has no invoice to pay")
    outcome = Outcome(
        provider=account.provider.name,
        invoice=item.invoice.id,
        amount=_shown_amount(states, item),
        before=_state(states, item.status),
    )
    try:
        await sandbox.act(item.invoice, "pay")
        # It would be seen with the next poll; this one asks at once, as a user can.
        await client.call("homeassistant.update_entity", {"entity_id": [item.status]})
        paid = await client.ws.wait_for_state(item.status, "paid", patience=PATIENCE)
        outcome = replace(outcome, after=paid["state"])
        await client.wait_for_notification(notification_id(item.invoice.id), PATIENCE)
        return replace(outcome, notified=True)
    except DemoError as error:
        now = _state(await client.ws.states(), item.status)
        return replace(outcome, after=now, wrong=f"{account.provider.name}: {error}")


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes with their columns aligned."""
    return aligned(HEADER, [outcome.cells for outcome in outcomes])


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with its columns aligned."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    lines = (map(str.ljust, row, widths, strict=True) for row in (header, rule, *rows))
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _state(states: States, entity_id: str) -> str:
    return str(states.get(entity_id, {}).get("state", "missing"))


def _number(state: dict[str, Any]) -> Decimal | None:
    try:
        return Decimal(state["state"])
    except ArithmeticError:
        return None


def _unit(state: dict[str, Any]) -> str | None:
    unit: str | None = state["attributes"].get("unit_of_measurement")
    return unit


def _shown_amount(states: States, item: WatchedInvoice) -> str:
    """Return the amount as its sensor shows it, a dash where the provider tells none."""
    state = states.get(item.amount or "")
    return f"{state['state']} {_unit(state) or ''}".rstrip() if state else "-"
