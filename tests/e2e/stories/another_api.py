"""An oracle for free: invoices of our own providers, read as those of any API beside them.

Status, amount and currency agree, reading by reading, but for what our own providers take from
more than one field or from the clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from demo import DOMAIN, DemoError
from demo.accounts import add_account, fill_in
from demo.client import Client
from demo.sandbox import SandboxInvoice
from demo.server import free_ports
from sandbox.btcpay_webhooks import STORE_ID
from tests.e2e.installing import install
from tests.e2e.lnbits_server import NEWEST, LNbitsInvoice, LNbitsServer, LNbitsWallet
from tests.e2e.story import Dice, Figure, Outcome, Stage, Story
from tests.e2e.world import World, make_invoices, provider_with, until, world

ANY_API = "another_api"
# How many invoices of each provider, and how much happens to each at most.
EACH, EACH_SHORT = 30, 10
ROUNDS = 3
PATIENCE = 20
EXPIRES_AFTER = 8
EXPECTED_ERROR = "Error fetching"
# What doesn't happen here: what is gone is the same for both, and what goes back waits minutes.
NOT_HERE = frozenset({"choose_coin", "delete", "revert"})
# What our own provider says, and what is said in its place where one field is read.
EXCEPTIONS = frozenset(
    {
        # Its second field for the status.
        ("btcpay", "partially_paid", "pending"),
        ("btcpay", "overpaid", "paid"),
        ("btcpay", "overpaid", "expired"),
        ("btcpay", "underpaid", "expired"),
        ("btcpay", "canceled", "failed"),
        # What came late: its second field, and its payments.
        ("btcpay", "processing", "expired"),
        ("btcpay", "paid", "expired"),
        # There is no list of words for more than was asked for.
        ("cryptocloud_v1", "overpaid", "paid"),
        # The clock.
        ("lnbits", "expired", "pending"),
        ("lnbits", "expired", "failed"),
    }
)

type Read = tuple[str | None, Decimal | None, str | None]


@dataclass(slots=True)
class Pair:
    """The same invoices in two accounts."""

    provider: str
    own: str
    other: str
    ids: Sequence[str]
    statuses: Sequence[str] = ()
    """The entities of both."""


@dataclass(slots=True)
class Oracle:
    """Compares, and counts."""

    client: Client
    pairs: list[Pair] = field(default_factory=list)
    readings: int = 0
    excepted: dict[tuple[str, str, str], int] = field(default_factory=dict)
    seen: dict[str, set[str]] = field(default_factory=dict)
    disagreements: list[str] = field(default_factory=list)

    async def compare(self) -> None:
        """Have both accounts of each pair read all that is watched, and compare."""
        for pair in self.pairs:
            await self._compare(pair)

    async def _compare(self, pair: Pair) -> None:
        last: dict[str, tuple[Read, Read]] = {}

        async def they_agree() -> bool:
            await self.client.call(
                "homeassistant.update_entity", {"entity_id": list(pair.statuses)}
            )
            own, other = await self._read(pair.own), await self._read(pair.other)
            last.update({id_: (own[id_], other[id_]) for id_ in pair.ids})
            return all(_agree(pair.provider, *both) for both in last.values())

        if not await until(they_agree, PATIENCE):
            self.disagreements += [
                f"{pair.provider} {id_}: {own} and {other}"
                for id_, (own, other) in last.items()
                if not _agree(pair.provider, own, other)
            ]
        self.readings += len(last)
        for own, other in last.values():
            self.seen.setdefault(pair.provider, set()).add(str(own[0]))
            if own[0] != other[0]:
                key = (pair.provider, str(own[0]), str(other[0]))
                self.excepted[key] = self.excepted.get(key, 0) + 1

    async def _read(self, entry_id: str) -> dict[str, Read]:
        """Return what an account says of its invoices."""
        answer = await self.client.call(
            f"{DOMAIN}.get_invoices", {"config_entry_id": entry_id}, answers=True
        )
        return {
            one["invoice_id"]: (
                one["status"],
                None if one["amount"] is None else Decimal(one["amount"]),
                one["currency"],
            )
            for one in answer["invoices"]
        }

    async def add(self, provider: str, own: str, other: str, ids: Sequence[str]) -> None:
        """Compare these two from now on."""
        pair = Pair(provider, own, other, ids)

        async def all_are_there() -> bool:
            wanted = {f"{entry}_{id_}_status" for entry in (own, other) for id_ in ids}
            found = {
                entity["unique_id"]: entity["entity_id"]
                for entity in await self.client.registered_entities(DOMAIN)
            }
            pair.statuses = [found[unique] for unique in wanted if unique in found]
            return len(pair.statuses) == len(wanted)

        if not await until(all_are_there, PATIENCE):
            raise DemoError(f"{provider}: not all invoices have a status")
        self.pairs.append(pair)


def _agree(provider: str, own: Read, other: Read) -> bool:
    """Whether two accounts say the same of an invoice, but for the exceptions."""
    if own[1:] != other[1:] or own[0] is None or other[0] is None:
        return False
    return own[0] == other[0] or (provider, own[0], other[0]) in EXCEPTIONS


async def run(stage: Stage) -> Outcome:
    """Set both up for each, let everything happen to the invoices, and compare at each step."""
    await install("lnbits", NEWEST)
    stage.step(f"LNbits {NEWEST} is installed")
    (port,) = free_ports(1)
    number = EACH_SHORT if stage.short else EACH
    async with (
        world(stage) as running,
        LNbitsServer(stage.folder / "lnbits", port, NEWEST) as server,
        Client.login(running.hass.url) as client,
    ):
        await server.open()
        wallet = await server.create_wallet("shop")
        payer = await server.create_wallet("payer", 10_000_000)
        await client.ws.wait_until_started()
        oracle, dice = Oracle(client), stage.dice("lives")
        at_sandbox: list[SandboxInvoice] = []
        for key, how in AT_SANDBOX.items():
            invoices = await make_invoices(running.sandbox, dice, key, number)
            at_sandbox += invoices
            await _set_up_at_sandbox(oracle, running, key, how, invoices)
            stage.step(f"{key}: {number} invoices are watched in both ways")
        at_lnbits = [await server.create(wallet, dice.randint(1, 9999)) for _ in range(number)]
        soon = await server.create(wallet, 21, expiry=EXPIRES_AFTER)
        await _set_up_lnbits(oracle, server, wallet, [*at_lnbits, soon])
        stage.step(f"lnbits: {number + 1} invoices are watched in both ways")
        await oracle.compare()
        stage.step("they agree on what is new")
        for number_of_round in range(ROUNDS):
            at_sandbox = [await _live(running, dice, invoice) for invoice in at_sandbox]
            part = at_lnbits[number_of_round::ROUNDS]
            for invoice in part[: len(part) // 2 + 1]:
                await server.pay(payer, invoice)
            await oracle.compare()
            stage.step(f"round {number_of_round + 1}: {oracle.readings} readings are compared")
        complaints = [each for each in running.hass.complaints() if EXPECTED_ERROR not in each]
    return _outcome(oracle, complaints)


# How a user would describe our own providers: what is in the forms.
AT_SANDBOX: Mapping[str, Mapping[str, str]] = {
    "btcpay": {
        "url": f"{{url}}/api/v1/stores/{STORE_ID}/invoices/{{{{id}}}}",
        "key_form": "token {key}",
        "status_path": "status",
        "words_paid": "Settled",
        "words_pending": "New",
        "words_processing": "Processing",
        "words_expired": "Expired",
        "words_failed": "Invalid",
        "amount_path": "amount",
        "currency_path": "currency",
        "order_path": "metadata.orderId",
    },
    "cryptocloud_v1": {
        "url": "{url}/v1/invoice/info?uuid={{id}}",
        "key_form": "Token {key}",
        "status_path": "status_invoice",
        "words_paid": "paid, overpaid",
        "words_pending": "created",
        "words_partially_paid": "partial",
        "words_canceled": "canceled",
    },
}
AT_LNBITS = {
    "key_header": "X-Api-Key",
    "key_form": "{key}",
    "status_path": "details.status",
    "words_paid": "success",
    "words_pending": "pending",
    "words_failed": "failed",
    "amount_path": "details.amount",
    "amount_factor": "0.001",
    "currency": "sat",
}


async def _set_up_at_sandbox(
    oracle: Oracle,
    running: World,
    key: str,
    how: Mapping[str, str],
    invoices: Sequence[SandboxInvoice],
) -> None:
    """Set up both accounts at the sandbox."""
    provider = await provider_with(running.sandbox, key, invoices)
    own = await add_account(oracle.client, provider, running.sandbox.url)
    ids = [invoice.id for invoice in invoices]
    settings = {
        "key_header": "Authorization",
        **how,
        "url": how["url"].format(url=running.sandbox.url),
        "api_key": provider.credentials["api_key"],
    }
    other = await _describe(oracle.client, settings, ids)
    await oracle.add(key, own.entry_id, other, ids)


async def _set_up_lnbits(
    oracle: Oracle, server: LNbitsServer, wallet: LNbitsWallet, invoices: Sequence[LNbitsInvoice]
) -> None:
    """Set up both accounts at LNbits."""
    ids = [invoice.id for invoice in invoices]
    flow = await oracle.client.config_flow(DOMAIN)
    await flow.expect("menu", "user").choose("lnbits")
    form = flow.expect("form", "lnbits").result["data_schema"]
    await flow.submit(**fill_in(form, {"url": server.url, "api_key": wallet.inkey}))
    await flow.expect("form", "invoices").submit(invoices="\n".join(ids), auto_watch=False)
    own = flow.expect("create_entry").result["result"]["entry_id"]
    settings = {
        **AT_LNBITS,
        "url": f"{server.url}/api/v1/payments/{{id}}",
        "api_key": wallet.inkey,
    }
    await oracle.add("lnbits", own, await _describe(oracle.client, settings, ids), ids)


async def _describe(client: Client, settings: Mapping[str, Any], ids: Sequence[str]) -> str:
    """Set up an account the way that a user describes an API; return its entry's ID."""
    flow = await client.config_flow(DOMAIN)
    await flow.expect("menu", "user").choose(ANY_API)
    await flow.expect("menu", "preset").choose("preset_none")
    access = {**settings, "requests_per_minute": "6000", "verify_ssl": True}
    await flow.submit(**fill_in(flow.expect("form", ANY_API).result["data_schema"], access))
    reading = {**settings, "sample_id": ids[0]}
    await flow.submit(**fill_in(flow.expect("form", "preview").result["data_schema"], reading))
    await flow.expect("menu", "read").choose("accept")
    await flow.expect("form", "invoices").submit(invoices="\n".join(ids))
    entry_id: str = flow.expect("create_entry").result["result"]["entry_id"]
    return entry_id


async def _live(running: World, dice: Dice, invoice: SandboxInvoice) -> SandboxInvoice:
    """Let something happen to an invoice that can, or nothing."""
    possible = sorted(invoice.actions - NOT_HERE)
    if not possible:
        return invoice
    return await running.sandbox.act(invoice, dice.choice(possible))


def _outcome(oracle: Oracle, complaints: Sequence[str]) -> Outcome:
    """Return what came of it."""
    return Outcome(
        figures=(
            Figure("readings compared", oracle.readings),
            Figure("that don't agree", len(oracle.disagreements), must_be=0),
            *(
                Figure(f"{provider}: different statuses", len(statuses))
                for provider, statuses in oracle.seen.items()
            ),
            *(
                Figure(f"exception: {provider} says {own}, one field says {other}", times)
                for (provider, own, other), times in sorted(oracle.excepted.items())
            ),
            Figure("errors in the log", len(complaints), must_be=0),
        ),
        wrong=(*oracle.disagreements, *complaints),
    )


STORY = Story(
    name="another_api", title="our own providers, read as any API is, beside them", run=run
)
