"""Options flow: how an account is kept."""

from typing import Any

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
)
import voluptuous as vol

from .const import CONF_TIDY_AFTER
from .tidy import tidy_after

MOST_DAYS = 365


class AccountOptionsFlow(OptionsFlow):
    """Ask how to keep an account; what is changed takes effect without a reload."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for everything at once."""
        if user_input is not None:
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
            vol.Required(CONF_TIDY_AFTER, default=tidy_after(self.config_entry)): vol.All(
                days, vol.Coerce(int)
            ),
        }
        return self.async_show_form(
            step_id="init",
            data_schema=vol.Schema(fields),
            errors={},
            description_placeholders={"account": self.config_entry.title},
        )
