"""What is typed into the two forms of an account that is described by its user."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_URL
from yarl import URL

from ..const import CONF_PROVIDER
from ..providers.preview import PreviewedProvider, SettingFlaw
from ..providers.provider import Field, FieldKind
from .credentials import changed_settings, form_key, read_settings, settings_errors

_KEY = "api_key"
_KEY_FORM = "key_form"


@dataclass(slots=True)
class Typed:
    """The values of all fields: an empty text where one was emptied."""

    provider: type[PreviewedProvider]
    entry: ConfigEntry | None
    """The account that is changed, None where one is set up."""
    values: Mapping[str, Any]

    @property
    def access_fields(self) -> list[Field]:
        """The fields of the first form; an API that needs no key has none."""
        needs_key = bool(self.values.get(_KEY_FORM))
        return [
            replace(field, required=field.required and needs_key) if field.key == _KEY else field
            for field in self.provider.fields
            if not field.is_previewed
        ]

    @property
    def previewed_fields(self) -> list[Field]:
        """The fields of the form beside an answer."""
        return [field for field in self.provider.fields if field.is_previewed]

    @property
    def shown(self) -> dict[str, Any]:
        """What the forms show: nothing where it was emptied, not even a default."""
        return {key: None if value == "" else value for key, value in self.values.items()}

    @property
    def data(self) -> dict[str, Any]:
        """What would be stored."""
        typed = {key: value for key, value in self.values.items() if value != ""}
        if self.entry is None:
            return {**typed, CONF_PROVIDER: self.provider.key}
        data = changed_settings(self.provider, self.entry.data, typed)
        if not typed.get(_KEY_FORM):
            data.pop(_KEY, None)
        return data

    def keep(self, fields: Iterable[Field], user_input: Mapping[str, Any]) -> None:
        """Take over what a form holds, also what was emptied."""
        fields = list(fields)
        settings = read_settings(self.provider, fields, user_input)
        self.values = {**self.values, **all_empty(fields), **settings}

    def flaws(self, fields: Iterable[Field]) -> dict[str, str]:
        """Return what is wrong with these settings, by field of the form."""
        found = self.provider.find_flaws(self.data)
        return {form_key(field): found[field.key] for field in fields if field.key in found}

    def access_errors(self, exposed_before: str | None) -> dict[str, str]:
        """Return what is wrong with how to get at an invoice, by field of the form."""
        data, fields = self.data, self.access_fields
        errors = settings_errors(self.provider, fields, data, exposed_before)
        if not errors and self.entry is not None and not self.values.get(_KEY):
            before = URL(self.entry.data[CONF_URL]).origin()
            if _KEY in data and URL(data[CONF_URL]).origin() != before:
                errors[_KEY] = SettingFlaw.KEY_OF_OTHER_HOST
        return {**self.flaws(fields), **errors}


def all_empty(fields: Iterable[Field]) -> dict[str, str]:
    """Return an empty text for each field that has one, so that no default takes its place."""
    return {field.key: "" for field in fields if field.kind is not FieldKind.BOOLEAN}
