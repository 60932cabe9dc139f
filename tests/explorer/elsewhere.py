"""What is promised of invoices that are made elsewhere, while the account is watched automatically."""

from collections.abc import Iterable, Set as AbstractSet
from dataclasses import dataclass, field

from custom_components.crypto_invoices.book.book import Book
from custom_components.crypto_invoices.upkeep.discovery import Since
from custom_components.crypto_invoices.upkeep.horizon import _SINCE

from .home import Home
from .world import World


@dataclass
class Elsewhere:
    """Which of them are new, so that each of their payments is announced."""

    home: Home
    world: World
    since: Since | None = None
    """What there was in the first list since it was switched on; it is never moved."""
    promised: set[str] = field(default_factory=set)
    """What was made since."""
    paid_before: set[str] = field(default_factory=set)
    """What was paid when it was switched on."""
    ignored: set[str] = field(default_factory=set)
    """What was made and paid before: that payment is announced to nobody."""

    def note_switched(self, watched: AbstractSet[str]) -> None:
        """Note that it was switched on or off: what was not seen until now isn't new."""
        self.since = None
        self.promised &= watched
        self.paid_before = {
            id_ for id_ in self.world.made if self.world.truth[id_].status.is_paid
        } - watched

    def note_made(self, id_: str) -> None:
        """Note that an invoice was made."""
        if self.since is not None and self._is_new(id_, self.since):
            self.promised.add(id_)

    def note_deleted(self, id_: str) -> None:
        """Note that nobody wants to watch an invoice."""
        self.promised.discard(id_)

    def follow(self, book: Book, watched: AbstractSet[str]) -> None:
        """See when the account was listed first, and that this stays as it is."""
        if not self.home.is_auto_watched:
            return
        found = Since.read(book.fact(_SINCE))
        if self.since is None:
            self._begin(found, watched)
        elif self.is_certain:
            assert found == self.since, f"what is new was made after {self.since}, now {found}"

    def note_begin(self, book: Book, known: AbstractSet[str]) -> None:
        """See what a new life knows of: what was not written is found again, or begins anew."""
        found = Since.read(book.fact(_SINCE)) if self.home.is_auto_watched else None
        if found is None or found != self.since:
            self.promised &= known
            self._begin(found, known)

    def note_loss(self) -> None:
        """Note that it is not known any more since when what is made is new."""
        self.since = None
        self.promised.clear()

    def _begin(self, since: Since | None, watched: AbstractSet[str]) -> None:
        """Tell what is new from what there was."""
        self.since = since
        if since is None:
            return
        # What was announced before the file was lost is no longer watched, and was no less promised.
        announced = {one.invoice for one in self.home.announced if one.is_payment}
        for id_ in self.world.made:
            if id_ in watched:
                continue
            if self._is_new(id_, since):
                self.promised.add(id_)
            elif id_ in self.paid_before - announced and self.world.truth[id_].is_dated:
                self.ignored.add(id_)

    def _is_new(self, id_: str, since: Since) -> bool:
        """Whether each payment of an invoice is promised to be announced."""
        truth = self.world.truth[id_]
        is_after = truth.made is not None and truth.made >= since.moment and id_ not in since.ids
        return is_after and truth.is_dated and self.home.is_wanted(truth.order_id)

    @property
    def is_certain(self) -> bool:
        """Whether it can be told what is new: an empty list and a wrong clock say nothing."""
        is_dated = self.world.clock is not None or not self.home.loop.was_set
        return is_dated or (self.since is not None and bool(self.since.ids))

    def is_promised(self, id_: str) -> bool:
        """Whether each payment of an invoice is to be announced."""
        return id_ in self.promised and self.is_certain

    def most_payments(self, id_: str) -> int:
        """Return how often an invoice may be announced as paid, beside what was answered wrongly."""
        truth = self.world.truth[id_]
        if truth.made is None or self.is_promised(id_):
            return truth.payments
        is_ignored = id_ in self.ignored and self.is_certain
        return truth.payments - is_ignored + truth.false_beginnings

    def unwanted(self, ids: Iterable[str]) -> set[str]:
        """Return which of these are watched though the options say otherwise."""
        truth = self.world.truth
        return {
            id_ for id_ in ids if truth[id_].made and not self.home.is_wanted(truth[id_].order_id)
        }
