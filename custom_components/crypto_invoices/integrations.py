"""Providers that other integrations bring, each in a module that is called like this integration.

They are found as those integrations are loaded, before or after this one.
"""

import logging
import re
from types import ModuleType

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.integration_platform import async_process_integration_platforms
from homeassistant.util.hass_dict import HassKey

from .const import CONF_PROVIDER, DOMAIN
from .providers import INTERFACE_VERSION, PROVIDERS
from .providers.preview import PreviewedProvider
from .providers.provider import FieldKind, Provider

_LOGGER = logging.getLogger(__name__)

_ORIGINS: HassKey[dict[str, str]] = HassKey(f"{DOMAIN}_integrations")
_KEY = re.compile(r"[a-z][a-z0-9_]{1,39}")
# Steps of our own dialogs, which are called by the keys of providers too.
_NOT_KEYS = re.compile(
    r"accept|integration|invoices.*|key_page|more|preset.*|preview|read|reauth.*|reconfigure.*|user.*|.*_key",
    re.ASCII,
)


async def async_setup_integrations(hass: HomeAssistant) -> None:
    """Take in what loaded integrations bring, and what those that are loaded later will."""
    hass.data[_ORIGINS] = {}
    await async_process_integration_platforms(hass, DOMAIN, _async_add, wait_for_platforms=True)


@callback
def async_get_origin(hass: HomeAssistant, provider_key: str) -> str | None:
    """Return the integration that a provider is from, None for our own."""
    return hass.data.get(_ORIGINS, {}).get(provider_key)


async def _async_add(hass: HomeAssistant, domain: str, platform: ModuleType) -> None:
    """Take in the providers of an integration, and load the accounts that waited for them."""
    issue_id = f"provider_interface_{domain}"
    version = getattr(platform, "PROVIDER_INTERFACE", None)
    if version != INTERFACE_VERSION:
        _LOGGER.error(
            "The providers of the integration %s are made for version %s of the interface,"
            " and this is version %s: they are not used",
            domain,
            version,
            INTERFACE_VERSION,
        )
        ir.async_create_issue(
            hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key="provider_interface",
            translation_placeholders={
                "integration": domain,
                "version": str(version),
                "needed": str(INTERFACE_VERSION),
            },
        )
        return
    ir.async_delete_issue(hass, DOMAIN, issue_id)
    added = set()
    for provider in await platform.async_get_providers(hass):
        if (problem := _problem(hass, domain, provider)) is not None:
            _LOGGER.error("A provider of the integration %s is not used: %s", domain, problem)
            continue
        PROVIDERS[provider.key] = provider
        hass.data[_ORIGINS][provider.key] = domain
        added.add(provider.key)
    for entry in hass.config_entries.async_entries(DOMAIN, include_disabled=False):
        is_waiting = entry.state in (ConfigEntryState.SETUP_ERROR, ConfigEntryState.SETUP_RETRY)
        if is_waiting and entry.data.get(CONF_PROVIDER) in added:
            hass.config_entries.async_schedule_reload(entry.entry_id)


def _problem(hass: HomeAssistant, domain: str, provider: object) -> str | None:
    """Return why a provider can't be used, None if it can."""
    if not isinstance(provider, type) or not issubclass(provider, Provider):
        return f"{provider!r} is not a subclass of Provider"
    if issubclass(provider, PreviewedProvider):
        return f"{provider!r} has forms that only our own providers can have"
    key = getattr(provider, "key", "")
    if not _KEY.fullmatch(key) or _NOT_KEYS.fullmatch(key):
        return f"{key!r} can't be its key"
    if key in PROVIDERS and async_get_origin(hass, key) != domain:
        return f"there is another provider with the key {key!r}"
    urls = [field.key for field in provider.fields if field.kind is FieldKind.URL]
    if urls != ["url"]:
        return f"{key!r} needs exactly one field of the kind URL, with the key 'url'"
    return None
