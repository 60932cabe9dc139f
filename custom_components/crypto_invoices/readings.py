"""What an account's invoices were when they were last read, and what to call their errors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .providers.model import (
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    KeyCanSpend,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SettingNeeded,
)

_ERROR_KEYS: Mapping[type[ProviderError], str] = {
    AuthError: "invalid_auth",
    KeyCanSpend: "key_can_spend",
    SettingNeeded: "invalid_auth",
    BadResponse: "bad_response",
    InvoiceNotFound: "invoice_not_found",
    RateLimited: "rate_limited",
}


@dataclass(slots=True)
class AccountData:
    """The latest reading of an account: of each tracked invoice, or why there is none."""

    invoices: dict[str, Invoice] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def take(self, invoice_id: str, entry: Invoice | ProviderError) -> bool:
        """Keep a reading; return whether it is news."""
        if isinstance(entry, Invoice):
            had_error = self.errors.pop(invoice_id, None) is not None
            if entry == self.invoices.get(invoice_id) and not had_error:
                return False
            self.invoices[invoice_id] = entry
            (self.open.add if entry.status.is_open else self.open.discard)(invoice_id)
            return True
        key = error_key(entry)
        if self.errors.get(invoice_id) == key:
            return False
        self.errors[invoice_id] = key
        self.invoices.pop(invoice_id, None)
        self.open.discard(invoice_id)
        return True

    def forget(self, invoice_ids: Iterable[str]) -> None:
        """Drop invoices that are no longer tracked."""
        for invoice_id in invoice_ids:
            self.invoices.pop(invoice_id, None)
            self.errors.pop(invoice_id, None)
            self.open.discard(invoice_id)


def error_key(err: ProviderError) -> str:
    """Return the translation key of a provider's error."""
    if isinstance(err, ProviderUnavailable):
        return err.reason.value
    return _ERROR_KEYS.get(type(err), "bad_response")
