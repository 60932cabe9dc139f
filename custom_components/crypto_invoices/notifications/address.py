"""The address that a provider posts to."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from homeassistant.components import webhook
from homeassistant.const import CONF_URL, CONF_WEBHOOK_ID
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.network import NoURLAvailableError

from ..const import CONF_CLOUDHOOK_URL
from ..networks import is_in_own_network


@callback
def webhook_address(hass: HomeAssistant, data: Mapping[str, Any]) -> str | None:
    """Return the address that the provider can reach, or None: that is normal."""
    if url := data.get(CONF_CLOUDHOOK_URL):
        return str(url)
    with suppress(NoURLAvailableError):
        return webhook.async_generate_url(
            hass,
            data[CONF_WEBHOOK_ID],
            allow_internal=is_in_own_network(data[CONF_URL]),
            prefer_external=True,
        )
    return None
