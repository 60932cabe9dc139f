"""What is known of a watched invoice while its account is loaded, and what a reading brings."""

from dataclasses import dataclass, field
import math

from ..book.record import Record
from ..providers.model import Invoice, InvoiceStatus, ProviderError
from .evidence import Doubt

# Two readings with an outage of a day between them say little.
_LEAST_READINGS = 3


@dataclass(slots=True)
class Problem:
    """What has been wrong with an invoice."""

    key: str
    """Which issue it becomes when it lasts."""
    detail: str
    since: float
    readings: int = 0

    def has_lasted(self, seconds: float, now: float) -> bool:
        """Whether several readings said so, for so long until now, in monotonic seconds."""
        return self.readings >= _LEAST_READINGS and now - self.since >= seconds


@dataclass(slots=True, eq=False)
class Watched:
    """One invoice: all that goes with it when it goes. Times are monotonic seconds."""

    record: Record
    born: float
    """Since when it is watched, as long as the account is loaded."""
    since: float
    """Since when it has its status, as long as the account is loaded."""
    is_new: bool = True
    """Whether it was added since the account was loaded."""
    invoice: Invoice | None = None
    """As it was last read and believed; None while it can't be read."""
    error: ProviderError | None = None
    """Why it can't be read."""
    known_at: float = -math.inf
    """When the latest answer that is believed was received."""
    doubt: Doubt | None = None
    doubted_at: float = -math.inf
    """When a doubt was last taken back or confirmed."""
    due: float | None = None
    """When to poll it next; None once nothing of it can change any more."""
    soonest: float = math.inf
    """From when on it may come along with a request that is made anyway."""
    problem: Problem | None = None
    misses: int = 0
    """How many readings of it failed in a row."""
    hinted_at: float = -math.inf
    """When it was last read for a hint."""
    news_at: float = -math.inf
    """When its provider last said that it has changed, unless it has been read to have since."""
    planned: dict[Watched, None] = field(default_factory=dict, repr=False)
    """Those of its account that are planned: a poll costs what is open, not what there is."""

    def plan(self, due: float | None, soonest: float | None = None) -> None:
        """Poll it then, or never; it may come along from ``soonest`` on."""
        self.due = due
        self.soonest = math.inf if due is None else due if soonest is None else soonest
        if due is None:
            self.planned.pop(self, None)
        else:
            self.planned[self] = None

    def leave(self) -> None:
        """Be planned no more in its account, whoever still holds it."""
        self.planned.pop(self, None)
        self.planned = {}


class AllWatched(dict[str, Watched]):
    """The watched invoices of an account, by ID.

    Always the same object, and equal to itself alone: Home Assistant compares it with each poll.
    """

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        """Whether this is the same object."""
        return self is other

    def __ne__(self, other: object) -> bool:
        """Whether this is another object."""
        return self is not other


@dataclass(slots=True)
class Taken:
    """What a reading brought."""

    changed: list[str] = field(default_factory=list)
    """The IDs of the invoices that are not as they were."""
    lost: dict[str, ProviderError] = field(default_factory=dict)
    """Those that can't be read any more, and why."""
    found: list[str] = field(default_factory=list)
    """Those that can be read again."""
    unknown_words: set[str] = field(default_factory=set)
    """Words for a status that nobody knows."""

    def note(self, one: Watched, *, had_error: bool) -> None:
        """Note an invoice that changed."""
        invoice_id = one.record.id
        self.changed.append(invoice_id)
        if one.error is not None:
            self.lost[invoice_id] = one.error
        elif had_error:
            self.found.append(invoice_id)
        if one.invoice is not None and one.invoice.status is InvoiceStatus.UNKNOWN:
            self.unknown_words.add(one.invoice.provider_status)
