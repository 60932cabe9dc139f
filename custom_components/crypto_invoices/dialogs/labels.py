"""What a form calls its fields: the frontend knows our own texts, but no other integration's."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from ..integrations import async_get_origin
from ..providers.provider import Field, Provider

FOREIGN_STEP = "integration"


@dataclass(frozen=True, slots=True)
class Form:
    """A provider's form: the step that has its texts, what fills their gaps, and its fields."""

    step_id: str
    fields: tuple[Field, ...]
    placeholders: Mapping[str, str] = MappingProxyType({})


async def async_form(hass: HomeAssistant, provider: type[Provider]) -> Form:
    """Return the form of a provider, with the texts of the integration that it is from.

    Those are in the language of Home Assistant, not in that of the user.
    """
    if (origin := async_get_origin(hass, provider.key)) is None:
        return Form(provider.key, provider.fields)
    texts = await async_get_translations(hass, hass.config.language, "config", {origin})
    step = f"component.{origin}.config.step.{provider.key}"
    labels = {
        field.key: texts.get(f"{step}.data.{field.key}")
        or texts.get(f"{step}.sections.advanced.data.{field.key}")
        or field.key
        for field in provider.fields
    }
    often = Counter(labels.values())
    return Form(
        FOREIGN_STEP,
        tuple(
            # Two with the same label would be one field.
            field if often[labels[field.key]] > 1 else replace(field, label=labels[field.key])
            for field in provider.fields
        ),
        {
            "title": texts.get(f"{step}.title", provider.name),
            "description": texts.get(f"{step}.description", ""),
        },
    )
