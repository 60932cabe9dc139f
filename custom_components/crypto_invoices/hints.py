"""Hints at invoices are followed at once, together, and none of it too often."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .pace import Pace

# Hints that come together become one reading.
HINT_GATHERING = 0.03
# A hint never makes an invoice be read again sooner than this.
HINT_INTERVAL = 2.0


class Hints:
    """The hints at one account's invoices that are still to be followed."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        pace: Pace,
        read: Callable[[list[str]], Awaitable[None]],
    ) -> None:
        """Begin with none; ``read`` reads invoices, and deals with what goes wrong."""
        self._hass = hass
        self._entry = entry
        self._pace = pace
        self._read = read
        # In the order they came.
        self._waiting: dict[str, None] = {}
        self._came = asyncio.Event()
        self._look: asyncio.Task[None] | None = None

    @callback
    def async_add(self, invoice_ids: Iterable[str]) -> asyncio.Task[None] | None:
        """Follow hints at these invoices; return what to wait for, also for earlier ones."""
        new = [id_ for id_ in invoice_ids if id_ not in self._waiting]
        if new:
            self._waiting |= dict.fromkeys(new)
            self._came.set()
        if self._waiting and (self._look is None or self._look.done()):
            self._look = self._entry.async_create_background_task(
                self._hass, self._async_follow(), f"{DOMAIN} {self._entry.title} hints"
            )
        return self._look

    @callback
    def drop(self, invoice_ids: Iterable[str]) -> None:
        """Forget hints at invoices that are about to be read, or no longer tracked."""
        for invoice_id in invoice_ids:
            self._waiting.pop(invoice_id, None)

    async def _async_follow(self) -> None:
        """Read what was hinted at until nothing is left of it."""
        while self._waiting:
            await asyncio.sleep(HINT_GATHERING)
            self._came.clear()
            if self._pace.is_backing_off:
                # The refresh after the back-off takes them.
                self._pace.stay_due(self._waiting)
                self._waiting.clear()
                return
            ready, delay = self._pace.take_hinted(self._waiting, HINT_INTERVAL)
            self.drop(ready)
            await self._read(ready)
            # Invoices that were just read wait, those that are hinted at meanwhile don't.
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._came.wait()
