"""Payments at a real LNbits: each is announced, with its websocket and without."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from time import monotonic

from demo import DOMAIN, DemoError
from demo.accounts import add_invoices, fill_in
from demo.client import ENTRIES, Client, Flow
from demo.server import free_ports
from demo.websocket import Json
from tests.e2e.gate import Gate
from tests.e2e.installing import install
from tests.e2e.lnbits_server import (
    NEWEST,
    OLDEST,
    VERSIONS,
    LNbitsInvoice,
    LNbitsServer,
    LNbitsWallet,
)
from tests.e2e.reporting import KEY, Report, automation, reports
from tests.e2e.story import Dice, Figure, Outcome, Stage, Story
from tests.e2e.tally import Payment, count
from tests.e2e.world import World, until, wait_until_saved, world

PROVIDER = "lnbits"
# How many are paid while there is a websocket, while there is none, and after each trouble.
# The oldest version is asked for each invoice on its own, twice when it is added, and lets 200
# requests a minute through.
SIZES = {OLDEST: (30, 12, 3), NEWEST: (100, 60, 5)}
SHORT_SIZES = (20, 8, 2)
# New invoices are paid at once, while Home Assistant is not there, and while its key is wrong.
AFTER_RESTART = 3
UNPAID = 4
# So many are pasted as wallets take them, not by their hashes.
PASTED = 5
SOON = 30
# Without a websocket, Home Assistant polls.
PATIENCE = 60
# A refused key is believed when a second answer, two minutes later, says so too.
PATIENCE_WITH_KEY = 120 + PATIENCE
EXPECTED_ERROR = "Error fetching"


@dataclass(slots=True)
class Shop:
    """A wallet with invoices that Home Assistant watches, and who pays them."""

    stage: Stage
    running: World
    server: LNbitsServer
    gate: Gate
    wallet: LNbitsWallet
    payer: LNbitsWallet
    dice: Dice
    invoices: list[LNbitsInvoice] = field(default_factory=list)
    waiting: deque[LNbitsInvoice] = field(default_factory=deque)
    payments: dict[str, Payment] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    entry_id: str = ""

    async def make_invoices(self, paid: int) -> list[LNbitsInvoice]:
        """Make invoices, of which so many will be paid."""
        made = [
            await self.server.create(self.wallet, self.dice.randint(1, 9999))
            for _ in range(paid + UNPAID)
        ]
        self.invoices += made
        self.waiting = deque(self.dice.sample(made, paid))
        return made

    async def make_one_that_expires(self) -> LNbitsInvoice:
        """Make an invoice that nobody pays in time."""
        soon = await self.server.create(self.wallet, 21, expiry=SOON)
        self.invoices.append(soon)
        return soon

    async def pay(self, number: int, pause: float = 0.0) -> list[str]:
        """Have some invoices paid; return which."""
        paid = []
        for _ in range(number):
            invoice = self.waiting.popleft()
            self.payments[invoice.id] = Payment(
                at=monotonic(), status="paid", amount=invoice.amount
            )
            await self.server.pay(self.payer, invoice)
            paid.append(invoice.id)
            await asyncio.sleep(self.dice.uniform(0, 2 * pause))
        return paid

    async def settle(self, what: str) -> None:
        """Wait until all that was paid is announced; what isn't by then is lost."""

        async def all_are_told() -> bool:
            told = {report.invoice_id for report in await reports(self.running.sandbox)}
            return told >= self.payments.keys()

        await until(all_are_told, PATIENCE)
        self.stage.step(f"{what}: {len(self.payments)} paid")

    async def until_heard(self) -> None:
        """Wait until Home Assistant listens to the server."""
        if not await until(self.gate.is_listened_at, PATIENCE):
            raise DemoError("Home Assistant doesn't listen to LNbits")

    def keep_log(self) -> None:
        """Look through the log, which the next start but one would throw away."""
        self.complaints += [
            entry for entry in self.running.hass.complaints() if EXPECTED_ERROR not in entry
        ]

    def keys_told(self) -> list[str]:
        """Return the files of Home Assistant's that tell a key, but the one that keeps it."""
        kept = self.running.hass.folder / ".storage/core.config_entries"
        return [
            f"a key is in {file.name}"
            for file in self.running.hass.folder.rglob("*")
            if file.is_file() and file != kept and _tells(file, self.keys)
        ]


