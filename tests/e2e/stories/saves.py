"""Payments while automations are saved, reloaded and switched: each that is on hears each once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import monotonic
from typing import Any, Self

from demo import DOMAIN, DemoError
from demo.client import Client
from demo.sandbox import Sandbox, SandboxInvoice
from tests.e2e.story import Dice, Figure, Outcome, Stage, Story
from tests.e2e.world import World, make_invoices, track_in_two_steps, until, wait_until_saved, world

PROVIDER = "cryptocloud"
AUTOMATIONS, AUTOMATIONS_SHORT = 50, 15
PAYMENTS, PAYMENTS_SHORT = 300, 40
# How long until the next one pays, on average, and until somebody touches an automation.
PAUSE, PAUSE_SHORT = 0.5, 0.3
TOUCHED_EVERY = 0.15
# How long an action waits before and after it reports.
DELAYS = (0, 0, 0.3, 1)
LONGEST_RUN = 2 * max(DELAYS)
# A report that is on its way when its automation is touched.
LINGERING = 0.5
# A save is answered before the automation is another one.
SAVED_WITHIN = 3
PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Span:
    """From before something was done to after."""

    begin: float
    end: float

    def overlaps(self, begin: float, end: float) -> bool:
        """Whether anything of it lies between two moments."""
        return self.begin <= end and begin <= self.end


@dataclass(frozen=True, slots=True)
class Heard:
    """A run that reported: of which automation, of what, and when."""

    at: float
    automation: str
    invoice_id: str
    announcement_id: str
    attempt: int

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> Self:
        """Take what the sandbox has kept."""
        told = entry["report"]
        return cls(
            entry["monotonic"],
            str(told["automation"]),
            str(told["invoice_id"]),
            str(told["announcement_id"]),
            int(told["attempt"]),
        )


@dataclass(slots=True)
class Automation:
    """An automation, and what was done to it."""

    key: str
    entity_id: str = ""
    version: int = 0
    cuts: list[Span] = field(default_factory=list)
    """When its runs may have been cut by a save or a reload."""
    off: list[Span] = field(default_factory=list)
    """When it was off, at least in part."""

    def config(self) -> dict[str, Any]:
        """Return it as its editor saves it."""
        report = (
            f"{{{{ {{'automation': '{self.key}', 'invoice_id': trigger.invoice_id,"
            " 'announcement_id': trigger.announcement_id, 'attempt': trigger.attempt} }}"
        )
        delay = {"delay": {"seconds": f"{{{{ {list(DELAYS)} | random }}}}"}}
        return {
            "alias": self.key,
            "description": f"Version {self.version}",
            "triggers": [{"trigger": f"{DOMAIN}.paid"}],
            "actions": [
                delay,
                {"action": "rest_command.report", "data": {"report": report}},
                delay,
                # Something is left to do: a cut in the delay before is one.
                {"event": "till_done"},
            ],
            "mode": "parallel",
            "max": 1000,
        }


class Saves:
    """What happens to the automations."""

    def __init__(self, client: Client, dice: Dice, number: int) -> None:
        """Begin with automations that are not saved yet."""
        self._client = client
        self._dice = dice
        self.automations = {key: Automation(key) for key in (f"till_{n}" for n in range(number))}
        self.touched = 0

    async def save_all(self) -> None:
        """Create them."""
        for automation in self.automations.values():
            await self._client.save_automation(automation.key, automation.config())

        async def all_are_there() -> bool:
            for entity in await self._client.registered_entities("automation"):
                if entity["unique_id"] in self.automations:
                    self.automations[entity["unique_id"]].entity_id = entity["entity_id"]
            return all(automation.entity_id for automation in self.automations.values())

        if not await until(all_are_there):
            raise DemoError("the automations were not there in time")

    async def touch_now_and_then(self) -> None:
        """Save, reload and switch, for ever."""
        touches: Sequence[Callable[[Automation], Awaitable[None]]] = (
            *(self._save,) * 6,
            *(self._reload,) * 1,
            *(self._switch,) * 3,
        )
        everyone = list(self.automations.values())
        while True:
            await asyncio.sleep(self._dice.uniform(0, 2 * TOUCHED_EVERY))
            await self._dice.choice(touches)(self._dice.choice(everyone))
            self.touched += 1

    async def _save(self, automation: Automation) -> None:
        """Save it with a change; it is active a moment after the answer."""
        automation.version += 1
        begin = monotonic()
        await self._client.save_automation(automation.key, automation.config())
        automation.cuts.append(Span(begin, monotonic() + SAVED_WITHIN))

    async def _reload(self, _: Automation) -> None:
        """Reload all of them, which touches those whose save is not active yet."""
        begin = monotonic()
        await self._client.call("automation.reload")
        for automation in self.automations.values():
            automation.cuts.append(Span(begin, monotonic()))

    async def _switch(self, automation: Automation) -> None:
        """Switch it off for a while, and on again."""
        begin = monotonic()
        try:
            await self._client.call("automation.turn_off", {"entity_id": automation.entity_id})
            await asyncio.sleep(self._dice.uniform(0, 1))
            await self._client.call("automation.turn_on", {"entity_id": automation.entity_id})
        finally:
            automation.off.append(Span(begin, monotonic()))


class Reports:
    """What the automations report; the sandbox keeps only the latest."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Begin with none."""
        self._sandbox = sandbox
        self._seen: dict[Heard, None] = {}

    async def fetch(self) -> list[Heard]:
        """Return all so far, oldest first."""
        for entry in await self._sandbox.reports():
            self._seen[Heard.parse(entry)] = None
        return sorted(self._seen, key=lambda heard: heard.at)

    async def fetch_now_and_then(self) -> None:
        """Fetch them before the sandbox forgets any, for ever."""
        while True:
            await asyncio.sleep(5)
            await self.fetch()


