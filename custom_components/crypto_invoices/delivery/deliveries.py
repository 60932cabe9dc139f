"""Brings announcements to automations, and says when each was delivered."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
import logging
from typing import Any

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..identifiers import SIGNAL_ANNOUNCED_OF, invoice_identifier
from .announcement import Announcement
from .busy import async_forget_busy, async_note_busy
from .subscribers import Absent, Ending, Kept, Owner, Subscriber, how_it_ended

_LOGGER = logging.getLogger(__name__)

# An automation has so many seconds; its run may take longer.
RUN_TIMEOUT = 10.0
# One that is being saved is waited for so long.
ABSENT_TIMEOUT = 30.0
# How often a busy automation is asked again, and an absent one looked for.
_ASKED_EVERY = 1.0

_DELIVERIES: HassKey[Deliveries] = HassKey(f"{DOMAIN}_deliveries")


@callback
def async_get_deliveries(hass: HomeAssistant) -> Deliveries:
    """Return what delivers announcements; there is one, whichever accounts are loaded."""
    if _DELIVERIES not in hass.data:
        hass.data[_DELIVERIES] = Deliveries(hass)
    return hass.data[_DELIVERIES]


class Deliveries:
    """The subscribers, and the announcements that are on their way to them."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin without a subscriber."""
        self._hass = hass
        self._subscribers: dict[Subscriber, None] = {}
        self._absent: dict[str, Absent] = {}
        self._queue: deque[tuple[Announcement, Callable[[Announcement], None]]] = deque()
        self._teller: asyncio.Task[None] | None = None
        self._under_way: set[tuple[str, str]] = set()

    def is_under_way(self, entry_id: str, invoice_id: str) -> bool:
        """Whether an announcement of an invoice is being delivered."""
        return (entry_id, invoice_id) in self._under_way

    @callback
    def subscribe(self, subscriber: Subscriber) -> CALLBACK_TYPE:
        """Let a trigger hear announcements, and what its automation missed while it was saved."""
        self._subscribers[subscriber] = None
        owner = subscriber.owner
        if owner is not None and (absent := self._absent.get(owner.key)) is not None:
            if absent.owner.instance == owner.instance:
                # The same object was switched off and on.
                self._give_up(absent)
            else:
                # It was saved, maybe with another mode.
                async_forget_busy(self._hass, owner)
                # In the next turn, when all of its triggers are there.
                self._hass.loop.call_soon(self._hand_over, absent)

        @callback
        def unsubscribe() -> None:
            subscriber.is_attached = False
            self._subscribers.pop(subscriber, None)
            if owner is not None:
                self._expect(owner)

        return unsubscribe

    @callback
    def _expect(self, owner: Owner) -> None:
        """Expect an automation back whose trigger was detached."""
        until = self._hass.loop.time() + ABSENT_TIMEOUT
        absent = self._absent.get(owner.key)
        if absent is None or absent.owner.instance != owner.instance:
            kept = absent.kept if absent else []
            absent = self._absent[owner.key] = Absent(owner, until, kept)
        absent.until = until

    @callback
    def _give_up(self, absent: Absent) -> None:
        """Expect an automation no more."""
        if self._absent.get(absent.owner.key) is absent:
            del self._absent[absent.owner.key]
        for kept in absent.kept:
            kept.came_back.set()
        absent.kept = []

    @callback
    def announce(
        self, announcement: Announcement, delivered: Callable[[Announcement], None]
    ) -> None:
        """Deliver an announcement; ``delivered`` is called when that is done."""
        self._under_way.add((announcement.entry_id, announcement.invoice_id))
        self._queue.append((announcement, delivered))
        if self._teller is None:
            # Not eager: the coordinator publishes first, so that actions see the new states.
            self._teller = self._hass.async_create_background_task(
                self._async_tell(), f"{DOMAIN} announcements", eager_start=False
            )

    async def _async_tell(self) -> None:
        """Begin to deliver what waits, one after the other."""
        try:
            while self._queue:
                announcement, delivered = self._queue.popleft()
                self._hass.async_create_background_task(
                    self._async_deliver(announcement, delivered),
                    f"{DOMAIN} announcement {announcement.id}",
                )
                await asyncio.sleep(0)
        finally:
            self._teller = None

    async def _async_deliver(
        self, announcement: Announcement, delivered: Callable[[Announcement], None]
    ) -> None:
        """Deliver an announcement to whoever is to hear it, and wait for that.

        Cancelled when Home Assistant stops: what it cuts is announced again after the start.
        """
        waited_for: list[asyncio.Task[None]] = []
        try:
            for signal in (
                SIGNAL_ANNOUNCED_OF.format(announcement.entry_id),
                SIGNAL_ANNOUNCED_OF.format(
                    invoice_identifier(announcement.entry_id, announcement.invoice_id)
                ),
            ):
                async_dispatcher_send(self._hass, signal, announcement)
            waited_for += [
                run
                for subscriber in tuple(self._subscribers)
                if (run := self._begin(subscriber, announcement)) is not None
            ]
            waited_for += [
                self._spawn(self._async_wait_for(kept, key))
                for key, kept in self._keep_for_absent(announcement)
            ]
            await asyncio.gather(*waited_for)
        except Exception:
            _LOGGER.exception("An announcement could not be delivered as it should be")
        finally:
            for task in waited_for:
                task.cancel()
            self._under_way.discard((announcement.entry_id, announcement.invoice_id))
        delivered(announcement)

    @callback
    def _begin(
        self, subscriber: Subscriber, announcement: Announcement, attempt: int = 1
    ) -> asyncio.Task[None] | None:
        """Run the action of a trigger that matches; return what to wait for."""
        try:
            if not subscriber.matches(announcement):
                return None
            run = subscriber.run(announcement, attempt)
        except Exception:
            _LOGGER.exception("A trigger could not be run")
            return None
        if subscriber.owner is None:
            return None
        return self._spawn(
            self._async_see_through(subscriber, subscriber.owner, announcement, attempt, run)
        )

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something in the background, where a stop cancels it before it stops scripts."""
        return self._hass.async_create_background_task(
            coroutine, f"{DOMAIN} delivery", eager_start=False
        )

    async def _async_see_through(
        self,
        subscriber: Subscriber,
        owner: Owner,
        announcement: Announcement,
        attempt: int,
        run: asyncio.Task[Any],
    ) -> None:
        """Wait until an automation has heard an announcement, or has had its time."""
        deadline = self._hass.loop.time() + RUN_TIMEOUT
        while True:
            await asyncio.wait((run,), timeout=deadline - self._hass.loop.time())
            if not run.done():
                return
            ending = how_it_ended(run, subscriber)
            if ending is Ending.BUSY:
                if self._hass.loop.time() + _ASKED_EVERY > deadline:
                    async_note_busy(self._hass, owner)
                    return
                await asyncio.sleep(_ASKED_EVERY)
                if subscriber.is_attached:
                    run = subscriber.run(announcement, attempt)
                    continue
                ending = Ending.CUT
            break
        if (
            ending is Ending.CUT
            and not subscriber.is_attached
            and (absent := self._absent.get(owner.key))
        ):
            kept = Kept(announcement, attempt + 1, owner.trigger_index)
            absent.kept.append(kept)
            self._hand_over(absent)
            await self._async_wait_for(kept, owner.key)

    def _keep_for_absent(self, announcement: Announcement) -> list[tuple[str, Kept]]:
        """Keep an announcement for automations that are being saved; return what to wait for."""
        waited_for = []
        for absent in list(self._absent.values()):
            if not self._is_expected(absent):
                self._give_up(absent)
                continue
            there = {one.owner.trigger_index for one in self._back(absent) if one.owner}
            # Those of its triggers that are there already hear it as all others do.
            kept = Kept(announcement, 1, None, heard_by=there)
            absent.kept.append(kept)
            if not there:
                waited_for.append((absent.owner.key, kept))
        return waited_for

    def _is_expected(self, absent: Absent) -> bool:
        """Whether an automation may still come back."""
        return self._hass.loop.time() < absent.until and absent.owner.may_come_back(self._hass)

    def _back(self, absent: Absent) -> list[Subscriber]:
        """Return the triggers of an automation that came back, as another object."""
        return [
            one
            for one in self._subscribers
            if one.owner is not None
            and one.owner.key == absent.owner.key
            and one.owner.instance != absent.owner.instance
        ]

    @callback
    def _hand_over(self, absent: Absent) -> None:
        """Give an automation that came back what it missed."""
        triggers = self._back(absent)
        for kept in tuple(absent.kept) if triggers else ():
            matching = [one for one in triggers if one.matches(kept.announcement)]
            if kept.trigger_index is not None:
                # One run was cut, and one comes again: of the same trigger where it is still there.
                same = [one for one in matching if _index(one) == kept.trigger_index]
                matching = (same or matching)[:1]
            for one in matching:
                if (index := _index(one)) in kept.heard_by:
                    continue
                kept.heard_by.add(index)
                if run := self._begin(one, kept.announcement, kept.attempt):
                    kept.runs.append(run)
                kept.came_back.set()
            if matching and kept.trigger_index is not None:
                absent.kept.remove(kept)

    async def _async_wait_for(self, kept: Kept, owner_key: str) -> None:
        """Wait until an automation came back and heard what was kept, or won't come."""
        while not kept.came_back.is_set():
            absent = self._absent.get(owner_key)
            if absent is None or not self._is_expected(absent):
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_ASKED_EVERY):
                    await kept.came_back.wait()
        if kept.runs:
            await asyncio.wait(kept.runs)


def _index(subscriber: Subscriber) -> str:
    """Return which of its automation's triggers one is."""
    return subscriber.owner.trigger_index if subscriber.owner else ""
