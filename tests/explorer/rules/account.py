"""What somebody does with the account."""

import asyncio

from homeassistant.config_entries import ConfigEntryState
from homeassistant.helpers import entity_registry as er
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from custom_components.crypto_invoices import backup
from custom_components.crypto_invoices.const import DOMAIN
from tests.explorer.steps import HEARD_AFTER, Steps, invoices


class AccountRules(Steps):
    """Invoices that are added, deleted and asked for, a reload, a backup."""

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

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def delete(self, id_: str) -> None:
        """An invoice's device is deleted."""
        self._do(f"{id_} is deleted")
        self._delete(id_)

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def add_again(self, id_: str) -> None:
        """An invoice is paid, deleted and added again."""
        self._do(f"{id_} is paid, deleted and added again")
        self._push(id_, "is paid")
        self._pass(HEARD_AFTER)
        self._delete(id_)
        self.checks.after_step()
        self._add(id_)

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

    @precondition(lambda self: self.home.callers)
    @rule(latest=st.booleans())
    def caller_is_stopped(self, *, latest: bool) -> None:
        """Whoever waits is stopped."""
        self._do("whoever waits is stopped")
        self.home.callers.pop(-1 if latest else 0).cancel()
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

    # What is done more often than the rest: each name is one more chance.
    add_2 = add
