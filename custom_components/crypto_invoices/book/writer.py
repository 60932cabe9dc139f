"""Whatever is done with an account's database: one job at a time, which no caller cancels."""

import asyncio
from collections.abc import Callable, Coroutine
import logging
from typing import Any

from homeassistant.core import CALLBACK_TYPE, HomeAssistant
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .contents import Changes
from .database import StorageError
from .storage import Storage
from .unwritten import Unwritten

_LOGGER = logging.getLogger(__name__)

# How to wait no longer for the end of a backup. While it is there, no book may be written,
# whichever accounts are loaded.
HELD: HassKey[CALLBACK_TYPE] = HassKey(f"{DOMAIN}_held")


class Writer:
    """Commits the changes of one account's book; what fails is tried again with the next."""

    def __init__(
        self,
        hass: HomeAssistant,
        storage: Storage,
        unwritten: Unwritten,
    ) -> None:
        """Keep where changes come from, and where those go that were not written."""
        self._hass = hass
        self._storage = storage
        self._unwritten = unwritten
        self._turn = asyncio.Lock()
        self.failed = False
        """Whether the last transaction did not reach the disk."""

    async def async_commit(self) -> bool:
        """Write what changed so far; return whether all of it is on disk."""
        return await self._async_own(self._async_write())

    async def async_close(self) -> None:
        """Write what changed, whatever is held, and close the file.

        Nobody else has a turn in between: what they would change could not be written.
        """
        await self._async_own(self._async_write_and_close())

    async def async_ask[T](self, question: Callable[[Storage], T]) -> T:
        """Return what is on disk. Raises StorageError."""
        return await self.async_ask_then(question, lambda answer: answer)

    async def async_ask_then[T, R](
        self, question: Callable[[Storage], T], follow_up: Callable[[T], R]
    ) -> R:
        """Return what follows from what is on disk. Raises StorageError.

        ``follow_up`` is called before anybody else has a turn: the answer is still true then.
        """
        return await self._async_own(self._async_run(question, follow_up))

    async def _async_own[T](self, job: Coroutine[Any, Any, T]) -> T:
        """Do a job to its end, also when the caller is cancelled."""
        # Tracked, not in the background: Home Assistant waits for it when it stops.
        task = self._hass.async_create_task(job, f"{self._storage.path.name} job")
        return await asyncio.shield(task)

    async def _async_run[T, R](
        self, question: Callable[[Storage], T], follow_up: Callable[[T], R]
    ) -> R:
        """Ask when it is its turn."""
        async with self._turn:
            return follow_up(await self._hass.async_add_executor_job(question, self._storage))

    async def _async_write(self) -> bool:
        """Make one transaction of what changed when it is its turn, unless that is held."""
        async with self._turn:
            if (changes := self._unwritten.take()) is None:
                return True
            if HELD in self._hass.data:
                self._unwritten.give_back(changes)
                return False
            return await self._async_write_changes(changes)

    async def _async_write_and_close(self) -> None:
        """Make a last transaction when it is its turn."""
        async with self._turn:
            try:
                if (changes := self._unwritten.take()) is not None:
                    await self._async_write_changes(changes)
            finally:
                await self._hass.async_add_executor_job(self._storage.close)

    async def _async_write_changes(self, changes: Changes) -> bool:
        """Make one transaction."""
        is_written = False
        try:
            await self._hass.async_add_executor_job(self._storage.write, changes)
            is_written = True
        except StorageError as err:
            self._log(err)
        finally:
            self.failed = not is_written
            if not is_written:
                self._unwritten.give_back(changes)
        return is_written

    def _log(self, err: StorageError) -> None:
        """Log the first of many failures."""
        if not self.failed:
            _LOGGER.error(
                "Can't write %s: %s. Nothing is lost while Home Assistant runs; it tries again",
                self._storage.path.name,
                err,
            )
