"""Repair flows."""

from abc import ABC, abstractmethod
from typing import Any, override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import voluptuous as vol

from .const import CONF_INVOICES
from .issues import INVOICES_GONE, WEBHOOK_REFUSED
from .runtime import AccountRuntime, CryptoInvoicesConfigEntry
from .watching import async_unwatch


class _AccountRepairFlow(RepairsFlow, ABC):
    """A flow of one step, about an account that is loaded."""

    def __init__(self, entry: CryptoInvoicesConfigEntry) -> None:
        """Keep the account."""
        self._entry = entry

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Begin with the only step."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Ask, and do it."""
        if self._entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        return await self._async_confirm(self._entry.runtime_data, user_input)

    @abstractmethod
    async def _async_confirm(
        self, account: AccountRuntime, user_input: dict[str, Any] | None
    ) -> RepairsFlowResult:
        """Ask, and do it, with an account that is loaded."""


class InvoicesGoneFlow(_AccountRepairFlow):
    """Stop watching invoices that their provider no longer knows."""

    @override
    async def _async_confirm(
        self, account: AccountRuntime, user_input: dict[str, Any] | None
    ) -> RepairsFlowResult:
        """Ask which; the others are watched as before."""
        watched, names = account.coordinator.data, account.coordinator.devices.names
        gone = account.coordinator.problems.gone(watched.values())
        if user_input is not None:
            # What is kept is not shown again before as long a time.
            for invoice_id in gone:
                watched[invoice_id].problem = None
            await async_unwatch(account.coordinator, set(gone) & set(user_input[CONF_INVOICES]))
            return self.async_create_entry(data={})
        selector = SelectSelector(
            SelectSelectorConfig(
                options=[
                    SelectOptionDict(value=id_, label=names.name(watched[id_].record))
                    for id_ in gone
                ],
                multiple=True,
                mode=SelectSelectorMode.LIST,
            )
        )
        return self.async_show_form(
            step_id="confirm",
            data_schema=vol.Schema({vol.Required(CONF_INVOICES, default=list(gone)): selector}),
            description_placeholders={"account": self._entry.title},
        )


class WebhookRefusedFlow(_AccountRepairFlow):
    """Try again to register at the provider where to post."""

    @override
    async def _async_confirm(
        self, account: AccountRuntime, user_input: dict[str, Any] | None
    ) -> RepairsFlowResult:
        """Try, as often as the user wants to."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if account.webhook is None or await account.webhook.async_try_again():
                return self.async_create_entry(data={})
            errors["base"] = "still_refused"
        return self.async_show_form(
            step_id="confirm",
            data_schema=vol.Schema({}),
            errors=errors,
            description_placeholders={"account": self._entry.title},
        )


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow in which an issue is fixed, or read and acknowledged."""
    entry: CryptoInvoicesConfigEntry | None = hass.config_entries.async_get_entry(
        str((data or {}).get("entry_id"))
    )
    if entry is not None and issue_id.startswith(INVOICES_GONE):
        return InvoicesGoneFlow(entry)
    if entry is not None and issue_id.startswith(WEBHOOK_REFUSED):
        return WebhookRefusedFlow(entry)
    return ConfirmRepairFlow()