def _tells(file: Path, secrets: Iterable[str]) -> bool:
    content = file.read_bytes()
    return any(secret.encode() in content for secret in secrets)


async def run(stage: Stage, version: str) -> Outcome:
    """Set up, pay through one trouble after another, and count."""
    await install("lnbits", version)
    stage.step(f"LNbits {version} is installed")
    with_socket, without, each = SHORT_SIZES if stage.short else SIZES[version]
    port, gate_port = free_ports(2)
    data = stage.folder / "lnbits"
    async with (
        world(stage) as running,
        LNbitsServer(data, port, version) as server,
        Gate(server.url, gate_port) as gate,
    ):
        shop = await _open(stage, running, server, gate)
        await shop.make_invoices(with_socket + without + each)
        soon = await shop.make_one_that_expires()
        stage.step(f"{len(shop.invoices)} invoices are made at LNbits")
        async with Client.login(running.hass.url) as client:
            await client.ws.wait_until_started()
            await client.save_automation(KEY, _automation())
            await _set_up(shop, client)
            heard = await _hear(shop, with_socket)
            polled = await _poll(shop, without)
            if version != OLDEST:
                await _expire(shop, client, soon)
            await _restart_server(shop, client, each)
            if version == OLDEST:
                # Pending until what stands in for the node has forgotten it, in a restart.
                await _expire(shop, client, soon)
        await _restart_home_assistant(shop, each)
        async with Client.login(running.hass.url) as client:
            await client.ws.wait_until_started()
            await shop.settle("Home Assistant was restarted")
            if version != OLDEST or not stage.short:
                # Takes two minutes, as a refused key has to be refused again.
                await _change_keys(shop, client, each)
        await running.hass.stop()
        shop.keep_log()
        return _outcome(shop, await reports(running.sandbox), heard, polled)


def _automation() -> Json:
    """Return an automation that reports at once."""
    told = automation()
    return {**told, "actions": [action for action in told["actions"] if "delay" not in action]}


async def _open(stage: Stage, running: World, server: LNbitsServer, gate: Gate) -> Shop:
    """Make the two wallets."""
    await server.open()
    shop = await server.create_wallet("shop")
    return Shop(
        stage=stage,
        running=running,
        server=server,
        gate=gate,
        wallet=shop,
        payer=await server.create_wallet("payer", 10_000_000),
        dice=stage.dice("shop"),
        keys=[shop.inkey, shop.adminkey],
    )


async def _set_up(shop: Shop, client: Client) -> None:
    """Add the account as a user does who tries the wrong keys first."""
    flow = await client.config_flow(DOMAIN)
    await flow.expect("menu", "user").choose(PROVIDER)
    form = flow.expect("form", PROVIDER).result["data_schema"]
    wrong = {"0" * 32: "invalid_auth", shop.wallet.adminkey: "key_can_spend"}
    for key, error in wrong.items():
        await flow.submit(**fill_in(form, {"url": shop.gate.url, "api_key": key}))
        if flow.expect("form", PROVIDER).result["errors"] != {"api_key": error}:
            raise DemoError(f"not {error}, but {flow.result['errors']}")
    await flow.submit(**fill_in(form, {"url": shop.gate.url, "api_key": shop.wallet.inkey}))
    ids = "\n".join(invoice.id for invoice in shop.invoices[PASTED:])
    await flow.expect("form", "invoices").submit(invoices=ids)
    shop.entry_id = flow.expect("create_entry").result["result"]["entry_id"]
    pasted = (f"lightning:{invoice.bolt11}" for invoice in shop.invoices[:PASTED])
    await add_invoices(client, shop.entry_id, pasted)
    await wait_until_saved(shop.running.hass, len(shop.invoices))
    shop.stage.step(f"{len(shop.invoices)} invoices are tracked; two wrong keys were refused")


async def _hear(shop: Shop, number: int) -> list[str]:
    """Pay while Home Assistant listens."""
    await shop.until_heard()
    # What was read just now is not read again at once, and nobody pays that soon.
    await asyncio.sleep(3)
    paid = await shop.pay(number, 0.2)
    await shop.settle("with the websocket")
    return paid


async def _poll(shop: Shop, number: int) -> list[str]:
    """Pay while it can't, then let it listen again."""
    await shop.gate.cut()
    paid = await shop.pay(number, 20 / number)
    await shop.settle("without the websocket")
    shop.gate.mend()
    return paid


