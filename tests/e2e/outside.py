"""Payments while the broker, the database and Home Assistant go and come back."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
import re
import shutil

from demo import CHECKOUT, DOMAIN, DemoError
from demo.client import Client
from demo.sandbox import SandboxInvoice
from demo.server import free_ports

from .outside_counts import all_heard, compare_messages, compare_sums
from .outside_servers import Mosquitto, PostgreSQL
from .story import Figure, Outcome, Stage
from .subscriber import Subscriber
from .to_do import items, read_open, switch_on
from .world import World, make_invoices, track_in_two_steps, until, wait_until_saved, world

BLUEPRINTS = "blueprints/automation/crypto_invoices"
BLUEPRINT = "crypto_invoices/invoice_paid_mqtt.yaml"
TOPIC = "crypto_invoices/paid/+"
# What they ask for in full is what they say is received.
PROVIDERS = ("btcpay", "egates")
PAYMENTS, PAYMENTS_SHORT = 120, 16
LIVES, LIVES_SHORT = 6, 1
LIFE, LIFE_SHORT = (12, 30), (3, 4)
# How long the broker is away, in seconds: with the longest one, what it was sent is tried again.
AWAY, AWAY_SHORT = (1, 25), (1, 2)
# What was cut comes again after 1 minute or 5.
PATIENCE, PATIENCE_SHORT = 420, 75
# For a database, time is what is written in it.
MOVE = """\
UPDATE states SET last_changed_ts = last_changed_ts + {by}, last_updated_ts = last_updated_ts + {by},
  last_reported_ts = last_reported_ts + {by};
UPDATE events SET time_fired_ts = time_fired_ts + {by};
UPDATE statistics SET start_ts = start_ts + {by}, created_ts = created_ts + {by};
UPDATE statistics_short_term SET start_ts = start_ts + {by}, created_ts = created_ts + {by};
UPDATE statistics_runs SET start = start + {by} * interval '1 second';
UPDATE recorder_runs SET start = start + {by} * interval '1 second',
  "end" = "end" + {by} * interval '1 second', created = created + {by} * interval '1 second';
"""
# Of the broker and the database being away, and of a provider that is asked for one invoice
# at a time.
_EXPECTED = re.compile(
    r"MQTT|Timeout while waiting|\(Recorder\)|service call to crypto_invoices\.refresh|Error fetching crypto_invoices"
)


@dataclass(slots=True)
class Account:
    """An account, its sensor of what was received, and what was paid at the provider."""

    entry_id: str
    sensor: str
    paid: Decimal = Decimal(0)


@dataclass(slots=True)
class Shop:
    """Two accounts, and the world around them."""

    stage: Stage
    running: World
    broker: Mosquitto
    database: PostgreSQL
    accounts: dict[str, Account] = field(default_factory=dict)
    waiting: list[SandboxInvoice] = field(default_factory=list)
    paid: dict[str, SandboxInvoice] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    absence: asyncio.Task[None] | None = None
    """What is away, or was last."""
    hours: int = 0
    kills: int = 0

    async def pay(self, number: int = 1) -> None:
        """Let the next customers pay."""
        for _ in range(min(number, len(self.waiting))):
            invoice = self.waiting.pop()
            await self.running.sandbox.act(invoice, "pay")
            self.paid[invoice.id] = invoice
            self.accounts[invoice.provider].paid += invoice.amount

    async def let_an_hour_pass(self) -> None:
        """Let Home Assistant, which doesn't run, have been off for an hour."""
        # The long way round: no hour may be there twice, not even for a moment.
        await self.database.query(MOVE.format(by="-1e9") + MOVE.format(by="(1e9 - 3600)"))
        self.hours += 1

    def keep_log(self) -> None:
        """Keep what went wrong in this life, but for what must."""
        told = self.running.hass.complaints()
        self.complaints += [one for one in told if not _EXPECTED.search(one)]


