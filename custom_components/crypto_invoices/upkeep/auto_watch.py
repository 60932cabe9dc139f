"""Watches an account automatically while its option says so."""

import asyncio
from collections.abc import Callable, Iterable

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from ..const import CONF_AUTO_WATCH
from ..coordinator import CryptoInvoicesCoordinator
from .lister import Lister, forget_list


def is_auto_watched(entry: ConfigEntry) -> bool:
    """Whether new invoices at the provider are watched automatically."""
    return bool(entry.options.get(CONF_AUTO_WATCH, False))


class AutoWatch:
    """Finds every invoice that is made in an account, and so every payment, while that is wanted.

    What was made after it was switched on is new whenever it is first seen: its baseline is
    that it wasn't made yet, so that its payment is announced.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        account: CryptoInvoicesCoordinator,
        make_lister: Callable[[], Lister],
    ) -> None:
        """Begin switched off."""
        self._hass = hass
        self._entry = entry
        self._account = account
        self._make_lister = make_lister
        self._lister: Lister | None = None
        self._turn = asyncio.Lock()
        self._is_stopped = False

    @callback
    def async_start(self) -> None:
        """Watch automatically while the option says so."""

        async def async_entry_updated(hass: HomeAssistant, entry: ConfigEntry) -> None:
            await self._async_compare()

        self._entry.async_on_unload(self._entry.add_update_listener(async_entry_updated))
        self._entry.async_create_task(self._hass, self._async_compare(), "automatic watching")

    async def _async_compare(self) -> None:
        """Begin to list, or stop it, where that is not as the option says."""
        async with self._turn:
            if self._is_stopped:
                return
            if is_auto_watched(self._entry):
                if self._lister is None:
                    self._lister = self._make_lister()
                    self._lister.start()
                return
            await self._async_end()
            # Whoever switches it on again is asking about what is new then.
            forget_list(self._account)
            await self._account.book.async_commit()

    async def async_stop(self) -> None:
        """List no more: the account is unloaded."""
        self._is_stopped = True
        async with self._turn:
            await self._async_end()

    async def _async_end(self) -> None:
        """Stop the lister, if there is one."""
        if self._lister is not None:
            await self._lister.async_stop()
            self._lister = None

    @callback
    def async_hint(self, invoice_ids: Iterable[str], *, is_trusted: bool) -> None:
        """Find invoices that somebody says there are."""
        if self._lister is not None:
            self._lister.async_hint(invoice_ids, is_trusted=is_trusted)
