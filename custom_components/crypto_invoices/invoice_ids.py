"""The form for invoice IDs: from what a user typed or pasted to invoices that exist."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
import re
from typing import Any

from homeassistant.helpers.selector import TextSelector, TextSelectorConfig
import voluptuous as vol

from .const import CONF_INVOICES
from .credentials import provider_errors
from .providers.base import Provider
from .providers.model import BadResponse, Invoice, InvoiceNotFound, ProviderError

_SEPARATORS = re.compile(r"[\s,;]+")


class Refusal(StrEnum):
    """Why an invoice is not tracked."""

    MALFORMED = "malformed"
    TRACKED = "tracked"
    NOT_FOUND = "not_found"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class CheckedIds:
    """The invoices found, in the order typed, or the form's errors and their placeholders."""

    invoices: tuple[Invoice, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)
    placeholders: dict[str, str] = field(default_factory=dict)


def invoices_schema(typed: str) -> vol.Schema:
    """Return the form, with what was typed before."""
    selector = TextSelector(TextSelectorConfig(multiline=True))
    marker = vol.Optional(CONF_INVOICES, description={"suggested_value": typed})
    return vol.Schema({marker: selector})


async def async_check_ids(
    provider: Provider,
    user_input: dict[str, Any],
    tracked: Container[str],
    *,
    needed: bool = True,
) -> CheckedIds:
    """Look the typed IDs up at the provider, each once however often it was typed.

    None at all is an error where some are ``needed``.
    """
    try:
        found = await async_look_up(provider, split_ids(user_input.get(CONF_INVOICES, "")), tracked)
    except ProviderError as err:
        return CheckedIds(errors=provider_errors((), err))
    if found.refused:
        error, placeholders = found.refusal()
        return CheckedIds(errors={CONF_INVOICES: error}, placeholders=placeholders)
    if needed and not found.invoices:
        return CheckedIds(errors={CONF_INVOICES: "ids_missing"})
    return CheckedIds(found.invoices)


@dataclass(frozen=True, slots=True)
class FoundInvoices:
    """What was found under IDs, in the order typed, and why the others were refused."""

    invoices: tuple[Invoice, ...]
    refused: Mapping[str, Refusal]
    tracked: tuple[str, ...] = ()
    """The canonical IDs of those that are tracked already; they are among the refused."""

    def refusal(self) -> tuple[str, dict[str, str]]:
        """Return the translation key that says which were refused and why, and its gaps."""
        reasons = set(self.refused.values())
        key = f"ids_{reasons.pop()}" if len(reasons) == 1 else "ids_refused"
        return key, {
            reason.value: ", ".join(word for word, why in self.refused.items() if why is reason)
            or "-"
            for reason in Refusal
        }


def split_ids(typed: str) -> list[str]:
    """Return the words of what a user typed or pasted."""
    return [word for word in _SEPARATORS.split(typed) if word]


async def async_look_up(
    provider: Provider, words: Iterable[str], tracked: Container[str]
) -> FoundInvoices:
    """Look IDs up at the provider, except those that are tracked. Raises a ProviderError."""
    refused: dict[str, Refusal] = {}
    typed: dict[str, str] = {}
    known: dict[str, None] = {}
    try:
        for word in words:
            id_ = await provider.async_resolve_id(word)
            if id_ is None:
                refused[word] = Refusal.MALFORMED
            elif id_ in tracked:
                refused[word] = Refusal.TRACKED
                known[id_] = None
            else:
                typed.setdefault(id_, word)
        found = await provider.async_get_invoices(typed)
        invoices = _sort_out(((typed[id_], found[id_]) for id_ in typed), refused)
    except BadResponse:
        invoices = ()
        refused.update(dict.fromkeys(typed.values(), Refusal.UNREADABLE))
    return FoundInvoices(invoices, refused, tuple(known))


def _sort_out(
    found: Iterable[tuple[str, Invoice | ProviderError]], refused: dict[str, Refusal]
) -> tuple[Invoice, ...]:
    """Return the invoices and add the others to ``refused``; raise what concerns all of them."""
    invoices = []
    for word, entry in found:
        match entry:
            case Invoice():
                invoices.append(entry)
            case InvoiceNotFound():
                refused[word] = Refusal.NOT_FOUND
            case BadResponse():
                refused[word] = Refusal.UNREADABLE
            case ProviderError():
                raise entry
    return tuple(invoices)
