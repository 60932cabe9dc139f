"""From the action that Home Assistant gives a trigger to the automation that it belongs to."""

from homeassistant.core import split_entity_id
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.trigger import TriggerAction, TriggerActionPayloadBuilder

from .subscribers import Owner

_DOMAIN = "automation"


def owner_of(action: TriggerAction, build_payload: TriggerActionPayloadBuilder) -> Owner | None:
    """Return the automation whose method an action is, None for scripts, templates and the like."""
    automation = getattr(action, "__self__", None)
    # Not by its class: automations may not be loaded, and are none of our dependencies.
    if not isinstance(automation, Entity) or split_entity_id(automation.entity_id)[0] != _DOMAIN:
        return None
    index = build_payload({}, "").get("trigger", {}).get("idx", "")
    return Owner(
        entity_id=automation.entity_id,
        unique_id=automation.unique_id,
        name=str(automation.name),
        instance=id(automation),
        trigger_index=str(index),
    )
