"""What was announced of each invoice, on disk; turns readings into transitions."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
import logging
from pathlib import Path
from typing import Any, override
from uuid import UUID, uuid5

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .providers.model import Invoice, InvoiceStatus

_LOGGER = logging.getLogger(__name__)

STORAGE_VERSION = 1
_LEDGERS: HassKey[dict[str, Ledger]] = HassKey(f"{DOMAIN}_ledgers")
# A step back is believed when this many readings in a row say it: a replica
# that lags behind says it once.
READINGS_TO_BELIEVE = 2
# Fixed for ever: the same transition gets the same ID after a crash.
_IDS = UUID("5f0c1d3e-6c0b-4d52-9a3f-6f1f2f6f7c11")
_PAYMENT_REVERTED = "payment_reverted"
_STATUS_CHANGED = "status_changed"
_OF_ITS_OWN = frozenset(
    {
        InvoiceStatus.PARTIALLY_PAID,
        InvoiceStatus.PAID,
        InvoiceStatus.OVERPAID,
        InvoiceStatus.UNDERPAID,
        InvoiceStatus.EXPIRED,
        InvoiceStatus.CANCELED,
    }
)
KINDS = (*sorted(status.value for status in _OF_ITS_OWN), _PAYMENT_REVERTED, _STATUS_CHANGED)
# How far an invoice has come, for telling a step back.
_PROGRESS = {
    InvoiceStatus.PENDING: 0,
    InvoiceStatus.PROCESSING: 1,
    InvoiceStatus.PARTIALLY_PAID: 1,
    InvoiceStatus.PAID: 3,
    InvoiceStatus.OVERPAID: 4,
}
_ENDED_UNPAID = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """An invoice went from one status to another, as we saw it."""

    id: str
    subentry_id: str
    invoice: Invoice
    previous: InvoiceStatus

    @property
    def kind(self) -> str:
        """What happened, as event entities and triggers call it."""
        return _kind(self.previous, self.invoice.status)

    @property
    def is_payment(self) -> bool:
        """Whether this is when the invoice became paid."""
        return self.invoice.status.is_paid and not self.previous.is_paid


@dataclass(slots=True)
class _InFlight:
    """A transition that is being announced, and what to save when it is done."""

    id: str
    saved: dict[str, Any]
    done: bool = False


@dataclass(slots=True)
class _Record:
    """What is known of one invoice: ``saved`` lags behind while something is announced."""

    status: InvoiceStatus
    counts: Counter[str] = field(default_factory=Counter)
    saved: dict[str, Any] = field(init=False)
    in_flight: deque[_InFlight] = field(default_factory=deque)
    steps_back: int = 0

    def __post_init__(self) -> None:
        """What is known at first is as good as announced."""
        self.saved = self._snapshot()

    def observe(self, subentry_id: str, invoice: Invoice) -> Transition | None:
        """Return the transition that this reading is, if it is one."""
        if invoice.status in (self.status, InvoiceStatus.UNKNOWN):
            # A word we don't know says nothing, neither for nor against a step back.
            if invoice.status is self.status:
                self.steps_back = 0
            return None
        if _is_step_back(self.status, invoice.status):
            self.steps_back += 1
            if self.steps_back < READINGS_TO_BELIEVE:
                return None
        self.steps_back = 0
        previous, self.status = self.status, invoice.status
        kind = _kind(previous, invoice.status)
        if invoice.status.is_paid and not previous.is_paid:
            # Paid and overpaid are one payment: whichever a restart finds has the same ID.
            kind = "payment"
        elif kind == _STATUS_CHANGED:
            kind = invoice.status.value
        id_ = uuid5(_IDS, f"{subentry_id}/{kind}/{self.counts[kind]}").hex
        self.counts[kind] += 1
        self.in_flight.append(_InFlight(id_, self._snapshot()))
        return Transition(id=id_, subentry_id=subentry_id, invoice=invoice, previous=previous)

    def settle(self, id_: str) -> None:
        """Count a transition as announced, once those before it are."""
        for entry in self.in_flight:
            entry.done |= entry.id == id_
        while self.in_flight and self.in_flight[0].done:
            self.saved = self.in_flight.popleft().saved

    def withdraw(self, id_: str) -> None:
        """Take back a transition that was never told, so that it is found again."""
        self.in_flight = deque(entry for entry in self.in_flight if entry.id != id_)
        last = self.in_flight[-1].saved if self.in_flight else self.saved
        self.status, self.counts = _read_snapshot(last)
        self.steps_back = 0

    def _snapshot(self) -> dict[str, Any]:
        """Return the present state as it is stored."""
        return {"status": self.status.value, "announced": dict(self.counts)}


class _LedgerStore(Store[dict[str, Any]]):
    """A store that remembers whether the last write reached the disk."""

    failed = False

    @override
    async def _async_write_data(self, data: dict[str, Any]) -> None:
        """Write; an error is logged by the caller, which then goes on as if nothing were."""
        self.failed = True
        await super()._async_write_data(data)
        self.failed = False


@callback
def async_get_ledger(hass: HomeAssistant, entry_id: str) -> Ledger:
    """Return the ledger of an account, the one in use where there is one.

    One whose announcements are still waited for outlives the reload of its account.
    """
    return hass.data.setdefault(_LEDGERS, {}).setdefault(entry_id, Ledger(hass, entry_id))


@callback
def async_release_ledger(hass: HomeAssistant, entry_id: str) -> None:
    """Let go of the ledger of an account that is unloaded, unless it is still needed."""
    ledgers = hass.data.get(_LEDGERS, {})
    if entry_id in ledgers and not ledgers[entry_id].is_busy:
        del ledgers[entry_id]


class Ledger:
    """The last announced status of each tracked invoice of an account."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start empty; nothing is known until ``async_load``."""
        self._hass = hass
        self._store = _LedgerStore(
            hass, STORAGE_VERSION, f"{DOMAIN}.{entry_id}", private=True, atomic_writes=True
        )
        self._records: dict[str, _Record] = {}
        self._changed = False
        self._is_loaded = False

    @property
    def is_busy(self) -> bool:
        """Whether something that was announced is not saved yet."""
        return any(record.in_flight for record in self._records.values())

    async def async_load(self, baselines: Mapping[str, InvoiceStatus], *, is_new: bool) -> bool:
        """Read the file; return whether what it should have said is lost.

        ``baselines`` has, by subentry ID, the status that each tracked invoice
        had when it was added. It is used where the file says nothing, unless
        the file is lost: then each invoice starts anew with its next reading.
        An account that ``is_new`` has no file yet.
        """
        if self._is_loaded:
            self.forget(self._records.keys() - baselines.keys())
            self.begin(baselines)
            return False
        self._is_loaded = True
        records: dict[str, _Record] | None = None
        try:
            if (stored := await self._store.async_load()) is not None:
                records = _parse(stored)
        except HomeAssistantError, LookupError, OSError, TypeError, ValueError, AttributeError:
            _LOGGER.exception("The ledger %s can't be read", self._store.path)
            await self._hass.async_add_executor_job(self._set_aside)
        lost = records is None and not is_new
        self._records = records or {}
        # A file without invoices tells that none were announced: one that is missing can't.
        self._changed = records is None
        self.forget(self._records.keys() - baselines.keys())
        if not lost:
            self.begin(baselines)
        await self.async_save()
        return lost

    def begin(self, baselines: Mapping[str, InvoiceStatus]) -> None:
        """Begin with invoices that were added, at the status they had then."""
        for subentry_id in baselines.keys() - self._records.keys():
            self._records[subentry_id] = _Record(baselines[subentry_id])
            self._changed = True

    def withdraw(self, transitions: Iterable[Transition]) -> None:
        """Take back transitions that were never told."""
        for transition in transitions:
            if record := self._records.get(transition.subentry_id):
                record.withdraw(transition.id)

    def forget(self, subentry_ids: Iterable[str]) -> None:
        """Forget invoices that are no longer tracked."""
        for subentry_id in tuple(subentry_ids):
            if self._records.pop(subentry_id, None):
                self._changed = True

    def observe(self, readings: Mapping[str, Invoice]) -> list[Transition]:
        """Return what changed since the last reading; a first sight is where it starts from."""
        transitions = []
        for subentry_id, invoice in readings.items():
            record = self._records.get(subentry_id)
            if record is None:
                self._records[subentry_id] = _Record(invoice.status)
                self._changed = True
            elif transition := record.observe(subentry_id, invoice):
                transitions.append(transition)
        return transitions

    def settle(self, transitions: Iterable[Transition]) -> None:
        """Count transitions as announced."""
        for transition in transitions:
            if record := self._records.get(transition.subentry_id):
                record.settle(transition.id)
                self._changed = True

    def status_of(self, subentry_id: str) -> InvoiceStatus | None:
        """Return the last believed status of an invoice, or None before its first reading."""
        record = self._records.get(subentry_id)
        return None if record is None else record.status

    def statuses(self) -> dict[str, InvoiceStatus]:
        """Return the last believed status of each invoice, by subentry ID."""
        return {subentry_id: record.status for subentry_id, record in self._records.items()}

    def is_in_flight(self, subentry_id: str) -> bool:
        """Whether something of an invoice waits to be announced, or for its actions."""
        record = self._records.get(subentry_id)
        return record is not None and bool(record.in_flight)

    def diagnostics(self) -> dict[str, Any]:
        """Return what may be shared: how much is known and was announced."""
        records = self._records.values()
        announced = sum((record.counts for record in records), Counter[str]())
        return {
            "version": STORAGE_VERSION,
            "invoices": len(records),
            "announced": dict(sorted(announced.items())),
            "in_flight": sum(len(record.in_flight) for record in records),
            "last_write_failed": self._store.failed,
        }

    def diagnostics_of(self, subentry_id: str) -> dict[str, Any] | None:
        """Return what may be shared of one invoice, or None where nothing is known."""
        if (record := self._records.get(subentry_id)) is None:
            return None
        return {
            "status": record.status.value,
            "announced": dict(sorted(record.counts.items())),
            "in_flight": len(record.in_flight),
            "steps_back": record.steps_back,
        }

    async def async_save(self) -> None:
        """Write what changed, and again what a full disk refused."""
        if self._changed or self._store.failed:
            self._changed = False
            await self._store.async_save(self._data())

    def save_at_stop(self) -> None:
        """Write as soon as possible, from where nothing can be awaited any more."""
        self._changed = False
        self._store.async_delay_save(self._data)

    async def async_remove(self) -> None:
        """Delete the file, and forget everything."""
        self._records.clear()
        # An action that is still running saves when it is done: there is nothing to write.
        self._changed = False
        await self._store.async_remove()

    def _data(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"invoices": {id_: record.saved for id_, record in self._records.items()}}

    def _set_aside(self) -> None:
        """Keep an unreadable file under another name."""
        path = Path(self._store.path)
        with suppress(FileNotFoundError):
            path.rename(f"{path}.unreadable.{dt_util.utcnow():%Y%m%dT%H%M%S%f}")


