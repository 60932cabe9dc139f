"""A timer that its owner sets again whenever something is planned."""

from datetime import datetime
import math

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later


class Timer:
    """Rings once, unless it is disarmed or Home Assistant stops."""

    def __init__(self, hass: HomeAssistant, name: str, ring: CALLBACK_TYPE) -> None:
        """Begin disarmed."""
        self._hass = hass
        self._ring = ring
        self._job = HassJob(self._end, name, cancel_on_shutdown=True)
        self._cancel: CALLBACK_TYPE | None = None
        self._due = math.inf

    @property
    def is_armed(self) -> bool:
        """Whether it will ring."""
        return self._cancel is not None

    @callback
    def arm(self, wait: float) -> None:
        """Ring in this many seconds, and not when it had to ring before."""
        self.disarm()
        self._due = self._hass.loop.time() + wait
        self._cancel = async_call_later(self._hass, wait, self._job)

    @callback
    def arm_at_latest(self, wait: float) -> None:
        """Ring in this many seconds, unless it rings sooner."""
        if self._hass.loop.time() + wait < self._due:
            self.arm(wait)

    @callback
    def disarm(self) -> None:
        """Don't ring."""
        if self._cancel is not None:
            self._cancel()
            self._cancel, self._due = None, math.inf

    @callback
    def _end(self, _: datetime) -> None:
        """Ring."""
        self._cancel, self._due = None, math.inf
        self._ring()
