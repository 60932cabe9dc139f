"""Who hears announcements: triggers, and the automations that they belong to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
import logging
from typing import Any

from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    HassJob,
    HomeAssistant,
    callback,
    split_entity_id,
)
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.event import async_call_later, async_track_state_change_event
from homeassistant.helpers.trigger import TriggerAction, TriggerActionPayloadBuilder
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .announcement import Announcement

_LOGGER = logging.getLogger(__name__)

# An automation that is being saved is waited for so long, in seconds.
ABSENT_TIMEOUT = 30.0
_AUTOMATION = "automation"

_LISTENERS: HassKey[Listeners] = HassKey(f"{DOMAIN}_listeners")


@callback
def async_get_listeners(hass: HomeAssistant) -> Listeners:
    """Return who hears announcements, whichever accounts are loaded."""
    if _LISTENERS not in hass.data:
        hass.data[_LISTENERS] = Listeners(hass)
    return hass.data[_LISTENERS]


@dataclass(frozen=True, slots=True)
class Owner:
    """The automation that a trigger belongs to, as long as it is this object of this name."""

    automation: Entity
    entity_id: str
    trigger_index: str
    """Which of the automation's triggers it is."""

    @property
    def unique_id(self) -> str | None:
        """What the automation is called in the file of automations."""
        return self.automation.unique_id

    @property
    def name(self) -> str:
        """What its user calls it."""
        return str(self.automation.name)

    @property
    def key(self) -> str:
        """What stays the same when the automation is saved or renamed."""
        return self.unique_id or self.entity_id

    def is_same_object(self, other: Owner) -> bool:
        """Whether the automation was neither saved nor renamed in between."""
        return self.automation is other.automation and self.entity_id == other.entity_id

    def may_come_back(self, hass: HomeAssistant) -> bool:
        """Whether the automation may be one that is being saved: not switched off, nor deleted."""
        entity_id = self.entity_id
        if self.unique_id is not None:
            entities = er.async_get(hass)
            found = entities.async_get_entity_id(_AUTOMATION, _AUTOMATION, self.unique_id)
            if found is None or ((entry := entities.async_get(found)) and entry.disabled):
                return False
            entity_id = found
        state = hass.states.get(entity_id)
        return state is None or state.state != STATE_OFF


def owner_of(action: TriggerAction, build_payload: TriggerActionPayloadBuilder) -> Owner | None:
    """Return the automation whose method an action is, None for scripts, templates and the like."""
    automation = getattr(action, "__self__", None)
    # Not by its class: automations may not be loaded, and are none of our dependencies.
    if not isinstance(automation, Entity):
        return None
    if split_entity_id(automation.entity_id)[0] != _AUTOMATION:
        return None
    index = build_payload({}, "").get("trigger", {}).get("idx", "")
    return Owner(automation, automation.entity_id, str(index))


@dataclass(eq=False, slots=True)
class Subscriber:
    """An attached trigger."""

    wants: Callable[[Announcement], bool]
    run: Callable[[Announcement, int], asyncio.Task[Any]]
    """Starts the action for an announcement; the number says which attempt it is."""
    owner: Owner | None = None
    """None for what nobody waits for, such as `wait_for_trigger`."""
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
    """Let nothing end an absence any more."""
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
