"""Cloudhooks: an address of the webhook that works without opening the network."""

from collections.abc import Callable, Coroutine
import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_WEBHOOK_ID
from homeassistant.core import HomeAssistant, callback

from ..const import CONF_CLOUDHOOK_URL, DOMAIN

if TYPE_CHECKING:
    from homeassistant.components.cloud import CloudConnectionState

_LOGGER = logging.getLogger(__name__)


@callback
def _loaded_cloud(hass: HomeAssistant) -> ModuleType | None:
    """Return Home Assistant Cloud where it is loaded; importing it elsewhere needs a lot."""
    if "cloud" not in hass.config.components:
        return None
    from homeassistant.components import cloud

    return cloud


@callback
def async_follow_cloud(
    hass: HomeAssistant, entry: ConfigEntry, changed: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Call ``changed`` whenever there is a connection to the cloud, or no longer one."""
    if (cloud := _loaded_cloud(hass)) is None:
        return

    @callback
    def connection_changed(state: CloudConnectionState) -> None:
        entry.async_create_background_task(hass, changed(), f"{DOMAIN} {entry.title} cloudhook")

    entry.async_on_unload(cloud.async_listen_connection_change(hass, connection_changed))


async def async_ensure_cloudhook(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Keep the cloudhook of the account that is logged in to the cloud now, or none."""
    if (cloud := _loaded_cloud(hass)) is None:
        return
    webhook_id, url = entry.data[CONF_WEBHOOK_ID], None
    if cloud.async_is_logged_in(hass):
        url = entry.data.get(CONF_CLOUDHOOK_URL)
        if cloud.async_active_subscription(hass) and cloud.async_is_connected(hass):
            try:
                # Another account at the cloud has another one.
                url = await cloud.async_get_or_create_cloudhook(hass, webhook_id)
            except Exception:
                _LOGGER.debug("%s: no cloudhook", entry.title, exc_info=True)
    if url != entry.data.get(CONF_CLOUDHOOK_URL):
        data = {key: value for key, value in entry.data.items() if key != CONF_CLOUDHOOK_URL}
        if url is not None:
            data[CONF_CLOUDHOOK_URL] = url
        hass.config_entries.async_update_entry(entry, data=data)


async def async_delete_cloudhook(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take back the cloudhook of an account that is removed."""
    if (cloud := _loaded_cloud(hass)) is not None and CONF_CLOUDHOOK_URL in entry.data:
        try:
            await cloud.async_delete_cloudhook(hass, entry.data[CONF_WEBHOOK_ID])
        except Exception:
            _LOGGER.debug("%s: the cloudhook can't be deleted", entry.title, exc_info=True)
