"""Subentry flow: add invoices to an account. It adds no subentry, and says what it did."""

from typing import Any

from homeassistant.config_entries import ConfigEntryState, ConfigSubentryFlow, SubentryFlowResult

from ..book.database import StorageError
from ..runtime import CryptoInvoicesConfigEntry
from ..watching import async_watch, with_devices
from .invoice_ids import CheckedIds, async_check_ids, invoices_schema
from .open_invoices import OpenInvoices, async_offer


class AddInvoicesFlow(ConfigSubentryFlow):
    """Add invoices, as many together as were chosen and pasted."""

    _offered: OpenInvoices | None = None

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the invoices to watch and look them up."""
        return await self._async_ask("user", user_input)

    async def async_step_not_listed(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for IDs, as the provider can't list what is open now."""
        return await self._async_ask("not_listed", user_input)

    async def _async_ask(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        """Ask for the invoices to watch and look them up."""
        entry: CryptoInvoicesConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self._not_loaded(entry)
        account = entry.runtime_data
        watched = with_devices(account.book)
        if self._offered is None:
            try:
                self._offered = await async_offer(self.hass, account.provider, entry)
            except StorageError:
                return self.async_abort(reason="book_unavailable")
            if not self._offered.was_listed:
                step_id = "not_listed"
        checked = CheckedIds()
        if user_input is not None:
            checked = await async_check_ids(account.provider, self._offered, user_input, watched)
            if not checked.errors:
                return await self._async_add(entry, checked)
        return self.async_show_form(
            step_id=step_id,
            data_schema=invoices_schema(self._offered, user_input),
            errors=checked.errors,
            description_placeholders={
                "provider": account.provider.name,
                "count": str(len(self._offered.by_id)),
                **checked.placeholders,
            },
        )

    def _not_loaded(self, entry: CryptoInvoicesConfigEntry) -> SubentryFlowResult:
        """End with what to do about it."""
        return self.async_abort(
            reason="account_not_loaded", description_placeholders={"account": entry.title}
        )

    async def _async_add(
        self, entry: CryptoInvoicesConfigEntry, checked: CheckedIds
    ) -> SubentryFlowResult:
        """Watch what was found, and say how many that is."""
        if entry.state is not ConfigEntryState.LOADED:
            return self._not_loaded(entry)
        try:
            # The account may have been reloaded meanwhile.
            new = await async_watch(entry.runtime_data.coordinator, checked.invoices)
        except StorageError:
            return self.async_abort(reason="book_unavailable")
        if not new:
            # While these were looked up, somebody else added them.
            return self.async_abort(reason="already_configured")
        reason = "invoice_added" if len(new) == 1 else "invoices_added"
        return self.async_abort(reason=reason, description_placeholders={"count": str(len(new))})
