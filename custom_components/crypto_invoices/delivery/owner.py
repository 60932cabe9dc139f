"""The automation that a trigger belongs to."""

from dataclasses import dataclass

from homeassistant.const import STATE_OFF
from homeassistant.core import HomeAssistant, split_entity_id
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.trigger import TriggerAction, TriggerActionPayloadBuilder

_AUTOMATION = "automation"


@dataclass(frozen=True, slots=True)
class Owner:
    """The automation that a trigger belongs to, as long as it is this object of this name."""

    automation: Entity
    entity_id: str
    trigger_index: str
    """Which of the automation's triggers it is."""

    @property
    def unique_id(self) -> str | None:
        """What the automation is called in the file of automations."""
        return self.automation.unique_id

    @property
    def name(self) -> str:
        """What its user calls it."""
        return str(self.automation.name)

    @property
    def key(self) -> str:
        """What stays the same when the automation is saved or renamed."""
        return self.unique_id or self.entity_id

    def is_same_object(self, other: Owner) -> bool:
        """Whether the automation was neither saved nor renamed in between."""
        return self.automation is other.automation and self.entity_id == other.entity_id

    def may_come_back(self, hass: HomeAssistant) -> bool:
        """Whether the automation may be one that is being saved: not switched off, nor deleted."""
        entity_id = self.entity_id
        if self.unique_id is not None:
            entities = er.async_get(hass)
            found = entities.async_get_entity_id(_AUTOMATION, _AUTOMATION, self.unique_id)
            if found is None or ((entry := entities.async_get(found)) and entry.disabled):
                return False
            entity_id = found
        state = hass.states.get(entity_id)
        return state is None or state.state != STATE_OFF


def owner_of(action: TriggerAction, build_payload: TriggerActionPayloadBuilder) -> Owner | None:
    """Return the automation whose method an action is, None for scripts, templates and the like."""
    automation = getattr(action, "__self__", None)
    # Not by its class: automations may not be loaded, and are none of our dependencies.
    if not isinstance(automation, Entity):
        return None
    if split_entity_id(automation.entity_id)[0] != _AUTOMATION:
        return None
    index = build_payload({}, "").get("trigger", {}).get("idx", "")
    return Owner(automation, automation.entity_id, str(index))
