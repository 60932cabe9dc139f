"""Finds new invoices that a provider itself hinted at, without waiting for the list."""

from collections.abc import Iterable
import logging

from homeassistant.core import HomeAssistant, callback

from ..book.database import StorageError
from ..book.record import Record
from ..coordinator import CryptoInvoicesCoordinator
from ..providers.model import Invoice, ProviderError
from ..reading.back_off import BackOff
from ..reading.lane import Lane
from .horizon import Horizon
from .places import Places

_LOGGER = logging.getLogger(__name__)

_MOST_HINTED = 1000


class HintedInvoices:
    """Those that are still to be read, in a lane of their own."""

    def __init__(
        self,
        hass: HomeAssistant,
        account: CryptoInvoicesCoordinator,
        back_off: BackOff,
        horizon: Horizon,
        places: Places,
    ) -> None:
        """Begin with none; ``back_off`` is that of the list."""
        self._account = account
        self._back_off = back_off
        self._horizon = horizon
        self._places = places
        self._hinted: set[str] = set()
        self._lane = Lane(hass, f"{account.name} new invoices", self._async_read)

    @property
    def is_full(self) -> bool:
        """Whether more of them are found in the list only."""
        return len(self._hinted) >= _MOST_HINTED

    @callback
    def async_add(self, invoice_ids: Iterable[str]) -> None:
        """Read these too."""
        self._hinted.update(invoice_ids)
        self._lane.start()

    async def async_stop(self) -> None:
        """Stop reading; wait until what is under way has ended."""
        await self._lane.async_stop()

    async def _async_read(self) -> None:
        """Read what was hinted at; what can't be read now is found in the list."""
        account, book = self._account, self._account.book
        while self._hinted:
            hinted, self._hinted = self._hinted, set()
            since = self._horizon.since
            if since is None or account.reader.is_backing_off or self._back_off.left > 0:
                continue
            try:
                known = await book.async_find(hinted)
                ids = hinted - known.keys()
                resting = [one for one in known.values() if isinstance(one, Record)]
                rows = await account.provider.async_get_invoices(ids)
                now = await self._horizon.async_now()
                invoices = [row for row in rows.values() if isinstance(row, Invoice)]
                new = self._horizon.find_new(invoices, since, now, undated_is_new=True)
                added = await self._places.async_watch(new)
                if resting:
                    # What was over may have changed anyway.
                    await book.async_add(resting)
                    await account.async_follow_book()
            except (ProviderError, StorageError) as err:
                _LOGGER.debug("%s: can't read a new invoice: %r", account.name, err)
                self._back_off.failed(err)
                continue
            # Where the list was faster, its reading may be older than what the hint is about.
            account.async_hint(ids - added | {record.id for record in resting})
