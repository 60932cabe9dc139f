"""From IDs that somebody typed or pasted to invoices that exist."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
import re

from .providers.model import BadResponse, Invoice, InvoiceNotFound, ProviderError
from .providers.provider import Provider

_SEPARATORS = re.compile(r"[\s,;]+")


class NotAccepted(StrEnum):
    """Why an ID was not accepted."""

    MALFORMED = "malformed"
    TRACKED = "tracked"
    NOT_FOUND = "not_found"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class FoundInvoices:
    """What was found under IDs, in the order typed, and why the others were not accepted."""

    invoices: tuple[Invoice, ...]
    not_accepted: Mapping[str, NotAccepted]
    tracked: tuple[str, ...] = ()
    """The canonical IDs of those that are tracked already; they are among the others."""

    def error(self) -> tuple[str, dict[str, str]]:
        """Return the translation key that says which were not accepted and why, and its gaps."""
        reasons = set(self.not_accepted.values())
        key = f"ids_{reasons.pop()}" if len(reasons) == 1 else "ids_refused"
        return key, {
            reason.value: ", ".join(
                word for word, why in self.not_accepted.items() if why is reason
            )
            or "-"
            for reason in NotAccepted
        }


def split_ids(typed: str) -> list[str]:
    """Return the words of what a user typed or pasted."""
    return [word for word in _SEPARATORS.split(typed) if word]


async def async_look_up(
    provider: Provider, words: Iterable[str], tracked: Container[str]
) -> FoundInvoices:
    """Look IDs up at the provider, except those that are tracked. Raises a ProviderError."""
    not_accepted: dict[str, NotAccepted] = {}
    typed: dict[str, str] = {}
    known: dict[str, None] = {}
    try:
        for word in words:
            id_ = await provider.async_resolve_id(word)
            if id_ is None:
                not_accepted[word] = NotAccepted.MALFORMED
            elif id_ in tracked:
                not_accepted[word] = NotAccepted.TRACKED
                known[id_] = None
            else:
                typed.setdefault(id_, word)
        found = await provider.async_get_invoices(typed)
        invoices = _sort_out(((typed[id_], found[id_]) for id_ in typed), not_accepted)
    except BadResponse:
        invoices = ()
        not_accepted.update(dict.fromkeys(typed.values(), NotAccepted.UNREADABLE))
    return FoundInvoices(invoices, not_accepted, tuple(known))


def _sort_out(
    found: Iterable[tuple[str, Invoice | ProviderError]], not_accepted: dict[str, NotAccepted]
) -> tuple[Invoice, ...]:
    """Return the invoices and add the others to ``not_accepted``; raise what concerns all of them."""
    invoices = []
    for word, entry in found:
        match entry:
            case Invoice():
                invoices.append(entry)
            case InvoiceNotFound():
                not_accepted[word] = NotAccepted.NOT_FOUND
            case BadResponse():
                not_accepted[word] = NotAccepted.UNREADABLE
            case ProviderError():
                raise entry
    return tuple(invoices)
