"""Who hears announcements: triggers, and the automations that they belong to."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
import logging
from typing import Any

from homeassistant.const import STATE_ON
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    HassJob,
    HomeAssistant,
    callback,
)
from homeassistant.helpers.event import async_call_later, async_track_state_change_event
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .announcement import Announcement
from .owner import Owner

_LOGGER = logging.getLogger(__name__)

# An automation that is being saved is waited for so long, in seconds.
ABSENT_TIMEOUT = 30.0

_LISTENERS: HassKey[Listeners] = HassKey(f"{DOMAIN}_listeners")


@callback
def async_get_listeners(hass: HomeAssistant) -> Listeners:
    """Return who hears announcements, whichever accounts are loaded."""
    if _LISTENERS not in hass.data:
        hass.data[_LISTENERS] = Listeners(hass)
    return hass.data[_LISTENERS]


@dataclass(eq=False, slots=True)
class Subscriber:
    """An attached trigger."""

    wants: Callable[[Announcement], bool]
    run: Callable[[Announcement, int], asyncio.Task[Any]]
    """Starts the action for an announcement; the number says which attempt it is."""
    owner: Owner | None = None
    """None for what nobody waits for, such as `wait_for_trigger`."""
    repeats: bool = False
    """Whether it is run again until what was paid for is fulfilled."""
    after: timedelta | None = None
    """How long a payment is owed when it hears of that."""
    is_attached: bool = True

    def matches(self, announcement: Announcement) -> bool:
        """Whether it is to run; one that fails must not keep the others from running."""
        try:
            return self.wants(announcement)
        except Exception:
            _LOGGER.exception("A trigger could not be asked")
            return False


@dataclass(eq=False, slots=True)
class _Absence:
    """The time in which an automation is waited for."""

    owner: Owner
    """As it was when it left."""
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    came_back: bool = False
    cancel: list[CALLBACK_TYPE] = field(default_factory=list)


class AutomationListener:
    """An automation with our triggers, whichever object of Home Assistant's it is now.

    It is absent from when a trigger of it is detached until its state says that it is on again:
    then all its triggers are armed.
    """

    def __init__(self, hass: HomeAssistant, forget: CALLBACK_TYPE) -> None:
        """Begin without a trigger; ``forget`` is called when nothing is left of it."""
        self._hass = hass
        self._forget = forget
        self._triggers: list[Subscriber] = []
        self._absence: _Absence | None = None

    @property
    def is_there(self) -> bool:
        """Whether its triggers are armed."""
        return self._absence is None

    @callback
    def attach(self, trigger: Subscriber, owner: Owner) -> None:
        """Take one of its triggers that is armed."""
        self._triggers.append(trigger)
        if (absence := self._absence) is None:
            return
        if absence.owner.is_same_object(owner):
            # It was switched off and on.
            self._end_absence(came_back=False)
        else:
            self._wait_for(absence, owner.entity_id)

    @callback
    def detach(self, trigger: Subscriber, owner: Owner) -> None:
        """Give up one of its triggers, and expect it back unless it was deleted."""
        trigger.is_attached = False
        self._triggers.remove(trigger)
        if not owner.may_come_back(self._hass):
            self._end_absence(came_back=False)
            return
        if self._absence is None:
            self._absence = _Absence(owner)
        self._absence.owner = owner
        self._wait_for(self._absence, owner.entity_id)

    def triggers_for(
        self, announcement: Announcement, index: str | None = None
    ) -> list[Subscriber]:
        """Return which of its triggers are to run.

        After a run was cut, one comes again: that of the trigger of this index, where it is
        still there.
        """
        matching = [one for one in self._triggers if one.matches(announcement)]
        if index is None:
            return matching
        same = [one for one in matching if one.owner and one.owner.trigger_index == index]
        return (same or matching)[:1]

    @property
    def may_repeat(self) -> bool:
        """Whether it has to be run again; one that is being saved has to be asked later."""
        return not self.is_there or any(one.repeats for one in self._triggers)

    @property
    def reminded_after(self) -> set[timedelta]:
        """How long payments are owed when it hears of that."""
        return {one.after for one in self._triggers if one.after}

    def may_hear_again(self, owner: Owner) -> bool:
        """Whether what cut a run of it, as it was then, was a save: it is back, or expected."""
        return self._absence is not None or any(
            one.owner is not None and not one.owner.is_same_object(owner) for one in self._triggers
        )

    async def async_wait(self) -> bool:
        """Wait until it is there; return False if it won't come."""
        while (absence := self._absence) is not None:
            await absence.is_over.wait()
            if not absence.came_back:
                return False
        return True

    @callback
    def _wait_for(self, absence: _Absence, entity_id: str) -> None:
        """End the absence when the automation is on, off or gone, or after a while."""

        @callback
        def time_is_up(_: object) -> None:
            self._end_absence(came_back=bool(self._triggers))

        @callback
        def changed(event: Event[EventStateChangedData]) -> None:
            state = event.data["new_state"]
            if state is not None and state.state == STATE_ON and self._triggers:
                self._end_absence(came_back=True)
            elif not absence.owner.may_come_back(self._hass):
                self._end_absence(came_back=False)

        _cancel(absence)
        absence.cancel = [
            async_call_later(
                self._hass, ABSENT_TIMEOUT, HassJob(time_is_up, cancel_on_shutdown=True)
            ),
            async_track_state_change_event(self._hass, entity_id, changed),
        ]

    @callback
    def _end_absence(self, *, came_back: bool) -> None:
        """Wait for it no more."""
        absence, self._absence = self._absence, None
        if absence is not None:
            _cancel(absence)
            absence.came_back = came_back
            absence.is_over.set()
        if not self._triggers:
            self._forget()


def _cancel(absence: _Absence) -> None:
    """Stop ending absences."""
    for cancel in absence.cancel:
        cancel()
    absence.cancel = []


class Listeners:
    """All that hear announcements."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin without any."""
        self._hass = hass
        self.automations: dict[str, AutomationListener] = {}
        self.others: dict[Subscriber, None] = {}
        """Those that nobody waits for."""

    @property
    def reminded_after(self) -> set[timedelta]:
        """How long payments are owed when somebody hears of that."""
        own = {one.after for one in self.others if one.after}
        return own.union(*(one.reminded_after for one in self.automations.values()))

    def repeating(self, announcement: Announcement, keys: Iterable[str]) -> list[Owner]:
        """Return which of these automations want to be run until it is fulfilled."""
        found = (self.automations.get(key) for key in keys)
        return [
            one.owner
            for listener in found
            if listener is not None
            for one in listener.triggers_for(announcement)
            if one.repeats and one.owner
        ]

    def diagnostics(self) -> dict[str, int]:
        """Return how many there are: automations, those that are waited for now, and others."""
        absent = sum(not automation.is_there for automation in self.automations.values())
        return {
            "automations": len(self.automations),
            "awaited": absent,
            "others": len(self.others),
        }

    @callback
    def subscribe(self, subscriber: Subscriber) -> CALLBACK_TYPE:
        """Let a trigger hear announcements, and what its automation missed while it was saved."""
        if (owner := subscriber.owner) is None:
            self.others[subscriber] = None
            return lambda: self.others.pop(subscriber)
        key = owner.key
        if (listener := self.automations.get(key)) is None:
            listener = self.automations[key] = AutomationListener(
                self._hass, partial(self._forget, key)
            )
        listener.attach(subscriber, owner)
        return partial(listener.detach, subscriber, owner)

    @callback
    def _forget(self, key: str) -> None:
        """Forget an automation that is gone."""
        del self.automations[key]
