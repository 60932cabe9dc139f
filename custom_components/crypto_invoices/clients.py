"""From what a config entry stores to a client of its provider."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from homeassistant.const import CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util import dt as dt_util

from .const import CONF_PROVIDER
from .providers import PROVIDERS
from .providers.provider import FieldKind, Provider


class ProviderGone(Exception):
    """The integration that brought a provider isn't loaded."""


def find_provider(data: Mapping[str, Any]) -> type[Provider]:
    """Return the class of an account's provider. Raises ProviderGone."""
    try:
        return PROVIDERS[data[CONF_PROVIDER]]
    except KeyError:
        raise ProviderGone(data[CONF_PROVIDER]) from None


def provider_name(data: Mapping[str, Any]) -> str:
    """Return what an account's provider is called, its key where it is gone."""
    key: str = data[CONF_PROVIDER]
    return PROVIDERS[key].name if key in PROVIDERS else key


async def async_create_provider(hass: HomeAssistant, data: Mapping[str, Any]) -> Provider:
    """Return the provider that a config entry's data describes. Raises ProviderGone."""
    provider_class = find_provider(data)
    settings = dict(data)
    for field in provider_class.fields:
        if field.kind is FieldKind.TIME_ZONE and settings.get(field.key):
            settings[field.key] = await dt_util.async_get_time_zone(settings[field.key])
    session = async_get_clientsession(hass, verify_ssl=settings.get(CONF_VERIFY_SSL, True))
    return provider_class(session, settings, monotonic)
