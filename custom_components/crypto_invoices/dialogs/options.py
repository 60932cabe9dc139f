"""Options flow: how an account is kept."""

from typing import Any

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
)
from homeassistant.util import dt as dt_util
import voluptuous as vol

from ..clients import async_create_provider
from ..const import CONF_AUTO_WATCH, CONF_CLEANUP_AFTER
from ..providers.capabilities import CanListInvoices, PermissionMissing
from ..providers.model import ProviderError
from ..providers.provider import Provider
from ..upkeep.auto_watch import is_auto_watched
from ..upkeep.cleanup import cleanup_after

MOST_DAYS = 365


class AccountOptionsFlow(OptionsFlow):
    """Ask how to keep an account; what is changed takes effect without a reload."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for everything at once."""
        entry = self.config_entry
        provider = await async_create_provider(self.hass, entry.data)
        errors: dict[str, str] = {}
        placeholders = {"account": entry.title, "permission": ""}
        if user_input is not None:
            if user_input.get(CONF_AUTO_WATCH) and not is_auto_watched(entry):
                placeholders["permission"] = await _async_missing_permission(provider)
            if not placeholders["permission"]:
                return self.async_create_entry(data=user_input)
            errors[CONF_AUTO_WATCH] = "permission_missing"
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
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(vol.Schema(fields), user_input),
            errors=errors,
            description_placeholders=placeholders,
        )


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
