"""Issues in Home Assistant's repairs."""

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN

LEDGER_LOST = "ledger_lost"


@callback
def async_create_ledger_issue(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Say that payments made meanwhile could not be told; it stays until it is read."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{LEDGER_LOST}_{entry.entry_id}",
        is_fixable=True,
        is_persistent=True,
        severity=ir.IssueSeverity.WARNING,
        translation_key=LEDGER_LOST,
        translation_placeholders={"account": entry.title},
    )


@callback
def async_delete_ledger_issue(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take the issue of an account back."""
    ir.async_delete_issue(hass, DOMAIN, f"{LEDGER_LOST}_{entry.entry_id}")
