"""Payments while Home Assistant is killed: each is announced, and nothing else is."""

import asyncio
from collections import deque
from time import monotonic

from demo.client import Client
from tests.e2e.kill_plan import plan
from tests.e2e.ordeal import PROVIDERS, Ordeal
from tests.e2e.payer import Payer, customers
from tests.e2e.reporting import DELAYS_BEFORE, KEY, LONGEST_RUN, automation, reports
from tests.e2e.story import Figure, Outcome, Stage, Story
from tests.e2e.tally import count
from tests.e2e.world import World, make_invoices, track_in_two_steps, until, wait_until_saved, world

PAYING, NOT_PAYING = 200, 20
PAYING_SHORT, NOT_PAYING_SHORT = 40, 4
# About how long a life is, in seconds.
LIFE = 7


async def run(stage: Stage) -> Outcome:
    """Set up, pay and kill, let it settle, and count."""
    numbers = (PAYING_SHORT, NOT_PAYING_SHORT) if stage.short else (PAYING, NOT_PAYING)
    began = monotonic()
    async with world(stage) as running:
        usual_start = monotonic() - began
        payer = await _set_up(stage, running, *numbers)
        ordeal = Ordeal(stage, running, payer, usual_start)
        await _suffer(stage, payer, ordeal)
        again = () if stage.short else (await _restart(stage, running, ordeal),)
        await ordeal.end_in_order()
        tally = count(payer.payments, await reports(running.sandbox), ordeal.kills)
    return Outcome(
        figures=(
            *tally.figures,
            *again,
            Figure("kills", len(ordeal.kills)),
            Figure("starts", ordeal.starts),
            Figure("errors in the log", len(ordeal.complaints), must_be=0),
        ),
        wrong=(*tally.evidence, *ordeal.complaints),
    )


async def _set_up(stage: Stage, running: World, paying: int, not_paying: int) -> Payer:
    """Make the invoices, track them as a user does, and have their payments reported."""
    dice = stage.dice("invoices")
    each = (paying + not_paying) // len(PROVIDERS)
    made = {key: await make_invoices(running.sandbox, dice, key, each) for key in PROVIDERS}
    async with Client.login(running.hass.url) as client:
        await client.ws.wait_until_started()
        stage.step("Home Assistant has started")
        await client.save_automation(KEY, automation())
        for key, invoices in made.items():
            await track_in_two_steps(running, client, key, invoices)
        await wait_until_saved(running.hass, each * len(PROVIDERS))
    stage.step(f"{each} invoices are tracked at each of {', '.join(PROVIDERS)}")
    everyone = [invoice for invoices in made.values() for invoice in invoices]
    waiting = deque(customers(stage.dice("customers"), everyone, paying))
    return Payer(running.sandbox, stage.dice("payer"), waiting)


async def _suffer(stage: Stage, payer: Payer, ordeal: Ordeal) -> None:
    """Pay all along, be killed again and again, and come to rest."""
    kills = plan(stage.dice("kills"), short=stage.short)
    everyone, lives = len(payer.waiting), len(kills) + 1
    payer.pause = LIFE * lives / everyone
    paying = asyncio.create_task(payer.run())
    try:
        await ordeal.die_after_set_up()
        for number, kill in enumerate(kills, start=1):
            payer.quota = everyone * number // lives
            await ordeal.die(kill)
        async with ordeal.life() as client:
            payer.quota, payer.pause = everyone, 0.05
            await paying
            await _settle(ordeal, client)
    finally:
        paying.cancel()
    stage.step("settled")


async def _settle(ordeal: Ordeal, client: Client) -> None:
    """Read until everything is reported and saved; what isn't by then is lost."""
    for _ in range(12):
        await ordeal.read(client)
        if await until(ordeal.all_are_reported, patience=5):
            break
    await asyncio.sleep(LONGEST_RUN + 1)


async def _restart(stage: Stage, running: World, ordeal: Ordeal) -> Figure:
    """Restart in order, and return how many announcements came again."""
    await ordeal.end_in_order()
    before = len(await reports(running.sandbox))
    async with ordeal.life():
        await asyncio.sleep(max(DELAYS_BEFORE) + 1)
    stage.step("restarted in order")
    again = len(await reports(running.sandbox)) - before
    return Figure("announced again after an orderly restart", again, must_be=0)


STORY = Story(name="kill", title="payments while Home Assistant is killed", run=run)
