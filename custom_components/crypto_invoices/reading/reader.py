"""The reader of an account: the one place from where its invoices are read."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
import logging
from typing import Any

from homeassistant.core import HomeAssistant, callback

from ..providers.model import ProviderError
from ..providers.provider import Provider
from .allowance import Allowance
from .back_off import BackOff
from .clocks import Clocks
from .hints import Hints
from .intake import Intake
from .lane import Lane
from .lease import Lease
from .schedule import next_due
from .standing import Standing
from .timer import Timer
from .watched import Taken, Watched

_LOGGER = logging.getLogger(__name__)

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
        self._allowance = Allowance(provider, clocks.monotonic)
        self._timer = Timer(hass, f"{name} timer", self._ring)
        self._waiters: list[asyncio.Future[None]] = []
        self._plan_lane = Lane(hass, f"{name} polls", self._async_plan_lane)
        self._is_started = False
        self.is_polling_off = False
        """Whether the user wants no polls."""
        self.standing = Standing(clocks.monotonic, back_off)
        self._lease = Lease(
            provider=provider,
            intake=intake,
            clocks=clocks,
            allowance=self._allowance,
            standing=self.standing,
            done=done,
            failed=failed,
        )
        self.hints = Hints(
            hass,
            name,
            clock=clocks.monotonic,
            watched=intake.watched,
            allowance=self._allowance,
            read=self._async_read_hinted,
        )

    @property
    def last_reading(self) -> datetime | None:
        """When the provider last answered, by the clock on the wall."""
        return self._lease.last_reading

    @property
    def is_backing_off(self) -> bool:
        """Whether the provider has asked for a pause."""
        return self.standing.is_backing_off

    @property
    def is_timer_armed(self) -> bool:
        """Whether something will be read without anybody asking."""
        return self._timer.is_armed or self._plan_lane.is_running

    @callback
    def async_start(self) -> None:
        """Begin to poll."""
        self._is_started = True
        self._ring()

    @callback
    def async_follow_book(self) -> None:
        """Poll what the book watches now."""
        self._intake.follow_book()
        self.async_arm()

    async def async_stop(self) -> None:
        """Stop reading; wait until what is being read has ended."""
        self._is_started = False
        self._timer.disarm()
        await self._plan_lane.async_stop()
        await self.hints.async_stop()
        # Nobody waits for what will not come.
        _answer(self._waiters)
        self._waiters = []

    async def async_ask(self) -> None:
        """Poll what is due now and wait for it, unless the provider has asked for a pause.

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
        due = next_due(self._intake.planned)
        is_off = not self._is_started or self.is_polling_off or self._plan_lane.is_running
        if is_off or due is None:
            self._timer.disarm()
            return
        wait = max(
            1.0,
            due - self._clocks.monotonic() - _LATE,
            self._allowance.seconds_until_poll(),
            self.standing.left + _EARLY if self.is_backing_off else 0.0,
        )
        # Never later than before: whoever plans something again and again puts no poll off.
        self._timer.arm_at_latest(min(wait, LONGEST_SLEEP))

    @callback
    def check_clock(self) -> None:
        """Notice that the clock on the wall was set."""
        if jump := self._clocks.take_jump():
            self._intake.follow_jump(jump)

    @property
    def _soon(self) -> float:
        """Until when a poll is due that need not wait for the timer to ring again."""
        return self._clocks.monotonic() + _EARLY + _LATE

    @callback
    def _ring(self) -> None:
        """Poll, unless it was only a check of the clock."""
        if self.is_polling_off:
            return
        self.check_clock()
        due = next_due(self._intake.planned)
        if due is not None and due <= self._soon and not self.is_backing_off:
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
        self._timer.disarm()
        try:
            await self._poll()
        finally:
            _answer(waiters)
            self._hass.loop.call_soon(self.async_arm)

    async def async_poll(self) -> None:
        """Read what is due and may be read now. Raises a ProviderError."""
        is_first = self.last_reading is None
        await self._lease.async_read_due(self._soon)
        if is_first and not self.is_backing_off:
            # By now it is known how many can be read before somebody gets impatient.
            await self._lease.async_read_due(self._soon)

    async def _async_read_hinted(self, hinted: list[Watched]) -> ProviderError | None:
        """Read what was hinted at; what fails is polled. Return what went wrong."""
        try:
            if (refusal := self.standing.refuse_hint()) is not None:
                self._lease.make_due(hinted)
                return refusal
            self._lease.take(hinted)
            self.async_arm()
            await self._lease.async_read(hinted)
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


def _answer(waiters: Iterable[asyncio.Future[None]]) -> None:
    """Wake those who wait: it is over."""
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
