"""An automation that runs already, and takes no more, misses payments: its user has to know."""

from homeassistant.const import STATE_ON
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_state_change_event

from ..const import DOMAIN
from .owner import Owner


@callback
def async_note_busy(hass: HomeAssistant, owner: Owner) -> None:
    """Show in the repairs that an automation has not heard an announcement, and what to do.

    Until it is saved, maybe with another mode, or switched off or deleted.
    """
    issue_id = f"automation_busy_{owner.key}"
    if ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is not None:
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="automation_busy",
        translation_placeholders={
            "automation": owner.name,
            "edit": f"/config/automation/edit/{owner.unique_id}",
        },
    )

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        if state is None or state.state != STATE_ON:
            unsubscribe()
            ir.async_delete_issue(hass, DOMAIN, issue_id)

    unsubscribe = async_track_state_change_event(hass, owner.entity_id, changed)
