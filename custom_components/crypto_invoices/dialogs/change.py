"""Change the keys or the address of an account, also when its keys stop working."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigFlowResult

from ..clients import ProviderGone, find_provider
from ..notifications.address import webhook_address
from ..providers.provider import FieldKind
from .credentials import (
    FormErrors,
    async_credentials_schema,
    changed_settings,
    read_settings,
    settings_to_change,
    with_optional_keys,
)
from .labels import async_form
from .proof import Proven, ProvingFlow


class ChangeFlow(ProvingFlow):
    """The steps that change an account."""

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Start when the provider no longer accepts the keys."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for new keys; everything else stays."""
        entry = self._get_reauth_entry()
        provider = find_provider(entry.data)
        form = await async_form(self.hass, provider)
        secrets = [
            field for field in form.fields if field.kind is FieldKind.SECRET and field.required
        ]
        wrong = FormErrors({})
        settings: dict[str, Any] = {}
        if user_input is not None:
            settings = read_settings(provider, secrets, user_input)
            asked = {field.key for field in secrets}
            kept = {key: value for key, value in entry.data.items() if key not in asked}
            data = {**kept, **settings}
            proven = await self.async_prove(provider, secrets, data, entry)
            if isinstance(proven, Proven):
                return await self._async_update(entry, proven, "reauth_successful")
            wrong = proven
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=await async_credentials_schema(
                self.hass, secrets, settings, wrong.by_field
            ),
            errors=dict(wrong.by_field),
            description_placeholders={
                "provider": provider.name,
                "account": entry.title,
                **wrong.placeholders,
            },
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the address or the keys.

        A key that is needed stays if it is left empty; one that isn't can be taken away.
        """
        entry = self._get_reconfigure_entry()
        try:
            provider = find_provider(entry.data)
        except ProviderGone:
            return self.async_abort(reason="provider_gone")
        fields = with_optional_keys((await async_form(self.hass, provider)).fields)
        wrong = FormErrors({})
        settings = settings_to_change(provider, entry.data)
        if user_input is not None:
            settings = read_settings(provider, fields, user_input)
            data = changed_settings(provider, entry.data, settings)
            proven = await self.async_prove(provider, fields, data, entry)
            if isinstance(proven, Proven):
                return await self._async_update(entry, proven, "reconfigure_successful")
            wrong = proven
        address = webhook_address(self.hass, entry.data)
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=await async_credentials_schema(self.hass, fields, settings, wrong.by_field),
            errors=dict(wrong.by_field),
            description_placeholders={
                "provider": provider.name,
                "account": entry.title,
                "webhook_url": address or "-",
                **wrong.placeholders,
            },
        )

    async def _async_update(
        self, entry: ConfigEntry, proven: Proven, reason: str
    ) -> ConfigFlowResult:
        """Store what was proven to work, and load the account with it."""
        await self.async_set_unique_id(proven.unique_id, raise_on_progress=False)
        if proven.unique_id != entry.unique_id:
            self._abort_if_unique_id_configured()
        result = self.async_update_and_abort(
            entry, unique_id=proven.unique_id, data=proven.data, reason=reason
        )
        # An entry that failed to load has no listener that would notice.
        self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result
