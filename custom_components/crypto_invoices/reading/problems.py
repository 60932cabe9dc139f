"""What has been wrong for long is shown in Home Assistant's repairs, until it is cured."""

from collections.abc import Callable, Collection

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from ..errors import status_word
from ..issues import (
    INVOICES_GONE,
    KEY_CAN_SPEND,
    UNKNOWN_STATUS,
    UNREADABLE_ANSWER,
    async_create_issue,
    async_delete_issue,
)
from ..providers.model import BadResponse, Invoice, InvoiceNotFound, InvoiceStatus, ProviderError
from .watched import Problem, Watched

_HOUR = 60 * 60.0
# After this many seconds it is not a passing problem, however often it was read.
LASTS = {INVOICES_GONE: 24 * _HOUR, UNKNOWN_STATUS: _HOUR, UNREADABLE_ANSWER: _HOUR}
# Words in one issue.
_MOST_NAMED = 5


def note_problem(one: Watched, reading: Invoice | ProviderError, now: float) -> None:
    """Note what a reading says is wrong with an invoice; an outage says nothing about it."""
    match reading:
        case InvoiceNotFound():
            key, detail = INVOICES_GONE, ""
        case BadResponse():
            key, detail = UNREADABLE_ANSWER, str(reading)
        case Invoice(status=InvoiceStatus.UNKNOWN):
            key, detail = UNKNOWN_STATUS, status_word(reading.provider_status)
        case Invoice():
            one.problem = None
            return
        case _:
            return
    if one.problem is None or one.problem.key != key:
        one.problem = Problem(key, detail, now)
    one.problem.detail = detail
    one.problem.readings += 1


class Problems:
    """The repair issues of one account, compared with its invoices after each reading."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, clock: Callable[[], float]) -> None:
        """Begin with none; ``clock`` is in seconds and never goes back."""
        self._hass = hass
        self._entry = entry
        self._clock = clock
        self._shown: dict[str, dict[str, str]] = {}

    @callback
    def compare(self, watched: Collection[Watched]) -> None:
        """Create, change and delete the issues; whatever has a problem is polled again."""
        problems = [one.problem for one in watched if one.problem is not None]
        if not problems and not self._shown:
            return
        for key in LASTS:
            lasting = [problem for problem in problems if self._lasts(problem, key)]
            if not lasting:
                if self._shown.pop(key, None) is not None:
                    async_delete_issue(self._hass, self._entry, key)
                continue
            placeholders = {
                "count": str(len(lasting)),
                "what": ", ".join(sorted({problem.detail for problem in lasting})[:_MOST_NAMED]),
            }
            if self._shown.get(key) != placeholders:
                self._shown[key] = placeholders
                async_create_issue(self._hass, self._entry, key, placeholders)

    def gone(self, watched: Collection[Watched]) -> list[str]:
        """Return the IDs of the invoices that their provider hasn't known for long."""
        return [
            one.record.id
            for one in watched
            if one.problem is not None and self._lasts(one.problem, INVOICES_GONE)
        ]

    def _lasts(self, problem: Problem, key: str) -> bool:
        """Whether this has been wrong for long."""
        return problem.key == key and problem.has_lasted(LASTS[key], self._clock())

    @callback
    def note_key_can_spend(self) -> None:
        """Show that the key could send money."""
        async_create_issue(self._hass, self._entry, KEY_CAN_SPEND)

    @callback
    def note_key_is_good(self) -> None:
        """Take back what was said of the key."""
        async_delete_issue(self._hass, self._entry, KEY_CAN_SPEND)
