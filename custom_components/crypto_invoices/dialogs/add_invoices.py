"""Subentry flow: add invoices to an account. It adds no subentry, and says what it did."""

from typing import Any

from homeassistant.config_entries import ConfigEntryState, ConfigSubentryFlow, SubentryFlowResult

from ..book.database import StorageError
from ..const import CONF_INVOICES
from ..runtime import AccountRuntime, CryptoInvoicesConfigEntry
from ..watching import async_watch, with_devices
from .invoice_ids import CheckedIds, async_check_ids, invoices_schema


class AddInvoicesFlow(ConfigSubentryFlow):
    """Add invoices, as many at once as were pasted."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the invoices to watch and look them up."""
        entry: CryptoInvoicesConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(
                reason="account_not_loaded", description_placeholders={"account": entry.title}
            )
        account = entry.runtime_data
        checked = CheckedIds()
        if user_input is not None:
            checked = await async_check_ids(
                account.provider, user_input, with_devices(account.book)
            )
            if not checked.errors:
                return await self._async_add(account, checked)
        return self.async_show_form(
            step_id="user",
            data_schema=invoices_schema((user_input or {}).get(CONF_INVOICES, "")),
            errors=checked.errors,
            description_placeholders={"provider": account.provider.name, **checked.placeholders},
        )

    async def _async_add(self, account: AccountRuntime, checked: CheckedIds) -> SubentryFlowResult:
        """Watch what was found, and say how many that is."""
        try:
            new = await async_watch(account.coordinator, checked.invoices)
        except StorageError:
            return self.async_abort(reason="book_unavailable")
        if not new:
            # While these were looked up, somebody else added them.
            return self.async_abort(reason="already_configured")
        reason = "invoice_added" if len(new) == 1 else "invoices_added"
        return self.async_abort(reason=reason, description_placeholders={"count": str(len(new))})
