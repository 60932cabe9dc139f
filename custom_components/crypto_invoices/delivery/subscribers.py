"""Who hears announcements: triggers, and the automations that they belong to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from homeassistant.const import STATE_OFF
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.trace import script_execution_get

from .announcement import Announcement

_BUSY = frozenset({"failed_single", "failed_max_runs"})


@dataclass(frozen=True, slots=True)
class Owner:
    """The automation that a trigger belongs to, as long as it is this object."""

    entity_id: str
    unique_id: str | None
    name: str
    instance: int
    """Which object it is: a saved automation is another one."""
    trigger_index: str
    """Which of the automation's triggers it is."""

    @property
    def key(self) -> str:
        """What stays the same when the automation is saved."""
        return self.unique_id or self.entity_id

    def may_come_back(self, hass: HomeAssistant) -> bool:
        """Whether the automation may be one that is being saved: not switched off, nor deleted."""
        state = hass.states.get(self.entity_id)
        if state is not None and state.state == STATE_OFF:
            return False
        # Without a unique ID, nobody can tell.
        return self.unique_id is None or er.async_get(hass).async_is_registered(self.entity_id)


@dataclass(eq=False, slots=True)
class Subscriber:
    """An attached trigger."""

    matches: Callable[[Announcement], bool]
    run: Callable[[Announcement, int], asyncio.Task[Any]]
    """Starts the action for an announcement; the number says which attempt it is."""
    owner: Owner | None = None
    """None for what nobody waits for, such as `wait_for_trigger`."""
    is_attached: bool = True


@dataclass(eq=False, slots=True)
class Kept:
    """An announcement that waits for its automation to come back."""

    announcement: Announcement
    attempt: int
    trigger_index: str | None
    """Which trigger's run was cut, None for what came in the meantime."""
    heard_by: set[str] = field(default_factory=set)
    came_back: asyncio.Event = field(default_factory=asyncio.Event)
    runs: list[asyncio.Task[None]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Absent:
    """An automation whose triggers were detached a moment ago."""

    owner: Owner
    until: float
    """How long it is expected, by the loop's clock."""
    kept: list[Kept] = field(default_factory=list)


class Ending(Enum):
    """How a run ended."""

    HEARD = auto()
    """To its end, with an error, or stopped by its own conditions."""
    CUT = auto()
    BUSY = auto()
    """The automation runs already, and takes no more."""


def how_it_ended(task: asyncio.Task[Any], subscriber: Subscriber) -> Ending:
    """Return how a run ended that is over.

    One that was cut in a delay returns as any other, so that its trace has to say it.
    """
    if task.cancelled():
        return Ending.CUT
    reason = task.get_context().run(script_execution_get)
    if reason in _BUSY:
        return Ending.BUSY
    if reason == "cancelled" or (reason is None and not subscriber.is_attached):
        return Ending.CUT
    return Ending.HEARD
