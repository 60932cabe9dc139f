"""The book of one account: what is watched, what it adds up to, and what has to be written."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from homeassistant.core import HomeAssistant

from .contents import Carried, Changes, Contents
from .database import SCHEMA_VERSION, StorageError
from .record import Money, Record, Tombstone
from .storage import Storage
from .sums import Sums, put
from .transitions import Transition, note_announced, pending_transition
from .writer import Writer

# For so long an invoice is remembered that is no longer watched.
REMEMBERED_FOR = timedelta(days=30)
_WAS_READ = "was_read"


class Book:
    """The records of one account as they are now; on disk with the next commit."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry_id: str,
        storage: Storage,
        contents: Contents,
    ) -> None:
        """Begin with what was loaded."""
        self._entry_id = entry_id
        self._storage = storage
        self._facts = contents.facts
        self._carried = contents.carried
        self.records = contents.records
        """The watched invoices that are open, have a device, or have something to announce."""
        self.sums = Sums()
        self.sums.begin(
            [*contents.on_disk, *(carried.amount for carried in contents.carried.values())],
            contents.paid,
        )
        self.unannounced: dict[str, None] = {}
        """The invoices with something to announce, in the order in which that was found."""
        self.version = 0
        """Another one whenever other invoices are watched."""
        self._changed: dict[str, Record] = {}
        self._gone: dict[str, Tombstone] = {}
        self._forgotten: set[str] = set()
        self._changed_sums: set[str] = set()
        self._changed_facts: set[str] = set()
        self._forget_before: datetime | None = None
        for record in self.records.values():
            self._derive(record)
        self.writer = Writer(hass, storage, self._take_changes, self._give_back)

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
            self._changed_facts.add(name)

    def forget_fact(self, name: str) -> None:
        """Let something about the account itself be unknown."""
        if self.fact(name):
            self.set_fact(name, "")

    def changed(self, record: Record) -> None:
        """Take down that a record was changed, if it still is one of these."""
        if self.records.get(record.id) is record:
            self._changed[record.id] = record
            self._derive(record)

    def _derive(self, record: Record) -> None:
        """Bring what is derived from a record up to date."""
        self.sums.enter(record)
        if record.is_announced:
            self.unannounced.pop(record.id, None)
        else:
            self.unannounced.setdefault(record.id)

    def pending(self, invoice_id: str) -> Transition | None:
        """Return what is to be announced of an invoice, if anything is."""
        record = self.records.get(invoice_id)
        return None if record is None else pending_transition(self._entry_id, record)

    def note_announced(self, invoice_id: str, transition: Transition) -> None:
        """Take down that an announcement was delivered; of an invoice that is gone, nothing."""
        record = self.records.get(invoice_id)
        if record is not None and self._is_next(record, transition):
            note_announced(record, transition)
            self.changed(record)

    def _is_next(self, record: Record, transition: Transition) -> bool:
        """Whether a transition begins where a record is, and not where another one was."""
        as_it_was = replace(record, status=transition.status)
        pending = pending_transition(self._entry_id, as_it_was)
        return pending is not None and pending.id == transition.id

    async def async_add(self, new: Iterable[Record]) -> list[Record]:
        """Watch invoices; return those that were not watched before.

        One that was watched until lately takes its money back out of what is carried, and
        gets announcement IDs of its own. Raises StorageError, and then none is watched.
        """
        wanted = {record.id: record for record in new if record.id not in self.records}
        if not wanted:
            return []

        def watch(on_disk: dict[str, Record | Tombstone]) -> list[Record]:
            known = {**on_disk, **self._gone}
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
        return await self.writer.async_ask_then(
            lambda storage: storage.find(ids),
            lambda found: found | {id_: self._gone[id_] for id_ in self._gone.keys() & ids},
        )

    def rest(self) -> bool:
        """Keep on disk only what nobody asks for, and is written; return whether that was any."""
        resting = {id_ for id_, one in self.records.items() if one.may_rest} - self._changed.keys()
        for id_ in resting:
            self.sums.archive(self.records.pop(id_))
        self.version += bool(resting)
        return bool(resting)

    async def async_recent(self, most: int) -> list[str]:
        """Return the IDs that were watched until lately. Raises StorageError."""
        return await self.writer.async_ask(lambda storage: storage.recent(most))

    def _watch(self, record: Record, earlier: Record | Tombstone | None) -> Record:
        """Watch an invoice; one that is only on disk goes on as it was."""
        if isinstance(earlier, Record):
            earlier.has_device |= record.has_device
            record = earlier
        elif earlier is not None:
            record.times_watched = earlier.times_watched
            if record.status.is_paid:
                record.paid_at = record.paid_at or earlier.paid_at
            self._carry(earlier.brought, times=-1)
            self._gone.pop(record.id, None)
            self._forgotten.add(record.id)
        self.records[record.id] = record
        # Its money is in the sums already.
        self.sums.adopt(record.id, earlier.brought if earlier else None)
        self.changed(record)
        return record

    def remove(self, invoice_id: str, now: datetime) -> None:
        """Stop watching an invoice: what it brought stays in the sums."""
        if (record := self.records.pop(invoice_id, None)) is None:
            return
        self.version += 1
        self.unannounced.pop(invoice_id, None)
        self._changed.pop(invoice_id, None)
        self._forgotten.discard(invoice_id)
        self.sums.archive(record)
        self._carry(record.brought)
        self._gone[invoice_id] = Tombstone(
            id=invoice_id,
            times_watched=record.times_watched + 1,
            gone_at=now,
            created_at=record.created_at,
            paid_at=record.counted_at,
            brought=record.brought,
        )

    def forget_before(self, moment: datetime) -> None:
        """Forget the invoices that were no longer watched then; their money stays."""
        self._forget_before = moment

    def _carry(self, money: Money | None, *, times: int = 1) -> None:
        """Carry money that no record has, or no longer."""
        if money is None:
            return
        old = self._carried.get(money.currency)
        total = {money.currency: old.amount.amount if old else Decimal(0)}
        put(total, money, times=times)
        number = (old.number if old else 0) + times
        self._carried[money.currency] = Carried(
            Money(total[money.currency], money.currency), number
        )
        self._changed_sums.add(money.currency)

    def diagnostics(self) -> dict[str, Any]:
        """Return what may be shared: how much is known and was announced."""
        announced = sum((record.counts for record in self.records.values()), Counter[str]())
        return {
            "version": SCHEMA_VERSION,
            "records": len(self.records),
            "announced": dict(sorted(announced.items())),
            "to_announce": len(self.unannounced),
            "last_write_failed": self.writer.failed,
        }

    async def async_commit(self) -> bool:
        """Write what changed; return whether all of it is on disk.

        What could not be written is written with the next commit.
        """
        return await self.writer.async_commit()

    def _take_changes(self) -> Changes | None:
        """Return what the next transaction writes."""
        changes = Changes(
            # Copies: a record may change while it is written.
            records=[replace(record) for record in self._changed.values()],
            gone=list(self._gone.values()),
            forgotten=list(self._forgotten),
            carried=[self._carried[currency] for currency in self._changed_sums],
            facts={name: self._facts[name] for name in self._changed_facts},
            forget_before=self._forget_before,
        )
        if changes == Changes():
            return None
        self._changed, self._gone, self._forgotten = {}, {}, set()
        self._changed_sums, self._changed_facts, self._forget_before = set(), set(), None
        return changes

    def _give_back(self, changes: Changes) -> None:
        """Write with the next transaction what this one did not."""
        for copy in changes.records:
            if copy.id not in self._gone:
                self._changed.setdefault(copy.id, self.records.get(copy.id, copy))
        for gone in changes.gone:
            if gone.id not in self.records:
                self._gone.setdefault(gone.id, gone)
        self._forgotten.update(id_ for id_ in changes.forgotten if id_ not in self._gone)
        self._changed_sums.update(carried.amount.currency for carried in changes.carried)
        self._changed_facts.update(changes.facts)
        self._forget_before = self._forget_before or changes.forget_before

    async def async_write(self) -> None:
        """Write what changed. Raises StorageError where that is not possible now."""
        if not await self.async_commit():
            raise StorageError("it can't be written")

    async def async_close(self) -> None:
        """Write what is not on disk yet, and close the file."""
        await self.writer.async_close()
