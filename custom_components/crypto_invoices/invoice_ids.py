"""The form for invoice IDs: from what a user typed or pasted to invoices that exist."""

from collections.abc import Container, Iterable
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
    provider: Provider, user_input: dict[str, Any], tracked: Container[str]
) -> CheckedIds:
    """Look the typed IDs up at the provider, each once however often it was typed."""
    refused: dict[str, Refusal] = {}
    typed: dict[str, str] = {}
    try:
        for word in filter(None, _SEPARATORS.split(user_input.get(CONF_INVOICES, ""))):
            id_ = await provider.async_resolve_id(word)
            if id_ is None:
                refused[word] = Refusal.MALFORMED
            elif id_ in tracked:
                refused[word] = Refusal.TRACKED
            else:
                typed.setdefault(id_, word)
        found = await provider.async_get_invoices(typed)
        invoices = _sort_out(((typed[id_], found[id_]) for id_ in typed), refused)
    except BadResponse:
        invoices = ()
        refused.update(dict.fromkeys(typed.values(), Refusal.UNREADABLE))
    except ProviderError as err:
        return CheckedIds(errors=provider_errors((), err))
    if refused:
        return _refusal(refused)
    if not invoices:
        return CheckedIds(errors={CONF_INVOICES: "ids_missing"})
    return CheckedIds(invoices)


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


def _refusal(refused: dict[str, Refusal]) -> CheckedIds:
    """Return the error that says which IDs were refused, and why."""
    reasons = set(refused.values())
    error = f"ids_{reasons.pop()}" if len(reasons) == 1 else "ids_refused"
    placeholders = {
        reason.value: ", ".join(word for word, why in refused.items() if why is reason) or "-"
        for reason in Refusal
    }
    return CheckedIds(errors={CONF_INVOICES: error}, placeholders=placeholders)
