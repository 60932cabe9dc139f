"""Payments of invoices that nobody added, at a real LNbits: each is announced, once."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from time import monotonic

from demo import DOMAIN, DemoError
from demo.accounts import fill_in
from demo.client import Client
from demo.server import free_ports
from tests.e2e.gate import Gate
from tests.e2e.installing import install
from tests.e2e.lnbits_server import NEWEST, LNbitsServer, LNbitsWallet
from tests.e2e.reporting import KEY, Report, automation, reports
from tests.e2e.story import Dice, Figure, Outcome, Stage, Story
from tests.e2e.tally import Kill, Payment, count
from tests.e2e.world import World, until, world

PROVIDER = "lnbits"
# How many are made and paid in each of the five parts.
EACH, EACH_SHORT = 20, 4
SOONEST, LATEST = 1, 10
# The list is read each half minute, later after an outage.
PATIENCE = 150
# From a payment to the action, while there is a websocket.
MEDIAN = 0.15


@dataclass(slots=True)
class Shop:
    """A wallet that is watched automatically, and somebody who makes and pays invoices."""

    stage: Stage
    running: World
    server: LNbitsServer
    gate: Gate
    wallet: LNbitsWallet
    payer: LNbitsWallet
    dice: Dice
    payments: dict[str, Payment] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)

    async def sell(self, number: int) -> list[str]:
        """Make invoices that are paid some seconds later, all beside each other."""
        return list(await asyncio.gather(*(self._sell_one(n) for n in range(number))))

    async def _sell_one(self, number: int) -> str:
        """Make one, and have it paid."""
        await asyncio.sleep(number / 2)
        made = await self.server.create(self.wallet, self.dice.randint(1, 9999))
        await asyncio.sleep(self.dice.uniform(SOONEST, LATEST))
        self.payments[made.id] = Payment(at=monotonic(), status="paid", amount=made.amount)
        await self.server.pay(self.payer, made)
        return made.id

    async def settle(self, what: str) -> None:
        """Wait until all that was paid is announced; what isn't by then is lost."""

        async def all_are_told() -> bool:
            told = {report.invoice_id for report in await reports(self.running.sandbox)}
            return told >= self.payments.keys()

        await until(all_are_told, PATIENCE)
        self.stage.step(f"{what}: {len(self.payments)} paid")


async def run(stage: Stage) -> Outcome:
    """Sell through one trouble after another, and count."""
    await install("lnbits", NEWEST)
    each = EACH_SHORT if stage.short else EACH
    port, gate_port = free_ports(2)
    async with (
        world(stage) as running,
        LNbitsServer(stage.folder / "lnbits", port) as server,
        Gate(server.url, gate_port) as gate,
    ):
        await server.open()
        shop = Shop(
            stage=stage,
            running=running,
            server=server,
            gate=gate,
            wallet=await server.create_wallet("shop"),
            payer=await server.create_wallet("payer", 10_000_000),
            dice=stage.dice("shop"),
        )
        async with Client.login(running.hass.url) as client:
            await client.ws.wait_until_started()
            await client.save_automation(KEY, automation(before=(), after=()))
            await _set_up(shop, client)
            await _sell_in_peace(shop, each)
            await _cut(shop, each)
            await _restart_server(shop, each)
        await _kill(shop, each)
        await _be_away(shop, each)
        # What comes twice may come late.
        await asyncio.sleep(2)
        complaints = running.hass.complaints()
        return _outcome(shop, await reports(running.sandbox), complaints)


async def _set_up(shop: Shop, client: Client) -> None:
    """Add the account without any invoice, and have it watched automatically."""
    flow = await client.config_flow(DOMAIN)
    await flow.expect("menu", "user").choose(PROVIDER)
    form = flow.expect("form", PROVIDER).result["data_schema"]
    await flow.submit(**fill_in(form, {"url": shop.gate.url, "api_key": shop.wallet.inkey}))
    await flow.expect("form", "invoices").submit(auto_watch=True)
    flow.expect("create_entry")
    if not await until(shop.gate.is_listened_at, PATIENCE):
        raise DemoError("Home Assistant doesn't listen to LNbits")
    # The first list is there by then.
    await asyncio.sleep(3)
    shop.stage.step("the account is watched automatically")


async def _sell_in_peace(shop: Shop, each: int) -> None:
    """Sell while Home Assistant listens."""
    shop.heard += await shop.sell(each)
    await shop.settle("with the websocket")


async def _cut(shop: Shop, each: int) -> None:
    """Sell while the websocket is cut."""
    await shop.gate.cut()
    await shop.sell(each)
    shop.gate.mend()
    await shop.settle("without the websocket")


async def _restart_server(shop: Shop, each: int) -> None:
    """Sell while Home Assistant can't reach LNbits, and restart that."""
    await shop.gate.shut()
    await shop.sell(each)
    await shop.server.stop()
    await shop.server.start()
    shop.gate.mend()
    await shop.settle("LNbits was restarted")


async def _kill(shop: Shop, each: int) -> None:
    """Kill Home Assistant among the sales."""
    selling = asyncio.create_task(shop.sell(each))
    await asyncio.sleep(LATEST / 2)
    shop.kills.append(Kill(at=monotonic(), all_saved=False))
    await shop.running.hass.kill()
    await shop.running.hass.start()
    await selling
    await shop.settle("Home Assistant was killed")


async def _be_away(shop: Shop, each: int) -> None:
    """Sell while Home Assistant is not there."""
    await shop.running.hass.stop()
    await shop.sell(each)
    await shop.running.hass.start()
    await shop.settle("Home Assistant was away")


def _outcome(shop: Shop, told: list[Report], complaints: list[str]) -> Outcome:
    """Return what came of it."""
    tally = count(shop.payments, told, shop.kills)
    seconds = median(_seconds(shop, told, shop.heard))
    # A handful of payments beside other stories says how busy the machine is, and no more.
    is_slow = seconds > MEDIAN and not shop.stage.short
    slow = [f"from payment to action takes {seconds:.2f} s"] if is_slow else []
    return Outcome(
        figures=(
            *tally.figures,
            Figure("seconds from payment to action with the websocket, median", f"{seconds:.2f}"),
            Figure("requests by Home Assistant", shop.gate.requests),
        ),
        wrong=(*tally.evidence, *slow, *_unexpected(complaints)),
    )


def _seconds(shop: Shop, told: Iterable[Report], ids: Iterable[str]) -> list[float]:
    """Return how long it took from payments to their reports."""
    first = {report.invoice_id: report.at for report in reversed(list(told))}
    return [first[id_] - shop.payments[id_].at for id_ in ids if id_ in first] or [0.0]


def _unexpected(complaints: Iterable[str]) -> list[str]:
    """Return what is in the log but for the outage."""
    expected = ("Error fetching", "the list of invoices")
    return [line for line in complaints if not any(words in line for words in expected)]


STORY = Story(
    name="auto_watch", title="payments of invoices that nobody added, at a real LNbits", run=run
)
