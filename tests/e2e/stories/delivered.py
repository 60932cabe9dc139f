"""What is paid is delivered or shown as owed, whatever fails and whenever it is killed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
import re
from time import monotonic

from demo import DOMAIN, DemoError
from demo.accounts import fill_in
from demo.client import Client
from demo.server import free_ports
from tests.e2e.installing import install
from tests.e2e.lnbits_server import NEWEST, LNbitsServer
from tests.e2e.story import Dice, Figure, Outcome, Stage, Story
from tests.e2e.to_do import items, read_open, switch_on
from tests.e2e.vending import PATIENCE, TOO_LATE, Given, VendingMachine, automation, commands
from tests.e2e.world import World, make_invoices, track_in_two_steps, until, wait_until_saved, world

# The machine has a state to look at for those who pay at the first one.
PROVIDERS = {"cryptocloud": True, "egates": False}
LNBITS = "lnbits"
# At each of the three.
PAYMENTS, PAYMENTS_SHORT = 167, 8
LIVES, LIVES_SHORT = 8, 1
# How long a life is, in seconds, until it is killed.
LIFE, LIFE_SHORT = (15, 40), (3, 6)
# How long it may take until what was read is delivered or shown as owed.
SOON = 30
# One provider is asked for one invoice at a time.
ALL_READ_WITHIN = 300
# What failed comes again after a minute.
LAST_LIFE, LAST_LIFE_SHORT = 90, 5
# One provider is asked for one invoice at a time, and a machine may have much else to do.
_SLOW = re.compile(r"service call to crypto_invoices\.refresh|Error fetching crypto_invoices")
LONGEST_RUN = 2 * PATIENCE + TOO_LATE


@dataclass(slots=True)
class Books:
    """What the lists say, and what was wrong with it at any step."""

    steps: int = 0
    missing: list[str] = field(default_factory=list)
    """Read as paid, and neither delivered nor shown as owed."""
    untrue: list[str] = field(default_factory=list)
    """Shown as fulfilled, and never given; or an item of what isn't paid."""
    owed: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Sale:
    """An invoice, and how its customer pays it."""

    id: str
    pay: Callable[[], Awaitable[object]]


class Shop:
    """Three accounts with a vending machine behind each, in one Home Assistant after another."""

    def __init__(self, stage: Stage, running: World, machine: VendingMachine) -> None:
        """Begin with nothing sold."""
        self._stage = stage
        self._running = running
        self._machine = machine
        self._dice: Dice = stage.dice("shop")
        self.waiting: list[Sale] = []
        self.paid: set[str] = set()
        self.kills: list[float] = []
        self.books = Books()
        self.complaints: list[str] = []

    async def set_up(self, client: Client, lnbits: LNbitsServer, each: int) -> None:
        """Make invoices, accounts that keep what is to be fulfilled, and automations."""
        dice, sandbox = self._stage.dice("invoices"), self._running.sandbox
        for provider, has_state in PROVIDERS.items():
            invoices = await make_invoices(sandbox, dice, provider, each)
            entry_id = await track_in_two_steps(self._running, client, provider, invoices)
            await _vend(client, provider, entry_id, has_state=has_state)
            self.waiting += [Sale(one.id, partial(sandbox.act, one, "pay")) for one in invoices]
        self.waiting += await _set_up_lnbits(client, lnbits, dice, each)
        self._dice.shuffle(self.waiting)
        await wait_until_saved(self._running.hass, len(self.waiting))

    async def live(self, client: Client, seconds: float, payments: int) -> None:
        """Let customers pay for a while, and have it read and checked now and then."""
        began, before = monotonic(), len(self.paid)
        while (passed := monotonic() - began) < seconds:
            await asyncio.sleep(self._dice.random() / 2)
            # However slow the rest is, they come in time.
            while self.waiting and len(self.paid) - before < payments * passed / seconds:
                await self.pay()
            if self._dice.random() < 0.3:
                await read_open(client)
                await self.check(client, patience=0)

    async def pay(self) -> None:
        """Let the next customer pay."""
        sale = self.waiting.pop()
        self.paid.add(sale.id)
        await sale.pay()

    async def check(self, client: Client, patience: float) -> None:
        """Compare what was read as paid with what was delivered and what is shown as owed."""

        async def holds() -> bool:
            read = await _read_as_paid(client)
            self.books.owed, self.books.done = await items(client)
            return read <= self.books.owed | self.books.done

        self.books.steps += 1
        if not await until(holds, patience) and patience:
            read = await _read_as_paid(client)
            self.books.missing += sorted(read - self.books.owed - self.books.done)
        listed = self.books.owed | self.books.done
        self.books.untrue += sorted(
            (self.books.done - self._machine.invoices) | (listed - self.paid)
        )
        self.books.untrue += sorted(self._machine.invoices - self.paid)

    async def die(self) -> None:
        """Be killed."""
        self.keep_log()
        await self._running.hass.kill()
        # From now on it is dead: what was asked for until then may be asked for again.
        self.kills.append(monotonic())

    def keep_log(self) -> None:
        """Keep what went wrong in this life."""
        complaints = self._running.hass.complaints()
        self.complaints += [one for one in complaints if not _SLOW.search(one)]