def _parse(stored: dict[str, Any]) -> dict[str, _Record]:
    """Return the records of a file; raises whatever a malformed one provokes."""
    return {
        subentry_id: _Record(*_read_snapshot(saved))
        for subentry_id, saved in stored["invoices"].items()
    }


def _read_snapshot(saved: Mapping[str, Any]) -> tuple[InvoiceStatus, Counter[str]]:
    """Return the status and the counts of an invoice as they are stored."""
    counts = {str(kind): int(count) for kind, count in saved["announced"].items()}
    return InvoiceStatus(saved["status"]), Counter(counts)


def _kind(previous: InvoiceStatus, status: InvoiceStatus) -> str:
    """Return what a transition is called."""
    if previous.is_paid and not status.is_paid:
        return _PAYMENT_REVERTED
    if status in _OF_ITS_OWN and not (previous.is_paid and status is InvoiceStatus.PAID):
        return status.value
    return _STATUS_CHANGED


def _is_step_back(before: InvoiceStatus, after: InvoiceStatus) -> bool:
    """Whether an invoice was further before."""
    if before is InvoiceStatus.UNKNOWN:
        return False
    if before.is_paid and not after.is_paid:
        return True
    return _PROGRESS.get(after, _ENDED_UNPAID) < _PROGRESS.get(before, _ENDED_UNPAID)
