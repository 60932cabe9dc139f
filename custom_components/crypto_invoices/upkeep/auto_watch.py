"""Watches an account automatically: open invoices that are made at the provider are added."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import batched
import logging
from typing import override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from ..book.book import REMEMBERED_FOR
from ..const import CONF_AUTO_WATCH, DOMAIN
from ..coordinator import CryptoInvoicesCoordinator
from ..errors import error_key
from ..issues import AUTO_WATCH_LIMIT, async_create_issue, async_delete_issue
from ..providers.capabilities import CanListInvoices, PermissionMissing
from ..providers.model import Invoice, ProviderError
from ..reading.back_off import BackOff
from ..watching import async_watch

_LOGGER = logging.getLogger(__name__)

# As often as a young invoice is polled.
INTERVAL = timedelta(seconds=30)
# While there is no room for more.
_INTERVAL_WHEN_FULL = timedelta(minutes=15)
# Invoices that were made shortly before this is switched on are watched too.
_LOOK_BACK = timedelta(days=1)
# The clocks may differ, and a provider may list an invoice a while after it was made.
_OVERLAP = timedelta(minutes=15)
# So many invoices of an account are watched automatically, and no more.
MOST_WATCHED = 500
# What is longer has to wait for the next list.
_MOST_LISTED = 10_000
# So many are added before others get their turn.
_AT_ONCE = 20
_LISTED_TO = "listed_to"


def is_auto_watched(entry: ConfigEntry) -> bool:
    """Whether new invoices at the provider are watched automatically."""
    return bool(entry.options.get(CONF_AUTO_WATCH, False))


class AutoWatch(DataUpdateCoordinator[None]):
    """Lists what was made at the provider since the last list, and adds what is open."""

    config_entry: ConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        provider: CanListInvoices,
        account: CryptoInvoicesCoordinator,
        back_off: BackOff,
    ) -> None:
        """Begin switched off."""
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {entry.title} list of invoices",
            update_interval=INTERVAL,
        )
        self._provider = provider
        self._account = account
        self._book = account.book
        self._back_off = back_off
        self._switch_off: Callable[[], None] | None = None

    @callback
    def async_start(self) -> None:
        """Watch automatically while the option says so."""

        async def async_entry_updated(hass: HomeAssistant, entry: ConfigEntry) -> None:
            self._async_switch(on=is_auto_watched(entry))

        self.config_entry.async_on_unload(
            self.config_entry.add_update_listener(async_entry_updated)
        )
        self._async_switch(on=is_auto_watched(self.config_entry))

    @callback
    def _async_switch(self, *, on: bool) -> None:
        """Begin to watch automatically, or stop it."""
        if on is (self._switch_off is not None):
            return
        if self._switch_off is not None:
            self._switch_off()
            self._switch_off = None
            # Whoever switches it on again is asking about what is new then.
            self._book.set_fact(_LISTED_TO, "")
            async_delete_issue(self.hass, self.config_entry, AUTO_WATCH_LIMIT)
            return
        self._switch_off = self.async_add_listener(lambda: None)
        self.config_entry.async_on_unload(self._stop)
        # The set-up doesn't wait for the list.
        self.config_entry.async_create_background_task(
            self.hass, self.async_refresh(), f"{self.name} at the start"
        )

    @callback
    def _stop(self) -> None:
        """List no more, as the account is unloaded."""
        if self._switch_off is not None:
            self._switch_off()

    @override
    async def _async_update_data(self) -> None:
        """List what is new, unless the provider wants to be left alone."""
        if self._account.reader.is_backing_off or self._switch_off is None:
            return
        began = self._account.clocks.now()
        found = await self._async_list(self._since(began))
        watched = sum(record.is_automatic for record in self._book.records.values())
        room = max(MOST_WATCHED - watched, 0)
        found.sort(key=lambda invoice: invoice.created_at or began, reverse=True)
        await self._async_add(list(reversed(found[:room])))
        if len(found) > room:
            placeholders = {"most": str(MOST_WATCHED)}
            async_create_issue(self.hass, self.config_entry, AUTO_WATCH_LIMIT, placeholders)
            # What was left out is found again when there is room.
            self.update_interval = _INTERVAL_WHEN_FULL
            return
        async_delete_issue(self.hass, self.config_entry, AUTO_WATCH_LIMIT)
        self.update_interval = INTERVAL
        self._book.set_fact(_LISTED_TO, began.isoformat())
        await self._book.async_commit()

    def _since(self, now: datetime) -> datetime:
        """Return since when what was made may be new: not longer than IDs are remembered."""
        listed_to = self._book.fact(_LISTED_TO)
        since = datetime.fromisoformat(listed_to) - _OVERLAP if listed_to else now - _LOOK_BACK
        return max(since, now - REMEMBERED_FOR)

    async def _async_list(self, since: datetime) -> list[Invoice]:
        """Return the open invoices made since then that were never watched, each once."""
        found: dict[str, Invoice] = {}
        listed = 0
        try:
            async for invoice in self._provider.async_list_invoices(since=since):
                listed += 1
                if invoice.status.is_open and invoice.id not in self._book.records:
                    found[invoice.id] = invoice
                if listed >= _MOST_LISTED:
                    break
        except ProviderError as err:
            raise self._failure(err) from err
        self._back_off.succeeded()
        known = await self._book.async_find(found) if found else {}
        return [invoice for id_, invoice in found.items() if id_ not in known]

    async def _async_add(self, invoices: list[Invoice]) -> None:
        """Watch invoices, a few at a time."""
        for some in batched(invoices, _AT_ONCE, strict=False):
            await async_watch(self._account, some, is_automatic=True)

    def _failure(self, err: ProviderError) -> UpdateFailed:
        """Return the translated error, and wait longer each time."""
        key, placeholders = error_key(err), {"account": self.config_entry.title}
        if isinstance(err, PermissionMissing):
            key, placeholders["permission"] = "permission_missing", err.permission
        return UpdateFailed(
            retry_after=self._back_off.failed(err),
            translation_domain=DOMAIN,
            translation_key=key,
            translation_placeholders=placeholders,
        )
