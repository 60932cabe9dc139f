"""Follows an account: open invoices that are made at the provider are watched by themselves."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import batched
import logging
from typing import override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .account import async_add_invoices, followed_invoices, tracked_invoices
from .books import REMEMBERED_FOR
from .const import CONF_FOLLOW, DOMAIN
from .coordinator import CryptoInvoicesCoordinator
from .issues import FOLLOW_LIMIT, async_create_issue, async_delete_issue
from .providers.invoicing import CanListInvoices, PermissionMissing
from .providers.model import Invoice, ProviderError, ProviderUnavailable, RateLimited
from .readings import error_key

_LOGGER = logging.getLogger(__name__)

# As often as a young invoice is looked at.
INTERVAL = timedelta(seconds=30)
# While there is no room for more.
_INTERVAL_WHEN_FULL = timedelta(minutes=15)
_LONGEST_BACK_OFF = 15 * 60.0
# Invoices that were made shortly before an account is followed are followed too.
_LOOK_BACK = timedelta(days=1)
# The clocks may differ, and a provider may list an invoice a while after it was made.
_OVERLAP = timedelta(minutes=15)
# So many invoices of an account are watched because it is followed, and no more.
MOST_FOLLOWED = 500
# A list that is longer has to wait for the next look.
_MOST_LISTED = 10_000
# So many are added before others get their turn.
_AT_ONCE = 20


def is_followed(entry: ConfigEntry) -> bool:
    """Whether new invoices at the provider are watched by themselves."""
    return bool(entry.options.get(CONF_FOLLOW, False))


@callback
def async_setup_follow(hass: HomeAssistant, coordinator: CryptoInvoicesCoordinator) -> None:
    """Follow the account while its option says so, where its provider lists invoices."""
    entry = coordinator.config_entry
    if not isinstance(coordinator.provider, CanListInvoices):
        return
    follower = Follower(hass, coordinator, coordinator.provider)

    async def async_entry_updated(hass: HomeAssistant, entry: ConfigEntry) -> None:
        follower.async_switch(on=is_followed(entry))

    entry.async_on_unload(entry.add_update_listener(async_entry_updated))
    follower.async_switch(on=is_followed(entry))


class Follower(DataUpdateCoordinator[None]):
    """Lists what was made at the provider since the last look, and adds what is open."""

    def __init__(
        self, hass: HomeAssistant, account: CryptoInvoicesCoordinator, provider: CanListInvoices
    ) -> None:
        """Begin switched off."""
        super().__init__(
            hass,
            _LOGGER,
            config_entry=account.config_entry,
            name=f"{DOMAIN} {account.config_entry.title} list of invoices",
            update_interval=INTERVAL,
        )
        self._account = account
        self._provider = provider
        self._followed = followed_invoices(account.config_entry)
        self._failures = 0
        self._switch_off: Callable[[], None] | None = None

    @callback
    def async_switch(self, *, on: bool) -> None:
        """Begin to follow, or stop it."""
        entry = self._account.config_entry
        if on and self._switch_off is None:
            # It looks by itself while somebody listens.
            self._switch_off = self.async_add_listener(lambda: None)
            entry.async_create_background_task(
                self.hass, self.async_refresh(), f"{self.name} at the start"
            )
        elif not on:
            # What is made while it is off is not for Home Assistant.
            self._account.books.follow_from(None)
            async_delete_issue(self.hass, entry, FOLLOW_LIMIT)
            if self._switch_off is not None:
                self._switch_off()
                self._switch_off = None

    @override
    async def _async_update_data(self) -> None:
        """Add what is new and open, the newest where there is no room for all."""
        if self._account.is_backing_off or self._switch_off is None:
            return
        began = dt_util.utcnow()
        found = await self._async_list(self._since(began))
        entry = self._account.config_entry
        self._followed &= entry.subentries.keys()
        room = MOST_FOLLOWED - len(self._followed)
        found.sort(key=lambda invoice: invoice.created_at or began, reverse=True)
        await self._async_add(reversed(found[: max(room, 0)]))
        if len(found) > room:
            async_create_issue(self.hass, entry, FOLLOW_LIMIT, {"most": str(MOST_FOLLOWED)})
            # What was left out is found again when there is room.
            self.update_interval = _INTERVAL_WHEN_FULL
            return
        async_delete_issue(self.hass, entry, FOLLOW_LIMIT)
        self.update_interval = INTERVAL
        self._account.books.follow_from(began)

    def _since(self, now: datetime) -> datetime:
        """Return since when what was made may be new: not longer than IDs are remembered."""
        last = self._account.books.followed_until
        since = now - _LOOK_BACK if last is None else last - _OVERLAP
        return max(since, now - REMEMBERED_FOR)

    async def _async_list(self, since: datetime) -> list[Invoice]:
        """Return the open invoices made since then that were never watched, each once."""
        found: dict[str, Invoice] = {}
        listed = 0
        try:
            async for invoice in self._provider.async_list_invoices(since=since):
                listed += 1
                if invoice.status.is_open and not self._is_known(invoice.id):
                    found[invoice.id] = invoice
                if listed >= _MOST_LISTED:
                    break
        except ProviderError as err:
            raise self._failure(err) from err
        self._failures = 0
        return list(found.values())

    def _is_known(self, invoice_id: str) -> bool:
        """Whether an invoice is watched, or was and somebody wanted no more of it."""
        return invoice_id in self._account.tracked or invoice_id in self._account.books.records

    async def _async_add(self, invoices: Iterable[Invoice]) -> None:
        """Watch invoices, a few at a time."""
        entry = self._account.config_entry
        for some in batched(invoices, _AT_ONCE, strict=False):
            new = async_add_invoices(self.hass, entry, some, is_followed=True)
            tracked = tracked_invoices(entry)
            self._followed.update(tracked[invoice.id] for invoice in new)
            await self._account.async_begin(new)

    def _failure(self, err: ProviderError) -> UpdateFailed:
        """Return the translated error, and wait longer each time."""
        seconds = min(INTERVAL.total_seconds() * 2.0**self._failures, _LONGEST_BACK_OFF)
        self._failures = min(self._failures + 1, 10)
        if isinstance(err, RateLimited | ProviderUnavailable) and err.retry_after is not None:
            seconds = max(seconds, min(err.retry_after, _LONGEST_BACK_OFF))
        key, placeholders = error_key(err), {"account": self._account.config_entry.title}
        if isinstance(err, PermissionMissing):
            key, placeholders["permission"] = "permission_missing", err.permission
        return UpdateFailed(
            retry_after=seconds,
            translation_domain=DOMAIN,
            translation_key=key,
            translation_placeholders=placeholders,
        )