async def _vend(client: Client, provider: str, entry_id: str, *, has_state: bool) -> None:
    """Have an account keep what is to be fulfilled, and a vending machine behind it."""
    await switch_on(client, entry_id)
    await client.save_automation(f"vend_{provider}", automation(provider, has_state=has_state))


async def _set_up_lnbits(client: Client, lnbits: LNbitsServer, dice: Dice, each: int) -> list[Sale]:
    """Make invoices at a real LNbits, and an account that watches them."""
    await lnbits.open()
    wallet, payer = [
        await lnbits.create_wallet(name, satoshi)
        for name, satoshi in (("shop", 0), ("payer", 10_000_000))
    ]
    made = [await lnbits.create(wallet, dice.randint(1, 9999)) for _ in range(each)]
    flow = await client.config_flow(DOMAIN)
    await flow.expect("menu", "user").choose(LNBITS)
    form = flow.expect("form", LNBITS).result["data_schema"]
    await flow.submit(**fill_in(form, {"url": lnbits.url, "api_key": wallet.inkey}))
    await flow.expect("form", "invoices").submit(invoices="\n".join(one.id for one in made))
    entry_id = flow.expect("create_entry").result["result"]["entry_id"]
    await _vend(client, LNBITS, entry_id, has_state=True)
    return [Sale(one.id, partial(lnbits.pay, payer, one)) for one in made]


