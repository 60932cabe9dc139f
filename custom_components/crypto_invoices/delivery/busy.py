"""An automation that runs already, and takes no more, misses payments: its user has to know."""

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from ..const import DOMAIN
from .subscribers import Owner


@callback
def async_note_busy(hass: HomeAssistant, owner: Owner) -> None:
    """Show in the repairs that an automation has not heard an announcement, and what to do."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _issue_id(owner),
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="automation_busy",
        translation_placeholders={
            "automation": owner.name,
            "edit": f"/config/automation/edit/{owner.unique_id}",
        },
    )


@callback
def async_forget_busy(hass: HomeAssistant, owner: Owner) -> None:
    """Take it back: the automation was saved, maybe with another mode."""
    ir.async_delete_issue(hass, DOMAIN, _issue_id(owner))


def _issue_id(owner: Owner) -> str:
    """Return what the issue is stored under."""
    return f"automation_busy_{owner.key}"
