"""The form for a provider's credentials, and what is wrong with them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
import zoneinfo

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from ..const import SECTION_ADVANCED
from ..errors import form_error
from ..providers.model import (
    AuthError,
    ClockWrong,
    KeyCanSpend,
    ProviderError,
    RateLimited,
    SettingNeeded,
)
from ..providers.provider import Field, FieldKind, Provider
from .address import (
    address_problem,
    gapped_address_problem,
    is_exposed,
    normalize_address,
    normalize_gapped,
)

# Stands in a form for a secret that is there, so that it can be taken away.
UNCHANGED = "__unchanged__"


@dataclass(frozen=True, slots=True)
class FormErrors:
    """What is wrong with a form: translation keys by field, and what fills their gaps."""

    by_field: Mapping[str, str]
    placeholders: Mapping[str, str] = MappingProxyType({})


_SECRET = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
_BOOLEAN = BooleanSelector()
_TEXT = TextSelector()
_URL = TextSelector(TextSelectorConfig(type=TextSelectorType.URL, autocomplete="url"))


async def async_credentials_schema(
    hass: HomeAssistant,
    fields: Iterable[Field],
    typed: Mapping[str, Any],
    errors: Mapping[str, str],
) -> vol.Schema:
    """Return the form, with what was typed before; a section opens where an error is in it."""
    plain: dict[vol.Marker, Any] = {}
    advanced: dict[vol.Marker, Any] = {}
    for field in fields:
        marker = vol.Required if field.required else vol.Optional
        suggested = typed.get(field.key, field.default)
        (advanced if field.advanced else plain)[
            marker(field.name, description={"suggested_value": suggested})
        ] = await _async_selector(hass, field)
    if advanced:
        plain[vol.Required(SECTION_ADVANCED)] = section(
            vol.Schema(advanced), {"collapsed": SECTION_ADVANCED not in errors}
        )
    return vol.Schema(plain)


def with_optional_keys(fields: Iterable[Field]) -> list[Field]:
    """Return the fields for a form that can be submitted without keys."""
    return [
        replace(field, required=False) if field.kind is FieldKind.SECRET else field
        for field in fields
    ]


def key_page(provider: type[Provider], address: str) -> str:
    """Return the link to where a key is made, or what it looks like before there is an address."""
    if address and not address_problem(address, allows_path=provider.allows_path):
        return f"{address}{provider.key_path}"
    return f"`https://…{provider.key_path}`"


async def _async_selector(hass: HomeAssistant, field: Field) -> Any:
    """Return what a field is typed or picked with."""
    match field.kind:
        case FieldKind.CHOICE:
            return SelectSelector(
                SelectSelectorConfig(
                    options=list(field.options),
                    custom_value=True,
                    mode=SelectSelectorMode.DROPDOWN,
                    translation_key=field.key,
                )
            )
        case FieldKind.SECRET:
            return _SECRET
        case FieldKind.URL:
            return _URL
        case FieldKind.TEXT:
            return _TEXT
        case FieldKind.BOOLEAN:
            return _BOOLEAN
        case FieldKind.TIME_ZONE:
            zones = await hass.async_add_executor_job(zoneinfo.available_timezones)
            return SelectSelector(
                SelectSelectorConfig(options=sorted(zones), mode=SelectSelectorMode.DROPDOWN)
            )


def read_settings(
    provider: type[Provider], fields: Iterable[Field], user_input: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings in a filled form, without the white space that pasting brings."""
    flat = {**user_input, **user_input.get(SECTION_ADVANCED, {})}
    settings: dict[str, Any] = {}
    for field in fields:
        if field.kind is FieldKind.BOOLEAN:
            settings[field.key] = bool(flat.get(field.name, field.default))
        elif value := str(flat.get(field.name) or "").strip():
            if field.kind is FieldKind.URL:
                value = (
                    normalize_gapped(value)
                    if provider.address_gap
                    else normalize_address(
                        value, allows_path=provider.allows_path, pages=provider.pages
                    )
                )
            settings[field.key] = value
    return settings


def settings_to_change(provider: type[Provider], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form shows of an account's settings: of secrets, only that they are there."""
    shown: dict[str, Any] = {}
    for field in provider.fields:
        if field.key in data and (field.kind is not FieldKind.SECRET or not field.required):
            shown[field.key] = UNCHANGED if field.kind is FieldKind.SECRET else data[field.key]
    return shown


def changed_settings(
    provider: type[Provider], data: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return an account's data with what a form changed.

    A required secret that was left empty stays, as does any that was left alone.
    """
    changed = dict(data)
    for field in provider.fields:
        value = settings.get(field.key)
        is_kept = value == UNCHANGED or (field.required and not value)
        if field.kind is FieldKind.SECRET and is_kept:
            continue
        changed.pop(field.key, None)
        if field.key in settings:
            changed[field.key] = value
    return changed


def settings_errors(
    provider: type[Provider],
    fields: Iterable[Field],
    settings: Mapping[str, Any],
    exposed_before: str | None,
) -> dict[str, str]:
    """Return what is known without asking the provider: form field to translation key.

    An address that everyone on the way can listen to is refused once:
    ``exposed_before`` is the one that was.
    """
    errors: dict[str, str] = {}
    for field in fields:
        value = settings.get(field.key, "")
        problem = None
        if field.kind is FieldKind.BOOLEAN:
            continue
        if not value:
            problem = "required" if field.required else None
        elif field.kind is FieldKind.URL:
            problem = (
                gapped_address_problem(value, provider.address_gap)
                if provider.address_gap
                else address_problem(value, allows_path=provider.allows_path)
            )
            if problem is None and is_exposed(value) and value != exposed_before:
                problem = "url_not_encrypted"
        elif field.kind is FieldKind.SECRET and not _can_be_a_key(value):
            problem = "invalid_key"
        if problem:
            errors[form_key(field)] = problem
    return errors


def provider_errors(fields: Sequence[Field], err: ProviderError) -> FormErrors:
    """Return at which of the form's fields to show what the provider said.

    Where the form doesn't ask for what is at fault, it is shown above all fields.
    """
    key, placeholders = form_error(err)
    keys = [form_key(field) for field in fields if field.kind is FieldKind.SECRET]
    match err:
        case SettingNeeded():
            where = [form_key(field) for field in fields if field.key == err.key]
        case ClockWrong() | RateLimited():
            where = []
        case KeyCanSpend():
            where = keys[:1]
        case AuthError():
            where = [form_key(field) for field in fields if field.is_proven] or keys[:1]
            if len(where) > 1:
                key = "key_or_secret"
        case _:
            where = [form_key(field) for field in fields if field.kind is FieldKind.URL]
    return FormErrors(dict.fromkeys(where or ["base"], key), placeholders)


def _can_be_a_key(value: str) -> bool:
    """Whether it can be sent as a key: white space and other scripts come from wrong pasting."""
    return value.isascii() and value.isprintable() and " " not in value


def form_key(field: Field) -> str:
    """Return where the form shows an error of a field: a section can't show its fields'."""
    return SECTION_ADVANCED if field.advanced else field.name