async def run(stage: Stage) -> Outcome:
    """Sell, be killed again and again, and compare at every step."""
    await install(LNBITS, NEWEST)
    each, lives = (PAYMENTS_SHORT, LIVES_SHORT) if stage.short else (PAYMENTS, LIVES)
    port, lnbits_port = free_ports(2)
    machine = VendingMachine(stage.dice("machine"))
    async with (
        machine.serve(port),
        LNbitsServer(stage.folder / LNBITS, lnbits_port) as lnbits,
        world(stage, rest_commands=commands(port)) as running,
    ):
        shop = Shop(stage, running, machine)
        async with Client.login(running.hass.url) as client:
            await client.ws.wait_until_started()
            await shop.set_up(client, lnbits, each)
            payments = len(shop.waiting)
            stage.step(f"{payments} invoices, and a vending machine at each of three accounts")
        for life in range(lives):
            await _live(stage, running, shop, payments // lives)
            stage.step(
                f"kill {life + 1}: {len(shop.paid)} paid, {len(machine.invoices)} delivered,"
                f" {len(shop.books.owed)} shown as owed"
            )
        await running.hass.start()
        async with Client.login(running.hass.url) as client:
            await client.ws.wait_until_started()
            await shop.live(client, 2, len(shop.waiting))
            await _pay_the_rest(shop, client)
            await asyncio.sleep(LAST_LIFE_SHORT if stage.short else LAST_LIFE)
            await shop.check(client, patience=SOON)
            if not stage.short:
                await asyncio.sleep(LONGEST_RUN)
                await shop.check(client, patience=SOON)
        shop.keep_log()
    return _count(shop, machine)


async def _live(stage: Stage, running: World, shop: Shop, payments: int) -> None:
    """Live for a while, and be killed at any moment."""
    if running.hass.pid is None:
        await running.hass.start()
    async with Client.login(running.hass.url) as client:
        await client.ws.wait_until_started()
        await shop.check(client, patience=SOON)
        length = LIFE_SHORT if stage.short else LIFE
        await shop.live(client, stage.dice(f"life {len(shop.kills)}").uniform(*length), payments)
        if shop.kills and len(shop.kills) % 3 == 0:
            # Sometimes right after a reading, with payments on their way.
            await read_open(client)
        await shop.die()


async def _pay_the_rest(shop: Shop, client: Client) -> None:
    """Let the last customers pay, and have it read."""
    while shop.waiting:
        await shop.pay()

    async def all_are_read() -> bool:
        await read_open(client)
        return await _read_as_paid(client) == shop.paid

    if not await until(all_are_read, ALL_READ_WITHIN):
        raise DemoError("what was paid was not read in time")


async def _read_as_paid(client: Client) -> set[str]:
    """Return the invoices that Home Assistant knows to be paid."""
    answer = await client.call(
        f"{DOMAIN}.get_invoices", {"status": ["paid", "overpaid"]}, answers=True
    )
    return {invoice["invoice_id"] for invoice in answer["invoices"]}


def _twice(given: Sequence[Given], kills: Sequence[float]) -> tuple[list[str], list[str], int]:
    """Return what was given twice though there was a state, for no reason, and across a kill."""
    by_invoice: dict[str, list[Given]] = {}
    for one in given:
        by_invoice.setdefault(one.invoice_id, []).append(one)
    with_state, for_no_reason, across = [], [], 0
    for told in by_invoice.values():
        for first, again in pairwise(told):
            if first.has_state:
                with_state.append(first.invoice_id)
            elif first.key == again.key and any(first.at <= kill <= again.at for kill in kills):
                across += 1
            else:
                for_no_reason.append(first.invoice_id)
    return with_state, for_no_reason, across


def _count(shop: Shop, machine: VendingMachine) -> Outcome:
    """Compare what was paid with what was given."""
    books, given = shop.books, machine.given
    with_state, for_no_reason, across = _twice(given, shop.kills)
    lost = sorted(shop.paid - machine.invoices - books.owed)
    return Outcome(
        figures=(
            Figure("paid", len(shop.paid)),
            Figure("delivered", len(machine.invoices)),
            Figure("shown as fulfilled", len(books.done)),
            Figure("shown as owed", len(books.owed)),
            Figure("neither delivered nor owed", len(lost), must_be=0),
            Figure("items", len(books.owed) + len(books.done), must_be=len(shop.paid)),
            Figure("read, but not on a list, at any step", len(books.missing), must_be=0),
            Figure("on a list, but untrue, at any step", len(books.untrue), must_be=0),
            Figure("delivered twice with a state to look at", len(with_state), must_be=0),
            Figure(
                "delivered twice with another ID or without a kill", len(for_no_reason), must_be=0
            ),
            Figure("delivered twice with the same ID across a kill", across),
            Figure("delivered at a later attempt", sum(one.attempt > 1 for one in given)),
            Figure("refused by the machine", machine.refused),
            Figure("steps", books.steps),
            Figure("kills", len(shop.kills)),
            Figure("errors in the log", len(shop.complaints), must_be=0),
        ),
        wrong=(
            *lost,
            *books.missing[:20],
            *books.untrue[:20],
            *with_state,
            *for_no_reason,
            *tuple(shop.complaints[:10]),
        ),
    )


STORY = Story(name="delivered", title="what is paid is delivered, or shown as owed", run=run)