async def _expire(shop: Shop, client: Client, invoice: LNbitsInvoice) -> None:
    """Wait until the invoice that nobody pays has expired."""
    unique_id = f"{shop.entry_id}_{invoice.id}_status"
    (status,) = (
        entity["entity_id"]
        for entity in await client.registered_entities(DOMAIN)
        if entity["unique_id"] == unique_id
    )
    await client.ws.wait_for_state(status, "expired", patience=SOON + PATIENCE)
    shop.stage.step("one has expired")


async def _restart_server(shop: Shop, client: Client, each: int) -> None:
    """Pay while Home Assistant can't reach LNbits, restart that, and go on with new invoices."""
    await shop.gate.shut()
    await shop.pay(each)
    await shop.server.stop()
    await shop.server.start()
    shop.gate.mend()
    await shop.settle("LNbits was restarted")
    made = await shop.make_invoices(AFTER_RESTART * each)
    await add_invoices(client, shop.entry_id, (invoice.id for invoice in made))
    await wait_until_saved(shop.running.hass, len(shop.invoices))
    await shop.until_heard()
    await shop.pay(each)
    await shop.settle("with new invoices")


async def _restart_home_assistant(shop: Shop, each: int) -> None:
    """Pay while Home Assistant is not there."""
    await shop.running.hass.stop()
    shop.keep_log()
    await shop.pay(each)
    await shop.running.hass.start()


async def _change_keys(shop: Shop, client: Client, each: int) -> None:
    """Pay while the key is wrong, and enter the new one."""
    await shop.until_heard()
    shop.wallet = await shop.server.reset_keys(shop.wallet)
    shop.keys += [shop.wallet.inkey, shop.wallet.adminkey]
    await shop.pay(each)
    flows: list[Json] = []

    async def asks_for_a_key() -> bool:
        flows[:] = await client.ws.command("config_entries/flow/progress")
        return any(flow["handler"] == DOMAIN for flow in flows)

    if not await until(asks_for_a_key, PATIENCE_WITH_KEY):
        raise DemoError("Home Assistant doesn't ask for a new key")
    path = f"{ENTRIES}/flow"
    flow_id = next(flow["flow_id"] for flow in flows if flow["handler"] == DOMAIN)
    flow = Flow(client, path, await client.request("GET", f"{path}/{flow_id}"))
    await flow.expect("form", "reauth_confirm").submit(api_key=shop.wallet.inkey)
    flow.expect("abort")
    await shop.settle("the keys were changed")


def _outcome(
    shop: Shop, told: list[Report], heard: Iterable[str], polled: Iterable[str]
) -> Outcome:
    """Return what came of it."""
    tally = count(shop.payments, told, ())
    doubled = len(told) - len({report.invoice_id for report in told})
    keys_told = shop.keys_told()
    return Outcome(
        figures=(
            Figure("tracked", len(shop.invoices)),
            Figure("paid", tally.paid),
            Figure("announced", len(tally.reported), must_be=tally.paid),
            Figure("lost", len(tally.lost), must_be=0),
            Figure("doubled", doubled, must_be=0),
            Figure("announced though unpaid", len(tally.unpaid), must_be=0),
            Figure("announced with a wrong status or amount", len(tally.untrue), must_be=0),
            *_times("with the websocket", shop, told, heard),
            *_times("without it", shop, told, polled),
            Figure("requests by Home Assistant", shop.gate.requests),
            Figure("files that tell a key", len(keys_told), must_be=0),
            Figure("errors in the log", len(shop.complaints), must_be=0),
        ),
        wrong=(*tally.evidence, *keys_told, *shop.complaints),
    )


def _times(
    how: str, shop: Shop, told: Iterable[Report], ids: Iterable[str]
) -> tuple[Figure, Figure]:
    """Return how long it took from payments to their reports."""
    first = {report.invoice_id: report.at for report in reversed(list(told))}
    seconds = [first[id_] - shop.payments[id_].at for id_ in ids if id_ in first] or [0, 0]
    slowest = quantiles(seconds, n=100, method="inclusive")[98]
    name = f"seconds from payment to action {how}"
    return (
        Figure(f"{name}, median", f"{median(seconds):.2f}"),
        Figure(f"{name}, p99", f"{slowest:.2f}"),
    )


STORIES = tuple(
    Story(
        name=f"lnbits-{version}",
        title=f"payments at a real LNbits {version}",
        run=partial(run, version=version),
    )
    for version in VERSIONS
)
