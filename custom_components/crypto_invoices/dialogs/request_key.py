"""Has a provider's own page make a key: no key is copied, and it may do what is needed and no more."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlowResult,
)
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.config_entry_oauth2_flow import HEADER_FRONTEND_BASE
from homeassistant.helpers.http import current_request
from homeassistant.helpers.network import NoURLAvailableError, get_url
from homeassistant.helpers.selector import BooleanSelector
import voluptuous as vol
from yarl import URL

from ..const import CONF_PROVIDER
from ..notifications.new_key import async_expect_key, async_expect_no_key
from ..providers import PROVIDERS
from ..providers.provider import FieldKind, Provider
from .change import ChangeFlow
from .credentials import async_credentials_schema, read_settings, settings_to_change
from .set_up import SetUpFlow

CONF_MAY_CREATE = "may_create"
CONF_MAY_CANCEL = "may_cancel"


def own_page() -> str | None:
    """Return where a user has Home Assistant open, if that is encrypted.

    From an encrypted page of a provider, a browser posts nothing to any other without a warning.
    """
    request = current_request.get()
    base = request.headers.get(HEADER_FRONTEND_BASE, "") if request is not None else ""
    with suppress(ValueError):
        if (url := URL(base)).scheme == "https" and url.host:
            return str(url.origin())
    return None


def _may_be_encrypted(hass: HomeAssistant) -> bool:
    """Whether Home Assistant may be open at an encrypted page, where nobody has it open yet."""
    with suppress(NoURLAvailableError):
        return bool(get_url(hass, require_ssl=True, allow_ip=True))
    return False


class KeyRequestFlow(SetUpFlow, ChangeFlow):
    """All dialogs of an account, with the steps in which a provider makes a key and posts it."""

    _provider: type[Provider]
    _form: dict[str, Any]
    """What the form that asks for a key is submitted with, once the key is there."""
    _key_page: str

    async def async_begin(
        self, provider: type[Provider], user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where the key of a new account comes from, or for the key."""
        self._provider = provider
        if user_input is None and provider.key_request and own_page():
            return await self.async_step_user_key()
        return await self.async_ask_credentials(provider, user_input)

    @override
    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Ask where a new key comes from, or for the key."""
        self._provider = PROVIDERS[entry_data[CONF_PROVIDER]]
        # Nobody has this dialog open yet, so where that will be isn't known.
        if self._provider.key_request and _may_be_encrypted(self.hass):
            return await self.async_step_user_key()
        return await super().async_step_reauth(entry_data)

    @override
    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where a new key comes from, or for what should change."""
        self._provider = PROVIDERS[self._get_reconfigure_entry().data[CONF_PROVIDER]]
        if user_input is None and self._provider.key_request and own_page():
            return await self.async_step_user_key()
        return await super().async_step_reconfigure(user_input)

    async def async_step_user_key(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask whether the provider should make a key, or one is there."""
        entry = self._entry
        return self.async_show_menu(
            step_id=f"{self.source}_key",
            menu_options=["request_key", "enter_key"],
            description_placeholders={
                "provider": self._provider.name,
                "account": entry.title if entry else "",
            },
        )

    async_step_reauth_key = async_step_reconfigure_key = async_step_user_key

    @property
    def _entry(self) -> ConfigEntry | None:
        """The account that is changed, None for a new one."""
        if self.source == SOURCE_REAUTH:
            return self._get_reauth_entry()
        return self._get_reconfigure_entry() if self.source == SOURCE_RECONFIGURE else None

    async def async_step_enter_key(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a key that is there."""
        return await self._async_submit_key(None)

    async def _async_submit_key(self, form: dict[str, Any] | None) -> ConfigFlowResult:
        """Show the form that asks for a key, or submit it."""
        match self.source:
            case "reauth":
                return await self.async_step_reauth_confirm(form)
            case "reconfigure":
                return await super().async_step_reconfigure(form)
        return await self.async_ask_credentials(self._provider, form)

    async def async_step_request_key(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what the key may do, and of which server."""
        provider, entry = self._provider, self._entry
        fields = [] if entry else [one for one in provider.fields if one.kind is FieldKind.URL]
        errors: dict[str, str] = {}
        settings: dict[str, Any] = {}
        if user_input is not None:
            settings = read_settings(provider, fields, user_input)
            errors = self.check(provider, fields, settings)
            if (base := own_page()) is None:
                errors["base"] = "key_page_not_encrypted"
            elif not errors and provider.key_request:
                self._form = (settings_to_change(provider, entry.data) if entry else {}) | settings
                redirect = f"{base}{async_expect_key(self.hass, self.flow_id)}"
                path = provider.key_request(
                    redirect,
                    may_create=user_input[CONF_MAY_CREATE],
                    may_cancel=user_input[CONF_MAY_CANCEL],
                )
                address = settings[CONF_URL] if entry is None else entry.data[CONF_URL]
                self._key_page = f"{address}{path}"
                return await self.async_step_key_page()
        schema = await async_credentials_schema(self.hass, fields, settings, errors)
        choices = {
            vol.Optional(key, default=(user_input or {}).get(key, False)): BooleanSelector()
            for key in (CONF_MAY_CREATE, CONF_MAY_CANCEL)
        }
        return self.async_show_form(
            step_id="request_key",
            data_schema=schema.extend(choices),
            errors=errors,
            description_placeholders={"provider": provider.name},
        )

    async def async_step_key_page(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Open the provider's page, and wait until it has posted the key."""
        if not user_input or CONF_API_KEY not in user_input:
            return self.async_external_step(
                step_id="key_page",
                url=self._key_page,
                description_placeholders={"provider": self._provider.name},
            )
        self._form[CONF_API_KEY] = user_input[CONF_API_KEY]
        return self.async_external_step_done(next_step_id="key_received")

    async def async_step_key_received(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Go on as if somebody had entered the key."""
        return await self._async_submit_key(self._form)

    @override
    @callback
    def async_remove(self) -> None:
        """Stop accepting keys for a dialog that is over."""
        async_expect_no_key(self.hass, self.flow_id)
