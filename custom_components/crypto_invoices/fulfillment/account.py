"""What one account owes for its payments: opened when they are announced, until it is given."""

from collections.abc import Callable
from datetime import datetime, timedelta

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.start import async_at_started

from ..book.book import Book
from ..book.transitions import Transition, fulfill, is_next, owe, take_back
from ..const import CONF_TO_FULFILL, CONF_TO_FULFILL_ISSUE, DOMAIN
from ..delivery.announcement import Announcement
from ..delivery.listeners import async_get_listeners
from ..issues import (
    NOT_FULFILLED,
    REPEAT_IMPOSSIBLE,
    REVERTED_AFTER_FULFILLED,
    async_create_issue,
    async_delete_issue,
)
from ..reading.timer import Timer
from .follow_ups import FollowUps

# What has been open for so long is said in the repairs.
LONG = timedelta(days=1)
# A trigger that is new has to be noticed.
_LONGEST_WAIT = 60.0


class Fulfillment:
    """Follows what is announced of an account, and what is owed for it."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, book: Book, now: Callable[[], datetime]
    ) -> None:
        """Begin with what the book says."""
        self.hass = hass
        self.entry = entry
        self._book = book
        self._now = now
        self._follow_ups = FollowUps(hass, entry, book, now)
        self._timer = Timer(hass, f"{DOMAIN} {entry.title} to fulfill", self._ring)
        self._listeners: dict[CALLBACK_TYPE, None] = {}
        self._shown: tuple[bool, int, int] | None = None
        self._is_started = self._will_compare = False

    @property
    def is_on(self) -> bool:
        """Whether payments have to be fulfilled from now on."""
        return bool(self.entry.options.get(CONF_TO_FULFILL))

    @property
    def is_shown(self) -> bool:
        """Whether there is something to show: also what was open when it was switched off."""
        return self.is_on or bool(self._book.items.owed)

    @property
    def _reverted(self) -> int:
        """How many payments were taken back after they were fulfilled."""
        return sum(not record.status.is_paid for record in self._book.items.done.values())

    @callback
    def async_start(self) -> None:
        """Come back to what is owed from when Home Assistant has started."""

        @callback
        def started(_: HomeAssistant) -> None:
            self._is_started = True
            self.async_compare()

        async def async_entry_updated(hass: HomeAssistant, entry: ConfigEntry) -> None:
            self.async_compare()

        self.entry.async_on_unload(self.entry.add_update_listener(async_entry_updated))
        self.entry.async_on_unload(async_at_started(self.hass, started))
        self.entry.async_on_unload(
            self.hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, self._write_down)
        )
        self.entry.async_on_unload(self._stop)

    @callback
    def _stop(self) -> None:
        """Stop coming back."""
        self._is_started = False
        self._timer.disarm()
        self._follow_ups.async_leave()

    @callback
    def _write_down(self, _: Event) -> None:
        """Take down who was reminded before Home Assistant stops."""
        self._follow_ups.async_write_down()

    @callback
    def async_add_listener(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call ``listener`` when something is owed, fulfilled, taken back or forgotten."""
        self._listeners[listener] = None
        return lambda: self._listeners.pop(listener)

    @callback
    def follow(
        self,
        announcement: Announcement,
        transition: Transition,
        heard_by: tuple[str, ...],
        *,
        is_done: bool,
    ) -> None:
        """Owe what was paid for, before anybody hears of it, and nothing for what is taken back.

        That isn't so before it ``is_done``: it is in the same transaction as what was announced.
        """
        record = self._book.records.get(announcement.invoice_id)
        if record is None or not is_next(self.entry.entry_id, record, transition):
            return
        if not transition.is_payment:
            is_news = is_done and take_back(record)
        elif self.is_on:
            automations = async_get_listeners(self.hass).automations
            keys = [key for key in heard_by if (one := automations.get(key)) and one.may_repeat]
            is_news = owe(record, transition, keys, self._now())
        else:
            self._compare_repeating(announcement, heard_by)
            is_news = False
        if is_news:
            self._book.changed(record)
            self._compare_soon()

    async def async_fulfill(self, invoice_id: str, *, is_done: bool = True) -> bool:
        """Note that what is owed was given, or was not; return whether that is news.

        Raises a ServiceValidationError where nothing is owed, and a HomeAssistantError where it
        can't be written: then it is written with whatever comes next.
        """
        record = self._book.records.get(invoice_id)
        if record is None or record.item is None or not (is_done or record.status.is_paid):
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="nothing_to_fulfill",
                translation_placeholders={"account": self.entry.title},
            )
        is_news = fulfill(record, self._now() if is_done else None)
        if is_news:
            self._book.changed(record)
            self._compare_soon()
        if not await self._book.async_commit() and self._book.writer.failed:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="fulfillment_not_written",
                translation_placeholders={"account": self.entry.title},
            )
        return is_news

    @callback
    def _compare_soon(self) -> None:
        """Compare once, however much changes in this turn of the loop."""
        if not self._will_compare:
            self._will_compare = True
            self.hass.loop.call_soon(self.async_compare)

    @callback
    def async_compare(self) -> None:
        """Let whoever shows it follow what is owed, if that is something new."""
        self._will_compare = False
        state = (self.is_on, self._book.items.version, self._reverted)
        if state != self._shown:
            self._shown = state
            for listener in tuple(self._listeners):
                listener()
        if self._is_started:
            self._ring()

    @callback
    def _ring(self) -> None:
        """Come back to what is owed, and say what has been owed for long."""
        now, owed = self._now(), self._book.items.owed
        if self.is_on:
            async_delete_issue(self.hass, self.entry, REPEAT_IMPOSSIBLE)
        since = [record.item.since for record in owed.values() if record.item]
        is_wanted = self.entry.options.get(CONF_TO_FULFILL_ISSUE, True)
        self._say(NOT_FULFILLED, sum(one <= now - LONG for one in since) if is_wanted else 0)
        self._say(REVERTED_AFTER_FULFILLED, self._reverted)
        soonest = self._follow_ups.async_compare(is_repeating=self.is_on)
        if soonest is None:
            self._timer.disarm()
        else:
            self._timer.arm_at_latest(min(max(soonest, 1.0), _LONGEST_WAIT))

    @callback
    def _say(self, key: str, count: int) -> None:
        """Say in the repairs how many there are, or no more that there are some."""
        if count:
            async_create_issue(self.hass, self.entry, key, {"count": str(count)})
        else:
            async_delete_issue(self.hass, self.entry, key)

    @callback
    def _compare_repeating(self, announcement: Announcement, heard_by: tuple[str, ...]) -> None:
        """Say in the repairs which automations can't be run until it is fulfilled."""
        owners = async_get_listeners(self.hass).repeating(announcement, heard_by)
        if owners:
            names = ", ".join(sorted({owner.name for owner in owners}))
            async_create_issue(self.hass, self.entry, REPEAT_IMPOSSIBLE, {"automations": names})
        else:
            async_delete_issue(self.hass, self.entry, REPEAT_IMPOSSIBLE)
