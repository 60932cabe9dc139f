"""The book of one account: what is watched, what it adds up to, and what has to be written."""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from homeassistant.core import HomeAssistant

from ..providers.model import InvoiceStatus
from .contents import Contents
from .database import SCHEMA_VERSION, StorageError
from .items import Items
from .record import Money, Record, Tombstone
from .storage import Storage
from .sums import Sums, carry
from .transitions import Transition, is_next, note_announced, pending_transition
from .unwritten import Unwritten
from .writer import Writer

# For so long an invoice is remembered that is no longer watched.
REMEMBERED_FOR = timedelta(days=30)
_WAS_READ = "was_read"


class Book:
    """The records of one account as they are now; on disk with the next commit."""

    def __init__(
        self, hass: HomeAssistant, entry_id: str, storage: Storage, contents: Contents
    ) -> None:
        """Begin with what was loaded."""
        self._entry_id = entry_id
        self._facts = contents.facts
        self._carried = contents.carried
        self.records = contents.records
        """The invoices that are open, have a device or an item, or something to announce."""
        self.sums = Sums()
        self.sums.begin(
            [*contents.on_disk, *(carried.amount for carried in contents.carried.values())],
            contents.paid,
        )
        self.unannounced: dict[str, None] = {}
        """The invoices with something to announce, in the order in which that was found."""
        self.items = Items()
        self.version = 0
        """Another one whenever other invoices are watched."""
        self._unwritten = Unwritten(self.records, self._carried, self._facts)
        for record in self.records.values():
            self._derive(record)
        self.writer = Writer(hass, storage, self._unwritten)

    @property
    def was_read(self) -> bool:
        """Whether the account was ever read."""
        return _WAS_READ in self._facts

    def note_read(self) -> None:
        """Take down that the account was read."""
        self.set_fact(_WAS_READ, "yes")

    def fact(self, name: str) -> str | None:
        """Return what is known of the account itself."""
        return self._facts.get(name)

    def set_fact(self, name: str, value: str) -> None:
        """Take down something about the account itself."""
        if self._facts.get(name) != value:
            self._facts[name] = value
            self._unwritten.facts.add(name)

    def forget_fact(self, name: str) -> None:
        """Let something about the account itself be unknown."""
        if self.fact(name):
            self.set_fact(name, "")

    def changed(self, record: Record) -> None:
        """Take down that a record was changed, if it still is one of these."""
        if self.records.get(record.id) is record:
            self._unwritten.records[record.id] = record
            self._derive(record)

    def _derive(self, record: Record) -> None:
        """Bring what is derived from a record up to date."""
        self.sums.enter(record)
        self.items.enter(record)
        if record.is_announced:
            self.unannounced.pop(record.id, None)
        else:
            self.unannounced.setdefault(record.id)

    def pending(self, invoice_id: str) -> Transition | None:
        """Return what has to be announced of an invoice, if anything is."""
        record = self.records.get(invoice_id)
        return None if record is None else pending_transition(self._entry_id, record)

    def note_announced(self, invoice_id: str, transition: Transition) -> None:
        """Take down that an announcement was delivered; of an invoice that is gone, nothing."""
        record = self.records.get(invoice_id)
        if record is not None and is_next(self._entry_id, record, transition):
            note_announced(record, transition)
            self.changed(record)

    async def async_add(self, new: Iterable[Record]) -> list[Record]:
        """Watch invoices; return those that were not watched before.

        One that was watched until lately takes its money back out of what is carried, and
        gets announcement IDs of its own. Raises StorageError, and then none is watched.
        """
        wanted = {record.id: record for record in new if record.id not in self.records}
        if not wanted:
            return []

        def watch(on_disk: dict[str, Record | Tombstone]) -> list[Record]:
            known = {**on_disk, **self._unwritten.gone}
            # While these were looked up, somebody else may have been faster.
            added = [
                self._watch(record, known.get(record.id))
                for record in wanted.values()
                if record.id not in self.records
            ]
            self.version += 1
            return added

        return await self.writer.async_ask_then(lambda storage: storage.find(wanted), watch)

    async def async_find(self, ids: Collection[str]) -> dict[str, Record | Tombstone]:
        """Return what is known of invoices that are not in memory. Raises StorageError."""
        unwritten = self._unwritten
        return await self.writer.async_ask_then(
            lambda storage: storage.find(ids),
            lambda found: found | {id_: unwritten.gone[id_] for id_ in unwritten.gone.keys() & ids},
        )

    def rest(self) -> bool:
        """Keep on disk only what nobody asks for, and is written; return whether that was any."""
        resting = {id_ for id_, one in self.records.items() if one.may_rest}
        resting -= self._unwritten.records.keys()
        for id_ in resting:
            self.sums.archive(self.records.pop(id_))
        self.version += bool(resting)
        return bool(resting)

    async def async_recent(self, most: int) -> list[str]:
        """Return IDs that were watched until lately, or are on disk only. Raises StorageError."""
        return await self.writer.async_ask(lambda storage: storage.recent(most))

    def _watch(self, record: Record, earlier: Record | Tombstone | None) -> Record:
        """Watch an invoice; one that is only on disk continues as it was."""
        if isinstance(earlier, Record):
            earlier.has_device |= record.has_device
            record = earlier
        elif earlier is not None:
            record.times_watched = earlier.times_watched
            if earlier.paid_at is not None and not record.status.is_paid:
                # One answer doesn't take back what was paid: it is doubted as any other.
                record.status = record.announced = InvoiceStatus.PAID
                record.received = earlier.brought
            if record.status.is_paid:
                record.paid_at = record.paid_at or earlier.paid_at
            self._carry(earlier.brought, times=-1)
            self._unwritten.watch_again(record.id)
        self.records[record.id] = record
        # Its money is in the sums already.
        self.sums.adopt(record.id, earlier.brought if earlier else None)
        self.changed(record)
        return record

    def remove(self, invoice_id: str, now: datetime) -> None:
        """Stop watching an invoice: its money stays in the sums."""
        if (record := self.records.pop(invoice_id, None)) is None:
            return
        self.version += 1
        self.unannounced.pop(invoice_id, None)
        self.items.leave(invoice_id)
        self.sums.archive(record)
        self._carry(record.brought)
        self._unwritten.remove(Tombstone.of(record, now))

    def forget_before(self, moment: datetime) -> None:
        """Forget the invoices that were no longer watched then; their money stays."""
        self._unwritten.forget_before = moment
        self.sums.forget_before(moment)

    def _carry(self, money: Money | None, *, times: int = 1) -> None:
        """Carry money that no record has, or no longer."""
        if money is not None:
            carry(self._carried, money, times=times)
            self._unwritten.currencies.add(money.currency)

    def diagnostics(self) -> dict[str, Any]:
        """Return what may be shared: how much is known and was announced."""
        announced = sum((record.counts for record in self.records.values()), Counter[str]())
        return {
            "version": SCHEMA_VERSION,
            "records": len(self.records),
            "announced": dict(sorted(announced.items())),
            "to_announce": len(self.unannounced),
            "to_fulfill": len(self.items.owed),
            "last_write_failed": self.writer.failed,
        }

    async def async_commit(self) -> bool:
        """Write what changed; return whether all of it is on disk.

        What could not be written is written with the next commit.
        """
        return await self.writer.async_commit()

    async def async_write(self) -> None:
        """Write what changed. Raises StorageError where that is not possible now."""
        if not await self.async_commit():
            raise StorageError("it can't be written")

    async def async_close(self) -> None:
        """Write what is not on disk yet, and close the file."""
        await self.writer.async_close()
