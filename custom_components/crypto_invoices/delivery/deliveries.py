"""Brings announcements to automations, and says when each was delivered."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
import logging
from typing import Any, Protocol

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.trace import script_execution_get
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..identifiers import SIGNAL_ANNOUNCED_OF, invoice_identifier
from .activity import async_note_in_activity
from .announcement import Announcement, Reminder
from .busy import async_note_busy
from .listeners import AutomationListener, Subscriber, async_get_listeners
from .owner import Owner

_LOGGER = logging.getLogger(__name__)

# An automation has this many seconds; its run may take longer.
RUN_TIMEOUT = 10.0
# How often a busy automation is asked again.
_ASKED_EVERY = 1.0
_BUSY = frozenset({"failed_single", "failed_max_runs"})

_DELIVERIES: HassKey[Deliveries] = HassKey(f"{DOMAIN}_deliveries")


@callback
def async_get_deliveries(hass: HomeAssistant) -> Deliveries:
    """Return what delivers announcements; there is one, whichever accounts are loaded."""
    if _DELIVERIES not in hass.data:
        hass.data[_DELIVERIES] = Deliveries(hass)
    return hass.data[_DELIVERIES]


class Ending(Enum):
    """How a run ended."""

    DONE = auto()
    """Finished, failed, stopped by its own conditions or by whoever may stop it."""
    CUT = auto()
    """By a save, or because Home Assistant stops."""
    BUSY = auto()
    """The automation runs already, and takes no more."""


class Progress(Protocol):
    """Who wants to know how far an announcement has come."""

    def begun(self, heard_by: tuple[str, ...]) -> None:
        """Take down the keys of the automations that hear it, right before they do."""

    def delivered(self) -> None:
        """Take down that all of them have heard it."""


@dataclass(frozen=True, slots=True)
class _Delivery:
    """An announcement on its way to an automation."""

    announcement: Announcement
    listener: AutomationListener
    attempt: int = 1
    cut_index: str | None = None
    """Which trigger's run was cut and comes again, None for every one that matches."""
    is_repeated: bool = False
    """Whether it was heard before, and only those are run that repeat it."""

    def triggers(self) -> list[Subscriber]:
        """Return which triggers of the automation are to run now."""
        matching = self.listener.triggers_for(self.announcement, self.cut_index)
        return [one for one in matching if one.repeats or not self.is_repeated]


