"""What is wrong for long is told in Home Assistant's repairs, and taken back when it is cured."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
import re

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .account import tracked_invoices
from .issues import (
    INVOICES_GONE,
    KEY_CAN_SPEND,
    UNKNOWN_STATUS,
    UNREADABLE_ANSWER,
    async_create_issue,
    async_delete_issue,
    async_delete_issues,
)
from .providers.model import (
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    KeyCanSpend,
    ProviderError,
)

_HOUR = 60 * 60.0
# After so many seconds it is not a passing trouble, however often it was looked at.
LASTS = {INVOICES_GONE: 24 * _HOUR, UNKNOWN_STATUS: _HOUR, UNREADABLE_ANSWER: _HOUR}
# Two looks with an outage of a day between them say little.
LEAST_LOOKS = 3
# Words in one issue.
_MOST_NAMED = 5
# What a provider could call a status. Anything else might be private.
_WORD = re.compile(r"[A-Za-z][A-Za-z _-]{0,39}")


@dataclass(slots=True)
class _Trouble:
    """What is wrong with an invoice."""

    key: str
    detail: str
    since: float
    looks: int = 0


class Troubles:
    """The troubles of one account's invoices, from its set-up to its unloading."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, clock: Callable[[], float]) -> None:
        """Begin with none; ``clock`` is in seconds and never goes back."""
        self._hass = hass
        self._entry = entry
        self._clock = clock
        self._troubles: dict[str, _Trouble] = {}
        self._told: set[str] = set()
        self._is_key_good = False

    @callback
    def observe(self, readings: Mapping[str, Invoice | ProviderError]) -> None:
        """Note what was read."""
        if not self._is_key_good and any(isinstance(each, Invoice) for each in readings.values()):
            self._is_key_good = True
            async_delete_issue(self._hass, self._entry, KEY_CAN_SPEND)
        for invoice_id, reading in readings.items():
            if not isinstance(reading, Invoice) or reading.status is InvoiceStatus.UNKNOWN:
                self._note(invoice_id, reading)
            elif self._troubles:
                self._troubles.pop(invoice_id, None)
        self._tell()

    @callback
    def failed(self, invoice_ids: Iterable[str], error: ProviderError) -> None:
        """Note that nothing could be read at all."""
        if isinstance(error, KeyCanSpend):
            self._is_key_good = False
            async_create_issue(self._hass, self._entry, KEY_CAN_SPEND)
        elif isinstance(error, BadResponse):
            self.observe(dict.fromkeys(invoice_ids, error))

    @callback
    def forget(self, invoice_ids: Iterable[str]) -> None:
        """Forget invoices that are no longer tracked, or whose time is to begin anew."""
        for invoice_id in invoice_ids:
            self._troubles.pop(invoice_id, None)
        self._tell()

    @callback
    def stop(self) -> None:
        """Take back what nobody looks after any more."""
        self._troubles.clear()
        self._told.clear()
        async_delete_issues(self._hass, self._entry, is_removed=False)

    @property
    def gone(self) -> dict[str, str]:
        """The invoices that their provider hasn't known for long: subentry ID to invoice ID."""
        tracked = tracked_invoices(self._entry)
        return {tracked[id_]: id_ for id_ in self._lasting(INVOICES_GONE) if id_ in tracked}

    def _note(self, invoice_id: str, reading: Invoice | ProviderError) -> None:
        """Note a reading that is none; an outage says nothing about an invoice."""
        match reading:
            case InvoiceNotFound():
                key, detail = INVOICES_GONE, ""
            case BadResponse():
                key, detail = UNREADABLE_ANSWER, str(reading)
            case Invoice():
                key, detail = UNKNOWN_STATUS, status_word(reading.provider_status)
            case _:
                return
        trouble = self._troubles.get(invoice_id)
        if trouble is None or trouble.key != key:
            trouble = self._troubles[invoice_id] = _Trouble(key, detail, self._clock())
        trouble.detail = detail
        trouble.looks += 1

    def _lasting(self, key: str) -> dict[str, str]:
        """Return what has been wrong for long: invoice ID to detail."""
        now = self._clock()
        return {
            invoice_id: trouble.detail
            for invoice_id, trouble in self._troubles.items()
            if trouble.key == key
            and trouble.looks >= LEAST_LOOKS
            and now - trouble.since >= LASTS[key]
        }

    def _tell(self) -> None:
        """Create, change and delete the issues."""
        if not self._troubles and not self._told:
            return
        for key in LASTS:
            if lasting := self._lasting(key):
                self._told.add(key)
                placeholders = {
                    "count": str(len(lasting)),
                    "what": ", ".join(sorted({*lasting.values()})[:_MOST_NAMED]),
                }
                async_create_issue(self._hass, self._entry, key, placeholders)
            elif key in self._told:
                self._told.discard(key)
                async_delete_issue(self._hass, self._entry, key)


def status_word(provider_status: str) -> str:
    """Return the provider's word for a status, unless it could be something private."""
    return provider_status if _WORD.fullmatch(provider_status) else "(not a word)"
