"""What is new in the list of an account that is watched automatically. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
import json
from typing import Any, NamedTuple

from ..const import CONF_ONLY_CURRENCY, CONF_ONLY_FROM_AMOUNT, CONF_ONLY_ORDER_ID
from ..providers.model import Invoice, InvoiceStatus
from ..providers.parse import read_amount

# When it is switched on, open invoices of so long before are watched too.
BEFORE = timedelta(days=1)
# A time further ahead than two clocks differ is no time.
_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Since:
    """When automatic watching was switched on: what was made later is new."""

    moment: datetime
    """When the newest invoice was made that there was then, by the provider's clock."""
    ids: frozenset[str] = frozenset()
    """Invoices that there were then, where that moment doesn't tell."""

    @classmethod
    def begin(cls, listed: Iterable[Invoice], start: datetime, now: datetime) -> Since:
        """Return it for what the first list, from ``start`` on, has; all is new if that is nothing."""
        made = {
            invoice.id: invoice.created_at
            if invoice.created_at is not None and invoice.created_at <= now + _AHEAD
            else None
            for invoice in listed
        }
        newest = max((moment for moment in made.values() if moment is not None), default=start)
        return cls(newest, frozenset(id_ for id_, at in made.items() if at in (None, newest)))

    def write(self) -> str:
        """Return it as it is stored."""
        return json.dumps([self.moment.isoformat(), sorted(self.ids)])

    @classmethod
    def read(cls, text: str | None) -> Since | None:
        """Return what was stored, None where nothing was."""
        if not text:
            return None
        moment, ids = json.loads(text)
        return cls(datetime.fromisoformat(moment), frozenset(ids))


class Found(NamedTuple):
    """An invoice that has to be watched automatically."""

    invoice: Invoice
    baseline: InvoiceStatus
    """The status that announces nothing."""


def find_new(
    listed: Sequence[Invoice], since: Since, earliest: datetime, *, undated_is_new: bool = False
) -> list[Found]:
    """Return what was made since, but not before ``earliest``, the oldest first.

    Its baseline is that it wasn't made yet. What was open already when it was switched on is
    watched too, as it was.
    """
    found: dict[str, tuple[datetime, Found]] = {}
    for invoice, made in _with_creation_times(listed):
        is_known = invoice.id in since.ids
        is_new = undated_is_new if made is None else made >= max(since.moment, earliest)
        is_recent = made is None or made >= max(since.moment - BEFORE, earliest)
        if is_new and not is_known:
            found[invoice.id] = made or since.moment, Found(invoice, InvoiceStatus.PENDING)
        elif is_recent and invoice.status.is_open:
            found[invoice.id] = made or since.moment, Found(invoice, invoice.status)
    return [one for _, one in sorted(found.values(), key=lambda pair: pair[0])]


def _with_creation_times(
    listed: Sequence[Invoice],
) -> Iterator[tuple[Invoice, datetime | None]]:
    """Yield invoices with when each was made at the earliest, None where nobody knows.

    A row without a time was made after the row below it, where the newest are listed first.
    """
    dated = [invoice.created_at for invoice in listed if invoice.created_at is not None]
    if any(earlier < later for earlier, later in pairwise(dated)):
        yield from ((invoice, invoice.created_at) for invoice in listed)
        return
    below: datetime | None = None
    for invoice in reversed(listed):
        below = invoice.created_at or below
        yield invoice, below


def newest_of(listed: Iterable[Invoice], now: datetime) -> datetime | None:
    """Return when the newest was made, as far as that can be true."""
    made = (invoice.created_at for invoice in listed)
    return max((moment for moment in made if moment is not None and moment <= now), default=None)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which invoices of an account are watched automatically; None is any."""

    least: Decimal | None = None
    currency: str | None = None
    order_id: str | None = None
    """A text that the order ID contains."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Filter:
        """Return what an account's options say."""
        return cls(
            least=read_amount(options.get(CONF_ONLY_FROM_AMOUNT)),
            currency=options.get(CONF_ONLY_CURRENCY) or None,
            order_id=options.get(CONF_ONLY_ORDER_ID) or None,
        )

    def includes(self, invoice: Invoice) -> bool:
        """Whether an invoice is one of these."""
        if self.least is not None and (invoice.amount is None or invoice.amount < self.least):
            return False
        if self.currency and (invoice.currency or "").casefold() != self.currency.casefold():
            return False
        return not self.order_id or self.order_id.casefold() in (invoice.order_id or "").casefold()