async def run(stage: Stage) -> Outcome:
    """Set up, pay while automations are touched, let it come to rest, and count."""
    number = PAYMENTS_SHORT if stage.short else PAYMENTS
    async with world(stage) as running, Client.login(running.hass.url) as client:
        await client.ws.wait_until_started()
        saves = Saves(
            client, stage.dice("saves"), AUTOMATIONS_SHORT if stage.short else AUTOMATIONS
        )
        await saves.save_all()
        invoices = await make_invoices(running.sandbox, stage.dice("invoices"), PROVIDER, number)
        entry_id = await track_in_two_steps(running, client, PROVIDER, invoices)
        await wait_until_saved(running.hass, number)
        stage.step(f"{len(saves.automations)} automations, {number} invoices")
        reports = Reports(running.sandbox)
        touching = [
            asyncio.create_task(saves.touch_now_and_then()),
            asyncio.create_task(reports.fetch_now_and_then()),
        ]
        try:
            paid = await _pay(stage, running, client, entry_id, invoices)
        finally:
            for task in touching:
                task.cancel()
            await asyncio.gather(*touching, return_exceptions=True)
        for automation in saves.automations.values():
            await client.call("automation.turn_on", {"entity_id": automation.entity_id})

        async def nothing_is_missing() -> bool:
            return not _missing(saves, paid, await reports.fetch())

        await until(nothing_is_missing, PATIENCE)
        await asyncio.sleep(LONGEST_RUN + 1)
        heard = await reports.fetch()
        complaints = running.hass.complaints()
    return _count(saves, paid, heard, complaints)


