"""The places for invoices that are watched automatically: a number of open ones, and no more."""

from datetime import datetime
from itertools import batched, groupby

from homeassistant.core import callback

from ..book.book import REMEMBERED_FOR
from ..coordinator import CryptoInvoicesCoordinator
from ..issues import AUTO_WATCH_LIMIT, async_create_issue, async_delete_issue
from ..watching import async_watch
from .discovery import Filter, Found
from .sweep import Gap, Sweep

# This many open invoices of an account are watched automatically.
MOST_WATCHED = 500
# This many are added before others get their turn.
_AT_ONCE = 20


class Places:
    """Watches what was found, as far as there is room, and remembers what is missing."""

    def __init__(self, account: CryptoInvoicesCoordinator) -> None:
        """Begin with what the book knows."""
        self._account = account
        self._book = account.book
        known = {gap: self._book.fact(gap) for gap in Gap}
        self.sweep = Sweep(
            {gap: datetime.fromisoformat(made) for gap, made in known.items() if made},
            account.clocks.monotonic,
            REMEMBERED_FOR,
        )
        """Which part of the list is read anew, as something in it may be missing."""

    async def async_watch(self, found: list[Found]) -> set[str]:
        """Watch what is wanted and not known yet; return the IDs. Raises StorageError."""
        is_wanted = Filter.of(self._account.config_entry.options).includes
        records = self._book.records
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
                made = one.invoice.created_at or self._account.clocks.now()
                self.sweep.note(Gap.UNPLACED, made)
        self._keep_gaps()
        return added

    @property
    def _room(self) -> int:
        """How many more open invoices may be watched automatically."""
        watched = sum(
            record.is_automatic and record.status.is_open for record in self._book.records.values()
        )
        return max(MOST_WATCHED - watched, 0)

    @callback
    def note_unread(self, start: datetime) -> None:
        """Take down that some of what was made since then could not be read."""
        self.sweep.note(Gap.UNREAD, start)
        self._keep_gaps()

    @callback
    def note_swept(self, end: datetime | None) -> None:
        """Take down that a piece of the list was read again."""
        self.sweep.listed(end)
        self._keep_gaps()

    @callback
    def _keep_gaps(self) -> None:
        """Keep what is missing, and show in the repairs that there are more than are watched."""
        hass, entry, gaps = self._account.hass, self._account.config_entry, self.sweep.gaps
        for gap in Gap:
            self._book.set_fact(gap, gaps[gap].isoformat() if gap in gaps else "")
        if Gap.UNPLACED in gaps:
            async_create_issue(hass, entry, AUTO_WATCH_LIMIT, {"most": str(MOST_WATCHED)})
        else:
            async_delete_issue(hass, entry, AUTO_WATCH_LIMIT)


@callback
def forget_gaps(account: CryptoInvoicesCoordinator) -> None:
    """Forget what is missing: nobody asks for it."""
    for gap in Gap:
        account.book.forget_fact(gap)
    async_delete_issue(account.hass, account.config_entry, AUTO_WATCH_LIMIT)
