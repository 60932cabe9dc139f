"""Lists what was made in an account that is watched automatically."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
import logging
import math

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from ..book.database import StorageError
from ..const import DOMAIN
from ..coordinator import CryptoInvoicesCoordinator
from ..errors import error_key
from ..providers.budget import Budget, paced
from ..providers.capabilities import CanListInvoices, PermissionMissing
from ..providers.model import Invoice, ListIncomplete, ProviderError
from ..reading.back_off import BackOff
from ..reading.lane import Lane
from ..reading.timer import Timer
from .discovery import Since, newest_of
from .hinted import HintedInvoices
from .horizon import Horizon, forget_horizon
from .places import Places, forget_gaps

_LOGGER = logging.getLogger(__name__)

# As often as a young invoice is polled; sooner where the list is behind, or somebody hints.
EVERY = 30.0
_EVERY_WHILE_BEHIND = 1.0
_HINTED_EVERY = 2.0
REQUESTS_PER_MINUTE = 10


@callback
def forget_list(account: CryptoInvoicesCoordinator) -> None:
    """Forget what automatic watching knows: whoever turns it on again starts from the beginning."""
    forget_horizon(account.book)
    forget_gaps(account)


class Lister:
    """Finds new invoices: in the list, which has one lane, and by hints, which have another."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        provider: CanListInvoices,
        account: CryptoInvoicesCoordinator,
        back_off: BackOff,
    ) -> None:
        """Begin with what the book knows."""
        self._entry = entry
        self._provider = provider
        self._account = account
        self._book = account.book
        self._clock = account.clocks.monotonic
        self._back_off = back_off
        self._pace = Budget(REQUESTS_PER_MINUTE, self._clock)
        self._horizon = Horizon(account.book, account.clocks, account.provider)
        self._places = Places(account)
        self._hinted = HintedInvoices(hass, account, back_off, self._horizon, self._places)
        self._listed_at = -math.inf
        self._lane = Lane(hass, f"{account.name} list", self._async_list)
        self._timer = Timer(hass, f"{account.name} list", self._lane.start)

    @callback
    def start(self) -> None:
        """Begin to list."""
        self._lane.start()

    async def async_stop(self) -> None:
        """Stop listing; wait until what is under way has ended."""
        await self._lane.async_stop()
        await self._hinted.async_stop()
        self._timer.disarm()

    @callback
    def async_hint(self, invoice_ids: Iterable[str], *, is_trusted: bool) -> None:
        """Find invoices that are not watched: one by one if the hint is the provider's own.

        What anybody may have sent leads to one list in two seconds in all.
        """
        unknown = {id_ for id_ in invoice_ids if id_ and id_ not in self._book.records}
        if not unknown:
            return
        if is_trusted and not self._hinted.is_full:
            self._hinted.async_add(unknown)
        else:
            self._arm(self._listed_at + _HINTED_EVERY - self._clock())

    @callback
    def _arm(self, wait: float) -> None:
        """List in this many seconds, unless that is planned sooner."""
        if not self._lane.is_stopped:
            self._timer.arm_at_latest(max(wait, 0.0))

    async def _async_list(self) -> None:
        """List a part of what is new, unless the provider wants a pause."""
        self._timer.disarm()
        wait = max(self._account.reader.standing.left, self._back_off.left)
        if wait > 0:
            self._arm(wait + 1.0)
            return
        self._listed_at = self._clock()
        try:
            with paced(self._pace):
                is_behind = await self._async_step()
        except (ProviderError, StorageError) as err:
            self._failed(err)
            return
        except Exception as err:
            # A mistake of ours, which must not end the watching.
            self._failed(err)
            raise
        if self._back_off.failures:
            _LOGGER.info("%s: the list of invoices can be read again", self._account.name)
        self._back_off.succeeded()
        await self._book.async_commit()
        if is_behind:
            # Whoever wants no polls wants the rest of this one.
            self._arm(_EVERY_WHILE_BEHIND)
        else:
            self._plan(EVERY)

    @callback
    def _plan(self, wait: float) -> None:
        """List again, unless the user wants no polls."""
        if not self._account.reader.is_polling_off:
            self._arm(wait)

    @callback
    def _failed(self, err: Exception) -> None:
        """Wait longer each time, and log the first."""
        if not self._back_off.failures and isinstance(err, ProviderError):
            placeholders = {"account": self._entry.title}
            key = error_key(err)
            if isinstance(err, PermissionMissing):
                key, placeholders["permission"] = "permission_missing", err.permission
            text = HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key=key,
                translation_placeholders=placeholders,
            )
            _LOGGER.error("%s: the list of invoices: %s", self._account.name, text)
        self._plan(self._back_off.failed(err))

    async def _async_step(self) -> bool:
        """List a part of what was made since the last list; return whether there is more."""
        now = await self._horizon.async_now()
        since = self._horizon.since_at(now)
        start, end = self._horizon.window(since, now)
        listed = [one async for one in self._async_read_list(start, end)]
        if is_first := since is None:
            since = self._horizon.begin(listed, start, now)
        await self._places.async_watch(self._horizon.find_new(listed, since, now))
        if reached := end or newest_of(listed, now) or (start if is_first else None):
            self._horizon.note_listed(reached)
        if is_first:
            self._places.sweep.listed(None)
        elif end is None:
            await self._async_sweep(since, now)
        return end is not None

    async def _async_read_list(
        self, start: datetime, end: datetime | None
    ) -> AsyncIterator[Invoice]:
        """Yield what was made in a time, as far as it can be read. Raises a ProviderError."""
        try:
            async for invoice in self._provider.async_list_invoices(since=start, until=end):
                yield invoice
        except ListIncomplete as err:
            _LOGGER.debug("%s: the list: %r", self._account.name, err)
            self._places.note_unread(start)

    async def _async_sweep(self, since: Since, now: datetime) -> None:
        """List a piece again, where it is time for that."""
        if (piece := self._places.sweep.next_piece(now)) is None:
            return
        start, end = piece
        listed = [one async for one in self._async_read_list(start, end)]
        await self._places.async_watch(self._horizon.find_new(listed, since, now))
        self._places.note_swept(end)
