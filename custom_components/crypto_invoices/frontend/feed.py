"""What a card is sent: first all that it asked for, then what changes."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import batched

from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.util import dt as dt_util

from ..book.database import StorageError
from ..book.record import Record
from ..const import DOMAIN
from ..permissions import async_is_allowed
from ..runtime import AccountRuntime, CryptoInvoicesConfigEntry
from .registration import CARDS_VERSION
from .values import Values, async_account_values, record_values, watched_values

# This many rows are sent in one message, before others get their turn.
_SENT_AT_ONCE = 100
# Of the invoices that are no longer read, the newest of each account.
_MOST_AT_REST = 1000


@callback
def async_readable_accounts(
    hass: HomeAssistant, user: User, entry_id: str | None
) -> list[CryptoInvoicesConfigEntry]:
    """Return the accounts that a user may see; of all, or of one."""
    return [
        entry
        for entry in hass.config_entries.async_entries(DOMAIN)
        if entry_id in (None, entry.entry_id) and async_is_allowed(hass, user, entry, POLICY_READ)
    ]


@dataclass(slots=True)
class _Account:
    """An account as far as it was sent."""

    runtime: AccountRuntime | None = None
    """Whose changes are listened to; another one after each load."""
    version: int | None = None
    """Which version of its book was compared."""
    changed: set[str] = field(default_factory=set)
    sent: dict[str, Values] = field(default_factory=dict)
    stop: list[CALLBACK_TYPE] = field(default_factory=list)

    def leave(self) -> None:
        """Listen no more."""
        while self.stop:
            self.stop.pop()()


class Feed:
    """Compares what one card was sent with what there is, whenever that may have changed."""

    def __init__(
        self,
        hass: HomeAssistant,
        user: User,
        send: Callable[[Values], None],
        *,
        entry_id: str | None,
        order_id: str | None,
    ) -> None:
        """Keep what is asked for: an account or all of them, an order or all of them."""
        self._hass = hass
        self._user = user
        self._send = send
        self._entry_id = entry_id
        self._order_id = order_id
        self._accounts: dict[str, _Account] = {}
        self._described: list[Values] | None = None
        self._is_complete = False
        self._is_stale = False
        self._task: asyncio.Task[None] | None = None
        self._stop = async_dispatcher_connect(
            hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._entry_changed
        )

    @callback
    def async_stop(self) -> None:
        """Stop sending."""
        self._stop()
        for account in self._accounts.values():
            account.leave()
        if self._task is not None:
            self._task.cancel()

    @callback
    def _entry_changed(self, change: ConfigEntryChange, entry: ConfigEntry) -> None:
        """Compare when an account was added, loaded, renamed or removed."""
        if entry.domain == DOMAIN:
            self.async_compare()

    @callback
    def async_compare(self) -> None:
        """Send soon what has changed."""
        self._is_stale = True
        if self._task is None or self._task.done():
            self._task = self._hass.async_create_background_task(
                self._async_send_changes(), f"{DOMAIN} cards"
            )

    async def _async_send_changes(self) -> None:
        """Send what has changed until nothing has."""
        while self._is_stale:
            self._is_stale = False
            entries = async_readable_accounts(self._hass, self._user, self._entry_id)
            self._send_accounts(entries)
            for entry_id in self._accounts.keys() - {entry.entry_id for entry in entries}:
                account = self._accounts.pop(entry_id)
                account.leave()
                self._send_gone(entry_id, account, list(account.sent))
            for entry in entries:
                await self._async_send_invoices(entry)
            if not self._is_complete:
                self._is_complete = True
                self._send({"is_complete": True})

    def _send_accounts(self, entries: Iterable[CryptoInvoicesConfigEntry]) -> None:
        """Send the accounts, if anything about them changed."""
        described = [async_account_values(self._hass, self._user, entry) for entry in entries]
        if described == self._described:
            return
        self._described = described
        self._send(
            {
                "accounts": described,
                "version": self._hass.data[CARDS_VERSION],
                "now": dt_util.utcnow().isoformat(),
            }
        )

    async def _async_send_invoices(self, entry: CryptoInvoicesConfigEntry) -> None:
        """Send what has changed of an account's invoices, unless it isn't loaded."""
        account = self._accounts.setdefault(entry.entry_id, _Account())
        if entry.state is not ConfigEntryState.LOADED:
            account.leave()
            account.runtime = None
            return
        runtime = entry.runtime_data
        if account.runtime is not runtime:
            self._listen(account, runtime)
        watched = runtime.coordinator.data
        if account.version != runtime.coordinator.intake.version:
            account.version = runtime.coordinator.intake.version
            account.changed.update(watched)
            await self._async_send_rest(entry.entry_id, account, runtime)
        changed, account.changed = account.changed, set()
        names = runtime.coordinator.devices.names
        for some in batched(changed, _SENT_AT_ONCE, strict=False):
            rows = [
                watched_values(entry.entry_id, names.name(one.record), one)
                for id_ in some
                if (one := watched.get(id_)) is not None and self._is_asked_for(one.record)
            ]
            self._send_rows(account, rows)
            await asyncio.sleep(0)

    def _listen(self, account: _Account, runtime: AccountRuntime) -> None:
        """Listen to an account that was loaded."""
        account.leave()
        account.runtime, account.version = runtime, None
        publisher = runtime.coordinator.publisher

        def invoices_changed(ids: list[str]) -> None:
            account.changed.update(ids)
            self.async_compare()

        def fulfilled() -> None:
            shown = (id_ for id_, row in account.sent.items() if "is_owed" in row)
            account.changed.update(runtime.book.items.owed, shown)
            self.async_compare()

        def others_watched() -> Iterator[bool]:
            self.async_compare()
            yield False

        account.stop += [
            publisher.async_add_change_listener(invoices_changed),
            publisher.async_add_watched_listener(others_watched),
            runtime.coordinator.async_add_listener(self.async_compare),
            runtime.fulfillment.async_add_listener(fulfilled),
        ]

    async def _async_send_rest(
        self, entry_id: str, account: _Account, runtime: AccountRuntime
    ) -> None:
        """Send what is watched and not in memory, and what is no longer watched."""
        missing = account.sent.keys() - runtime.coordinator.data.keys()
        try:
            at_rest = await runtime.book.writer.async_ask(
                lambda storage: storage.at_rest(_MOST_AT_REST)
            )
            found = await runtime.book.async_find(missing)
        except StorageError:
            # The book is being closed, or can't be read: what was sent stays.
            return
        names = runtime.coordinator.devices.names
        rows = [
            record_values(entry_id, names.name(one), one)
            for one in at_rest
            if self._is_asked_for(one)
        ]
        for some in batched(rows, _SENT_AT_ONCE, strict=False):
            self._send_rows(account, some)
            await asyncio.sleep(0)
        gone = [id_ for id_ in missing if not isinstance(found.get(id_), Record)]
        self._send_gone(entry_id, account, gone)

    def _is_asked_for(self, record: Record) -> bool:
        """Whether a card asked for an invoice."""
        return self._order_id in (None, record.order_id)

    def _send_rows(self, account: _Account, rows: Iterable[Values]) -> None:
        """Send the invoices that changed."""
        news = [row for row in rows if account.sent.get(row["id"]) != row]
        account.sent.update({row["id"]: row for row in news})
        if news:
            self._send({"invoices": news})

    def _send_gone(self, entry_id: str, account: _Account, ids: list[str]) -> None:
        """Send that invoices are no longer watched."""
        for id_ in ids:
            account.sent.pop(id_, None)
        for some in batched(ids, _SENT_AT_ONCE, strict=False):
            self._send({"gone": [[entry_id, id_] for id_ in some]})


@callback
def async_start_feed(
    hass: HomeAssistant,
    user: User,
    send: Callable[[Values], None],
    *,
    entry_id: str | None,
    order_id: str | None,
) -> CALLBACK_TYPE:
    """Begin to send a card what it asked for; return what ends it."""
    feed = Feed(hass, user, send, entry_id=entry_id, order_id=order_id)
    feed.async_compare()
    return feed.async_stop
