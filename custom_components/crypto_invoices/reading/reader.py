"""The reader of an account: the one place from where its invoices are read."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
import logging
from typing import Any

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from ..providers.budget import WINDOW
from ..providers.model import (
    Answer,
    ProviderError,
    ProviderUnavailable,
    UnavailableReason,
)
from ..providers.provider import Provider
from .allowance import Allowance
from .back_off import BackOff
from .clocks import Clocks
from .hints import Hints
from .intake import Intake
from .lane import Lane
from .schedule import find_company, next_due, take_due
from .standing import Standing
from .taken import Taken
from .watched import Watched

_LOGGER = logging.getLogger(__name__)

# A reading has so many seconds once it is its turn, and what it reads comes again after that.
READING_DEADLINE = 60.0
_LEASE = READING_DEADLINE + WINDOW + 15.0
# Home Assistant's timers may ring so much too early or too late.
_EARLY, _LATE = 1.0, 0.5
# Somebody has to notice when the clock on the wall is set, or the machine was asleep.
LONGEST_SLEEP = 5 * 60.0


class Reader:
    """Reads what is due in one lane and what was hinted at in another, one reading in each."""

    def __init__(
        self,
        hass: HomeAssistant,
        name: str,
        *,
        provider: Provider,
        intake: Intake,
        clocks: Clocks,
        back_off: BackOff,
        poll: Callable[[], Awaitable[None]],
        done: Callable[[Taken], Awaitable[None]],
        failed: Callable[[ProviderError, list[Watched]], None],
    ) -> None:
        """Begin without a timer.

        ``poll`` makes the coordinator call ``async_poll``, ``done`` follows up on each
        reading, ``failed`` notes one that failed.
        """
        self._hass = hass
        self._name = name
        self._provider = provider
        self._intake = intake
        self._clocks = clocks
        self._poll = poll
        self._done = done
        self._failed = failed
        self._allowance = Allowance(provider, clocks.monotonic)
        self._timer: CALLBACK_TYPE | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._plan_lane = Lane(hass, f"{name} polls", self._async_plan_lane)
        self._is_started = False
        self.is_polling_off = False
        """Whether the user wants no polls."""
        self.standing = Standing(clocks.monotonic, back_off)
        self.last_reading: datetime | None = None
        self.hints = Hints(
            hass,
            name,
            clock=clocks.monotonic,
            watched=intake.watched,
            allowance=self._allowance,
            read=self._async_read_hinted,
        )

    @property
    def is_backing_off(self) -> bool:
        """Whether the provider is to be left alone for a while."""
        return self.standing.is_backing_off

    @property
    def is_timer_armed(self) -> bool:
        """Whether something will be read without anybody asking."""
        return self._timer is not None or self._plan_lane.is_running

    @callback
    def async_start(self) -> None:
        """Begin to poll."""
        self._is_started = True
        self._ring(self._clocks.wall())

    @callback
    def async_follow_book(self) -> None:
        """Poll what the book watches now."""
        self._intake.follow_book()
        self.async_arm()

    async def async_stop(self) -> None:
        """Read nothing any more; wait until what is being read has ended."""
        self._is_started = False
        self._disarm()
        await self._plan_lane.async_stop()
        await self.hints.async_stop()
        self._answer_waiters()

    async def async_ask(self) -> None:
        """Poll what is due now and wait for it, unless the provider is to be left alone.

        A caller that is cancelled stops nothing.
        """
        if self.is_backing_off or self._plan_lane.is_stopped:
            return
        waiter = self._hass.loop.create_future()
        self._waiters.append(waiter)
        self._plan_lane.start()
        await waiter

    @callback
    def async_arm(self) -> None:
        """Derive the one timer from what is planned."""
        self._disarm()
        if not self._is_started or self.is_polling_off or self._plan_lane.is_running:
            return
        if self._hass.is_stopping:
            # A poll that a stop cuts short comes again after the start, not before the end.
            return
        due = next_due(self._intake.planned)
        if due is None:
            return
        wait = max(
            1.0,
            due - self._clocks.monotonic() - _LATE,
            self._allowance.seconds_until_poll(),
            self.standing.left + _EARLY if self.is_backing_off else 0.0,
        )
        self._timer = async_call_later(
            self._hass,
            min(wait, LONGEST_SLEEP),
            HassJob(self._ring, f"{self._name} timer", cancel_on_shutdown=True),
        )

    @callback
    def check_clock(self) -> None:
        """Notice that the clock on the wall was set."""
        if jump := self._clocks.take_jump():
            self._intake.follow_jump(jump)

    @callback
    def _disarm(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer()
            self._timer = None

    @callback
    def _ring(self, now: datetime) -> None:
        """Poll, unless it was only a look at the clock."""
        self._timer = None
        if self.is_polling_off:
            return
        self.check_clock()
        soon = self._clocks.monotonic() + _EARLY + _LATE
        due = next_due(self._intake.planned)
        if due is not None and due <= soon and not self.is_backing_off:
            self._plan_lane.start()
        else:
            self.async_arm()

    def diagnostics(self) -> dict[str, Any]:
        """Return what may be shared; times are in seconds."""
        due = next_due(self._intake.planned)
        left = self.standing.left
        return {
            "requests_per_minute": self._provider.budget.per_minute,
            "requests_left": self._provider.budget.left,
            "failures_in_a_row": self.standing.failures,
            "backs_off_for": round(left) if left else None,
            "is_key_refused": self.standing.is_key_refused,
            "invoices_planned": len(self._intake.planned),
            "next_poll_in": None if due is None else max(0, round(due - self._clocks.monotonic())),
        }

    async def _async_plan_lane(self) -> None:
        """Poll, and answer those who asked for it before it began."""
        waiters, self._waiters = self._waiters, []
        self._disarm()
        try:
            await self._poll()
        finally:
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._hass.loop.call_soon(self.async_arm)

    def _answer_waiters(self) -> None:
        """Let nobody wait for what will not come."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters = []

    async def async_poll(self) -> None:
        """Read what is due and may be read now. Raises a ProviderError."""
        is_first = self.last_reading is None
        await self._async_poll_once()
        if is_first and not self.is_backing_off:
            # By now it is known how many can be read before somebody gets impatient.
            await self._async_poll_once()

    async def _async_poll_once(self) -> None:
        """Read what is due, as much as there is room for."""
        self._intake.follow_book()
        due = take_due(
            self._intake.planned,
            self._clocks.monotonic() + _EARLY + _LATE,
            self._allowance.for_poll(is_failing=self.standing.is_failing),
            self._provider.batch_size,
            lease=_LEASE,
        )
        self._allowance.count_poll(len(due))
        if due:
            await self._async_read(due)

    async def _async_read_hinted(self, hinted: list[Watched]) -> ProviderError | None:
        """Read what was hinted at; what fails is polled. Return what went wrong."""
        try:
            if (refusal := self.standing.refuse_hint()) is not None:
                self._make_due(hinted)
                return refusal
            for one in hinted:
                one.plan(self._clocks.monotonic() + _LEASE)
            self.async_arm()
            await self._async_read(hinted)
        except ProviderError as err:
            _LOGGER.debug("%s: could not follow a hint: %r", self._name, err)
            return err
        except Exception:
            # A mistake of ours, which must not end the watching.
            _LOGGER.exception("%s: could not follow a hint", self._name)
            return ProviderError("a mistake")
        finally:
            self._hass.loop.call_soon(self.async_arm)
        return None

    async def _async_read(self, wanted: list[Watched]) -> None:
        """Read invoices, and follow up on what that brought. Raises a ProviderError."""
        answers: list[Answer] | None = None
        wanted = [*wanted, *find_company(wanted, self._intake.watched.values())]
        try:
            # What has to wait in line is not slow for that.
            async with asyncio.timeout(
                READING_DEADLINE + self._allowance.seconds_in_line(len(wanted))
            ):
                answers = await self._provider.async_get_answers(one.record.id for one in wanted)
        except TimeoutError as err:
            error = ProviderUnavailable(UnavailableReason.TIMEOUT, "the reading took too long")
            self._note_failure(error, wanted)
            raise error from err
        except ProviderError as err:
            self._note_failure(err, wanted)
            raise
        except Exception as err:
            self.standing.failed(err)
            raise
        finally:
            if answers is None:
                self._make_due(wanted)
        self._note_success(answers)
        self._intake.follow_book()
        await self._done(await self._intake.async_take(answers))

    def _make_due(self, wanted: Iterable[Watched]) -> None:
        """Plan what could not be read: now, which waits for the provider as everything does."""
        for one in wanted:
            one.plan(self._clocks.monotonic())

    def _note_failure(self, err: ProviderError, wanted: list[Watched]) -> None:
        """Leave the provider alone for a while."""
        self.standing.failed(err)
        self._failed(err, wanted)

    def _note_success(self, answers: list[Answer]) -> None:
        """Note that the provider answered, and what it asks for all the same."""
        self.last_reading = self._clocks.wall()
        self.standing.answered(row for answer in answers for row in answer.rows.values())
