"""What the rules are made of: one step each, and what is checked after it and in the end."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
import shutil
import tempfile
from typing import Any, ClassVar, override

from homeassistant.config_entries import ConfigEntryState
from homeassistant.helpers import device_registry as dr
from hypothesis import strategies as st
from hypothesis.stateful import Rule, RuleBasedStateMachine, initialize

from custom_components.crypto_invoices import async_remove_config_entry_device, backup
from custom_components.crypto_invoices.book.book import Book
from custom_components.crypto_invoices.identifiers import invoice_device
from custom_components.crypto_invoices.watching import async_watch

from .checks import Checks
from .home import AUTOMATIONS, Home
from .virtual import VirtualLoop
from .world import ELSEWHERE, EVENTS, INVOICES, Truth, World

_ORDER = "an order"
# How long after it was made an invoice is listed, where that is late.
_LATE = 600.0
# An announcement has ten seconds.
HEARD_AFTER = 15.0
GATES = ("answers", "writes", "reads", "actions", "arming")
# A disk that nobody waits for, where there is one.
_MEMORY = Path("/dev") / "shm"
invoices = st.sampled_from(INVOICES)
events = st.sampled_from(sorted(EVENTS))
automations = st.sampled_from(AUTOMATIONS)
slow_starts = st.sampled_from([False, False, True])


class Steps(RuleBasedStateMachine):
    """One account of three invoices and two automations, before anything happens to it."""

    steps: ClassVar = Counter[str]()

    def __init__(self) -> None:
        """Prepare an empty disk."""
        super().__init__()
        memory = _MEMORY if _MEMORY.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="explorer-", dir=memory))
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self.world = World()
        self.home = Home(self.folder, self.loop, self.world)
        self.patched = self.home.patched()
        self.patched.__enter__()
        self.checks = Checks(self.home, self.world)
        self.story: list[str] = []

    @override
    def _repr_step(self, rule: Rule, data: Any, result: Any) -> str:
        """Return what was done, as a line of a story."""
        return f"- {self.story[-1]}"

    def _do(self, words: str) -> None:
        """Note what is done, in words."""
        self.story.append(words)
        self.steps[words] += 1

    @initialize(
        has_clock=st.booleans(),
        is_newest_first=st.booleans(),
        auto_watch=st.booleans(),
        order_id=st.sampled_from([None, _ORDER]),
    )
    def start(
        self, *, has_clock: bool, is_newest_first: bool, auto_watch: bool, order_id: str | None
    ) -> None:
        """Start Home Assistant for the first time."""
        self._do(
            f"the provider {'says' if has_clock else 'never says'} what time it is,"
            f" the {'newest' if is_newest_first else 'oldest'} invoice is listed first,"
            f" automatic watching is {'on' if auto_watch else 'off'}"
            f" for {'one order' if order_id else 'all orders'}"
        )
        self.world.clock = self.loop.right if has_clock else None
        self.world.is_newest_first = is_newest_first
        self.order_id = order_id
        self.home.set_options(auto_watch=auto_watch, order_id=order_id)
        self.loop.run(self.home.async_start())
        self.home.started()

    @property
    def next_elsewhere(self) -> str:
        """The invoice that is made elsewhere next."""
        return ELSEWHERE[len(self.world.made)]

    @property
    def has_more(self) -> bool:
        """Whether another one can be made elsewhere."""
        return len(self.world.made) < len(ELSEWHERE)

    @property
    def has_room_for_two(self) -> bool:
        """Whether two more can be made elsewhere."""
        return len(self.world.made) + 2 <= len(ELSEWHERE)

    def _make(self, *, is_late: bool = False, is_dated: bool = True, is_wanted: bool = True) -> str:
        """Make an invoice elsewhere."""
        id_, now = self.next_elsewhere, self.loop.passed
        self.world.truth[id_] = Truth(
            since=now,
            # Providers tell whole seconds.
            made=self.loop.right().replace(microsecond=0),
            is_dated=is_dated,
            order_id=_ORDER if is_wanted else "another",
            listed_from=now + _LATE if is_late else now,
        )
        self.checks.elsewhere.note_made(id_)
        return id_

    def _push(self, id_: str, what: str) -> None:
        """Let something happen, and the provider say so."""
        self.world.happen(id_, EVENTS[what], self.loop.passed)
        self.home.entry.runtime_data.coordinator.async_hint([id_])
        self.loop.settle()

    def _answer_hint(self, id_: str, how: str) -> None:
        """Answer what is asked because of a hint with this."""
        before, self.world.mood = self.world.mood, how
        self.home.entry.runtime_data.coordinator.async_hint([id_])
        self._pass(2.1)
        self.world.mood = before

    def _pass(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.advance(seconds)
        self.checks.note_time()

    def _release(self, what: str) -> None:
        """Let all of it go on."""
        if what == "answers":
            self.world.is_held = False
            while self.world.questions:
                self.world.release(self.world.questions[0], self.world.mood)
                self.loop.settle()
            return
        gate = self.home.gates[what]
        gate.is_held = False
        while gate.waiting:
            gate.release()
            self.loop.settle()

    def _add(self, id_: str) -> None:
        """Add an invoice, with what it is now."""
        found = self.world.invoice(id_)
        self.world.truth[id_].was_said_paid = found.status.is_paid
        self.checks.note_adding(id_, found.status)
        self.home.start(async_watch(self.home.entry.runtime_data.coordinator, [found]))

    def _delete(self, id_: str) -> None:
        """Delete an invoice's device, if there is one."""
        entry = self.home.entry
        device = dr.async_get(self.home.hass).async_get_device_by_identifier(
            invoice_device(entry.entry_id, id_), entry.entry_id
        )
        if device is not None:
            self.checks.note_deleting(id_)
            deleting = async_remove_config_entry_device(self.home.hass, entry, device)
            # Nobody stops the frontend's own command.
            self.home.hass.async_create_task(deleting)
            self.loop.settle()

    def _save(self, name: str) -> None:
        """Save an automation with a change; one that was deleted is a new one."""
        if name in self.home.deleted:
            self.checks.note_switched(name)
        self.home.versions[name] += 1
        self.home.deleted.discard(name)
        self.checks.note_cut(name)
        self._call("reload", {"id": name})

    def _call(self, service: str, data: dict[str, Any]) -> None:
        """Run an action of the automations, without waiting for it."""
        self.home.hass.async_create_task(
            self.home.hass.services.async_call("automation", service, data, blocking=True)
        )
        self.loop.settle()

    def _stop(self, *, slowly: bool) -> None:
        """Stop Home Assistant, and start it again."""
        self.checks.note_end()
        book = self.home.entry.runtime_data.book if self.home.is_loaded else None
        self.home.stop()
        self._begin_again(slowly=slowly, stopped=book)

    def _die(self) -> None:
        """Lose everything but the disk, and begin again."""
        self.checks.note_end()
        self.home.kill(entry_is_older=False)
        self._begin_again(slowly=False)

    def _begin_again(self, *, slowly: bool, stopped: Book | None = None) -> None:
        """Start Home Assistant again, which goes on starting if that is slow."""
        self.home.off.clear()
        self.loop.run(self.home.async_start())
        self.checks.note_begin()
        if stopped is not None:
            self.checks.after_stop(stopped)
        if slowly:
            self.story[-1] += ", slowly"
        else:
            self.home.started()

    @override
    def check_invariants(self, *args: Any) -> None:
        """Check after each step that what is promised is kept."""
        if self.home.is_running:
            self.checks.after_step()

    @override
    def teardown(self) -> None:
        """Let everything work again, and see whether anything was lost."""
        try:
            if hasattr(self.home, "hass"):
                self._calm()
        finally:
            self.loop.settle_quietly()
            if self.home.is_running:
                self.home.kill(entry_is_older=False)
            self.patched.__exit__(None, None, None)
            self.loop.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _calm(self) -> None:
        """Let everything go on, and time pass."""
        self.world.mood = "the truth"
        for what in GATES:
            self._release(what)
        self.loop.wall_offset = timedelta()
        if self.home.hass.state.value == "STARTING":
            self.home.started()
        self.loop.run(backup.async_post_backup(self.home.hass))
        if self.home.entry.state is ConfigEntryState.SETUP_ERROR:
            self.loop.run(self.home.hass.config_entries.async_reload(self.home.entry.entry_id))
        for _ in range(12):
            self._pass(500)
        self.checks.in_the_end()
        self.loop.run(self.home.hass.config_entries.async_remove(self.home.entry.entry_id))
        self.loop.advance(60)
        self.checks.after_removal()
