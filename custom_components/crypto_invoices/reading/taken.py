"""What a reading brought."""

from dataclasses import dataclass, field

from ..providers.model import InvoiceStatus, ProviderError
from .watched import Watched


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
