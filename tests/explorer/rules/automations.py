"""What happens to automations."""

from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.helpers import entity_registry as er
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.explorer.home import AUTOMATIONS
from tests.explorer.steps import Steps, automations, events, invoices


class AutomationRules(Steps):
    """Automations that are saved, reloaded, switched or deleted, and runs that are cut."""

    @rule(name=automations)
    def save_automation(self, name: str) -> None:
        """An automation is saved with a change."""
        self._do(f"the automation for {name} is saved")
        self._save(name)

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

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, what=events, name=automations)
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
        what=events,
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

    # What is done more often than the rest: each name is one more chance.
    run_is_cut_2 = run_is_cut
    saved_slowly_2 = saved_slowly
    news_come_during_a_run_2 = news_come_during_a_run
