"""Pushes that name no invoice: all open ones are read, and none of that too often."""

from collections.abc import Callable, Collection

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from ..const import DOMAIN
from ..providers.push import Hint
from ..reading.timer import Timer

# At most once in this many seconds.
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
        self._hint = hint
        self._open_invoices = open_invoices
        self._is_wanted = False
        self._timer = Timer(hass, f"{DOMAIN} {entry.title} nameless hints", self._ring)
        entry.async_on_unload(self._timer.disarm)

    @callback
    def async_pass_on(self, hint: Hint) -> None:
        """Pass a hint on, now or as soon as it may be."""
        if hint.invoice_ids:
            self._hint(hint)
        elif self._timer.is_armed:
            self._is_wanted = True
        else:
            self._read()

    def _read(self) -> None:
        """Have all open ones read, and not again for a while."""
        self._is_wanted = False
        self._timer.arm(INTERVAL)
        # Whatever it is about, it is news of one of them at most.
        self._hint(Hint(invoice_ids=frozenset(self._open_invoices()), is_verified=False))

    @callback
    def _ring(self) -> None:
        """Read what came meanwhile."""
        if self._is_wanted:
            self._read()
