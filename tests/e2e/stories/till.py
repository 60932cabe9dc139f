"""Home Assistant as a till: create, show, be paid, announce, tidy; and follow what others create."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from io import BytesIO
from time import monotonic

from PIL import Image
import zxingcpp

from demo import DOMAIN
from demo.accounts import fill_in
from demo.client import ENTRIES, Client, Flow
from demo.server import free_ports
from demo.websocket import Json
from tests.e2e.installing import install
from tests.e2e.lnbits_server import NEWEST, LNbitsInvoice, LNbitsServer, LNbitsWallet
from tests.e2e.reporting import KEY, Report, automation, reports
from tests.e2e.story import Dice, Figure, Outcome, Stage, Story
from tests.e2e.tally import Payment, count
from tests.e2e.world import World, until, world

REAL = "lnbits"
FOLLOWED = ("cryptocloud", REAL)
SCHEME = "lightning:"
SALES, SALES_SHORT = 10, 2
ELSEWHERE = 250
PATIENCE = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """An invoice that an action created, and how it is paid."""

    id: str
    entry_id: str
    amount: Decimal
    picture: str
    """The entity of its QR code."""
    issued: str
    """What its provider says is to be scanned, or the page that a link leads to."""


@dataclass(slots=True, kw_only=True)
class Till:
    """An account, and how invoices are made and paid at its provider."""

    key: str
    wants: Json
    entry_id: str = ""
    sold: list[Sale] = field(default_factory=list)


@dataclass(slots=True)
class Shop:
    """Accounts at the sandbox and at a real LNbits, and those who pay there."""

    stage: Stage
    running: World
    server: LNbitsServer
    wallet: LNbitsWallet
    payer: LNbitsWallet
    dice: Dice
    tills: list[Till]
    payments: dict[str, Payment] = field(default_factory=dict)
    misread: list[str] = field(default_factory=list)
    brought: dict[str, Decimal] = field(default_factory=dict)
    still_shown: list[str] = field(default_factory=list)
    sums: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    @property
    def sold(self) -> list[tuple[Till, Sale]]:
        """Return all sales."""
        return [(till, sale) for till in self.tills for sale in till.sold]


async def run(stage: Stage) -> Outcome:
    """Sell at each provider, let a week pass, and follow what is made elsewhere."""
    await install("lnbits", NEWEST)
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(world(stage, demo_invoices=True))
        (port,) = free_ports(1)
        server = LNbitsServer(stage.folder / "lnbits", port)
        shop = await _open(stage, running, await stack.enter_async_context(server))
        async with Client.login(running.hass.url) as client:
            await client.ws.wait_until_started()
            await client.save_automation(KEY, automation(before=(), after=()))
            await _set_up(shop, client)
            await _sell(shop, client, SALES_SHORT if stage.short else SALES)
            await _look_at_pictures(shop, client)
            await _be_paid(shop, client)
        await _restart(shop)
        async with Client.login(running.hass.url) as client:
            await client.ws.wait_until_started()
            await _add_up(shop, client)
            await _follow(shop, client)
        await running.hass.stop()
        return _outcome(shop, await reports(running.sandbox))


async def _open(stage: Stage, running: World, server: LNbitsServer) -> Shop:
    """Make the two wallets, and say what each provider wants to know of an invoice."""
    await server.open()
    return Shop(
        stage=stage,
        running=running,
        server=server,
        wallet=await server.create_wallet("shop"),
        payer=await server.create_wallet("payer", 10_000_000),
        dice=stage.dice("till"),
        tills=[
            Till(key="cryptocloud", wants={"currency": "USD"}),
            Till(key="egates", wants={"currency": "USDT", "payment_method": "ETHER"}),
            Till(key="btcpay", wants={"currency": "EUR"}),
            Till(key=REAL, wants={"currency": "sat"}),
        ],
    )


async def _set_up(shop: Shop, client: Client) -> None:
    """Add the accounts, without any invoices."""
    known = {provider.key: provider for provider in await shop.running.sandbox.providers()}
    for till in shop.tills:
        if till.key == REAL:
            keys = {"url": shop.server.url, "api_key": shop.wallet.inkey}
        else:
            provider = known[till.key]
            keys = provider.credentials | provider.invoicing_credentials
            keys["url"] = shop.running.sandbox.url
        flow = await client.config_flow(DOMAIN)
        await flow.expect("menu", "user").choose(till.key)
        await flow.submit(**fill_in(flow.expect("form", till.key).result["data_schema"], keys))
        await flow.expect("form", "invoices").submit()
        till.entry_id = flow.expect("create_entry").result["result"]["entry_id"]
    shop.stage.step(f"{len(shop.tills)} accounts are set up, without invoices")


async def _sell(shop: Shop, client: Client, number: int) -> None:
    """Create invoices with the action."""
    for till in shop.tills:
        for table in range(1, number + 1):
            whole = till.key == REAL
            amount = Decimal(shop.dice.randint(100, 9999)) / (1 if whole else 100)
            told = await client.call(
                f"{DOMAIN}.create_invoice",
                {
                    "config_entry_id": till.entry_id,
                    "amount": str(amount),
                    "order_id": f"table-{table}",
                    **till.wants,
                },
                answers=True,
            )
            till.sold.append(
                Sale(
                    id=told["invoice_id"],
                    entry_id=till.entry_id,
                    amount=amount,
                    picture=told["entity_ids"]["payment_qr"],
                    issued=await _issued(shop, till, told["invoice_id"]),
                )
            )
    shop.stage.step(f"{len(shop.sold)} invoices are created, {number} at each provider")


async def _issued(shop: Shop, till: Till, invoice_id: str) -> str:
    """Ask the provider itself what a wallet or a browser has to scan."""
    if till.key == REAL:
        return f"{SCHEME}{(await shop.server.read(shop.wallet, invoice_id)).bolt11}"
    return next(
        invoice.payment_url
        for provider in await shop.running.sandbox.providers()
        for invoice in provider.invoices
        if invoice.id == invoice_id
    )


async def _look_at_pictures(shop: Shop, client: Client) -> None:
    """Read each QR code as a phone does, and compare it with what was issued."""
    pictures = {sale.picture for _, sale in shop.sold}
    states = await client.ws.wait_for_states(
        lambda states: all(
            states.get(picture, {}).get("state") not in (None, "unavailable", "unknown")
            for picture in pictures
        ),
        "the QR codes",
        PATIENCE,
    )
    for till, sale in shop.sold:
        picture = await client.download(states[sale.picture]["attributes"]["entity_picture"])
        read = await asyncio.to_thread(_decode, picture)
        if till.key != REAL and read.startswith(shop.running.sandbox.url):
            read = await shop.running.sandbox.leads_to(read)
        if read != sale.issued:
            shop.misread.append(f"{till.key}: {read!r} instead of {sale.issued!r}")
    shop.stage.step(f"{len(pictures)} QR codes are read")


def _decode(picture: bytes) -> str:
    """Return what an independent decoder reads from a picture."""
    with Image.open(BytesIO(picture)) as image:
        return " ".join(found.text for found in zxingcpp.read_barcodes(image.convert("L")))


async def _be_paid(shop: Shop, client: Client) -> None:
    """Have all of it paid, and look which pictures stay."""
    made = {
        invoice.id: invoice
        for provider in await shop.running.sandbox.providers()
        for invoice in provider.invoices
    }
    for till, sale in shop.sold:
        shop.payments[sale.id] = Payment(at=monotonic(), status="paid", amount=sale.amount)
        if till.key == REAL:
            bolt11 = sale.issued.removeprefix(SCHEME)
            asked = LNbitsInvoice(id=sale.id, bolt11=bolt11, amount=sale.amount)
            await shop.server.pay(shop.payer, asked)
        else:
            await shop.running.sandbox.act(made[sale.id], "pay")

    async def all_are_told() -> bool:
        told = {report.invoice_id for report in await reports(shop.running.sandbox)}
        return told >= shop.payments.keys()

    await until(all_are_told, PATIENCE)
    states = await client.ws.states()
    shop.still_shown += [
        sale.picture
        for _, sale in shop.sold
        if states.get(sale.picture, {}).get("state", "unavailable") != "unavailable"
    ]
    for till in shop.tills:
        told = await _invoices(client, till)
        # What is credited may be less than what was asked for.
        received = (Decimal(invoice["amount_received"]) for invoice in told)
        shop.brought[till.key] = sum(received, Decimal(0))
    shop.stage.step(f"{len(shop.payments)} invoices are paid")


async def _restart(shop: Shop) -> None:
    """Let Home Assistant begin again with what is on the disk."""
    await shop.running.hass.stop()
    await shop.running.hass.start()
    shop.stage.step("Home Assistant has started again")


async def _add_up(shop: Shop, client: Client) -> None:
    """Compare the sums after the restart with what was paid."""
    states = await client.ws.states()
    entities = {
        entity["unique_id"]: entity["entity_id"]
        for entity in await client.registered_entities(DOMAIN)
    }
    for till in shop.tills:
        currency = till.wants["currency"]
        unique_id = f"{till.entry_id}_received_{currency}"
        shown = states.get(entities.get(unique_id, ""), {}).get("state", f"no {unique_id}")
        expected = shop.brought[till.key]
        if shown != f"{expected.normalize():f}":
            shop.sums.append(f"{till.key}: {shown} instead of {expected}")
    shop.stage.step("the sums are compared")


async def _watched(client: Client, till: Till) -> Counter[str]:
    """Return the invoices that an account watches."""
    return Counter(invoice["invoice_id"] for invoice in await _invoices(client, till))


async def _invoices(client: Client, till: Till) -> list[Json]:
    """Return what is told of the invoices that an account watches."""
    chosen = {"config_entry_id": till.entry_id}
    told = await client.call(f"{DOMAIN}.get_invoices", chosen, answers=True)
    invoices: list[Json] = told["invoices"]
    return invoices


async def _follow(shop: Shop, client: Client) -> None:
    """Make many invoices elsewhere, and follow the accounts where that can be."""
    for till in shop.tills:
        if till.key not in FOLLOWED:
            continue
        made = await _make_elsewhere(shop, till)
        shop.elsewhere += made
        shop.stage.step(f"{len(made)} invoices are made elsewhere, at {till.key}")
        await _switch_following_on(client, till)

        async def all_are_watched(till: Till = till, made: list[str] = made) -> bool:
            return set(made) <= (await _watched(client, till)).keys()

        await until(all_are_watched, PATIENCE)
        watched = await _watched(client, till)
        shop.followed += [id_ for id_ in made if watched[id_] == 1]
        shop.stage.step(f"{len(watched)} invoices are followed at {till.key}")


async def _make_elsewhere(shop: Shop, till: Till) -> list[str]:
    """Make invoices as somebody else does."""
    if till.key == REAL:
        return [(await shop.server.create(shop.wallet, 21)).id for _ in range(ELSEWHERE)]
    made = await shop.running.sandbox.create(till.key, count=ELSEWHERE)
    return [invoice.id for invoice in made]


async def _switch_following_on(client: Client, till: Till) -> None:
    """Choose the option as a user does."""
    flow = await Flow.start(client, f"{ENTRIES}/options/flow", till.entry_id)
    await flow.expect("form", "init").submit(cleanup_after=7, auto_watch=True)
    flow.expect("create_entry")


def _outcome(shop: Shop, told: list[Report]) -> Outcome:
    """Return what came of it."""
    tally = count(shop.payments, told, ())
    doubled = len(told) - len({report.invoice_id for report in told})
    return Outcome(
        figures=(
            Figure("created", len(shop.sold)),
            Figure("QR codes that say something else", len(shop.misread), must_be=0),
            Figure("QR codes still shown when paid", len(shop.still_shown), must_be=0),
            Figure("paid", tally.paid),
            Figure("announced", len(tally.reported), must_be=tally.paid),
            Figure("lost", len(tally.lost), must_be=0),
            Figure("doubled", doubled, must_be=0),
            Figure("announced with a wrong status or amount", len(tally.untrue), must_be=0),
            Figure("wrong sums", len(shop.sums), must_be=0),
            Figure("made elsewhere", len(shop.elsewhere)),
            Figure("followed, each once", len(shop.followed), must_be=len(shop.elsewhere)),
        ),
        wrong=(*tally.evidence, *shop.misread, *shop.still_shown, *shop.sums),
    )


STORY = Story(name="till", title="Home Assistant as a till", run=run)
