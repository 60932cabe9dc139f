"""Set up or change an account whose answers are read the way that the user says.

First how to get at an invoice, then, beside the answer for one, where in it everything is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, override

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigFlowResult
from homeassistant.const import CONF_URL
from yarl import URL

from ..clients import async_create_provider
from ..const import CONF_INVOICES, CONF_PROVIDER
from ..providers import PROVIDERS
from ..providers.model import InvoiceNotFound, ProviderError
from ..providers.preview import Preview, PreviewedProvider, SettingFlaw
from ..providers.provider import Field, FieldKind, Provider
from .change import ChangeFlow
from .credentials import (
    FormErrors,
    async_credentials_schema,
    changed_settings,
    form_key,
    provider_errors,
    read_settings,
    settings_errors,
    settings_to_change,
    with_optional_keys,
)
from .preview_texts import async_preview_texts
from .proof import Proven
from .set_up import SetUpFlow

PRESET = "preset_"
NO_PRESET = "none"
_CONF_PRESET = "preset"
_CONF_SAMPLE = "sample_id"


class PreviewFlow(SetUpFlow, ChangeFlow):
    """The steps of a provider that shows what is read, before anything is saved."""

    _previewed: type[PreviewedProvider]
    _typed: Mapping[str, Any] | None = None
    """What the forms hold, of all fields."""
    _read_with: Mapping[str, Any] | None = None
    """What was typed when the user last saw what is read, and nothing was wrong."""

    @override
    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change how an account is read, beside the answer for an invoice."""
        provider = PROVIDERS.get(self._get_reconfigure_entry().data[CONF_PROVIDER])
        if provider is not None and issubclass(provider, PreviewedProvider):
            return await self.async_ask_access(provider)
        return await super().async_step_reconfigure(user_input)

    async def async_step_preset(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the API, if it is one of those of which something is known."""
        options = [f"{PRESET}{key}" for key in (*self._previewed.presets, NO_PRESET)]
        return self.async_show_menu(step_id="preset", menu_options=options)

    async def async_choose_preset(
        self, preset: str, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Begin with what is known of an API."""
        known = self._previewed.presets.get(preset)
        self._typed = {**known.settings, _CONF_PRESET: preset} if known else {}
        return await self.async_ask_access(self._previewed)

    async def async_ask_access(
        self, provider: type[PreviewedProvider], user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask how to get at an invoice."""
        self._previewed = provider
        if self._typed is None and self._changes:
            data = self._get_reconfigure_entry().data
            self._typed = {**_all_empty(provider), **settings_to_change(provider, data)}
        if self._typed is None:
            return await self.async_step_preset()
        if user_input is None:
            return await self._async_show_access(FormErrors({}))
        fields = [field for field in provider.fields if not field.is_previewed]
        self._keep(fields, read_settings(provider, fields, user_input))
        if errors := self._access_errors():
            return await self._async_show_access(FormErrors(errors))
        return await self.async_step_preview()

    async def async_step_preview(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where in an answer everything is, beside an answer and what is read from it."""
        if user_input is None:
            return await self._async_show_preview(FormErrors({}))
        provider = self._previewed
        fields = [field for field in provider.fields if field.is_previewed]
        self._keep(fields, read_settings(provider, fields, user_input))
        data = self._data()
        errors = self._flaws(fields)
        if not errors and self._read_with == data:
            return await self._async_finish(data)
        self._read_with = None
        preview = None
        if _CONF_SAMPLE not in errors:
            client = await async_create_provider(self.hass, data)
            try:
                if isinstance(client, PreviewedProvider):
                    preview = await client.async_preview()
            except InvoiceNotFound:
                errors[_CONF_SAMPLE] = SettingFlaw.ID_NOT_FOUND
            except ProviderError as err:
                return await self._async_show_failure(err)
        if preview is not None:
            errors = {**preview.flaws, **errors}
            if not errors:
                self._read_with = data
                # What leads to nothing may be right for another invoice: who submits again knows.
                errors = dict.fromkeys(preview.missing, SettingFlaw.PATH_TO_NOTHING)
        return await self._async_show_preview(FormErrors(errors), preview)

    @property
    def _changes(self) -> bool:
        """Whether there is an account already."""
        return self.source == SOURCE_RECONFIGURE

    def _keep(self, fields: list[Field], settings: Mapping[str, Any]) -> None:
        """Keep what a form holds, also what was emptied."""
        emptied = {field.key: "" for field in fields if field.kind is not FieldKind.BOOLEAN}
        self._typed = {**(self._typed or {}), **emptied, **settings}

    def _data(self) -> dict[str, Any]:
        """Return what would be stored."""
        provider = self._previewed
        typed = {key: value for key, value in (self._typed or {}).items() if value != ""}
        if not self._changes:
            return {**typed, CONF_PROVIDER: provider.key}
        data = changed_settings(provider, self._get_reconfigure_entry().data, typed)
        if not typed.get("key_form"):
            data.pop("api_key", None)
        return data

    def _shown(self) -> dict[str, Any]:
        """Return what the forms show: nothing where it was emptied, not even a default."""
        typed = self._typed or {}
        return {key: None if value == "" else value for key, value in typed.items()}

    def _access_fields(self) -> list[Field]:
        """Return the fields of the first form; what needs no key has no key."""
        needs_key = bool((self._typed or {}).get("key_form"))
        return [
            replace(field, required=field.required and needs_key) if _is_key(field) else field
            for field in self._previewed.fields
            if not field.is_previewed
        ]

    def _access_errors(self) -> dict[str, str]:
        """Return what is wrong with how to get at an invoice, by field of the form."""
        data, fields = self._data(), self._access_fields()
        errors = settings_errors(self._previewed, fields, data, self._exposed_address)
        if "url_not_encrypted" in errors.values():
            self._exposed_address = data[CONF_URL]
        if not errors and self._changes and not (self._typed or {}).get("api_key"):
            before = URL(self._get_reconfigure_entry().data[CONF_URL]).origin()
            if "api_key" in data and URL(data[CONF_URL]).origin() != before:
                errors["api_key"] = SettingFlaw.KEY_OF_OTHER_HOST
        return {**self._flaws(fields), **errors}

    def _flaws(self, fields: list[Field]) -> dict[str, str]:
        """Return what is wrong with these settings, by field of the form."""
        found = self._previewed.find_flaws(self._data())
        return {form_key(field): found[field.key] for field in fields if field.key in found}

    async def _async_show_failure(self, err: ProviderError) -> ConfigFlowResult:
        """Show what went wrong at the field that it is about, in whichever form that is."""
        wrong = provider_errors(self._access_fields(), err)
        if "base" in wrong.by_field:
            return await self._async_show_preview(wrong)
        return await self._async_show_access(wrong)

    async def _async_show_access(self, wrong: FormErrors) -> ConfigFlowResult:
        """Show the first form."""
        provider, fields = self._previewed, self._access_fields()
        if self._changes:
            fields = with_optional_keys(fields)
        else:
            # Whether there has to be one is up to another field.
            fields = [
                replace(field, required=False) if _is_key(field) else field for field in fields
            ]
        return self.async_show_form(
            step_id=provider.key,
            data_schema=await async_credentials_schema(
                self.hass, fields, self._shown(), wrong.by_field
            ),
            errors=dict(wrong.by_field),
            description_placeholders={
                "provider": provider.name,
                "gap": provider.address_gap,
                "key_gap": provider.key_gap,
                **wrong.placeholders,
            },
            last_step=False,
        )

    async def _async_show_preview(
        self, wrong: FormErrors, preview: Preview | None = None
    ) -> ConfigFlowResult:
        """Show the second form, with an answer and what is read from it."""
        fields = [
            # Also with some of them empty, the answer helps to fill them in.
            replace(field, required=False)
            for field in self._previewed.fields
            if field.is_previewed
        ]
        return self.async_show_form(
            step_id="preview",
            data_schema=await async_credentials_schema(
                self.hass, fields, self._shown(), wrong.by_field
            ),
            errors=dict(wrong.by_field),
            description_placeholders={
                "provider": self._previewed.name,
                **await async_preview_texts(self.hass, preview),
                **wrong.placeholders,
            },
            last_step=False,
        )

    async def _async_finish(self, data: dict[str, Any]) -> ConfigFlowResult:
        """Prove what was seen to work, and go on to the invoices, or change the account."""
        entry = self._get_reconfigure_entry() if self._changes else None
        proven = await self.async_prove(self._previewed, self._access_fields(), data, entry)
        if not isinstance(proven, Proven):
            return await self._async_show_access(proven)
        if entry is not None:
            return await self._async_update(entry, proven, "reconfigure_successful")
        self._proven = proven
        await self.async_set_unique_id(proven.unique_id, raise_on_progress=False)
        self._abort_if_unique_id_configured()
        self._suggested = {CONF_INVOICES: data[_CONF_SAMPLE]}
        return await self._async_offer_invoices()


def _is_key(field: Field) -> bool:
    """Whether a field is the key that is sent."""
    return field.key == "api_key"


def _all_empty(provider: type[Provider]) -> dict[str, str]:
    """Return a text for each field that has none, so that no default takes its place."""
    return {field.key: "" for field in provider.fields if field.kind is not FieldKind.BOOLEAN}
