"""How far back the list of an account goes, as its book remembers it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from homeassistant.core import callback

from ..book.book import REMEMBERED_FOR, Book
from ..providers.model import Invoice
from ..providers.provider import Provider
from ..reading.clocks import Clocks
from .discovery import BEFORE, Found, Since, find_new

# A provider may list an invoice a while after it was made.
OVERLAP = timedelta(minutes=15)
# What is listed in one go, after an outage: the oldest are announced first.
_WINDOW = timedelta(days=2)
_SINCE = "auto_watch_since"
_LISTED_TO = "listed_to"


class Horizon:
    """Since when invoices are new, and up to when they were listed."""

    def __init__(self, book: Book, clocks: Clocks, provider: Provider) -> None:
        """Begin with what the book knows."""
        self._book = book
        self._clocks = clocks
        self._provider = provider
        self._has_asked = False

    @property
    def since(self) -> Since | None:
        """Since when what is made is new; None before the first list."""
        return Since.read(self._book.fact(_SINCE))

    def since_at(self, now: datetime) -> Since | None:
        """Return it, None too where it began while the clock was ahead, with an empty list."""
        since = self.since
        if since is None or since.ids:
            # The provider said when: if that is in the future now, it is the clock that is wrong.
            return since
        return None if since.moment > now + BEFORE else since

    def begin(self, listed: Iterable[Invoice], start: datetime, now: datetime) -> Since:
        """Let what is made after the first list be new."""
        since = Since.begin(listed, start, now)
        self._book.set_fact(_SINCE, since.write())
        return since

    def window(self, since: Since | None, now: datetime) -> tuple[datetime, datetime | None]:
        """Return from when to when to list now, without an end where that is until now."""
        if since is None:
            return now - BEFORE, None
        stored = self._book.fact(_LISTED_TO)
        listed_to = datetime.fromisoformat(stored) if stored else since.moment - BEFORE
        start = max(min(listed_to, now) - OVERLAP, now - REMEMBERED_FOR)
        # Only a clock that is the provider's may say how far that goes.
        is_far = self._clocks.is_server_known and now - start > _WINDOW
        return start, start + _WINDOW if is_far else None

    def find_new(
        self,
        listed: Sequence[Invoice],
        since: Since,
        now: datetime,
        *,
        undated_is_new: bool = False,
    ) -> list[Found]:
        """Return what was made since, unless that is so long ago that it may be forgotten."""
        earliest = now - REMEMBERED_FOR
        return find_new(listed, since, earliest, undated_is_new=undated_is_new)

    def note_listed(self, reached: datetime) -> None:
        """Take down up to when invoices were listed."""
        self._book.set_fact(_LISTED_TO, reached.isoformat())

    async def async_now(self) -> datetime:
        """Return the time, the provider's if it says what time it is. Raises a ProviderError."""
        if self._provider.server_time is None and not self._has_asked:
            # Nothing was asked yet, and this machine's clock may be wrong.
            await self._provider.async_get_account()
            self._has_asked = True
        if self._provider.server_time is not None:
            self._clocks.note_server_time(*self._provider.server_time)
        return self._clocks.now()


@callback
def forget_horizon(book: Book) -> None:
    """Forget since when an account is watched: what is made while it is not isn't new later."""
    for fact in (_SINCE, _LISTED_TO):
        book.forget_fact(fact)
