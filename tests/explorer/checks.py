"""What is promised (docs/once.md), checked after each step and in the end."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from custom_components.crypto_invoices.book.book import Book
from custom_components.crypto_invoices.book.record import Money, Record
from custom_components.crypto_invoices.book.sums import add_up
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers.model import InvoiceNotFound, InvoiceStatus as S
from custom_components.crypto_invoices.runtime import AccountRuntime

from .elsewhere import Elsewhere
from .fulfilled import Fulfilled
from .home import AUTOMATIONS, Announced, Home
from .promises import check_devices, check_news_are_announced, check_nothing_is_forgotten
from .world import RECEIVED, TESTS, World

_BROUGHT = (S.PAID, S.OVERPAID)


@dataclass
class Checks:
    """What was done to the account, and what that may lead to."""

    home: Home
    world: World
    baseline: dict[str, S] = field(default_factory=lambda: {"A": S.PENDING, "B": S.PENDING})
    """Of what is to be watched: the status that announces nothing."""
    adding: dict[str, S] = field(default_factory=dict)
    """What is being added, with the status that announces nothing."""
    forgivable: set[str] = field(default_factory=set)
    """Invoices of which a kill may have lost what was announced and taken back since."""
    cut_at: list[tuple[str, int]] = field(default_factory=list)
    """When each automation was saved, reloaded or switched, by the runs before."""
    excused: set[tuple[str, str]] = field(default_factory=set)
    """Automations that were switched, deleted or away for long, and what they need not hear."""
    believed: dict[str, tuple[Record, S | None]] = field(default_factory=dict)
    """What each invoice was announced as after the last step."""
    dropped: set[str] = field(default_factory=set)
    """IDs of announcements whose invoice was deleted: no start repeats them."""
    unsure: set[str] = field(default_factory=set)
    """Invoices that were added or deleted when nobody can say whether that was written."""
    left: dict[str, Decimal] = field(default_factory=dict)
    """What the invoices brought that were deleted."""
    is_blurred: bool = False
    """Whether nobody can say what the deleted ones brought."""
    is_beginning: bool = False
    """Whether it isn't known yet what this life begins with."""

    def __post_init__(self) -> None:
        """Begin with nothing made elsewhere."""
        self.elsewhere = Elsewhere(self.home, self.world)
        self.fulfilled = Fulfilled(self.home)

    def note_adding(self, id_: str, status: S) -> None:
        """Note that an invoice is to be watched once it is in the book."""
        if id_ not in self.baseline:
            self.adding.setdefault(id_, status)

    def note_deleting(self, id_: str) -> None:
        """Note that an invoice is no longer to be watched."""
        record = self.home.entry.runtime_data.book.records.get(id_)
        if record is not None and id_ not in TESTS and record.status in _BROUGHT:
            self.left[id_] = RECEIVED[record.status]
        self.dropped |= {one.id for one in self.home.announced if one.invoice == id_}
        self.baseline.pop(id_, None)
        self.adding.pop(id_, None)
        self.unsure.add(id_)
        self.elsewhere.note_deleted(id_)
        self.fulfilled.note_forgotten(record)

    def note_watching_switched(self) -> None:
        """Note that automatic watching is switched on or off."""
        self.elsewhere.note_switched(self.baseline.keys())

    def note_cut(self, name: str) -> None:
        """Note that an automation's runs may be cut."""
        self.cut_at.append((name, len(self.home.heard)))

    def note_switched(self, name: str) -> None:
        """Note that an automation is not promised anything until it is armed again."""
        self.home.unarmed.add(name)
        self.note_cut(name)
        self._excuse(name)

    def note_time(self) -> None:
        """Note that time has passed: who was away for too long is waited for no more."""
        for name in self.home.long_absent:
            self._excuse(name)

    def _excuse(self, name: str) -> None:
        """Let an automation not hear what it has not heard to the end."""
        self.excused |= {
            (name, announced.id)
            for announced in self.home.announced
            if not self._has_heard(name, announced)
        }

    def _has_heard(self, name: str, announced: Announced) -> bool:
        """Whether an automation has heard an announcement, or was given the time for it."""
        if name == "payments" and not announced.is_payment:
            return True
        run = self.home.runs.get((name, announced.id))
        if run is None or run.was_cut:
            return False
        return not run.is_under_way or run.has_had_its_time(self.home.loop.passed)

    def note_reload(self) -> None:
        """Note that the account is reloaded: what is being added may fail, and says so."""
        self.unsure |= self.adding.keys()

    def note_end(self) -> None:
        """Note that Home Assistant ends: what is not on disk may come again, or be forgotten."""
        for name in AUTOMATIONS:
            self.note_cut(name)
        self.forgivable |= {announced.invoice for announced in self.home.announced}
        self.unsure |= self.adding.keys()
        self.is_blurred |= bool(self.unsure)

    def note_loss(self) -> None:
        """Note that the file is lost: what has a device is watched, and begins anew."""
        self.is_blurred = True
        self.forgivable |= self.world.truth.keys()
        self.elsewhere.note_loss()
        self.fulfilled.note_loss()

    def note_begin(self) -> None:
        """Note that a new life begins: what was being added is, or isn't."""
        self.adding.clear()
        self.is_beginning = True
        if self.home.is_loaded:
            self._see_what_is_known()

    def _see_what_is_known(self) -> None:
        """See which of the invoices in question made it to the disk."""
        self.is_beginning = False
        for id_ in self.unsure | (self.baseline.keys() & set(self.world.made)):
            if (record := self._record(id_)) is not None:
                self.baseline.setdefault(id_, record.status)
            else:
                self.baseline.pop(id_, None)
        self.unsure.clear()
        self.elsewhere.note_begin(self.home.entry.runtime_data.book, self.baseline.keys())

    def _record(self, id_: str) -> Record | None:
        """Return an invoice's record, also where it is on disk only."""
        records: dict[str, Record] = self.home.entry.runtime_data.book.records
        return records.get(id_) or self.home.record_on_disk(id_)

    def after_step(self) -> None:
        """Check what has to be so at any time."""
        self.home.look_for_automations()
        self._nothing_comes_twice()
        if not self.home.is_loaded:
            return
        if self.is_beginning:
            self._see_what_is_known()
        account = self.home.entry.runtime_data
        self._note_found(account)
        for id_ in self.adding.keys() & account.book.records.keys():
            self.baseline[id_] = self.adding.pop(id_)
            self.unsure.add(id_)
            self.left.pop(id_, None)
        self._announced_is_delivered(account)
        self._what_is_new_is_announced(account)
        self._nothing_is_forgotten(account)
        self._sums_are_right(account)
        self._what_is_shown_is_known(account)
        self.fulfilled.after_step(account)

    def _note_found(self, account: AccountRuntime) -> None:
        """Note what was found that was made elsewhere."""
        self.elsewhere.follow(account.book, self.baseline.keys())
        assert not self.elsewhere.unwanted(account.book.records), "watched against the options"
        for id_ in set(self.world.made) - self.baseline.keys() - self.unsure:
            if self._record(id_) is None:
                continue
            if not self.elsewhere.is_promised(id_):
                # It begins as it is when it is found.
                self.forgivable.add(id_)
            self.baseline[id_] = S.PENDING

    def after_stop(self, before: Book) -> None:
        """Check that what was known before a stop in an orderly way is known after it."""
        if not self.home.is_loaded:
            return
        book = self.home.entry.runtime_data.book
        # What may rest is on disk only after a start.
        kept = {id_ for id_, record in before.records.items() if not record.may_rest}
        # The first list may have found some more.
        more = book.records.keys() - kept
        assert more <= set(self.world.made), "a stop adds invoices"
        for id_ in kept:
            assert id_ in book.records, f"a stop removes {id_}"
            record = book.records[id_]
            known = before.records[id_]
            is_same = (record.announced, record.counts) == (known.announced, known.counts)
            # What was rebuilt begins with its first reading.
            is_known = known.announced is not None
            assert is_same or not is_known, f"a stop loses what was announced of {id_}"

    def _announced_is_delivered(self, account: AccountRuntime) -> None:
        """P3: what is taken down as announced was heard by all who were to hear it."""
        for id_, record in account.book.records.items():
            before = self.believed.get(id_)
            self.believed[id_] = record, record.announced
            if before is None or before[0] is not record or before[1] is record.announced:
                continue
            last = self._last(id_)
            if before[1] is None or last is None or last.life != self.home.life:
                continue
            for name in self._to_hear(last) if last.status == record.announced else ():
                assert self._has_heard(name, last), f"done before {name} has heard {last}"

    def _nothing_is_forgotten(self, account: AccountRuntime) -> None:
        """P1: what can still change is planned, and something is going to happen."""
        check_nothing_is_forgotten(account)
        for id_ in self.baseline:
            assert self._record(id_) is not None, f"{id_} is forgotten"

    def _sums_are_right(self, account: AccountRuntime) -> None:
        """P6: the sum is what is carried and what the records brought; P4: without test money."""
        book = account.book
        resting = [self._record(id_) for id_ in self.baseline.keys() - book.records.keys()]
        real = [record for id_, record in book.records.items() if id_ not in TESTS]
        real += [record for record in resting if record is not None]
        assert all(record.brought is None for id_, record in book.records.items() if id_ in TESTS)
        received = add_up(
            [
                *(carried.amount for carried in book._carried.values()),
                *(
                    # Before it was read, what it was made for.
                    Money(RECEIVED[record.status], "EUR") if record.received else record.asked
                    for record in real
                    if record.status in _BROUGHT
                ),
            ]
        )
        summed, expected = book.sums.received.get("EUR", 0), received.get("EUR", 0)
        assert summed == expected, f"{summed} was received, not {expected}"
        missing = add_up(record.missing for record in real)
        assert book.sums.outstanding.get("EUR", 0) == missing.get("EUR", 0)
        assert book.sums.open_count == sum(r.status.is_open for r in book.records.values())

    def _what_is_shown_is_known(self, account: AccountRuntime) -> None:
        """P6: devices and states are those of the book, also in an outage."""
        shown_ones = check_devices(self.home.hass, "account", account)
        sums, state = account.book.sums, self.home.state
        assert state("account_open_invoices") == str(sums.open_count)
        for key, amounts in (("received", sums.received), ("outstanding", sums.outstanding)):
            if (shown := state(f"account_{key}_EUR")) is not None:
                assert Decimal(shown) == amounts.get("EUR", 0), f"{key} is shown as {shown}"
        for id_ in shown_ones:
            one = account.coordinator.data[id_]
            expected = "unavailable"
            if account.coordinator.last_update_success:
                if one.invoice is not None:
                    expected = one.invoice.status.value
                elif isinstance(one.error, InvoiceNotFound):
                    expected = "not_found"
            shown = state(f"account_{id_}_status")
            assert shown == expected, f"{id_} is shown as {shown}"

    def _nothing_comes_twice(self) -> None:
        """P2 and P3: each payment has one ID, and nobody hears it again who wasn't cut."""
        seen: dict[tuple[str, str], int] = {}
        for position, heard in enumerate(self.home.heard):
            key = (heard.automation, heard.announcement_id)
            if key in seen:
                cuts = [at for name, at in self.cut_at if name == heard.automation]
                is_cut = any(seen[key] < at <= position for at in (*cuts, *self.home.armed_at))
                assert is_cut, f"{heard} came twice"
            seen[key] = position
        payments, reverts = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for announced in self.home.announced:
            if announced.is_payment:
                payments[announced.invoice].add(announced.id)
            if announced.is_revert:
                reverts[announced.invoice].add(announced.id)
        for id_, truth in self.world.truth.items():
            most = self.elsewhere.most_payments(id_) + truth.false_payments + truth.false_reverts
            assert len(payments[id_]) <= most, f"{id_} was announced as paid too often"
            most = truth.reverts + truth.false_payments + truth.false_reverts
            assert len(reverts[id_]) <= most, f"{id_} was announced as taken back, and wasn't"

    def is_read_again(self) -> None:
        """Check that nobody has given up a provider that has answered for more than an hour."""
        coordinator = self.home.entry.runtime_data.coordinator
        if any(one.due is not None for one in coordinator.data.values()):
            assert coordinator.last_update_success, "the provider answers, and nobody asks"

    def _what_is_new_is_announced(self, account: AccountRuntime) -> None:
        """P2: what differs is under way, unless it waits for the disk."""
        is_held = any(gate.is_held or gate.waiting for gate in self.home.gates.values())
        if not is_held:
            check_news_are_announced(self.home.hass, "account", account)

    def in_the_end(self) -> None:
        """Check that nothing was lost."""
        self.after_step()
        assert self.home.is_loaded, self.home.entry.state
        self.is_read_again()
        book = self.home.entry.runtime_data.book
        for id_ in filter(self.elsewhere.is_promised, self.world.made):
            assert id_ in self.baseline, f"{id_} was made elsewhere and never found"
        for id_, baseline in self.baseline.items():
            truth, record = self.world.truth[id_].status, self._record(id_)
            assert record is not None, f"{id_} is forgotten"
            if record.is_over and self.world.is_misled(id_):
                self.is_blurred = True
                continue
            assert record.status is truth, f"{id_} is {record.status}, not {truth}"
            assert record.announced is truth, f"{id_}: {truth} was never announced"
            if truth is baseline or id_ in self.forgivable:
                continue
            last = self._last(id_)
            assert last is not None, f"{id_} is {truth} and nothing was announced"
            assert last.status == truth.value, f"{id_} is {truth}, announced as {last.status}"
        if not self.is_blurred:
            watched = (
                RECEIVED[self.world.truth[id_].status]
                for id_ in self.baseline.keys() - TESTS
                if self.world.truth[id_].status in _BROUGHT
            )
            expected = sum([*watched, *self.left.values()], Decimal(0))
            assert book.sums.received.get("EUR", 0) == expected, "money was lost or counted twice"
        assert not book.writer.failed
        self._all_have_heard()

    def _last(self, id_: str) -> Announced | None:
        """Return the last announcement of an invoice."""
        return next((one for one in reversed(self.home.announced) if one.invoice == id_), None)

    def _all_have_heard(self) -> None:
        """Every automation that was to hear an announcement has, unless it was switched off."""
        for announced in self.home.announced:
            if self._is_history(announced):
                continue
            for name in self._to_hear(announced):
                assert self._has_heard(name, announced), f"{name} has not heard {announced}"

    def _to_hear(self, announced: Announced) -> set[str]:
        """Return which automations have to hear an announcement."""
        return {name for name in announced.to_hear if (name, announced.id) not in self.excused}

    def _is_history(self, announced: Announced) -> bool:
        """Whether it is no longer so or watched after a restart: then it need not come again."""
        is_over = announced.status != self.world.truth[announced.invoice].status.value
        is_over = is_over or announced.id in self.dropped
        return is_over and announced.life != self.home.life

    def after_removal(self) -> None:
        """P7: nothing is left of an account that was removed."""
        tasks = [repr(task) for task in asyncio.all_tasks(self.home.loop)]
        timers = [repr(timer) for timer in self.home.loop.timers]
        assert not _of_ours(tasks), f"a task is left: {_of_ours(tasks)}"
        assert not _of_ours(timers), f"a timer is left: {_of_ours(timers)}"
        assert all(storage._database is None for storage in self.home.storages), "a file is open"
        assert not [*self.home.folder.glob(f".storage/{DOMAIN}*")], "a file is left"


def _of_ours(texts: Iterable[str]) -> list[str]:
    """Return what belongs to the integration."""
    return [text for text in texts if DOMAIN in text]
