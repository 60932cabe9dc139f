"""Pushes: ten thousand forged ones change nothing, and a genuine one is soon announced."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from itertools import chain, product
from time import monotonic
from typing import Any

import aiohttp

from demo import DOMAIN, DemoError
from demo.accounts import add_account, add_invoices
from demo.client import ENTRIES, Client
from demo.sandbox import Sandbox, SandboxInvoice
from tests.e2e.measure import milliseconds, resident_mib
from tests.e2e.reporting import KEY, automation, reports
from tests.e2e.story import Figure, Outcome, Stage, Story
from tests.e2e.tally import Payment, Tally, count
from tests.e2e.world import (
    World,
    make_invoices,
    provider_with,
    until,
    wait_until_saved,
    wait_until_there,
    world,
)

PROVIDER = "cryptocloud"
# Its callbacks can't be told from forged ones: they are hints, and bounded as such.
UNSIGNED = "egates"
FORGED, FORGED_SHORT = 10_000, 1_000
PAYMENTS, PAYMENTS_SHORT = 200, 30
# How long until somebody else pays, on average: an account may make so many requests a minute.
PAUSE, PAUSE_SHORT = 0.35, 0.1
AT_ONCE = 20
WAYS = tuple(
    product(
        ("wrong_secret", "expired", "none_algorithm", "other_algorithm", "missing"),
        ("json", "form"),
    )
)
TRACKED = UNTRACKED = 5
# What the first pushes leave behind for good, and what the measure is off by.
MEMORY_TOLERANCE = 8
READINGS_ALONE = 100


async def run(stage: Stage) -> Outcome:
    """Post forged pushes with a payment among them, then payments in turn."""
    async with world(stage) as running:
        play = _Play(stage, running)
        async with Client.login(running.hass.url) as client:
            await client.ws.wait_until_started()
            stage.step("Home Assistant has started")
            await client.save_automation(KEY, automation(before=(), after=()))
            await play.set_up(client)
            await play.flood(client)
            await play.pay_in_turn(client)
        # What comes twice may come late.
        await asyncio.sleep(1)
        tally = count(play.payments, await reports(running.sandbox), ())
        complaints = running.hass.complaints()
    return Outcome(
        figures=(
            *play.figures,
            *_announced(tally),
            Figure("errors in the log", len(complaints), must_be=0),
        ),
        wrong=(*play.wrong, *tally.evidence, *complaints),
    )


def _announced(tally: Tally) -> tuple[Figure, ...]:
    """Return what is printed of the announcements."""
    return (
        Figure("paid", tally.paid),
        Figure("announced", len(tally.reported), must_be=tally.paid),
        Figure("lost", len(tally.lost), must_be=0),
        Figure("announced twice", len(tally.repeated) + len(tally.other_ids), must_be=0),
        Figure("announced though unpaid", len(tally.unpaid), must_be=0),
        Figure("announced with a wrong status or amount", len(tally.untrue), must_be=0),
    )


class _Play:
    """What happens on the stage, and what came of it so far."""

    def __init__(self, stage: Stage, running: World) -> None:
        """Begin with nothing set up and nothing paid."""
        self._stage = stage
        self._running = running
        self._sandbox: Sandbox = running.sandbox
        self._dice = stage.dice("invoices")
        self._entry_ids: dict[str, str] = {}
        self._tracked: dict[str, list[SandboxInvoice]] = {}
        self._untracked: dict[str, list[SandboxInvoice]] = {}
        self.payments: dict[str, Payment] = {}
        self.figures: list[Figure] = []
        self.wrong: list[str] = []

    async def set_up(self, client: Client) -> None:
        """Set up accounts whose invoices nobody needs to poll for an hour: they are canceled."""
        for key in (PROVIDER, UNSIGNED):
            made = await make_invoices(self._sandbox, self._dice, key, TRACKED + UNTRACKED)
            made = [await self._sandbox.act(invoice, "cancel") for invoice in made]
            self._tracked[key], self._untracked[key] = made[:TRACKED], made[TRACKED:]
            provider = await provider_with(self._sandbox, key, made[:TRACKED], pushing=True)
            account = await add_account(client, provider, self._sandbox.url)
            self._entry_ids[key] = account.entry_id
            await self._sandbox.post_to(key, await self._webhook(client, account.entry_id))
        await wait_until_saved(self._running.hass, 2 * TRACKED)
        self._stage.step("the accounts listen")

    async def _webhook(self, client: Client, entry_id: str) -> str:
        """Return the address of an account's webhook."""
        entries = await client.config_entries(DOMAIN)
        title = next(entry["title"] for entry in entries if entry["entry_id"] == entry_id)
        for hook in await client.ws.command("webhook/list"):
            if (hook["domain"], hook["name"]) == (DOMAIN, title):
                return f"{client.url}/api/webhook/{hook['webhook_id']}"
        raise DemoError(f"{title} has no webhook")

    async def flood(self, client: Client) -> None:
        """Post forged pushes, with a genuine one in the middle."""
        forged = FORGED_SHORT if self._stage.short else FORGED
        # What is only done once is done before the memory is measured.
        for signature, format_ in WAYS:
            await self._forge(100, signature, format_)
        unsigned = await self._count_unsigned(forged // 10)
        before = await self._sandbox.reading_count(PROVIDER)
        memory = await self._memory()
        began = monotonic()
        deliveries = []
        for number, (signature, format_) in enumerate(WAYS):
            forging = asyncio.create_task(self._forge(forged // len(WAYS), signature, format_))
            if number == len(WAYS) // 2:
                await self._pay(self._tracked[PROVIDER][0])
            deliveries += await forging
        seconds = monotonic() - began
        genuine = await self._genuine()
        grown = await self._memory() - memory
        requests = await self._sandbox.reading_count(PROVIDER) - before
        lines = await self._log_lines(client)
        statuses = Counter(delivery["status"] for delivery in deliveries)
        self._stage.step(f"{len(deliveries)} forged pushes in {seconds:.1f} s: {dict(statuses)}")
        self.figures += (
            Figure("forged pushes", len(deliveries)),
            Figure("forged pushes per second", round(len(deliveries) / seconds)),
            Figure("of these refused", statuses[HTTPStatus.UNAUTHORIZED], must_be=len(deliveries)),
            Figure("of these accepted", statuses[HTTPStatus.OK], must_be=0),
            Figure("genuine pushes among them accepted", genuine, must_be=1),
            # One is the reading of what was paid.
            Figure("readings for the forged ones", requests - 1, must_be=0),
            Figure("unsigned callbacks about untracked invoices", forged // 10),
            Figure("readings for those", unsigned, must_be=0),
            Figure("log lines about rejected pushes", len(lines), must_be=2),
            Figure("memory before, in MiB", f"{memory:.1f}"),
            Figure("memory grown, in MiB", f"{grown:+.1f}"),
        )
        if grown > MEMORY_TOLERANCE:
            self.wrong.append(f"the memory has grown by {grown:.1f} MiB")
        if len(lines) != 2:
            self.wrong += lines[:10]

    async def _forge(self, number: int, signature: str, format_: str) -> list[dict[str, Any]]:
        """Post about tracked and untracked invoices what the provider never signed."""
        ids = [invoice.id for invoice in (*self._tracked[PROVIDER], *self._untracked[PROVIDER])]
        return await self._sandbox.post(
            PROVIDER,
            ids,
            times=number // len(ids),
            at_once=AT_ONCE,
            signature=signature,
            format=format_,
        )

    async def _count_unsigned(self, number: int) -> int:
        """Post callbacks about untracked invoices; return how many requests they cause."""
        before = await self._sandbox.reading_count(UNSIGNED)
        ids = [invoice.id for invoice in self._untracked[UNSIGNED]]
        await self._sandbox.post(
            UNSIGNED, ids, times=number // len(ids), at_once=AT_ONCE, signature="missing"
        )
        await asyncio.sleep(0.5)
        return await self._sandbox.reading_count(UNSIGNED) - before

    async def _pay(self, invoice: SandboxInvoice) -> None:
        """Pay, and wait until it is reported; what isn't is counted later."""
        before = monotonic()
        paid = await self._sandbox.act(invoice, "pay")
        self.payments[paid.id] = Payment(at=before, status=paid.state, amount=paid.amount)

        async def is_reported() -> bool:
            return any(told.invoice_id == paid.id for told in await reports(self._sandbox))

        await until(is_reported, patience=10)

    async def _genuine(self) -> int:
        """Return how many genuine pushes were accepted so far."""
        deliveries = await self._sandbox.deliveries(PROVIDER, 10_000)
        return sum(
            delivery["signature"] == "good" and delivery["status"] == HTTPStatus.OK
            for delivery in deliveries
        )

    async def _memory(self) -> float:
        """Return how much memory Home Assistant has, after a moment of rest."""
        await asyncio.sleep(1)
        return await asyncio.to_thread(resident_mib, self._running.hass.pid)

    async def _log_lines(self, client: Client) -> list[str]:
        """Return what was logged of rejected pushes, with what is told at an unloading."""
        path = f"{ENTRIES}/entry/{self._entry_ids[PROVIDER]}/reload"
        await client.request("POST", path)
        log = self._running.hass.log
        text = await asyncio.to_thread(log.read_text, errors="replace")
        return [line for line in text.splitlines() if "rejected" in line and DOMAIN in line]

    async def pay_in_turn(self, client: Client) -> None:
        """Pay invoices one after the other, each some time after the one before is reported."""
        each = (PAYMENTS_SHORT if self._stage.short else PAYMENTS) // len(self._entry_ids)
        pause = PAUSE_SHORT if self._stage.short else PAUSE
        made: dict[str, list[SandboxInvoice]] = {}
        for key, entry_id in self._entry_ids.items():
            made[key] = await make_invoices(self._sandbox, self._dice, key, each)
            await add_invoices(client, entry_id, (invoice.id for invoice in made[key]))
            await wait_until_there(self._running, client, entry_id, key, made[key])
        self._stage.step(f"{each} invoices each are tracked, and paid in turn")
        dice = self._stage.dice("pauses")
        for invoice in chain.from_iterable(zip(*made.values(), strict=True)):
            await asyncio.sleep(dice.uniform(0, 2 * pause))
            await self._pay(invoice)
        self._stage.step("paid")
        for key, invoices in made.items():
            await self._measure(key, invoices)
        alone = await self._read_alone(made[PROVIDER])
        self.figures.append(
            Figure(f"{PROVIDER}, the reading alone, median", milliseconds(alone, 0.5))
        )

    async def _measure(self, key: str, invoices: Sequence[SandboxInvoice]) -> None:
        """Compare when pushes were sent with when they were answered and reported."""
        ids = {invoice.id for invoice in invoices}
        posted = {
            delivery["invoice_id"]: delivery
            for delivery in await self._sandbox.deliveries(key, 2 * len(invoices))
            if delivery["invoice_id"] in ids
        }
        latencies = [
            report.at - posted[report.invoice_id]["sent_at"]
            for report in await reports(self._sandbox)
            if report.invoice_id in posted
        ]
        answers = [delivery["seconds"] for delivery in posted.values()]
        if not latencies:
            raise DemoError(f"no payment at {key} was reported")
        self.figures += (
            Figure(f"{key}, pushed payments measured", len(latencies), must_be=len(invoices)),
            Figure(f"{key}, push to action, median", milliseconds(latencies, 0.5)),
            Figure(f"{key}, push to action, 99th percentile", milliseconds(latencies, 0.99)),
            Figure(f"{key}, push to action, longest", milliseconds(latencies, 1)),
            Figure(f"{key}, push to its answer, median", milliseconds(answers, 0.5)),
            Figure(f"{key}, push to its answer, 99th percentile", milliseconds(answers, 0.99)),
        )

    async def _read_alone(self, invoices: Sequence[SandboxInvoice]) -> list[float]:
        """Return how long the sandbox takes for a reading like those of the pushes."""
        provider = await provider_with(self._sandbox, PROVIDER, invoices)
        headers = {"Authorization": f"Token {provider.credentials['api_key']}"}
        url = f"{self._sandbox.url}/v2/invoice/merchant/info"
        taken = []
        async with aiohttp.ClientSession(headers=headers) as session:
            for number in range(READINGS_ALONE):
                began = monotonic()
                body = {"uuids": [invoices[number % len(invoices)].id]}
                async with session.post(url, json=body) as answer:
                    await answer.read()
                taken.append(monotonic() - began)
        return taken


STORY = Story(name="push", title="pushes, forged ones and payments", run=run)
