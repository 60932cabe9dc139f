"""A task that is there while there is something to do, and that nobody else cancels."""

import asyncio
from collections.abc import Awaitable, Callable
import logging

from homeassistant.core import HomeAssistant, callback

_LOGGER = logging.getLogger(__name__)


class Lane:
    """Runs one job at a time, again for as long as somebody asked meanwhile."""

    def __init__(self, hass: HomeAssistant, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Keep the job."""
        self._hass = hass
        self._name = name
        self._run = run
        self._task: asyncio.Task[None] | None = None
        self._is_wanted = False
        self._is_stopped = False

    @property
    def is_running(self) -> bool:
        """Whether the job is being done."""
        return self._task is not None

    @property
    def is_stopped(self) -> bool:
        """Whether the job is done no more."""
        return self._is_stopped

    @callback
    def start(self) -> None:
        """Do the job, once more if it is being done already."""
        self._is_wanted = not self._is_stopped
        if self._is_wanted and self._task is None:
            task = self._hass.async_create_background_task(
                self._async_run(), self._name, eager_start=False
            )
            self._task = task

    async def _async_run(self) -> None:
        """Do the job for as long as it is wanted."""
        try:
            while self._is_wanted:
                self._is_wanted = False
                try:
                    await self._run()
                except Exception:
                    # A mistake of ours, which must not end the watching.
                    _LOGGER.exception("%s broke off", self._name)
        finally:
            self._task = None

    async def async_stop(self) -> None:
        """Cancel what is being done, and wait until it is over."""
        self._is_stopped, self._is_wanted = True, False
        if (task := self._task) is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait((task,))
