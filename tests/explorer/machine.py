"""The explorer: a hypothesis machine that does anything to one account, in any order."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
import shutil
import tempfile
from typing import Any, ClassVar

from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.helpers import device_registry as dr, entity_registry as er
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from custom_components.crypto_invoices import async_remove_config_entry_device
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.identifiers import invoice_device
from custom_components.crypto_invoices.watching import async_watch

from .checks import Checks
from .home import AUTOMATIONS, Gate, Home
from .virtual import VirtualLoop
from .world import ANSWERS, EVENTS, INVOICES, World

MOMENTS = (0.5, 2.0, 12.0, 31.0, 130.0, 1000.0)
GATES = ("answers", "writes", "actions", "arming")
invoices = st.sampled_from(INVOICES)
automations = st.sampled_from(AUTOMATIONS)


class Explorer(RuleBasedStateMachine):
    """One account of three invoices and two automations, treated badly."""

    steps: ClassVar = Counter[str]()

    def __init__(self) -> None:
        """Prepare an empty disk."""
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="explorer-"))
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self.world = World()
        self.home = Home(self.folder, self.loop, self.world)
        self.patched = self.home.patched()
        self.patched.__enter__()
        self.checks = Checks(self.home, self.world)

    def _gate(self, name: str) -> Gate:
        """Return where something waits."""
        gates = {"writes": self.home.disk, "actions": self.home.actions}
        return gates.get(name, self.home.arming)

    @initialize()
    def start(self) -> None:
        """Start Home Assistant for the first time."""
        self.loop.run(self.home.async_start())
        self.home.started()

    def _count(self, what: str) -> None:
        """Count what is done."""
        self.steps[what] += 1
        self.home.remember_entry()

    @rule(id_=invoices, what=st.sampled_from(sorted(EVENTS)))
    def something_happens(self, id_: str, what: str) -> None:
        """Something happens to an invoice at the provider."""
        self._count(what)
        self.world.happen(id_, EVENTS[what])

    @rule(mood=st.sampled_from(ANSWERS))
    def provider_answers_with(self, mood: str) -> None:
        """From now on the provider answers with this."""
        self._count(f"answers with {mood}")
        self.world.mood = mood

    @rule(what=st.sampled_from(GATES))
    def hold(self, what: str) -> None:
        """From now on something waits: answers, writes, actions, or automations that are armed."""
        self._count(f"holds {what}")
        if what == "answers":
            self.world.is_held = True
        else:
            self._gate(what).is_held = True

    @rule(what=st.sampled_from(GATES))
    def release_all(self, what: str) -> None:
        """Let all of it go on."""
        self._count(f"releases {what}")
        if what == "answers":
            self.world.is_held = False
            while self.world.questions:
                self.world.release(self.world.questions[0], self.world.mood)
                self.loop.settle()
            return
        gate = self._gate(what)
        gate.is_held = False
        while gate.waiting:
            gate.release()
            self.loop.settle()

    @precondition(lambda self: self.world.questions)
    @rule(how=st.sampled_from(ANSWERS), latest=st.booleans())
    def answer_one(self, how: str, *, latest: bool) -> None:
        """Answer one question that waits, the oldest or the latest first."""
        self._count("answers one")
        self.world.release(self.world.questions[-1 if latest else 0], how)
        self.loop.settle()

    @precondition(lambda self: self.home.disk.waiting)
    @rule(how=st.sampled_from(["well", "badly"]))
    def let_one_write_go_on(self, how: str) -> None:
        """A write goes on, or fails."""
        self._count(f"a write ends {how}")
        self.home.disk.release(how)
        self.loop.settle()

    @precondition(lambda self: self.home.actions.waiting)
    @rule()
    def let_one_action_go_on(self) -> None:
        """An action ends."""
        self._count("an action ends")
        self.home.actions.release()
        self.loop.settle()

    @rule(seconds=st.sampled_from(MOMENTS))
    def time_passes(self, seconds: float) -> None:
        """Time passes."""
        self._count("time passes")
        self.loop.advance(seconds)

    @rule(jump=st.sampled_from([timedelta(days=-10), timedelta(hours=-1), timedelta(hours=1)]))
    def clock_is_set(self, jump: timedelta) -> None:
        """The clock on the wall is set."""
        self._count("clock is set")
        self.loop.wall_offset += jump

    @precondition(lambda self: self.home.is_loaded)
    @rule(ids=st.sets(invoices, min_size=1))
    def hint(self, ids: set[str]) -> None:
        """A hint comes, true or not."""
        self._count("hint")
        self.home.entry.runtime_data.coordinator.async_hint([*ids, "unknown"])
        self.loop.settle()

    @precondition(lambda self: self.home.is_loaded)
    @rule(what=st.sampled_from(["refresh", "update_entity", "action"]), id_=invoices)
    def somebody_asks(self, what: str, id_: str) -> None:
        """A script asks for a reading, and may be stopped later."""
        self._count(f"asks by {what}")
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
        """A script that waits is stopped."""
        self._count("caller is stopped")
        self.home.callers.pop(-1 if latest else 0).cancel()
        self.loop.settle()

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def add(self, id_: str) -> None:
        """An invoice is added, with what it is now."""
        self._count("add")
        coordinator = self.home.entry.runtime_data.coordinator
        found = self.world.invoice(id_)
        self.checks.added(id_, found.status)
        self.home.start(async_watch(coordinator, [found]))

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def delete(self, id_: str) -> None:
        """An invoice's device is deleted."""
        self._count("delete")
        entry = self.home.entry
        device = dr.async_get(self.home.hass).async_get_device_by_identifier(
            invoice_device(entry.entry_id, id_), entry.entry_id
        )
        if device is not None:
            self.checks.deleted(id_)
            deleting = async_remove_config_entry_device(self.home.hass, entry, device)
            # Nobody stops the frontend's own command.
            self.home.hass.async_create_task(deleting)
            self.loop.settle()

    @rule(data=st.booleans())
    def reload_account(self, *, data: bool) -> None:
        """The account is reloaded, or changed and reloaded."""
        self._count("reload")
        entries = self.home.hass.config_entries
        if data:
            changed = {**self.home.entry.data, "api_key": "another"}
            entries.async_update_entry(self.home.entry, data=changed)
        self.checks.note_reload()
        self.home.hass.async_create_task(entries.async_reload(self.home.entry.entry_id))
        self.loop.settle()

    @rule(name=automations)
    def save_automation(self, name: str) -> None:
        """An automation is saved with a change."""
        self._count("save automation")
        self.home.versions[name] += 1
        self.home.deleted.discard(name)
        self.checks.note_cut(name)
        self._call("reload", {"id": name})

    @rule()
    def reload_automations(self) -> None:
        """All automations are reloaded, changed."""
        self._count("reload automations")
        for name in AUTOMATIONS:
            self.home.versions[name] += 1
            self.checks.note_cut(name)
        self._call("reload", {})

    @rule(name=automations, on=st.booleans())
    def switch_automation(self, name: str, *, on: bool) -> None:
        """An automation is switched off or on."""
        self._count("switch automation")
        if name not in self.home.deleted:
            (self.home.off.discard if on else self.home.off.add)(name)
            self.checks.note_switched(name)
            self._call("turn_on" if on else "turn_off", {ATTR_ENTITY_ID: f"automation.{name}"})

    @rule(name=automations)
    def delete_automation(self, name: str) -> None:
        """An automation is deleted for good, as the editor does."""
        self._count("delete automation")
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

    @rule(entry_is_older=st.booleans())
    def kill(self, *, entry_is_older: bool) -> None:
        """Everything but the disk is lost; Home Assistant begins again, and is still starting."""
        self._count("kill")
        self.checks.note_end()
        self.home.kill(entry_is_older=entry_is_older)
        self._begin_again()

    @rule()
    def stop(self) -> None:
        """Home Assistant is stopped in an orderly way, and begins again."""
        self._count("stop")
        self.checks.note_end()
        self.home.stop()
        self._begin_again()

    def _begin_again(self) -> None:
        """Start Home Assistant again."""
        self.home.off.clear()
        self.loop.run(self.home.async_start())
        self.checks.note_begin()

    @precondition(lambda self: self.home.hass.state.value == "STARTING")
    @rule()
    def started(self) -> None:
        """Home Assistant has started."""
        self._count("started")
        self.home.started()

    @invariant()
    def promises(self) -> None:
        """What is promised is kept after each step."""
        if hasattr(self.home, "hass"):
            self.checks.after_step()

    def teardown(self) -> None:
        """Let everything work again, and look whether anything was lost."""
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
            self.release_all(what)
        self.loop.wall_offset = timedelta()
        if self.home.hass.state.value == "STARTING":
            self.home.started()
        for _ in range(12):
            self.loop.advance(500)
        self.checks.in_the_end()
