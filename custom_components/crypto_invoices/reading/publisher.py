"""Calls those who want to know what a reading changed: entities, above all."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import batched
import logging

from homeassistant.core import CALLBACK_TYPE, callback

_LOGGER = logging.getLogger(__name__)

# Entities of this many invoices are written before others get their turn.
PUBLISHED_AT_ONCE = 20


class Publisher:
    """The listeners to the readings of one account."""

    def __init__(self, account: str) -> None:
        """Begin with none; ``account`` is what the log calls it."""
        self._account = account
        # In the order in which they began to listen.
        self._reading_listeners: dict[CALLBACK_TYPE, None] = {}
        self._watched_listeners: dict[Callable[[], Iterator[bool]], None] = {}
        self._change_listeners: dict[Callable[[list[str]], None], None] = {}
        self._invoice_listeners: dict[str, list[CALLBACK_TYPE]] = {}

    @callback
    def async_add_reading_listener(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call ``listener`` after each step of the reader, also one that changed nothing or failed."""
        self._reading_listeners[listener] = None
        return partial(self._reading_listeners.pop, listener, None)

    @callback
    def async_add_watched_listener(self, listener: Callable[[], Iterator[bool]]) -> CALLBACK_TYPE:
        """Call ``listener`` whenever other invoices are watched than before.

        It does a little at each step, and gives True as long as there may be more.
        """
        self._watched_listeners[listener] = None
        return partial(self._watched_listeners.pop, listener, None)

    @callback
    def async_add_change_listener(self, listener: Callable[[list[str]], None]) -> CALLBACK_TYPE:
        """Call ``listener`` with the IDs of the invoices that a reading changed."""
        self._change_listeners[listener] = None
        return partial(self._change_listeners.pop, listener, None)

    @callback
    def async_add_invoice_listener(self, invoice_id: str, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call ``listener`` after each reading that changed this invoice."""
        self._invoice_listeners.setdefault(invoice_id, []).append(listener)
        # Each entity has one of these: a partial is smaller than a closure.
        return partial(self._remove_invoice_listener, invoice_id, listener)

    @callback
    def _remove_invoice_listener(self, invoice_id: str, listener: CALLBACK_TYPE) -> None:
        """Call a listener no more."""
        listeners = self._invoice_listeners[invoice_id]
        listeners.remove(listener)
        if not listeners:
            del self._invoice_listeners[invoice_id]

    async def async_publish_watched(self) -> None:
        """Let entities be those of what is watched, a few at a time."""
        for listener in tuple(self._watched_listeners):
            steps, has_more = listener(), True
            while has_more:
                has_more = listener in self._watched_listeners and bool(
                    self._call(partial(next, steps, None), "which invoices there are")
                )
                await asyncio.sleep(0)

    async def async_publish(self, changed: list[str]) -> None:
        """Write the entities of the invoices that a reading changed, a few at a time."""
        for some in batched(changed, PUBLISHED_AT_ONCE, strict=False):
            for invoice_id in some:
                for listener in tuple(self._invoice_listeners.get(invoice_id, ())):
                    self._call(listener, invoice_id)
            for changes in tuple(self._change_listeners):
                self._call(partial(changes, list(some)), ", ".join(some))
            if len(changed) > PUBLISHED_AT_ONCE:
                await asyncio.sleep(0)
        self.async_publish_step()

    @callback
    def async_publish_step(self) -> None:
        """Call those who follow every step of the reader."""
        for listener in tuple(self._reading_listeners):
            self._call(listener, "what they add up to")

    async def async_publish_all[Key](
        self, listeners: Mapping[Key, tuple[CALLBACK_TYPE, object]]
    ) -> None:
        """Write all the entities of a coordinator, a few at a time."""
        for some in batched(tuple(listeners), PUBLISHED_AT_ONCE, strict=False):
            for key in some:
                # It may have been removed meanwhile.
                if (listening := listeners.get(key)) is not None:
                    self._call(listening[0], "whether it can be read")
            await asyncio.sleep(0)

    @callback
    def _call[T](self, listener: Callable[[], T], what: str) -> T | None:
        """Call a listener; what can't be shown must not keep a payment from being announced."""
        try:
            return listener()
        except Exception:
            _LOGGER.exception("%s: can't show %s", self._account, what)
            return None
