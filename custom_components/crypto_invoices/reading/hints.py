"""Hints: what somebody says may have changed is read immediately, and none of it too often."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from homeassistant.core import HomeAssistant, callback

from ..providers.model import ProviderError
from .allowance import Allowance
from .lane import Lane
from .watched import Watched

# A hint never makes an invoice be read again sooner than this, in seconds.
HINT_INTERVAL = 2.0


class Hints:
    """The hints at one account's invoices that are still to be followed, in a lane of their own."""

    def __init__(
        self,
        hass: HomeAssistant,
        name: str,
        *,
        clock: Callable[[], float],
        watched: Mapping[str, Watched],
        allowance: Allowance,
        read: Callable[[list[Watched]], Awaitable[ProviderError | None]],
    ) -> None:
        """Begin with none; ``read`` reads invoices, and returns what went wrong."""
        self._hass = hass
        self._clock = clock
        self._watched = watched
        self._allowance = allowance
        self._read = read
        # In the order they came.
        self._waiting: dict[str, asyncio.Future[ProviderError | None]] = {}
        self._came = asyncio.Event()
        self._lane = Lane(hass, f"{name} hints", self._async_follow)

    @callback
    def async_add(
        self, invoice_ids: Iterable[str], *, is_news: bool = False
    ) -> list[asyncio.Future[ProviderError | None]]:
        """Read these invoices now, if they are watched; once more if news of them come too soon.

        Return what to wait for: each gives None when the invoice was read, or what went wrong.
        """
        futures: list[asyncio.Future[ProviderError | None]] = []
        if self._lane.is_stopped:
            return futures
        for invoice_id in invoice_ids:
            if invoice_id in self._watched:
                if is_news:
                    self._watched[invoice_id].news_at = self._clock()
                if invoice_id not in self._waiting:
                    self._waiting[invoice_id] = self._hass.loop.create_future()
                futures.append(self._waiting[invoice_id])
        if futures:
            self._came.set()
            self._lane.start()
        return futures

    async def async_stop(self) -> None:
        """Stop following hints, and let nobody wait for one."""
        await self._lane.async_stop()
        self._answer(list(self._waiting), None)

    async def _async_follow(self) -> None:
        """Read what was hinted at until nothing is left of it."""
        while self._waiting:
            self._came.clear()
            ready, wait = self._take_ready()
            if ready:
                error: ProviderError | None = None
                try:
                    error = await self._read([self._watched[id_] for id_ in ready])
                finally:
                    self._answer(ready, error, self._taken)
                continue
            # Those that were just read wait, those that are hinted at meanwhile don't.
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._came.wait()

    def _take_ready(self) -> tuple[list[str], float]:
        """Return what to read now, and in how many seconds the next of the others."""
        now = self._clock()
        self._answer([id_ for id_ in self._waiting if id_ not in self._watched], None)
        waits = {id_: self._watched[id_].hinted_at + HINT_INTERVAL - now for id_ in self._waiting}
        # Where the budget is short, those that came first go first.
        ready = [id_ for id_, wait in waits.items() if wait <= 0][: self._allowance.for_hints()]
        self._taken = {id_: self._waiting.pop(id_) for id_ in ready}
        for invoice_id in ready:
            self._watched[invoice_id].hinted_at = now
        return ready, max(0.0, min(waits.values(), default=0.0))

    def _answer(
        self,
        invoice_ids: Iterable[str],
        error: ProviderError | None,
        futures: dict[str, asyncio.Future[ProviderError | None]] | None = None,
    ) -> None:
        """Answer those who wait for these."""
        futures = self._waiting if futures is None else futures
        for invoice_id in invoice_ids:
            if (future := futures.pop(invoice_id, None)) is not None and not future.done():
                future.set_result(error)
