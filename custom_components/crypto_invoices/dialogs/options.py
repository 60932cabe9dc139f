"""Options flow: how an account is kept."""

from typing import Any

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
)
from homeassistant.util import dt as dt_util
import voluptuous as vol

from ..clients import ProviderGone, async_create_provider
from ..const import (
    CONF_AUTO_WATCH,
    CONF_CLEANUP_AFTER,
    CONF_EVERY_DEVICE,
    CONF_NAME_FROM_MEMO,
    CONF_ONLY_CURRENCY,
    CONF_ONLY_FROM_AMOUNT,
    CONF_ONLY_ORDER_ID,
    CONF_TO_FULFILL,
    CONF_TO_FULFILL_ISSUE,
)
from ..providers.capabilities import CanListInvoices, PermissionMissing
from ..providers.model import ProviderError
from ..providers.parse import read_amount
from ..providers.provider import Provider
from ..upkeep.auto_watch import is_auto_watched
from ..upkeep.cleanup import cleanup_after

MOST_DAYS = 365
_FILTERS = (CONF_ONLY_FROM_AMOUNT, CONF_ONLY_CURRENCY, CONF_ONLY_ORDER_ID)
_TEXT = TextSelector()
# What is chosen or not, and what holds until somebody chooses.
_FULFILLMENT = {CONF_TO_FULFILL: False, CONF_TO_FULFILL_ISSUE: True}


class AccountOptionsFlow(OptionsFlow):
    """Ask how to keep an account; what is changed takes effect without a reload."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for everything together."""
        entry = self.config_entry
        try:
            provider = await async_create_provider(self.hass, entry.data)
        except ProviderGone:
            return self.async_abort(reason="provider_gone")
        errors: dict[str, str] = {}
        placeholders = {"account": entry.title, "permission": ""}
        if user_input is not None:
            if not _is_amount(user_input.get(CONF_ONLY_FROM_AMOUNT)):
                errors[CONF_ONLY_FROM_AMOUNT] = "amount_invalid"
            if user_input.get(CONF_AUTO_WATCH) and not is_auto_watched(entry):
                placeholders["permission"] = await _async_missing_permission(provider)
            if placeholders["permission"]:
                errors[CONF_AUTO_WATCH] = "permission_missing"
            if not errors:
                return self.async_create_entry(data=user_input)
        days = NumberSelector(
            NumberSelectorConfig(
                min=0,
                max=MOST_DAYS,
                step=1,
                mode=NumberSelectorMode.BOX,
                unit_of_measurement="d",
            )
        )
        fields: dict[vol.Marker, Any] = {
            vol.Required(CONF_CLEANUP_AFTER, default=cleanup_after(entry)): vol.All(
                days, vol.Coerce(int)
            ),
        }
        if isinstance(provider, CanListInvoices):
            fields[vol.Required(CONF_AUTO_WATCH, default=is_auto_watched(entry))] = (
                BooleanSelector()
            )
            fields |= {
                vol.Optional(key, description={"suggested_value": entry.options.get(key)}): _TEXT
                for key in _FILTERS
            }
            every_device = entry.options.get(CONF_EVERY_DEVICE, False)
            fields[vol.Optional(CONF_EVERY_DEVICE, default=every_device)] = BooleanSelector()
        if provider.has_memos:
            from_memo = entry.options.get(CONF_NAME_FROM_MEMO, False)
            fields[vol.Optional(CONF_NAME_FROM_MEMO, default=from_memo)] = BooleanSelector()
        fields |= {
            vol.Optional(key, default=entry.options.get(key, default)): BooleanSelector()
            for key, default in _FULFILLMENT.items()
        }
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(vol.Schema(fields), user_input),
            errors=errors,
            description_placeholders=placeholders,
        )


def _is_amount(text: str | None) -> bool:
    """Whether a text is an amount of money, or empty."""
    amount = read_amount(text)
    return not text or (amount is not None and amount >= 0)


async def _async_missing_permission(provider: Provider) -> str:
    """Return the permission that the key lacks to list invoices, or an empty text."""
    if not isinstance(provider, CanListInvoices):
        return ""
    try:
        async for _ in provider.async_list_invoices(since=dt_util.utcnow()):
            break
    except PermissionMissing as err:
        return err.permission
    except ProviderError:
        # It begins when that is over.
        return ""
    return ""
