"""The lives of a Home Assistant that is killed again and again."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
import re
from time import monotonic

from demo import DOMAIN, DemoError
from demo.client import Client

from .kill_plan import Moment, PlannedKill
from .payer import Payer
from .reporting import LONGEST_RUN, reports
from .story import Stage
from .tally import Kill
from .world import World, until

# One reads all invoices at once, the other one by one.
PROVIDERS = ("cryptocloud", "egates")
# What the coordinator logs of an outage, once.
_OUTAGE = re.compile(r"\A[^\n]* Error fetching crypto_invoices [^\n]*\Z")


class Ordeal:
    """Starts Home Assistant, has it read, kills it, and remembers all that."""

    def __init__(self, stage: Stage, running: World, payer: Payer, usual_start: float) -> None:
        """Begin with the first start, and nothing killed yet."""
        self._stage = stage
        self._sandbox, self._hass = running.sandbox, running.hass
        self._payer = payer
        self._usual_start = usual_start
        self._reads: set[asyncio.Task[None]] = set()
        self._faulty = False
        self.kills: list[Kill] = []
        self.starts = 1
        self.complaints: list[str] = []

    async def die_after_set_up(self) -> None:
        """Die before Home Assistant has saved its registries, which takes it a while."""
        await self._kill(all_saved=True)
        self._keep_log()
        self._stage.step("kill 1 after the set-up")

    async def die(self, planned: PlannedKill) -> None:
        """Live up to a kill, and die by it."""
        began = monotonic()
        if planned.moment is Moment.STARTING:
            await self._die_while_starting(0.1 + planned.share * self._usual_start)
        else:
            async with self.life() as client:
                await _MOMENTS[planned.moment](self, client, planned)
                await self._kill(all_saved=planned.moment is Moment.QUIET)
        self._keep_log()
        self._faulty = bool(planned.fault and planned.at_next_start)
        left = planned.at_next_start
        for provider in PROVIDERS:
            await self._sandbox.switch_fault(provider, planned.fault if left else None, left)
        told = await self.reported()
        self._stage.step(
            f"kill {len(self.kills)} {planned.moment}"
            f"{f': {planned.fault}' if planned.fault else ''}, after {monotonic() - began:.1f} s;"
            f" {len(self._payer.payments)} paid, {told} reported"
        )

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[Client]:
        """Start it, and forget the readings that its end interrupts."""
        self.starts += 1
        began = monotonic()
        await self._hass.start()
        async with Client.login(self._hass.url) as client:
            await client.ws.wait_until_started()
            self._usual_start = monotonic() - began
            try:
                yield client
            finally:
                reads, self._reads = self._reads, set()
                for read in reads:
                    read.cancel()
                await asyncio.gather(*reads, return_exceptions=True)

    async def end_in_order(self) -> None:
        """Stop it as a user does."""
        await self._hass.stop()
        self._keep_log()

    async def read(self, client: Client) -> None:
        """Have every invoice read, without waiting for it."""
        entities = [
            entity["entity_id"]
            for entity in await client.registered_entities(DOMAIN)
            if entity["unique_id"].endswith("_status")
        ]
        read = asyncio.create_task(self._read(client, entities))
        self._reads.add(read)
        read.add_done_callback(self._reads.discard)

    async def _read(self, client: Client, entities: list[str]) -> None:
        # A kill may come first.
        with suppress(DemoError):
            await client.call("homeassistant.update_entity", {"entity_id": entities})

    async def reported(self) -> int:
        """Return how many of the paid invoices were reported."""
        told = {report.invoice_id for report in await reports(self._sandbox)}
        return len(told & self._payer.payments.keys())

    async def all_are_reported(self) -> bool:
        """Return whether every paid invoice was reported."""
        paid = len(self._payer.payments)
        return await self.reported() == paid

    async def _die_while_starting(self, seconds: float) -> None:
        self.starts += 1
        start = asyncio.create_task(self._hass.start())
        await asyncio.sleep(seconds)
        if not start.done():
            # Its end, when interrupted, is a kill.
            self.kills.append(Kill(at=monotonic(), all_saved=False))
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            return
        await start
        await self._kill(all_saved=False)

    async def _kill(self, *, all_saved: bool) -> None:
        if not self._hass.pid:
            raise DemoError("Home Assistant ended by itself", *self._hass.log_tail())
        self.kills.append(Kill(at=monotonic(), all_saved=all_saved))
        await self._hass.kill()

    def _keep_log(self) -> None:
        """Put the log aside, which the next start but one would throw away."""
        self.complaints += [
            f"start {self.starts}: {entry}"
            for entry in self._hass.complaints()
            if not (self._faulty and _OUTAGE.match(entry))
        ]
        logs = self._stage.folder / "logs"
        logs.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            self._hass.log.rename(logs / f"start-{self.starts:02}.log")

    async def after_start(self, client: Client, planned: PlannedKill) -> None:
        """Be killed soon after automations are armed and what waited is announced."""
        await asyncio.sleep(planned.share * 1.5)

    async def after_payment(self, client: Client, planned: PlannedKill) -> None:
        """Be killed around the reading that shows a payment."""
        await asyncio.sleep(1)
        await self._payer.next_ones(2)
        await self.read(client)
        await asyncio.sleep(planned.share * 0.3)

    async def after_report(self, client: Client, planned: PlannedKill) -> None:
        """Be killed between a run's report and its save."""
        await asyncio.sleep(planned.share * 2)
        before = len(await reports(self._sandbox))
        await self._payer.next_ones(4)
        await self.read(client)

        async def one_more() -> bool:
            return len(await reports(self._sandbox)) > before

        await until(one_more, LONGEST_RUN)
        await asyncio.sleep(planned.share * 0.1)

    async def with_fault(self, client: Client, planned: PlannedKill) -> None:
        """Be killed while the providers can't be read."""
        self._faulty = True
        await asyncio.sleep(planned.share)
        for provider in PROVIDERS:
            await self._sandbox.switch_fault(provider, planned.fault)
        await self._payer.next_ones(2)
        await self.read(client)
        await asyncio.sleep(planned.share * 1.5)

    async def in_peace(self, client: Client, planned: PlannedKill) -> None:
        """Be killed when everything that was announced is saved."""

        async def all_are_loaded() -> bool:
            entries = await client.config_entries(DOMAIN)
            return all(entry["state"] == "loaded" for entry in entries)

        async with self._payer.door:
            await until(all_are_loaded)
            await self.read(client)
            await until(self.all_are_reported)
            await asyncio.sleep(LONGEST_RUN + 1 + planned.share)


_MOMENTS: Mapping[Moment, Callable[[Ordeal, Client, PlannedKill], Awaitable[None]]] = {
    Moment.STARTED: Ordeal.after_start,
    Moment.PAYMENT: Ordeal.after_payment,
    Moment.REPORT: Ordeal.after_report,
    Moment.FAULT: Ordeal.with_fault,
    Moment.QUIET: Ordeal.in_peace,
}
