"""The form for invoice IDs."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from homeassistant.helpers.selector import TextSelector, TextSelectorConfig
import voluptuous as vol

from ..const import CONF_INVOICES
from ..lookup import async_look_up_text
from ..providers.model import Invoice, ProviderError
from ..providers.provider import Provider
from .credentials import provider_errors


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
        found = await async_look_up_text(provider, user_input.get(CONF_INVOICES, ""), tracked)
    except ProviderError as err:
        wrong = provider_errors((), err)
        return CheckedIds(errors=dict(wrong.by_field), placeholders=dict(wrong.placeholders))
    if found.not_accepted:
        error, placeholders = found.error()
        return CheckedIds(errors={CONF_INVOICES: error}, placeholders=placeholders)
    if needed and not found.invoices:
        return CheckedIds(errors={CONF_INVOICES: "ids_missing"})
    return CheckedIds(found.invoices)