async def run(stage: Stage) -> Outcome:
    """Sell while everything around goes and comes back, and compare at the end."""
    stage.folder.chmod(0o711)
    [broker_port, database_port] = free_ports(2)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Mosquitto(stage.folder / "mosquitto", broker_port))
        database = await stack.enter_async_context(
            PostgreSQL(stage.folder / "postgresql", database_port)
        )
        stage.step("Mosquitto and PostgreSQL run")
        recorder = f"recorder:\n  db_url: {database.url}\n  commit_interval: 1\n"
        running = await stack.enter_async_context(world(stage, more=recorder))
        machine = Subscriber(TOPIC, "another machine")
        await stack.enter_async_context(machine.listen(broker_port))
        shop = Shop(stage, running, broker, database)
        await _set_up(shop)
        lives = LIVES_SHORT if stage.short else LIVES
        for life in range(lives):
            await _live(shop, life, len(shop.waiting) // (lives + 1 - life))
            stage.step(f"kill {shop.kills}: {len(shop.paid)} paid, {len(machine.heard)} messages")
        owed, done = await _pay_the_rest(shop)
        stage.step(f"all are paid: {len(done)} fulfilled, {len(machine.heard)} messages")
        sums = await compare_sums(shop)
        stage.step("the statistics are read")
        late = Subscriber(TOPIC)
        async with late.listen(broker_port):
            await until(lambda: all_heard(late, len(shop.paid)))
        return Outcome(
            figures=(
                *compare_messages(shop, machine, late),
                Figure("fulfilled", len(done), must_be=len(shop.paid)),
                Figure("still owed", len(owed), must_be=0),
                *sums[0],
                Figure("kills of Home Assistant", shop.kills),
                Figure("errors in the log", len(shop.complaints), must_be=0),
            ),
            wrong=(*sums[1], *shop.complaints),
        )


async def _set_up(shop: Shop) -> None:
    """Add MQTT, accounts that keep what is to be fulfilled, and an automation of the blueprint."""
    running, stage = shop.running, shop.stage
    folder = running.hass.folder / BLUEPRINTS
    await asyncio.to_thread(shutil.copytree, CHECKOUT / BLUEPRINTS, folder)
    async with Client.login(running.hass.url) as client:
        await client.ws.wait_until_started()
        flow = await client.config_flow("mqtt")
        more = {"set_client_cert": False, "set_ca_cert": "off", "transport": "tcp"}
        await flow.expect("form", "broker").submit(
            broker="127.0.0.1", port=shop.broker.port, protocol="5", other_settings=more
        )
        flow.expect("create_entry")
        each = (PAYMENTS_SHORT if stage.short else PAYMENTS) // len(PROVIDERS)
        for provider in PROVIDERS:
            invoices = await make_invoices(
                running.sandbox, stage.dice(f"invoices of {provider}"), provider, each
            )
            entry_id = await track_in_two_steps(running, client, provider, invoices)
            await switch_on(client, entry_id)
            shop.waiting += invoices
            shop.accounts[provider] = Account(entry_id, await _sensor(client, entry_id))
        stage.dice("order").shuffle(shop.waiting)
        await client.save_automation(
            "forward",
            {"alias": "Forward", "use_blueprint": {"path": BLUEPRINT, "input": {}}},
        )
        await wait_until_saved(running.hass, len(shop.waiting))
    stage.step(f"{len(shop.waiting)} invoices, and an automation that forwards payments")


async def _sensor(client: Client, entry_id: str) -> str:
    """Return the sensor of what an account received."""
    beginning = f"{entry_id}_received_"
    found: list[str] = []

    async def is_there() -> bool:
        entities = await client.registered_entities(DOMAIN)
        found.extend(one["entity_id"] for one in entities if one["unique_id"].startswith(beginning))
        return bool(found)

    if not await until(is_there):
        raise DemoError(f"there is no {beginning}…")
    return found[0]


async def _live(shop: Shop, life: int, payments: int) -> None:
    """Live for a while, with one of the others going and coming back, and be killed."""
    short, dice = shop.stage.short, shop.stage.dice(f"life {life}")
    if shop.running.hass.pid is None:
        await shop.running.hass.start()
    async with Client.login(shop.running.hass.url) as client:
        await client.ws.wait_until_started()
        length = dice.uniform(*(LIFE_SHORT if short else LIFE))
        shop.absence = asyncio.create_task(
            _be_away(shop, life, length * dice.uniform(0.2, 0.8), shop.absence)
        )
        async with _reading(client):
            for _ in range(payments):
                await asyncio.sleep(length / payments)
                await shop.pay()
            await asyncio.sleep(dice.random() * 2)
            shop.keep_log()
            await shop.running.hass.kill()
        shop.kills += 1
        await shop.pay()
    # A broker may still be away when Home Assistant starts again.
    if short or _is_database(life):
        await shop.absence
    await shop.let_an_hour_pass()


@asynccontextmanager
async def _reading(client: Client) -> AsyncGenerator[None]:
    """Have the open invoices read all along, until it is killed or all is well."""

    async def read() -> None:
        while True:
            await read_open(client)
            await asyncio.sleep(1)

    reading = asyncio.create_task(read())
    try:
        yield
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def _is_database(life: int) -> bool:
    """Whether it is the database that goes in a life."""
    return life % 3 == 1


async def _be_away(shop: Shop, life: int, after: float, before: asyncio.Task[None] | None) -> None:
    """Let the broker or the database go, and come back after a while."""
    if before:
        await before
    short, dice = shop.stage.short, shop.stage.dice(f"away {life}")
    await asyncio.sleep(after)
    seconds = dice.uniform(*(AWAY_SHORT if short else AWAY))
    if life % 3 == 0:
        await shop.broker.stop()
        await asyncio.sleep(seconds)
        await shop.broker.start()
    if life % 3 == 2:
        # What is sent is neither refused nor acknowledged.
        shop.broker.freeze()
        await asyncio.sleep(seconds)
        shop.broker.thaw()
    if short or _is_database(life):
        await (shop.database.kill() if life % 2 else shop.database.stop())
        # The recorder tries again for half a minute.
        await asyncio.sleep(min(seconds, 10))
        await shop.database.start()


async def _pay_the_rest(shop: Shop) -> tuple[set[str], set[str]]:
    """Let the last customers pay, and wait for all; return what is owed and what is fulfilled."""
    await shop.running.hass.start()
    async with Client.login(shop.running.hass.url) as client:
        await client.ws.wait_until_started()
        await shop.pay(len(shop.waiting))

        async def all_are_fulfilled() -> bool:
            _, done = await items(client)
            return done == shop.paid.keys()

        if shop.absence:
            await shop.absence
        async with _reading(client):
            await until(all_are_fulfilled, PATIENCE_SHORT if shop.stage.short else PATIENCE)
        owed, done = await items(client)
    await shop.running.hass.stop()
    shop.keep_log()
    await shop.let_an_hour_pass()
    return owed, done
