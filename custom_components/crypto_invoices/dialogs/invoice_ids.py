"""The form for the invoices to watch: those that were found, and IDs to paste."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from homeassistant.helpers.selector import TextSelector, TextSelectorConfig
import voluptuous as vol

from ..const import CONF_INVOICES
from ..lookup import async_look_up_text
from ..providers.model import Invoice, ProviderError
from ..providers.provider import Provider
from .credentials import provider_errors
from .open_invoices import CONF_OPEN_INVOICES, OpenInvoices


@dataclass(frozen=True, slots=True)
class CheckedIds:
    """The invoices chosen and found, or the form's errors and their placeholders."""

    invoices: tuple[Invoice, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)
    placeholders: dict[str, str] = field(default_factory=dict)


def invoices_schema(
    offered: OpenInvoices,
    user_input: Mapping[str, Any] | None,
    more: Mapping[vol.Marker, Any] | None = None,
) -> vol.Schema:
    """Return the form, with what was chosen and typed before; ``more`` is between the two."""
    chosen = None if user_input is None else user_input.get(CONF_OPEN_INVOICES, ())
    typed = (user_input or {}).get(CONF_INVOICES, "")
    marker = vol.Optional(CONF_INVOICES, description={"suggested_value": typed})
    return vol.Schema(
        {
            **offered.schema(chosen),
            **(more or {}),
            marker: TextSelector(TextSelectorConfig(multiline=True)),
        }
    )


async def async_check_ids(
    provider: Provider,
    offered: OpenInvoices,
    user_input: Mapping[str, Any],
    watched: Container[str],
    *,
    needed: bool = True,
) -> CheckedIds:
    """Take what was chosen, and look the typed IDs up, each once however often it was typed.

    None at all is an error where some are ``needed``.
    """
    chosen = {id_: offered.by_id[id_] for id_ in user_input.get(CONF_OPEN_INVOICES, ())}
    try:
        found = await async_look_up_text(provider, user_input.get(CONF_INVOICES, ""), watched)
    except ProviderError as err:
        wrong = provider_errors((), err)
        return CheckedIds(errors=dict(wrong.by_field), placeholders=dict(wrong.placeholders))
    if errors := found.errors():
        # A form has room for two: what else is wrong is said when these are right.
        at_fields = zip((CONF_INVOICES, "base"), errors, strict=False)
        gaps = {name: text for _, gaps in errors for name, text in gaps.items()}
        return CheckedIds(
            errors={where: key for where, (key, _) in at_fields},
            placeholders={"example": provider.id_example, **gaps},
        )
    invoices = {**chosen, **{invoice.id: invoice for invoice in found.invoices}}
    if needed and not invoices:
        return CheckedIds(errors={CONF_INVOICES: "ids_missing"})
    return CheckedIds(tuple(invoices.values()))
