"""The explorer: a hypothesis machine that does anything to one account, in any order."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
import shutil
import tempfile
from typing import Any, ClassVar, override

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.helpers import device_registry as dr, entity_registry as er
from hypothesis import strategies as st
from hypothesis.stateful import (
    Rule,
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from custom_components.crypto_invoices import async_remove_config_entry_device, backup
from custom_components.crypto_invoices.book.book import Book
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.identifiers import invoice_device
from custom_components.crypto_invoices.watching import async_watch

from .checks import Checks
from .home import AUTOMATIONS, Home
from .virtual import VirtualLoop
from .world import ANSWERS, EVENTS, INVOICES, World

# In seconds: a turn, between two hints, a delivery, a poll, a doubt, and up to a late poll.
MOMENTS = (0.5, 2.5, 12.0, 31.0, 31.0, 130.0, 1000.0, 4000.0)
JUMPS = tuple(timedelta(hours=hours) for hours in (-240, -1, 1, 240))
GATES = ("answers", "writes", "reads", "actions", "arming")
# A disk that nobody waits for, where there is one.
_MEMORY = Path("/dev") / "shm"
invoices = st.sampled_from(INVOICES)
automations = st.sampled_from(AUTOMATIONS)
slow_starts = st.sampled_from([False, False, True])


class Explorer(RuleBasedStateMachine):
    """One account of three invoices and two automations, treated badly."""

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
        if self.home.is_running:
            self.home.remember_entry()

    @initialize(has_clock=st.booleans())
    def start(self, *, has_clock: bool) -> None:
        """Start Home Assistant for the first time."""
        self._do(f"the provider {'says' if has_clock else 'never says'} what time it is")
        self.world.clock = self.loop.right if has_clock else None
        self.loop.run(self.home.async_start())
        self.home.started()

    @rule(id_=invoices, what=st.sampled_from(sorted(EVENTS)))
    def something_happens(self, id_: str, what: str) -> None:
        """Something happens to an invoice at the provider."""
        self._do(f"{id_} {what}")
        self.world.happen(id_, EVENTS[what], self.loop.passed)

    @rule(id_=invoices)
    def is_paid(self, id_: str) -> None:
        """An invoice is paid, and the provider hints at it or doesn't."""
        self._do(f"{id_} is paid")
        self.world.happen(id_, EVENTS["is paid"], self.loop.passed)

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, what=st.sampled_from(sorted(EVENTS)))
    def something_is_pushed(self, id_: str, what: str) -> None:
        """Something happens, and the provider says so."""
        self._do(f"{id_} {what}, with a hint")
        self._push(id_, what)

    def _push(self, id_: str, what: str) -> None:
        """Let something happen, and the provider say so."""
        self.world.happen(id_, EVENTS[what], self.loop.passed)
        self.home.entry.runtime_data.coordinator.async_hint([id_])
        self.loop.settle()

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, what=st.sampled_from(sorted(EVENTS)))
    def two_answers_overlap(self, id_: str, what: str) -> None:
        """Something happens between two questions, and the first is answered last."""
        self._do(f"{id_} {what} while it is read, and an older answer comes last")
        self.world.is_held = True
        self._pass(31)
        self._push(id_, what)
        self.checks.after_step()
        self.world.is_held = False
        while self.world.questions:
            self.world.release(self.world.questions[-1], "the truth")
            self.loop.settle()

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, what=st.sampled_from(sorted(EVENTS)), name=automations)
    def run_is_cut(self, id_: str, what: str, name: str) -> None:
        """An automation is saved while it runs because of what just happened."""
        self._do(f"{id_} {what}, and the automation for {name} is saved while it runs")
        self.home.actions.is_held = True
        self._push(id_, what)
        self._save(name)
        self._release("actions")

    @precondition(lambda self: self.home.is_loaded)
    @rule(
        id_=invoices,
        what=st.sampled_from(sorted(EVENTS)),
        name=automations,
        is_saved=st.booleans(),
    )
    def saved_slowly(self, id_: str, what: str, name: str, *, is_saved: bool) -> None:
        """Something happens while an automation is being saved, and has no triggers."""
        end = ", which is done 12 seconds later" if is_saved else ""
        self._do(f"{id_} {what} while the automation for {name} is being saved{end}")
        self.home.arming.is_held = True
        self._save(name)
        while self.home.is_armed(name) and self.home.arming.waiting:
            self.home.arming.release()
            self.loop.settle()
        self.home.look_for_automations()
        self._push(id_, what)
        if is_saved:
            self._pass(12)
            self._release("arming")

    @rule(mood=st.sampled_from(ANSWERS))
    def provider_answers_with(self, mood: str) -> None:
        """From now on the provider answers with this."""
        self._do(f"the provider answers with {mood} from now on")
        self.world.mood = mood

    @precondition(lambda self: self.world.mood != "the truth")
    @rule()
    def provider_recovers(self) -> None:
        """From now on the provider answers with the truth again."""
        self._do("the provider answers with the truth again")
        self.world.mood = "the truth"

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, how=st.sampled_from(ANSWERS))
    def one_answer_is(self, id_: str, how: str) -> None:
        """A hint is answered with this, once."""
        self._do(f"a hint at {id_} is answered with {how}")
        self._answer_hint(id_, how)

    def _answer_hint(self, id_: str, how: str) -> None:
        """Answer what is asked because of a hint with this."""
        before, self.world.mood = self.world.mood, how
        self.home.entry.runtime_data.coordinator.async_hint([id_])
        self._pass(2.1)
        self.world.mood = before

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, what=st.sampled_from(sorted(EVENTS)))
    def news_are_followed_by_old_ones(self, id_: str, what: str) -> None:
        """Something happens and is read, and the next answer says what was so before."""
        self._do(f"{id_} {what}, with a hint, and the next answer is of yesterday")
        self._push(id_, what)
        self._pass(2.1)
        self._answer_hint(id_, "yesterday's state")

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def news_come_during_a_run(self, id_: str) -> None:
        """An invoice is paid, and overpaid while automations still run because of that."""
        self._do(f"{id_} is paid, and overpaid while automations run")
        self.home.actions.is_held = True
        self._push(id_, "is paid")
        self._pass(2.1)
        self._push(id_, "is overpaid")
        self._release("actions")

    @precondition(lambda self: self.home.is_loaded)
    @rule()
    def key_is_refused(self) -> None:
        """The key is refused for a moment, and good again."""
        self._do("the key is refused once, and more than an hour passes")
        for what in ("answers", "reads", "writes"):
            self._release(what)
        self.world.mood = "a refusal"
        self._pass(31)
        self.world.mood = "the truth"
        self._pass(4000)
        if self.home.is_loaded:
            self.checks.is_read_again()

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def ask_and_leave(self, id_: str) -> None:
        """A script asks for a reading while there is one, and leaves."""
        self._do(f"{id_} is added during a reading, and a script asks for it and is stopped")
        self.world.is_held = True
        self._pass(31)
        self._add(id_)
        self.home.start(self._ask("refresh", id_))
        while self.home.callers:
            self.home.callers.pop().cancel()
            self.loop.settle()
        self.checks.after_step()
        self._release("answers")

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def write_fails(self, id_: str) -> None:
        """An invoice is deleted, which can't be written at first."""
        self._do(f"{id_} is deleted while the disk is full, then Home Assistant is stopped")
        self.home.disk.is_held = True
        self._delete(id_)
        if self.home.disk.waiting:
            self.home.disk.release("badly")
            self.loop.settle()
        self._release("writes")
        self._stop(slowly=False)

    @rule(what=st.sampled_from(GATES))
    def hold(self, what: str) -> None:
        """From now on something waits: answers, the disk, actions, or automations that are armed."""
        self._do(f"{what} wait from now on")
        if what == "answers":
            self.world.is_held = True
        else:
            self.home.gates[what].is_held = True

    @rule(what=st.sampled_from(GATES))
    def release_all(self, what: str) -> None:
        """Let all of it go on."""
        self._do(f"{what} wait no longer")
        self._release(what)

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

    @precondition(lambda self: self.world.questions)
    @rule(how=st.sampled_from(ANSWERS), latest=st.booleans())
    def answer_one(self, how: str, *, latest: bool) -> None:
        """Answer one question that waits, the oldest or the latest first."""
        self._do(f"the {'latest' if latest else 'oldest'} question is answered with {how}")
        self.world.release(self.world.questions[-1 if latest else 0], how)
        self.loop.settle()

    @precondition(lambda self: any(gate.waiting for gate in self.home.gates.values()))
    @rule(how=st.sampled_from(["well", "well", "badly"]))
    def one_goes_on(self, how: str) -> None:
        """What waits first goes on; the disk may fail."""
        name, gate = next((name, one) for name, one in self.home.gates.items() if one.waiting)
        self._do(f"one of the {name} goes on {how}")
        gate.release(how)
        self.loop.settle()

    @rule(seconds=st.sampled_from(MOMENTS))
    def time_passes(self, seconds: float) -> None:
        """Time passes."""
        self._do(f"{seconds:g} seconds pass")
        self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        """Let time pass."""
        if seconds > 1000 and self.world.mood == "yesterday's state":
            # Who is lied to for hours can't know better.
            self.world.mood = "the truth"
        self.loop.advance(seconds)
        self.checks.note_time()

    @rule(jump=st.sampled_from(JUMPS))
    def clock_is_set(self, jump: timedelta) -> None:
        """The clock on the wall is set."""
        self._do(f"the clock is set by {jump.total_seconds() / 3600:g} hours")
        self.loop.wall_offset += jump

    @precondition(lambda self: self.loop.wall_offset)
    @rule()
    def clock_is_set_right(self) -> None:
        """The clock on the wall is set right."""
        self._do("the clock is set right")
        self.loop.wall_offset = timedelta()

    @precondition(lambda self: self.home.is_loaded)
    @rule(ids=st.sets(invoices))
    def hint(self, ids: set[str]) -> None:
        """A hint comes, with news or without, and with IDs that nobody knows."""
        self._do(f"a hint at {' and '.join([*sorted(ids), 'one that nobody knows'])}")
        self.home.entry.runtime_data.coordinator.async_hint([*sorted(ids), "unknown"])
        self.loop.settle()

    @precondition(lambda self: self.home.is_loaded)
    @rule(what=st.sampled_from(["refresh", "update_entity", "action"]), id_=invoices)
    def somebody_asks(self, what: str, id_: str) -> None:
        """A script asks for a reading, and may be stopped later."""
        self._do(f"a script asks for {id_} by {what}")
        self.home.start(self._ask(what, id_))

    async def _ask(self, what: str, id_: str) -> None:
        hass, coordinator = self.home.hass, self.home.entry.runtime_data.coordinator
        if what == "refresh":
            await coordinator.async_refresh()
        elif what == "update_entity":
            registry = er.async_get(hass)
            unique_ids = (f"account_{id_}_status", "account_open_invoices")
            entity_ids = [
                found
                for unique_id in unique_ids
                if (found := registry.async_get_entity_id("sensor", DOMAIN, unique_id))
            ]
            for entity_id in entity_ids:
                entity = hass.data["entity_components"]["sensor"].get_entity(entity_id)
                if entity is not None:
                    await entity.async_update_ha_state(force_refresh=True)
        elif futures := coordinator.async_hint([id_]):
            await asyncio.wait(futures, timeout=30)

    @precondition(lambda self: self.home.callers)
    @rule(latest=st.booleans())
    def caller_is_stopped(self, *, latest: bool) -> None:
        """Whoever waits is stopped."""
        self._do("whoever waits is stopped")
        self.home.callers.pop(-1 if latest else 0).cancel()
        self.loop.settle()

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def add(self, id_: str) -> None:
        """An invoice is added, with what it is now; whoever does it may be stopped later."""
        self._do(f"{id_} is added")
        self._add(id_)

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def add_and_leave(self, id_: str) -> None:
        """An invoice is added by a script that is stopped while the book is searched."""
        self._do(f"{id_} is added by a script that is stopped meanwhile")
        self.home.reads.is_held = True
        self._add(id_)
        while self.home.callers:
            self.home.callers.pop().cancel()
            self.loop.settle()
        self._release("reads")

    def _add(self, id_: str) -> None:
        """Add an invoice, with what it is now."""
        found = self.world.invoice(id_)
        self.world.truth[id_].was_said_paid = found.status.is_paid
        self.checks.note_adding(id_, found.status)
        self.home.start(async_watch(self.home.entry.runtime_data.coordinator, [found]))

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def delete(self, id_: str) -> None:
        """An invoice's device is deleted."""
        self._do(f"{id_} is deleted")
        self._delete(id_)

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

    @rule(is_changed=st.booleans())
    def reload_account(self, *, is_changed: bool) -> None:
        """The account is reloaded, or changed and reloaded."""
        self._do(f"the account is {'changed' if is_changed else 'reloaded'}")
        entries, entry = self.home.hass.config_entries, self.home.entry
        if is_changed:
            entries.async_update_entry(entry, data={**entry.data, "api_key": "another"})
        if entry.state.recoverable:
            self.checks.note_reload()
            self.home.setting_up = self.loop.create_task(entries.async_reload(entry.entry_id))
            self.loop.settle()

    @precondition(lambda self: self.home.entry.state is ConfigEntryState.SETUP_IN_PROGRESS)
    @rule()
    def setting_up_is_stopped(self) -> None:
        """The account's set-up takes too long for Home Assistant."""
        self._do("the set-up takes too long")
        self.home.setting_up.cancel()
        self.loop.settle()

    @rule(begins=st.booleans())
    def backup(self, *, begins: bool) -> None:
        """A backup begins, or ends."""
        self._do(f"a backup {'begins' if begins else 'ends'}")
        door = backup.async_pre_backup if begins else backup.async_post_backup
        self.home.hass.async_create_task(door(self.home.hass))
        self.loop.settle()

    @rule(name=automations)
    def save_automation(self, name: str) -> None:
        """An automation is saved with a change."""
        self._do(f"the automation for {name} is saved")
        self._save(name)

    def _save(self, name: str) -> None:
        """Save an automation with a change; one that was deleted is a new one."""
        if name in self.home.deleted:
            self.checks.note_switched(name)
        self.home.versions[name] += 1
        self.home.deleted.discard(name)
        self.checks.note_cut(name)
        self._call("reload", {"id": name})

    @rule()
    def reload_automations(self) -> None:
        """All automations are reloaded, changed."""
        self._do("all automations are reloaded")
        for name in AUTOMATIONS:
            self.home.versions[name] += 1
            self.checks.note_cut(name)
        self._call("reload", {})

    @rule(name=automations, on=st.booleans())
    def switch_automation(self, name: str, *, on: bool) -> None:
        """An automation is switched off or on."""
        self._do(f"the automation for {name} is switched {'on' if on else 'off'}")
        if name not in self.home.deleted:
            (self.home.off.discard if on else self.home.off.add)(name)
            self.checks.note_switched(name)
            self._call("turn_on" if on else "turn_off", {ATTR_ENTITY_ID: f"automation.{name}"})

    @rule(name=automations)
    def delete_automation(self, name: str) -> None:
        """An automation is deleted for good, as the editor does."""
        self._do(f"the automation for {name} is deleted")
        self.home.deleted.add(name)
        self.checks.note_switched(name)
        self._call("reload", {"id": name})
        registry = er.async_get(self.home.hass)
        if registry.async_is_registered(f"automation.{name}"):
            registry.async_remove(f"automation.{name}")
            self.loop.settle()

    def _call(self, service: str, data: dict[str, Any]) -> None:
        """Run an action of the automations, without waiting for it."""
        self.home.hass.async_create_task(
            self.home.hass.services.async_call("automation", service, data, blocking=True)
        )
        self.loop.settle()

    @rule(entry_is_older=st.booleans(), slowly=slow_starts)
    def kill(self, *, entry_is_older: bool, slowly: bool) -> None:
        """Everything but the disk is lost; Home Assistant begins again."""
        self._do(f"a power cut, {'with' if entry_is_older else 'without'} an older entry")
        self.checks.note_end()
        self.home.kill(entry_is_older=entry_is_older)
        self._begin_again(slowly=slowly)

    @rule(slowly=slow_starts)
    def stop(self, *, slowly: bool) -> None:
        """Home Assistant is stopped in an orderly way, and begins again."""
        self._do("Home Assistant is stopped, and begins again")
        self._stop(slowly=slowly)

    def _stop(self, *, slowly: bool) -> None:
        """Stop Home Assistant, and start it again."""
        self.checks.note_end()
        book = self.home.entry.runtime_data.book if self.home.is_loaded else None
        self.home.stop()
        self._begin_again(slowly=slowly, stopped=book)

    @precondition(lambda self: self.home.is_loaded)
    @rule(is_there=st.booleans(), ids=st.sets(invoices), slowly=slow_starts)
    def lose_file(self, *, is_there: bool, ids: set[str], slowly: bool) -> None:
        """Invoices are deleted; Home Assistant is stopped, and the account's file is lost."""
        lost = "damaged" if is_there else "gone"
        self._do(f"{', '.join(sorted(ids)) or 'nothing'} is deleted, and then the file is {lost}")
        for id_ in sorted(ids):
            self._delete(id_)
        self.checks.note_end()
        self.home.stop()
        self.home.lose_file(is_there=is_there)
        self.checks.note_loss()
        self._begin_again(slowly=slowly)

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, jump=st.sampled_from([JUMPS[0], JUMPS[-1]]))
    def is_paid_late(self, id_: str, jump: timedelta) -> None:
        """An invoice expires, the clock is set while Home Assistant is down, then it is paid."""
        hours = jump.total_seconds() / 3600
        self._do(f"{id_} expires, a start finds the clock set by {hours:g} hours, {id_} is paid")
        self._push(id_, "expires")
        self._pass(2.5)
        self.checks.note_end()
        self.home.stop()
        self.loop.wall_offset += jump
        self._begin_again(slowly=False)
        self._pass(8000)
        self.world.happen(id_, EVENTS["is paid"], self.loop.passed)

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

    @precondition(lambda self: self.home.hass.state.value == "STARTING")
    @rule()
    def started(self) -> None:
        """Home Assistant has started."""
        self._do("Home Assistant has started")
        self.home.started()

    # What is done more often than the rest: each name is one more chance.
    is_paid_2 = is_paid
    something_is_pushed_2 = something_is_pushed_3 = something_is_pushed
    one_answer_is_2 = one_answer_is_3 = one_answer_is
    answer_one_2 = answer_one_3 = answer_one
    one_goes_on_2 = one_goes_on_3 = one_goes_on
    hold_2 = hold
    time_passes_2 = time_passes_3 = time_passes_4 = time_passes
    news_are_followed_by_old_ones_2 = news_are_followed_by_old_ones
    news_come_during_a_run_2 = news_come_during_a_run
    stop_2 = stop
    is_paid_late_2 = is_paid_late
    two_answers_overlap_2 = two_answers_overlap
    run_is_cut_2 = run_is_cut
    saved_slowly_2 = saved_slowly
    add_2 = add
    started_2 = started_3 = started_4 = started

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
