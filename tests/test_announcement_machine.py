"""Payments, outages, lags, reloads and crashes in any order, against a model of what is told.

The real coordinator, ledger, announcer and trigger run on a made-up provider.
A crash drops everything that is in memory at a chosen await of the announce-
and-save path; what then comes up again is what had reached the disk.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
import os
import sys
from typing import Any, ClassVar, override
from unittest.mock import Mock, patch

from homeassistant.config_entries import ConfigEntryState, ConfigSubentryDataWithId
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import Context, CoreState, HomeAssistant
from homeassistant.helpers.trigger import TriggerConfig
from homeassistant.loader import DATA_CUSTOM_COMPONENTS, async_get_integration
from homeassistant.util import dt as dt_util
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    async_test_home_assistant,
    mock_storage,
)

from custom_components.crypto_invoices import hints as hints_module
from custom_components.crypto_invoices.announcer import Announcer
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.coordinator import CryptoInvoicesCoordinator
from custom_components.crypto_invoices.hints import HINT_INTERVAL
from custom_components.crypto_invoices.ledger import _LEDGERS, _LedgerStore, async_release_ledger
from custom_components.crypto_invoices.providers.base import Provider
from custom_components.crypto_invoices.providers.model import (
    Account,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus as S,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    Trouble,
)
from custom_components.crypto_invoices.trigger import TRIGGERS

from .conftest import CLOCK

INVOICES = ("A", "B", "C")
POINTS = ("scheduled", "action", "before write", "after write")
WORD = {
    "pay": S.PAID,
    "pay a part": S.PARTIALLY_PAID,
    "pay too much": S.OVERPAID,
    "revert": S.PENDING,
    "expire": S.EXPIRED,
}
invoices = st.sampled_from(INVOICES)


class World:
    """What is true at the provider, and what it says."""

    def __init__(self) -> None:
        """Begin with unpaid invoices and an honest provider."""
        self.now: dict[str, S] = dict.fromkeys(INVOICES, S.PENDING)
        self.before = dict(self.now)
        self.lagging: set[str] = set()
        self.dropped: set[str] = set()
        self.unknown: set[str] = set()
        self.trouble: ProviderError | None = None
        self.delivered: list[tuple[str, S]] = []

    def change(self, id_: str, status: S) -> None:
        """Let something happen to an invoice."""
        if self.now[id_] is not status:
            self.before[id_], self.now[id_] = self.now[id_], status

    def read(self, id_: str) -> S:
        """Return what is said of an invoice now."""
        if id_ in self.unknown:
            return S.UNKNOWN
        return self.before[id_] if id_ in self.lagging else self.now[id_]


class MadeUpProvider(Provider):
    """Reads from a world."""

    key = "made_up"
    name = "Made up"
    fields = ()
    batch_size = 10

    world: World

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        return text

    @override
    async def async_get_account(self) -> Account:
        return Account(unique_id="1", title="Made up")

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        if self.world.trouble:
            raise self.world.trouble
        found: dict[str, Invoice | ProviderError] = {}
        for id_ in ids:
            if id_ in self.world.dropped:
                found[id_] = InvoiceNotFound(id_)
                continue
            status = self.world.read(id_)
            self.world.delivered.append((id_, status))
            found[id_] = Invoice(id=id_, status=status, provider_status=status.value)
        return found


class Model:
    """What should be told of one invoice, in as few words as possible."""

    def __init__(self) -> None:
        """Begin unpaid."""
        self.belief = S.PENDING
        self.doubts = 0
        self.payments = 0
        self.transitions = 0

    def hear(self, status: S) -> None:
        """Take a reading in."""
        if status is S.UNKNOWN:
            return
        if status is self.belief:
            self.doubts = 0
            return
        order = [S.PENDING, S.PARTIALLY_PAID, S.EXPIRED, S.PAID, S.OVERPAID]
        if order.index(status) < order.index(self.belief):
            self.doubts += 1
            if self.doubts < 2:
                return
        self.doubts = 0
        self.payments += status.is_paid and not self.belief.is_paid
        self.belief = status
        self.transitions += 1


class Announcements(RuleBasedStateMachine):
    """One account of three invoices in a Home Assistant that is not treated well."""

    steps: ClassVar = Counter[str]()

    def __init__(self) -> None:
        """Prepare an empty disk and a loop of its own."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.disk: dict[str, Any] = {}
        self.storage: AbstractContextManager[Any] = mock_storage(self.disk)
        self.storage.__enter__()
        self.patch = patch.object(_LedgerStore, "_async_write_data", self._write())
        self.patch.start()
        self.no_gathering = patch.object(hints_module, "HINT_GATHERING", 0)
        self.no_gathering.start()
        self.world = World()
        self.models = {id_: Model() for id_ in INVOICES}
        self.told: list[tuple[str, dict[str, Any], int]] = []
        self.crashes = 0
        # Told just before a crash, so not saved: if the provider has taken it back by
        # the next reading, there is nothing more to tell.
        self.unsaved: set[str] = set()
        self.pause_at: str | None = None
        self.gate = asyncio.Event()
        self.living: list[CryptoInvoicesCoordinator] = []
        self.announcers: list[Announcer] = []
        self.polls: set[asyncio.Task[None]] = set()
        self.actions: set[asyncio.Task[None]] = set()

    @initialize()
    def start(self) -> None:
        """Start Home Assistant for the first time."""
        self.run(self._start())

    async def _start(self) -> None:
        self.manager: AbstractAsyncContextManager[HomeAssistant] = async_test_home_assistant()
        self.hass = await self.manager.__aenter__()
        self.hass.data.pop(DATA_CUSTOM_COMPONENTS)
        await async_get_integration(self.hass, DOMAIN)
        self.entry = MockConfigEntry(
            domain=DOMAIN,
            data={"provider": "made_up", "url": "http://made.up"},
            subentries_data=[
                ConfigSubentryDataWithId(
                    subentry_id=id_,
                    subentry_type="invoice",
                    data={"invoice_id": id_, "baseline": "pending"},
                    title=id_,
                    unique_id=id_,
                )
                for id_ in INVOICES
            ],
        )
        self.entry.add_to_hass(self.hass)
        trigger = TRIGGERS["status_changed"](self.hass, TriggerConfig("status_changed"))
        await trigger.async_attach_runner(self._run_action)
        await self._load()

    async def _load(self) -> None:
        """Load the account, as often as it takes while the provider is down."""
        trouble, self.world.trouble = self.world.trouble, None
        self.entry.mock_state(self.hass, ConfigEntryState.SETUP_IN_PROGRESS)
        provider = MadeUpProvider(Mock(), self.entry.data)
        provider.world = self.world
        self.living = [coordinator := CryptoInvoicesCoordinator(self.hass, self.entry, provider)]
        self.announcers.append(coordinator.announcer)
        pause, self.pause_at = self.pause_at, None
        await coordinator.async_config_entry_first_refresh()
        self.pause_at = pause
        self._hear()
        self.entry.mock_state(self.hass, ConfigEntryState.LOADED)
        self.stop_waiting = coordinator.announcer.async_start()
        self.world.trouble = trouble
        await self._settle()

    def _run_action(
        self,
        extra_trigger_payload: dict[str, Any],
        description: str,
        context: Context | None = None,
    ) -> asyncio.Task[None]:
        """Run an automation."""
        payload = extra_trigger_payload
        self.told.append((payload["invoice_id"], payload, self.crashes))
        self.unsaved.discard(payload["invoice_id"])
        assert self.hass.state is CoreState.running, "announced before Home Assistant had started"

        async def act() -> None:
            await self._reach("action")

        task = self.loop.create_task(act())
        self.actions.add(task)
        return task

    def _write(self) -> Any:
        """Return a write that can be interrupted, and that the dead don't finish."""
        write = _LedgerStore._async_write_data

        async def interrupted(store: _LedgerStore, data: dict[str, Any]) -> None:
            if not self.living or store is not self.living[0].ledger._store:
                return
            await self._reach("before write")
            if not self.living or store is not self.living[0].ledger._store:
                return
            await write(store, data)
            await self._reach("after write")

        return interrupted

    async def _reach(self, point: str) -> None:
        """Come to a point, and stay there if that is what was chosen."""
        if self.pause_at == point:
            await self.gate.wait()

    async def _settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(60):
            await asyncio.sleep(0)

    def run[T](self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a step."""
        return self.loop.run_until_complete(coroutine)

    def _hear(self) -> None:
        """Let the model hear what was delivered."""
        for id_, status in self.world.delivered:
            self.models[id_].hear(status)
        self.world.delivered.clear()

    async def _poll(self) -> None:
        """Poll, up to where the pause is."""
        # Long enough for every invoice that is not final to be due.
        CLOCK.passed += 24 * 60 * 60
        for id_ in INVOICES:
            self.living[0]._pace.plan_at_once(id_)
        task = self.loop.create_task(self.living[0].async_refresh())
        self.polls.add(task)
        if self.pause_at == "scheduled":
            # Just far enough that the announcement waits for its turn.
            await asyncio.wait((task,))
        else:
            await self._settle()
        self._hear()

    @rule(id_=invoices, what=st.sampled_from(sorted(WORD)))
    def something_happens(self, id_: str, what: str) -> None:
        """Pay, pay a part, revert, expire."""
        self.steps[what] += 1
        self.world.change(id_, WORD[what])

    @rule(
        lagging=st.sets(invoices),
        dropped=st.sets(invoices, max_size=1),
        unknown=st.sets(invoices, max_size=1),
    )
    def provider_misbehaves(self, lagging: set[str], dropped: set[str], unknown: set[str]) -> None:
        """Lag behind, leave rows out, or use words nobody knows."""
        self.steps["misbehave"] += 1
        self.world.lagging, self.world.dropped, self.world.unknown = lagging, dropped, unknown

    @rule(
        trouble=st.sampled_from(
            [None, None, ProviderUnavailable(Trouble.TIMEOUT), RateLimited(5), RateLimited(None)]
        )
    )
    def provider_fails(self, trouble: ProviderError | None) -> None:
        """Time out, ask for fewer requests, or recover."""
        self.steps["fail"] += 1
        self.world.trouble = trouble

    @rule()
    def poll(self) -> None:
        """Poll."""
        self.steps["poll"] += 1
        self.run(self._poll())

    @rule(ids=st.sets(invoices, min_size=1))
    def hint(self, ids: set[str]) -> None:
        """Hint at some invoices, as a push does."""
        self.steps["hint"] += 1
        CLOCK.passed += HINT_INTERVAL
        self.run(self._hint(ids))

    async def _hint(self, ids: set[str]) -> None:
        if look := self.living[0].async_hint(ids):
            self.polls.add(look)
        await self._settle()
        self._hear()

    @rule(point=st.sampled_from(POINTS))
    @precondition(lambda self: self.pause_at is None)
    def poll_and_pause(self, point: str) -> None:
        """Poll, and stop at a point of the way from the reading to the saved announcement."""
        self.steps["pause"] += 1
        self.pause_at = point
        self.run(self._poll())

    @rule()
    @precondition(lambda self: self.pause_at is not None)
    def go_on(self) -> None:
        """Go on from there."""
        self.steps["go on"] += 1
        self.pause_at = None
        self.run(self._go_on())

    async def _go_on(self) -> None:
        self.gate.set()
        await self._settle()
        self.gate.clear()

    @rule()
    @precondition(lambda self: self.pause_at == "action")
    def action_takes_long(self) -> None:
        """Let an action run for more than ten seconds."""
        self.steps["ten seconds"] += 1
        async_fire_time_changed(self.hass, dt_util.utcnow() + timedelta(seconds=11))
        self.run(self._settle())

    @rule(starting=st.booleans())
    def crash(self, *, starting: bool) -> None:
        """Lose everything but the disk; come up again, starting or in the middle of things."""
        self.steps["crash"] += 1
        self.run(self._crash(starting=starting))

    async def _crash(self, *, starting: bool) -> None:
        self.crashes += 1
        dead = self.living.pop()
        runs = {run for announcer in self.announcers for run in announcer._runs}
        tasks = {*runs, *self.polls, *self.actions}
        self.hass.data[_LEDGERS].clear()
        self.stop_waiting()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await dead.async_shutdown()
        dead._sync.async_shutdown()
        self.polls.clear()
        self.actions.clear()
        self.pause_at = None
        self.world.delivered.clear()
        on_disk = self.disk[f"{DOMAIN}.{self.entry.entry_id}"]["data"]["invoices"]
        last = self._last_told()
        for id_, model in self.models.items():
            model.belief, model.doubts = S(on_disk[id_]["status"]), 0
            if last[id_] != on_disk[id_]["status"]:
                self.unsaved.add(id_)
        if starting:
            self.hass.set_state(CoreState.starting)
        await self._load()

    @rule()
    @precondition(lambda self: self.pause_at in (None, "action"))
    def reload(self) -> None:
        """Reload the account."""
        self.steps["reload"] += 1
        self.run(self._reload())

    async def _reload(self) -> None:
        coordinator = self.living[0]
        self.stop_waiting()
        waiting = {transition.subentry_id for transition in coordinator.announcer._waiting}
        coordinator.announcer.async_stop()
        async_release_ledger(self.hass, self.entry.entry_id)
        outlives = self.entry.entry_id in self.hass.data[_LEDGERS]
        await coordinator.async_shutdown()
        coordinator._sync.async_shutdown()
        for id_, model in self.models.items():
            if not outlives:
                model.doubts = 0
            if id_ in waiting:
                # Not told yet: it is found again, if it is still so.
                model.belief = coordinator.ledger.statuses()[id_]
                model.transitions = -(10**6)
        await self._load()

    @rule()
    @precondition(lambda self: self.hass.state is not CoreState.running)
    def started(self) -> None:
        """Home Assistant has started, and automations listen."""
        self.steps["started"] += 1
        self.hass.set_state(CoreState.running)
        self.hass.bus.async_fire_internal(EVENT_HOMEASSISTANT_STARTED)
        self.run(self._settle())

    @invariant()
    def nothing_comes_twice(self) -> None:
        """An ID is told again only if there was a crash between."""
        last: dict[str, int] = {}
        for _, payload, crashes in self.told:
            id_ = payload["announcement_id"]
            assert id_ not in last or last[id_] < crashes, f"{id_} came twice"
            last[id_] = crashes

    def _last_told(self) -> dict[str, str]:
        """Return which status of each invoice was told last."""
        last = dict.fromkeys(INVOICES, S.PENDING.value)
        for id_, payload, _ in self.told:
            last[id_] = payload["status"]
        return last

    @rule()
    def calm(self) -> None:
        """When everything works again, what was told last is what is so: nothing is lost."""
        self.steps["calm"] += 1
        self.world.trouble = None
        self.world.lagging, self.world.dropped, self.world.unknown = set(), set(), set()
        self.pause_at = None
        self.run(self._go_on())
        if self.hass.state is not CoreState.running:
            self.started()
        for _ in range(2):
            self.run(self._poll())
        last = self._last_told()
        for id_, model in self.models.items():
            if id_ not in self.unsaved:
                assert last[id_] == self.world.now[id_].value, "lost"
            mine = [payload for told, payload, _ in self.told if told == id_]
            payments = [
                payload
                for payload in mine
                if S(payload["status"]).is_paid and not S(payload["previous_status"]).is_paid
            ]
            assert payments or not self.world.now[id_].is_paid, "a payment is lost"
            ids = {payload["announcement_id"] for payload in payments}
            assert len(ids) <= model.payments, "more payments told than made"
            if not self.crashes and model.transitions >= 0:
                assert len(payments) == model.payments, "a payment is lost or doubled"
                assert len(mine) == model.transitions

    def teardown(self) -> None:
        """Check a last time, and stop."""
        try:
            if hasattr(self, "hass"):
                self.calm()
        finally:
            if hasattr(self, "hass"):
                self.run(self._stop())
            self.patch.stop()
            self.no_gathering.stop()
            self.storage.__exit__(None, None, None)
            self.loop.close()

    async def _stop(self) -> None:
        self.stop_waiting()
        await self.living[0].async_shutdown()
        self.living[0]._sync.async_shutdown()
        await self.hass.async_stop(force=True)
        await self.manager.__aexit__(None, None, None)


def test_machine(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing lost, nothing doubled, nothing before the start."""
    Announcements.steps.clear()
    run_state_machine_as_test(
        Announcements,
        settings=settings(
            max_examples=int(os.environ.get("MACHINE_EXAMPLES", "150")),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with capsys.disabled():
        sys.stdout.write(
            f"\n{Announcements.steps.total()} steps: {dict(Announcements.steps.most_common())}\n"
        )