class Deliveries:
    """The announcements that are on their way to those who are to hear them."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin with none."""
        self._hass = hass
        self._listeners = async_get_listeners(hass)
        self._under_way: set[tuple[str, str]] = set()
        self._runs: dict[asyncio.Task[Any], tuple[str, str]] = {}
        """The runs of automations that have not ended: of which announcement, and whose."""
        # Whoever has it begins an announcement, or a run, and lets others have a turn of the loop.
        self._announcing = asyncio.Lock()
        self._running = asyncio.Lock()

    def is_under_way(self, entry_id: str, invoice_id: str) -> bool:
        """Whether an announcement of an invoice is being delivered."""
        return (entry_id, invoice_id) in self._under_way

    @callback
    def announce(self, announcement: Announcement, progress: Progress) -> None:
        """Deliver an announcement; ``progress`` is called when that begins, and when it is done."""
        if not isinstance(announcement, Reminder):
            self._under_way.add((announcement.entry_id, announcement.invoice_id))
        self._spawn(self._async_announce(announcement, progress))

    @callback
    def repeat(self, announcement: Announcement, attempt: int, keys: Iterable[str]) -> None:
        """Run the automations that repeat a payment again, but for those that still run for it."""
        running = set(self._runs.values())
        for key in keys:
            listener = self._listeners.automations.get(key)
            if listener is not None and (announcement.id, key) not in running:
                delivery = _Delivery(announcement, listener, attempt, is_repeated=True)
                self._spawn(self._async_deliver(delivery))

    def _spawn[Result](self, coroutine: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Do something in the background, where a stop cancels it before it stops scripts.

        Not eager: what changed is shown first, so that actions see the new states.
        """
        return self._hass.async_create_background_task(
            coroutine, f"{DOMAIN} delivery", eager_start=False
        )

    async def _async_announce(self, announcement: Announcement, progress: Progress) -> None:
        """Deliver an announcement to whoever is to hear it, and wait for that.

        Cancelled when Home Assistant stops: what it cuts is announced again after the start.
        """
        hearing: list[asyncio.Task[bool]] = []
        is_heard = True
        try:
            async with self._announcing:
                hearing += self._begin(announcement, progress)
                await asyncio.sleep(0)
            is_heard = all(await asyncio.gather(*hearing))
        except Exception:
            _LOGGER.exception("An announcement could not be delivered as it should be")
        finally:
            for task in hearing:
                task.cancel()
            if not isinstance(announcement, Reminder):
                self._under_way.discard((announcement.entry_id, announcement.invoice_id))
        if is_heard:
            progress.delivered()

    @callback
    def _begin(self, announcement: Announcement, progress: Progress) -> list[asyncio.Task[bool]]:
        """Let everybody hear an announcement; return what to wait for."""
        hearing = {
            key: listener
            for key, listener in self._listeners.automations.items()
            if not listener.is_there or listener.triggers_for(announcement)
        }
        progress.begun(tuple(hearing))
        if not isinstance(announcement, Reminder):
            entry_id = announcement.entry_id
            for identifier in (entry_id, invoice_identifier(entry_id, announcement.invoice_id)):
                signal = SIGNAL_ANNOUNCED_OF.format(identifier)
                async_dispatcher_send(self._hass, signal, announcement)
            async_note_in_activity(self._hass, announcement)
        for other in tuple(self._listeners.others):
            if other.matches(announcement):
                _run(other, announcement, 1)
        return [
            self._spawn(self._async_deliver(_Delivery(announcement, listener)))
            for listener in hearing.values()
        ]

    async def _async_deliver(self, delivery: _Delivery) -> bool:
        """Let an automation hear an announcement as soon as it is there.

        Return False if Home Assistant stopped before it was heard.
        """
        listener = delivery.listener
        while await listener.async_wait():
            async with self._running:
                await asyncio.sleep(0)
                if self._hass.is_stopping:
                    return False
                if not listener.is_there:
                    continue
                runs = [
                    self._async_see_through(delivery, trigger, owner, run)
                    for trigger in delivery.triggers()
                    if (owner := trigger.owner) and (run := self._run(trigger, owner, delivery))
                ]
            return all(await asyncio.gather(*runs))
        return True

    async def _async_see_through(
        self,
        delivery: _Delivery,
        trigger: Subscriber,
        owner: Owner,
        run: asyncio.Task[Any] | None,
    ) -> bool:
        """Wait until a run has ended, or has had its time; return as ``_async_deliver`` does."""
        ending = None
        try:
            async with asyncio.timeout(RUN_TIMEOUT):
                while run is not None:
                    await asyncio.wait((run,))
                    ending = self._how_it_ended(run, trigger)
                    if ending is not Ending.BUSY:
                        break
                    await asyncio.sleep(_ASKED_EVERY)
                    if not trigger.is_attached:
                        ending = Ending.CUT
                        break
                    run = self._run(trigger, owner, delivery)
        except TimeoutError:
            if ending is Ending.BUSY:
                async_note_busy(self._hass, owner)
            return True
        if ending is not Ending.CUT:
            return True
        if self._hass.is_stopping:
            return False
        if not delivery.listener.may_hear_again(owner):
            return True
        return await self._async_deliver(
            replace(delivery, attempt=delivery.attempt + 1, cut_index=owner.trigger_index)
        )

    def _run(
        self, trigger: Subscriber, owner: Owner, delivery: _Delivery
    ) -> asyncio.Task[Any] | None:
        """Run an automation's action, and know of the run until it ends."""
        run = _run(trigger, delivery.announcement, delivery.attempt)
        if run is not None:
            self._runs[run] = (delivery.announcement.id, owner.key)
            run.add_done_callback(self._runs.pop)
        return run

    def _how_it_ended(self, run: asyncio.Task[Any], trigger: Subscriber) -> Ending:
        """Return how a run ended that is over.

        One that was cut in a delay returns as any other, so that its trace has to say it. One
        that was not allowed to begin says nothing.
        """
        reason = run.get_context().run(script_execution_get)
        if reason in _BUSY:
            return Ending.BUSY
        may_be_cut = self._hass.is_stopping or not trigger.is_attached
        if may_be_cut and (run.cancelled() or reason in ("cancelled", None)):
            return Ending.CUT
        return Ending.DONE


def _run(trigger: Subscriber, announcement: Announcement, attempt: int) -> asyncio.Task[Any] | None:
    """Run a trigger's action; one that can't be run must not keep the others from running."""
    try:
        return trigger.run(announcement, attempt)
    except Exception:
        _LOGGER.exception("A trigger could not be run")
        return None
