"""Issues in Home Assistant's repairs: at most one of each kind per account."""

from collections.abc import Mapping
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.loader import async_get_loaded_integration

from .const import DOMAIN
from .identifiers import issue_id

AUTO_WATCH_LIMIT: Final = "auto_watch_limit"
INVOICES_GONE: Final = "invoices_gone"
KEY_CAN_SPEND: Final = "key_can_spend"
BOOK_LOST: Final = "book_lost"
NOT_FULFILLED: Final = "not_fulfilled"
REPEAT_IMPOSSIBLE: Final = "repeat_impossible"
REVERTED_AFTER_FULFILLED: Final = "reverted_after_fulfilled"
UNKNOWN_STATUS: Final = "unknown_status"
UNREADABLE_ANSWER: Final = "unreadable_answer"
WEBHOOK_MOVED: Final = "webhook_moved"
WEBHOOK_REFUSED: Final = "webhook_refused"

ISSUES = (
    AUTO_WATCH_LIMIT,
    INVOICES_GONE,
    KEY_CAN_SPEND,
    BOOK_LOST,
    NOT_FULFILLED,
    REPEAT_IMPOSSIBLE,
    REVERTED_AFTER_FULFILLED,
    UNKNOWN_STATUS,
    UNREADABLE_ANSWER,
    WEBHOOK_MOVED,
    WEBHOOK_REFUSED,
)
# What is said until somebody has read it, also after a restart.
_TO_BE_READ = frozenset({BOOK_LOST})
# What is still true of an account that isn't loaded.
_OUTLIVES_UNLOADING = frozenset({KEY_CAN_SPEND, BOOK_LOST})
# What has a dialog in repairs.py.
_FIXABLE = frozenset({INVOICES_GONE, BOOK_LOST, WEBHOOK_REFUSED})
# What only a new version can cure.
_TO_BE_REPORTED = frozenset({UNKNOWN_STATUS, UNREADABLE_ANSWER})


@callback
def async_create_issue(
    hass: HomeAssistant, entry: ConfigEntry, key: str, placeholders: Mapping[str, str] | None = None
) -> None:
    """Say what is wrong with an account, or say it again."""
    report_at = async_get_loaded_integration(hass, DOMAIN).issue_tracker
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id(key, entry.entry_id),
        data={"entry_id": entry.entry_id},
        is_fixable=key in _FIXABLE,
        is_persistent=key in _TO_BE_READ,
        learn_more_url=report_at if key in _TO_BE_REPORTED else None,
        severity=ir.IssueSeverity.WARNING,
        translation_key=key,
        translation_placeholders={"account": entry.title, **(placeholders or {})},
    )


@callback
def async_delete_issue(hass: HomeAssistant, entry: ConfigEntry, key: str) -> None:
    """Take back what is cured."""
    ir.async_delete_issue(hass, DOMAIN, issue_id(key, entry.entry_id))


@callback
def async_delete_issues(hass: HomeAssistant, entry: ConfigEntry, *, is_removed: bool) -> None:
    """Take back what nobody looks after: the account is unloaded or removed."""
    for key in ISSUES:
        if is_removed or key not in _OUTLIVES_UNLOADING:
            async_delete_issue(hass, entry, key)
