"""Subentry flow: add invoices to an account."""

from typing import Any

from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult

from .account import (
    async_add_invoices,
    async_create_provider,
    invoice_subentry,
    tracked_invoices,
)
from .const import CONF_INVOICES
from .invoice_ids import CheckedIds, async_check_ids, invoices_schema


class InvoiceSubentryFlow(ConfigSubentryFlow):
    """Add invoices, as many at once as were pasted."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the invoices to watch and look them up."""
        entry = self._get_entry()
        provider = await async_create_provider(self.hass, entry.data)
        checked = CheckedIds()
        if user_input is not None:
            checked = await async_check_ids(provider, user_input, tracked_invoices(entry))
            if not checked.errors:
                # While these were looked up, another dialog may have added some of them.
                tracked = tracked_invoices(entry)
                new = [invoice for invoice in checked.invoices if invoice.id not in tracked]
                if not new:
                    return self.async_abort(reason="already_configured")
                # A subentry flow makes one subentry: the others are added beside it.
                *others, last = new
                async_add_invoices(self.hass, entry, others)
                subentry = invoice_subentry(last)
                return self.async_create_entry(
                    title=subentry["title"],
                    data=subentry["data"],
                    unique_id=subentry["unique_id"],
                )
        return self.async_show_form(
            step_id="user",
            data_schema=invoices_schema((user_input or {}).get(CONF_INVOICES, "")),
            errors=checked.errors,
            description_placeholders={"provider": provider.name, **checked.placeholders},
        )
