"""Lists what was made in an account that is watched automatically, and watches what is new."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import batched, groupby
import logging
import math

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_call_later

from ..book.book import REMEMBERED_FOR
from ..book.database import StorageError
from ..const import DOMAIN
from ..coordinator import CryptoInvoicesCoordinator
from ..errors import error_key
from ..issues import AUTO_WATCH_LIMIT, async_create_issue, async_delete_issue
from ..providers.budget import Budget, paced
from ..providers.capabilities import CanListInvoices, PermissionMissing
from ..providers.model import Invoice, ProviderError
from ..reading.back_off import BackOff
from ..reading.lane import Lane
from ..watching import async_watch
from .discovery import BEFORE, Filter, Found, Since, find_new, newest_of
from .sweep import Sweep

_LOGGER = logging.getLogger(__name__)

# As often as a young invoice is polled; sooner where the list is behind, or somebody hints.
_EVERY = 30.0
_EVERY_WHILE_BEHIND = 1.0
_HINTED_EVERY = 2.0
REQUESTS_PER_MINUTE = 10
# A provider may list an invoice a while after it was made.
_OVERLAP = timedelta(minutes=15)
# What is listed in one go, after an outage: the oldest are announced first.
_WINDOW = timedelta(days=2)
# So many open invoices of an account are watched automatically, and no more.
MOST_WATCHED = 500
# So many are added before others get their turn.
_AT_ONCE = 20
_MOST_HINTED = 1000
_SINCE = "auto_watch_since"
_LISTED_TO = "listed_to"
_UNPLACED = "unplaced_from"


@callback
def forget_list(account: CryptoInvoicesCoordinator) -> None:
    """Forget since when an account is watched: what is made while it is not isn't new later."""
    for fact in (_SINCE, _LISTED_TO, _UNPLACED):
        if account.book.fact(fact):
            account.book.set_fact(fact, "")
    async_delete_issue(account.hass, account.config_entry, AUTO_WATCH_LIMIT)


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
        self._hass = hass
        self._entry = entry
        self._provider = provider
        self._account = account
        self._book = account.book
        self._clock = account.clocks.monotonic
        self._back_off = back_off
        self._pace = Budget(REQUESTS_PER_MINUTE, self._clock)
        unplaced = self._book.fact(_UNPLACED)
        self._sweep = Sweep(
            datetime.fromisoformat(unplaced) if unplaced else None, self._clock, REMEMBERED_FOR
        )
        self._has_asked = False
        self._hinted: set[str] = set()
        self._timer: CALLBACK_TYPE | None = None
        self._due = self._listed_at = -math.inf
        self._lane = Lane(hass, f"{account.name} list", self._async_list)
        self._hint_lane = Lane(hass, f"{account.name} new invoices", self._async_read_hinted)

    @callback
    def start(self) -> None:
        """Begin to list."""
        self._lane.start()

    async def async_stop(self) -> None:
        """List nothing any more; wait until what is under way has ended."""
        await self._lane.async_stop()
        await self._hint_lane.async_stop()
        self._disarm()

    @callback
    def async_hint(self, invoice_ids: Iterable[str], *, is_trusted: bool) -> None:
        """Find invoices that are not watched: one by one if the hint is the provider's own.

        What anybody may have sent leads to one list in two seconds in all.
        """
        unknown = {id_ for id_ in invoice_ids if id_ and id_ not in self._book.records}
        if not unknown:
            return
        if is_trusted and len(self._hinted) < _MOST_HINTED:
            self._hinted |= unknown
            self._hint_lane.start()
        else:
            self._arm(self._listed_at + _HINTED_EVERY - self._clock())

    @callback
    def _arm(self, wait: float) -> None:
        """List in so many seconds, unless that is planned sooner."""
        due = self._clock() + max(wait, 0.0)
        if self._lane.is_stopped or (self._timer is not None and self._due <= due):
            return
        self._disarm()
        self._due = due
        job = HassJob(self._ring, f"{self._account.name} list", cancel_on_shutdown=True)
        self._timer = async_call_later(self._hass, max(wait, 0.0), job)

    @callback
    def _disarm(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer()
            self._timer = None

    @callback
    def _ring(self, _: datetime) -> None:
        """List."""
        self._timer = None
        self._lane.start()

    async def _async_list(self) -> None:
        """List a part of what is new, unless the provider wants to be left alone."""
        self._disarm()
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
        if self._back_off.failures:
            _LOGGER.info("%s: the list of invoices can be read again", self._account.name)
        self._back_off.succeeded()
        await self._book.async_commit()
        self._plan(_EVERY_WHILE_BEHIND if is_behind else _EVERY)

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
        now = await self._async_now()
        since = Since.read(self._book.fact(_SINCE))
        if since is not None and since.moment > now + BEFORE:
            # It began while the clock was ahead, with nothing in the list.
            since = None
        start = now - BEFORE
        end: datetime | None = None
        if since is not None:
            stored = self._book.fact(_LISTED_TO)
            listed_to = datetime.fromisoformat(stored) if stored else since.moment - BEFORE
            start = max(min(listed_to, now) - _OVERLAP, now - REMEMBERED_FOR)
            # Only a clock that is the provider's may say how far that goes.
            if self._account.clocks.is_server_known and now - start > _WINDOW:
                end = start + _WINDOW
        listed = await self._async_read_list(start, end)
        if is_first := since is None:
            since = Since.begin(listed, start, now)
            self._book.set_fact(_SINCE, since.write())
        await self._async_take(find_new(listed, since, now - REMEMBERED_FOR))
        if reached := end or newest_of(listed, now) or (start if is_first else None):
            self._book.set_fact(_LISTED_TO, reached.isoformat())
        if is_first:
            self._sweep.listed(None)
        elif end is None:
            await self._async_sweep(since, now)
        return end is not None

    async def _async_read_list(self, start: datetime, end: datetime | None) -> list[Invoice]:
        """Return what was made in a time. Raises a ProviderError."""
        listing = self._provider.async_list_invoices(since=start, until=end)
        return [invoice async for invoice in listing]

    async def _async_sweep(self, since: Since, now: datetime) -> None:
        """List a piece anew, where it is time for that."""
        if (piece := self._sweep.next_piece(now)) is None:
            return
        start, end = piece
        listed = await self._async_read_list(start, end)
        await self._async_take(find_new(listed, since, now - REMEMBERED_FOR))
        self._sweep.listed(end)
        self._keep_unplaced()

    async def _async_take(self, found: list[Found]) -> set[str]:
        """Watch what is not known yet, as far as there is room for open ones; return their IDs."""
        is_wanted, records = Filter.of(self._entry.options).includes, self._book.records
        new = [one for one in found if one.invoice.id not in records and is_wanted(one.invoice)]
        if not new:
            return set()
        known = await self._book.async_find([one.invoice.id for one in new])
        new = [one for one in new if one.invoice.id not in known]
        # What is paid always has a place; of what is open, the newest are the likeliest to be.
        open_ones = [one.invoice.id for one in new if one.invoice.status.is_open]
        unplaced = set(open_ones[: max(len(open_ones) - self._room, 0)])
        added: set[str] = set()
        placed = (one for one in new if one.invoice.id not in unplaced)
        for baseline, some in groupby(placed, key=lambda one: one.baseline):
            for batch in batched((one.invoice for one in some), _AT_ONCE, strict=False):
                watched = await async_watch(
                    self._account, batch, baseline=baseline, is_automatic=True
                )
                added |= {invoice.id for invoice in watched}
        for one in new:
            if one.invoice.id in unplaced:
                self._sweep.note_unplaced(one.invoice.created_at or self._account.clocks.now())
        self._keep_unplaced()
        return added

    @property
    def _room(self) -> int:
        """How many more open invoices may be watched automatically."""
        watched = sum(
            record.is_automatic and record.status.is_open for record in self._book.records.values()
        )
        return max(MOST_WATCHED - watched, 0)

    @callback
    def _keep_unplaced(self) -> None:
        """Keep whether there are more than are watched, and show it in the repairs."""
        unplaced = self._sweep.unplaced
        self._book.set_fact(_UNPLACED, unplaced.isoformat() if unplaced else "")
        if unplaced is None:
            async_delete_issue(self._hass, self._entry, AUTO_WATCH_LIMIT)
        else:
            placeholders = {"most": str(MOST_WATCHED)}
            async_create_issue(self._hass, self._entry, AUTO_WATCH_LIMIT, placeholders)

    async def _async_read_hinted(self) -> None:
        """Read what was hinted at; what can't be read now is found in the list."""
        while self._hinted:
            hinted, self._hinted = self._hinted, set()
            since = Since.read(self._book.fact(_SINCE))
            if since is None or self._account.reader.is_backing_off:
                continue
            try:
                ids = hinted - (await self._book.async_find(hinted)).keys()
                rows = await self._account.provider.async_get_invoices(ids)
                now = await self._async_now()
                invoices = [row for row in rows.values() if isinstance(row, Invoice)]
                new = find_new(invoices, since, now - REMEMBERED_FOR, undated_is_new=True)
                added = await self._async_take(new)
            except (ProviderError, StorageError) as err:
                _LOGGER.debug("%s: can't read a new invoice: %r", self._account.name, err)
                continue
            # Where the list was faster, its reading may be older than what the hint is about.
            self._account.async_hint(ids - added)

    async def _async_now(self) -> datetime:
        """Return the time, the provider's if it says what time it is. Raises a ProviderError."""
        provider, clocks = self._account.provider, self._account.clocks
        if provider.server_time is None and not self._has_asked:
            # Nothing was asked yet, and this machine's clock may be wrong.
            await provider.async_get_account()
            self._has_asked = True
        if provider.server_time is not None:
            clocks.note_server_time(*provider.server_time)
        return clocks.now()
