"""What is promised (docs/once.md), checked after each step and in the end."""

from collections import defaultdict
from dataclasses import dataclass, field

from custom_components.crypto_invoices.book.sums import add_up
from custom_components.crypto_invoices.providers.model import InvoiceStatus as S

from .home import AUTOMATIONS, Announced, Heard, Home
from .world import World


@dataclass
class Checks:
    """What was done to the account, and what that may lead to."""

    home: Home
    world: World
    baseline: dict[str, S] = field(default_factory=lambda: {"A": S.PENDING, "B": S.PENDING})
    """Of what is to be watched: the status that announces nothing."""
    payments_before: dict[str, int] = field(default_factory=dict)
    """How often an invoice had become paid when it was added."""
    forgivable: set[str] = field(default_factory=set)
    """Invoices of which a kill may have lost what was announced and taken back since."""
    cut: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """How often each automation was saved, reloaded or switched."""
    cut_at: list[tuple[str, int]] = field(default_factory=list)
    switched: set[str] = field(default_factory=set)
    """Automations that were switched or deleted: nothing was promised to them meanwhile."""
    unsure: set[str] = field(default_factory=set)
    """Invoices that were being added or deleted when everything ended."""

    def added(self, id_: str, status: S) -> None:
        """Note that an invoice is to be watched."""
        if id_ not in self.baseline:
            self.baseline[id_] = status
            self.payments_before[id_] = self.world.truth[id_].payments
            self.unsure.add(id_)

    def deleted(self, id_: str) -> None:
        """Note that an invoice is no longer to be watched."""
        self.baseline.pop(id_, None)
        self.unsure.add(id_)

    def note_cut(self, name: str) -> None:
        """Note that an automation's runs may be cut."""
        self.cut_at.append((name, len(self.home.heard)))

    def note_switched(self, name: str) -> None:
        """Note that an automation is not promised anything for a while."""
        self.switched.add(name)
        self.note_cut(name)

    def note_reload(self) -> None:
        """Note that the account is reloaded: nothing changes for anybody."""

    def note_end(self) -> None:
        """Note that Home Assistant ends: what is not on disk may come again, or be forgotten."""
        for name in AUTOMATIONS:
            self.note_cut(name)
        self.forgivable |= {announced.invoice for announced in self.home.announced}

    def note_begin(self) -> None:
        """See which of the invoices in question made it to the disk."""
        if not self.home.is_loaded:
            return
        records = self.home.entry.runtime_data.book.records
        for id_ in self.unsure:
            if id_ in records and id_ not in self.baseline:
                self.baseline[id_] = records[id_].status
                self.payments_before[id_] = self.world.truth[id_].payments
            elif id_ not in records:
                self.baseline.pop(id_, None)
        self.unsure.clear()

    def after_step(self) -> None:
        """Check what has to be so at any time."""
        self._nothing_comes_twice()
        if not self.home.is_loaded:
            return
        account = self.home.entry.runtime_data
        coordinator, book = account.coordinator, account.book
        # P1
        planned = False
        for id_, record in book.records.items():
            one = coordinator.data.get(id_)
            assert one is not None, f"{id_} is in the book and not watched"
            assert one.record is record, f"{id_} is watched with another record"
            if not record.is_over:
                assert one.due is not None, f"{id_} can change and is not planned"
            planned = planned or one.due is not None
        assert not coordinator.data.keys() - book.records.keys(), "watched without a record"
        if planned:
            assert coordinator.reader.is_timer_armed, "something is planned and no timer armed"
        for id_ in self.baseline.keys() - self.unsure:
            assert id_ in book.records, f"{id_} is forgotten"
        # P6
        received = add_up(
            [
                *(carried.amount for carried in book._carried.values()),
                *(record.brought for record in book.records.values()),
            ]
        )
        shown = {currency: amount for currency, amount in book.sums.received.items() if amount}
        assert shown == {currency: amount for currency, amount in received.items() if amount}
        missing = add_up(record.missing for record in book.records.values())
        owed = {currency: amount for currency, amount in book.sums.outstanding.items() if amount}
        assert owed == {currency: amount for currency, amount in missing.items() if amount}

    def _nothing_comes_twice(self) -> None:
        """An automation hears an announcement again only after it may have been cut."""
        seen: dict[tuple[str, str], int] = {}
        for position, heard in enumerate(self.home.heard):
            key = (heard.automation, heard.announcement_id)
            if key in seen:
                assert any(
                    name == heard.automation and seen[key] < cut_position <= position
                    for name, cut_position in self.cut_at
                ), f"{heard} came twice"
            seen[key] = position
        payments: dict[str, set[str]] = defaultdict(set)
        for announced in self.home.announced:
            if announced.is_payment:
                payments[announced.invoice].add(announced.id)
        for id_, ids in payments.items():
            assert len(ids) <= self.world.truth[id_].payments, f"{id_} was announced as paid twice"

    def in_the_end(self) -> None:
        """Check that nothing was lost."""
        self.after_step()
        assert self.home.is_loaded, self.home.entry.state
        book = self.home.entry.runtime_data.book
        for id_, baseline in self.baseline.items():
            truth = self.world.truth[id_].status
            record = book.records[id_]
            assert record.status is truth, f"{id_} is {record.status}, not {truth}"
            assert record.announced is truth, f"{id_}: {truth} was never announced"
            if truth is baseline or id_ in self.forgivable:
                continue
            last = self._last(id_)
            assert last is not None, f"{id_} is {truth} and nothing was announced"
            assert last.status == truth.value, f"{id_} is {truth}, announced as {last.status}"
        self._all_have_heard()

    def _last(self, id_: str) -> Announced | None:
        """Return the last announcement of an invoice."""
        return next((one for one in reversed(self.home.announced) if one.invoice == id_), None)

    def _all_have_heard(self) -> None:
        """Every automation that was to hear an announcement has, unless it was switched off."""
        heard: set[tuple[str, str]] = {
            (one.automation, one.announcement_id) for one in self.home.heard
        }
        for announced in self.home.announced:
            for name in announced.to_hear - self.switched:
                if name == "payments" and not announced.is_payment:
                    continue
                assert (name, announced.id) in heard, f"{name} has not heard {announced}"


__all__ = ["Checks", "Heard"]
