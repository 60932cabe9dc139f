"""Set up or change an account whose answers are read the way that the user says.

First how to get at an invoice, then, beside the answer for one, where in it everything is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, override

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.const import CONF_URL

from ..clients import async_create_provider
from ..const import CONF_INVOICES, CONF_PROVIDER
from ..providers import PROVIDERS
from ..providers.model import InvoiceNotFound, ProviderError
from ..providers.preview import Preview, PreviewedProvider, SettingFlaw
from .change import ChangeFlow
from .credentials import (
    FormErrors,
    async_credentials_schema,
    provider_errors,
    settings_to_change,
    with_optional_keys,
)
from .preview_texts import async_preview_texts
from .proof import Proven
from .set_up import SetUpFlow
from .typed import Typed, all_empty

PRESET = "preset_"
NO_PRESET = "none"
_CONF_PRESET = "preset"
_CONF_SAMPLE = "sample_id"


class PreviewFlow(SetUpFlow, ChangeFlow):
    """The steps of a provider that shows what is read, before anything is saved."""

    _previewed: type[PreviewedProvider]
    _typed: Typed | None = None
    _preview: Preview | None = None
    _noted: Mapping[str, Any] | None = None
    """What was typed when the user was told that some of it leads to nothing."""

    @override
    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change how an account is read, beside the answer for an invoice."""
        entry = self._get_reconfigure_entry()
        provider = PROVIDERS.get(entry.data[CONF_PROVIDER])
        if provider is None:
            return self.async_abort(reason="provider_gone")
        if not issubclass(provider, PreviewedProvider):
            return await super().async_step_reconfigure(user_input)
        shown = {**all_empty(provider.fields), **settings_to_change(provider, entry.data)}
        self._typed = Typed(provider, entry, shown)
        return await self.async_ask_access(provider)

    async def async_step_preset(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the API, if it is one of those of which something is known."""
        options = [f"{PRESET}{key}" for key in (*self._previewed.presets, NO_PRESET)]
        return self.async_show_menu(step_id="preset", menu_options=options)

    async def async_choose_preset(
        self, preset: str, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Begin with what is known of an API."""
        known = self._previewed.presets.get(preset)
        values = {**known.settings, _CONF_PRESET: preset} if known else {}
        self._typed = Typed(self._previewed, None, values)
        return await self.async_ask_access(self._previewed)

    async def async_ask_access(
        self, provider: type[PreviewedProvider], user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask how to get at an invoice."""
        self._previewed = provider
        if (typed := self._typed) is None:
            return await self.async_step_preset()
        errors: dict[str, str] = {}
        if user_input is not None:
            typed.keep(typed.access_fields, user_input)
            errors = typed.access_errors(self._exposed_address)
            if "url_not_encrypted" in errors.values():
                self._exposed_address = typed.data[CONF_URL]
            if not errors:
                return await self._async_show_preview(typed, FormErrors({}))
        return await self._async_show_access(typed, FormErrors(errors))

    async def async_step_preview(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where in an answer everything is, beside an answer and what is read from it."""
        if (typed := self._typed) is None:
            return await self.async_step_preset()
        if user_input is None:
            return await self._async_show_preview(typed, FormErrors({}))
        typed.keep(typed.previewed_fields, user_input)
        data, errors = typed.data, typed.flaws(typed.previewed_fields)
        self._preview = None
        if _CONF_SAMPLE not in errors:
            try:
                self._preview = await self._async_ask(data)
            except InvoiceNotFound:
                errors[_CONF_SAMPLE] = SettingFlaw.ID_NOT_FOUND
            except ProviderError as err:
                wrong = provider_errors(typed.access_fields, err)
                if "base" in wrong.by_field:
                    return await self._async_show_preview(typed, wrong)
                return await self._async_show_access(typed, wrong)
        if (preview := self._preview) is not None:
            errors = {**preview.flaws, **errors}
            # What leads to nothing may be right for another invoice: who submits again knows.
            if not errors and preview.missing and self._noted != data:
                self._noted = data
                errors = dict.fromkeys(preview.missing, SettingFlaw.PATH_TO_NOTHING)
        if errors:
            return await self._async_show_preview(typed, FormErrors(errors))
        return await self.async_step_read()

    async def async_step_read(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether what is read is right."""
        return self.async_show_menu(
            step_id="read",
            menu_options=["accept", "preview"],
            description_placeholders=await async_preview_texts(self.hass, self._preview),
        )

    async def async_step_accept(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Prove what was seen to work, and go on to the invoices, or change the account."""
        if (typed := self._typed) is None:
            return await self.async_step_preset()
        data, entry = typed.data, typed.entry
        proven = await self.async_prove(typed.provider, typed.access_fields, data, entry)
        if not isinstance(proven, Proven):
            return await self._async_show_access(typed, proven)
        if entry is not None:
            return await self._async_update(entry, proven, "reconfigure_successful")
        self._proven = proven
        await self.async_set_unique_id(proven.unique_id, raise_on_progress=False)
        self._abort_if_unique_id_configured()
        self._suggested = {CONF_INVOICES: data[_CONF_SAMPLE]}
        return await self._async_offer_invoices()

    async def _async_ask(self, data: Mapping[str, Any]) -> Preview | None:
        """Ask for the invoice that the settings are tried with. Raises a ProviderError."""
        client = await async_create_provider(self.hass, data)
        return await client.async_preview() if isinstance(client, PreviewedProvider) else None

    async def _async_show_access(self, typed: Typed, wrong: FormErrors) -> ConfigFlowResult:
        """Show the first form; whether there has to be a key is up to another field of it."""
        provider = typed.provider
        return self.async_show_form(
            step_id=provider.key,
            data_schema=await async_credentials_schema(
                self.hass, with_optional_keys(typed.access_fields), typed.shown, wrong.by_field
            ),
            errors=dict(wrong.by_field),
            description_placeholders={
                "provider": provider.name,
                "gap": provider.address_gap,
                "key_gap": provider.key_gap,
                **wrong.placeholders,
            },
        )

    async def _async_show_preview(self, typed: Typed, wrong: FormErrors) -> ConfigFlowResult:
        """Show the second form, with an answer and what is read from it."""
        # Also with some of them empty, the answer helps to fill them in.
        fields = [replace(field, required=False) for field in typed.previewed_fields]
        return self.async_show_form(
            step_id="preview",
            data_schema=await async_credentials_schema(
                self.hass, fields, typed.shown, wrong.by_field
            ),
            errors=dict(wrong.by_field),
            description_placeholders={
                "provider": typed.provider.name,
                **await async_preview_texts(self.hass, self._preview),
                **wrong.placeholders,
            },
        )
