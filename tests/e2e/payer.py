"""Customers who pay, and some who don't, at random times."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

from demo.sandbox import Sandbox, SandboxInvoice

from .story import Dice
from .tally import Payment

# What a customer does, how often of ten times. The sandbox refuses some at some providers.
PAYING = (("pay",),) * 6 + (("overpay",),) * 2 + (("partly_pay", "pay"), ("cancel", "pay"))
NOT_PAYING = ((), ("expire",), ("cancel",), ("partly_pay",))
PAID = frozenset({"pay", "overpay"})
# They have no word for an invoice that is overpaid.
SAY_PAID = frozenset({"cryptocloud_v1", "egates"})


@dataclass(frozen=True, slots=True)
class Customer:
    """Who has an invoice, and what they will do about it."""

    invoice: SandboxInvoice
    actions: tuple[str, ...]


def customers(dice: Dice, invoices: Sequence[SandboxInvoice], paying: int) -> list[Customer]:
    """Return a customer for each invoice in random order; so many of them pay."""
    shuffled = dice.sample(invoices, len(invoices))
    found = [
        Customer(invoice, _actions(dice, invoice, PAYING if number < paying else NOT_PAYING))
        for number, invoice in enumerate(shuffled)
    ]
    dice.shuffle(found)
    return found


def _actions(
    dice: Dice, invoice: SandboxInvoice, choices: Sequence[tuple[str, ...]]
) -> tuple[str, ...]:
    return dice.choice([choice for choice in choices if invoice.actions.issuperset(choice)])


@dataclass(slots=True)
class Payer:
    """Lets customers come in turn, up to a quota that is raised as the story goes on."""

    sandbox: Sandbox
    dice: Dice
    waiting: deque[Customer]
    payments: dict[str, Payment] = field(default_factory=dict)
    quota: int = 0
    pause: float = 1
    came: int = 0
    door: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while nobody may come."""

    async def run(self) -> None:
        """Let customers come at random times until all have come."""
        while self.waiting:
            await asyncio.sleep(self.dice.uniform(0, 2 * self.pause))
            if self.came < self.quota:
                await self.next_one()

    async def next_one(self) -> None:
        """Let the next customer come, if there is one."""
        async with self.door:
            if self.waiting:
                self.came += 1
                await self._serve(self.waiting.popleft())

    async def _serve(self, customer: Customer) -> None:
        for action in customer.actions:
            before = monotonic()
            invoice = await self.sandbox.act(customer.invoice, action)
            if action in PAID:
                self.payments[invoice.id] = Payment(
                    at=before,
                    status="paid" if invoice.provider in SAY_PAID else invoice.state,
                    amount=invoice.amount,
                )

    async def next_ones(self, number: int) -> None:
        """Let several come."""
        for _ in range(number):
            await self.next_one()