async def _pay(
    stage: Stage,
    running: World,
    client: Client,
    entry_id: str,
    invoices: Sequence[SandboxInvoice],
) -> dict[str, float]:
    """Pay all of them, and have them read; return when each was paid."""
    dice = stage.dice("payments")
    entities = {
        entity["unique_id"]: entity["entity_id"]
        for entity in await client.registered_entities(DOMAIN)
    }
    paid: dict[str, float] = {}
    unread: list[str] = []

    async def read() -> None:
        while True:
            await asyncio.sleep(1)
            some, unread[:] = list(unread), []
            if some:
                await client.call("homeassistant.update_entity", {"entity_id": some})

    reading = asyncio.create_task(read())
    try:
        for invoice in dice.sample(invoices, len(invoices)):
            await asyncio.sleep(dice.uniform(0, 2 * (PAUSE_SHORT if stage.short else PAUSE)))
            paid[invoice.id] = monotonic()
            await running.sandbox.act(invoice, "pay")
            unread.append(entities[f"{entry_id}_{invoice.id}_status"])
        await asyncio.sleep(3)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    stage.step(f"{len(paid)} are paid")
    return paid


def _missing(saves: Saves, paid: dict[str, float], heard: Sequence[Heard]) -> list[str]:
    """Return which automation has not heard of which payment, though it was on all along."""
    by_pair = {(one.automation, one.invoice_id) for one in heard}
    latest: dict[str, float] = {}
    for one in heard:
        latest[one.invoice_id] = max(one.at, latest.get(one.invoice_id, 0))
    return [
        f"{automation.key} {invoice_id}"
        for invoice_id, at in paid.items()
        for automation in saves.automations.values()
        if (automation.key, invoice_id) not in by_pair
        and not any(
            span.overlaps(at, latest.get(invoice_id, at) + LONGEST_RUN) for span in automation.off
        )
    ]


def _repeats(saves: Saves, heard: Sequence[Heard]) -> tuple[int, list[str]]:
    """Return how many runs came again after a cut, and which did for no reason."""
    by_pair: dict[tuple[str, str], list[Heard]] = {}
    for one in heard:
        by_pair.setdefault((one.automation, one.invoice_id), []).append(one)
    number, for_no_reason = 0, []
    for (key, invoice_id), runs in by_pair.items():
        for first, again in pairwise(runs):
            number += 1
            cuts = saves.automations[key].cuts
            if again.attempt <= first.attempt or not any(
                cut.overlaps(first.at - LINGERING, again.at) for cut in cuts
            ):
                for_no_reason.append(f"{key} {invoice_id} {first} {again}")
    return number, for_no_reason


def _count(
    saves: Saves, paid: dict[str, float], heard: Sequence[Heard], complaints: Sequence[str]
) -> Outcome:
    """Compare what was paid with what was heard."""
    missing = _missing(saves, paid, heard)
    again, for_no_reason = _repeats(saves, heard)
    ids: dict[str, set[str]] = {}
    for one in heard:
        ids.setdefault(one.invoice_id, set()).add(one.announcement_id)
    other_ids = [invoice_id for invoice_id, found in ids.items() if len(found) > 1]
    unpaid = [one.invoice_id for one in heard if one.at < paid.get(one.invoice_id, one.at + 1)]
    return Outcome(
        figures=(
            Figure("automations", len(saves.automations)),
            Figure("paid", len(paid)),
            Figure("saved, reloaded or switched", saves.touched),
            Figure("heard", len({(one.automation, one.invoice_id) for one in heard})),
            Figure("heard at a later attempt", sum(one.attempt > 1 for one in heard)),
            Figure("heard again after a cut", again - len(for_no_reason)),
            Figure("not heard though on", len(missing), must_be=0),
            Figure("heard again for no reason", len(for_no_reason), must_be=0),
            Figure("heard with another id", len(other_ids), must_be=0),
            Figure("heard though unpaid", len(unpaid), must_be=0),
            Figure("errors in the log", len(complaints), must_be=0),
        ),
        wrong=(*missing[:20], *for_no_reason[:20], *other_ids[:20], *complaints),
    )


STORY = Story(name="saves", title="payments while automations are saved and switched", run=run)
