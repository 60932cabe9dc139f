"""Pushes that name no invoice: all open ones are read, and none of that too often."""

from collections.abc import Callable, Collection
from datetime import datetime

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from ..providers.push import Hint

# At most once in so many seconds.
INTERVAL = 10.0


class NamelessHints:
    """Passes hints on, and turns those about no invoice into some about all that are open."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        *,
        hint: Callable[[Hint], object],
        open_invoices: Callable[[], Collection[str]],
    ) -> None:
        """Begin with none, and stop with the account."""
        self._hass = hass
        self._hint = hint
        self._open_invoices = open_invoices
        self._is_wanted = False
        self._cancel: CALLBACK_TYPE | None = None
        entry.async_on_unload(self._stop)

    @callback
    def async_pass_on(self, hint: Hint) -> None:
        """Pass a hint on, now or as soon as it may be."""
        if hint.invoice_ids:
            self._hint(hint)
        elif self._cancel is None:
            self._read(is_verified=hint.is_verified)
        else:
            self._is_wanted = True

    def _read(self, *, is_verified: bool) -> None:
        """Have all open ones read, and not again for a while."""
        self._is_wanted = False
        self._cancel = async_call_later(self._hass, INTERVAL, self._ring)
        self._hint(Hint(invoice_ids=frozenset(self._open_invoices()), is_verified=is_verified))

    @callback
    def _ring(self, now: datetime) -> None:
        """Read what came meanwhile."""
        self._cancel = None
        if self._is_wanted:
            self._read(is_verified=False)

    @callback
    def _stop(self) -> None:
        """Read nothing any more."""
        if self._cancel is not None:
            self._cancel()
