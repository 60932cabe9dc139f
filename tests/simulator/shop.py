"""A shop from its first day to its last: carries out a plan, and checks what is promised."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from functools import partial
import gc
import heapq
from itertools import count
from pathlib import Path
import shutil
import tempfile
from typing import Any, Self, TextIO
from unittest.mock import patch

from custom_components.crypto_invoices.providers.pages import each_once
from sandbox.app import create_app
from sandbox.core import SANDBOX
from sandbox.registry import PROVIDERS as PLAYED
from tests.explorer.virtual import VirtualLoop

from .bills import Bills, credentials_of
from .chance import Chance, clocks_of
from .checks import Checks
from .home import ShopHome, async_add_accounts
from .limits import AFTER_MIDNIGHT, BUSY_FOR, Limits, counted_lines, midnights
from .log import Log
from .losses import Losses
from .machine import Machine
from .mail import Mail
from .own_api import OWN_API
from .people import People
from .plan import DAY, FIRST, FIRST_AT, HOUR, Event, Plan
from .weather import Weather
from .wire import Session

_MEMORY = Path("/dev") / "shm"
# Nothing is planned in the first moments of a shop.
_OPENING = 30.0
# In seconds: what follows from a run has begun by then.
_MOMENT = 0.01
# Long enough for a refused key to be tried again, and for late money to be found.
_CALM = 3 * HOUR
_QUIET = 1.1 * HOUR
_FIRST_BILL = Event(
    at=0.0, kind="made", account=FIRST_AT, invoice=FIRST, what="USDT", amount=Decimal("12.50")
)
# Garbage is collected after so many days: less often is cheaper, and takes more memory.
_DAYS_OF_GARBAGE = 3


class Shop:
    """One run of a plan."""

    def __init__(self, plan: Plan, file: TextIO | None = None) -> None:
        """Build a street of providers and an empty house."""
        self.plan = plan
        self._stack = ExitStack()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        chance = Chance(plan.seed)
        memory = _MEMORY if _MEMORY.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="simulator-", dir=memory))
        self.loop = VirtualLoop(plan.begin)
        self.log = Log(self.loop.right, file)
        asyncio.set_event_loop(self.loop)
        self._stack.enter_context(_collected_by_hand())
        self._stack.enter_context(_credentials_kept())
        defaults: Any = each_once.__kwdefaults__
        self._stack.enter_context(patch.dict(defaults, size=plan.rows))
        self._stack.enter_context(chance.drawn())
        self._stack.enter_context(clocks_of(self.loop))
        app = create_app(clock=self.loop.right, providers={**PLAYED, OWN_API.key: OWN_API})
        app.freeze()
        self.app = app
        order = chance.of("order").choice(("newest_first", "oldest_first"))
        app[SANDBOX].set("cryptocloud", "order", order)
        self.weather = Weather(chance, self.loop.time, lambda: self.home.life)
        self.session = Session(app, chance, plan.dated, plan.late, self.weather, self.log)
        self.home = ShopHome(
            self.folder, self.loop, self.session, chance.of("automations"), self.log
        )
        self.bills = Bills(app, plan.auto_watched, self.log)
        self.mail = Mail(app, chance, plan.pushing, self.later, self.home.post, self.log)
        self.losses = Losses(self.home, self.bills)
        self.checks = Checks(self.home, self.bills, self.losses, self.weather)
        lines = self._stack.enter_context(counted_lines(self.weather))
        self.limits = Limits(self.home, self.bills, self.losses, self.weather, lines, plan.dated)
        self.machine = Machine(self.home, self.losses, self.later, self.log)
        self.people = People(self)
        # Whatever comes next of an invoice is announced then.
        self.home.ran = lambda: self.later(_MOMENT, self.checks.after_step)
        self._stack.enter_context(self.home.patched())
        self.begin = 0.0
        self.now: Event | None = None
        """What is happening."""

    def __enter__(self) -> Self:
        """Open."""
        return self

    def __exit__(self, *args: object) -> None:
        """Close for good, whatever happened."""
        try:
            self.loop.halt_in(None)
            if self.home.is_running:
                self.home.bury()
        finally:
            self._stack.close()
            self.loop.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Have something done in so many seconds, whatever becomes of Home Assistant."""
        at = self.loop.passed + max(seconds, 0.0)
        heapq.heappush(self._agenda, (at, next(self._numbers), do))

    def run(self) -> None:
        """Live through all of it. Raises AssertionError for a promise that is broken."""
        self._open()
        for event in self.plan.events:
            self.later(self.begin + event.at - self.loop.passed, partial(self._do, event))
        for day in range(1, int(self.plan.days) + 1):
            self.later(self.begin + day * DAY - self.loop.passed, partial(self._end_day, day))
        for seconds in midnights(self.loop.right(), self.plan.days):
            self.later(seconds + AFTER_MIDNIGHT, self.limits.after_midnight)
        self._pass_until(self.begin + self.plan.days * DAY)
        self._close()

    def _open(self) -> None:
        """Set up all accounts in their dialogs."""
        home = self.home
        self.machine.start_first()
        sandbox = self.app[SANDBOX]
        credentials = credentials_of(sandbox)
        sample = sandbox.store.create(OWN_API.key, order_id="a sample")
        credentials[OWN_API.key]["sample_id"] = sample.id
        self.bills.make(_FIRST_BILL)
        first = self.bills.all[FIRST]
        first.is_promised = True
        invoices = {FIRST_AT: first.invoice.id}
        adding = self.loop.create_task(
            async_add_accounts(home.hass, credentials, self.plan.auto_watched, invoices)
        )
        self._finish(adding)
        home.entry_ids = adding.result()
        for key in home.entry_ids:
            if key not in ("btcpay", "lnbits") and (entry := home.entry(key)):
                self.mail.webhook_ids[key] = entry.data["webhook_id"]
        self.loop.advance(_OPENING)
        self.begin = self.loop.passed

    def _finish(self, task: asyncio.Task[object]) -> None:
        """Let time pass until something is done."""
        for _ in range(120):
            if task.done():
                return
            self.loop.advance(1.0)
        raise AssertionError("it is never done")

    def _do(self, event: Event) -> None:
        """Let an event of the plan happen, and see whether all is well."""
        self.now = event
        self.log.write(f"--- {event}")
        if not self.machine.do(event):
            self.people.do(event)

    def _pass_until(self, until: float) -> None:
        """Let time pass, and everything happen when it is its turn."""
        while self.loop.passed < until or self._agenda:
            at, do = until, None
            if self._agenda and self._agenda[0][0] <= until:
                at, _, do = heapq.heappop(self._agenda)
            elif self.loop.passed >= until:
                return
            self._advance_to(at)
            if do is not None:
                do()
                self._advance_to(self.loop.passed)
                self.checks.after_step()

    def _advance_to(self, at: float) -> None:
        """Let time pass; Home Assistant may die on the way."""
        while True:
            self.loop.advance(min(max(at - self.loop.passed, 0.0), HOUR))
            if self.loop.is_halted:
                self.machine.die()
            elif self.loop.passed >= at:
                return

    def _end_day(self, day: int) -> None:
        """Count what there is, and forget at the providers what is long over."""
        self.bills.age()
        self.people.fulfill_the_rest()
        if day % _DAYS_OF_GARBAGE == 0:
            gc.collect()
            self.limits.note_memory(day)
        self.limits.at_the_end_of_a_day()
        if self.limits.is_busy:
            self.later(BUSY_FOR, self.limits.check_tasks)

    def _close(self) -> None:
        """Let everything come right, and see whether anything was lost."""
        self.now = None
        self.weather.calm()
        self.machine.calm()
        self.people.calm()
        self._pass_until(self.loop.passed + _CALM)
        # Nobody does anything any more, and what ended unpaid is polled once an hour.
        self._advance_to(self.loop.passed + _QUIET)
        self.checks.in_the_end()
        for key, entry_id in self.home.entry_ids.items():
            self.log.write(f"--- {key} is removed")
            removing = self.loop.create_task(self.home.hass.config_entries.async_remove(entry_id))
            self._finish(removing)
            removing.result()
        self.loop.advance(60)
        self.checks.after_removal()


@contextmanager
def _collected_by_hand() -> Iterator[None]:
    """Let garbage be collected every few days: when it is must not depend on anything else."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


@contextmanager
def _credentials_kept() -> Iterator[None]:
    """Let keys be changed for one run only."""
    with ExitStack() as stack:
        for provider in (*PLAYED.values(), OWN_API):
            for name in ("credentials", "invoicing_credentials"):
                stack.enter_context(patch.dict(getattr(provider, name)))
        yield
