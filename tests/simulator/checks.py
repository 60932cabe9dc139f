"""What is promised (docs/once.md), checked all along and in the end."""

import asyncio
from collections import defaultdict
from collections.abc import Set as AbstractSet
from decimal import Decimal
import sqlite3

from homeassistant.helpers import entity_registry as er

from custom_components.crypto_invoices.book.database import StorageError
from custom_components.crypto_invoices.book.rows import read_contents
from custom_components.crypto_invoices.book.sums import add_up
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers.model import InvoiceStatus
from custom_components.crypto_invoices.runtime import AccountRuntime
from tests.explorer.promises import (
    check_devices,
    check_news_are_announced,
    check_nothing_is_forgotten,
)

from .bills import OPEN, PAID, Bills
from .heard import Announced
from .home import ShopHome
from .losses import Losses
from .weather import Weather

# Of so many steps, all that is shown is looked at after one.
_SELDOM = 25
# What has ended is watched for a day at least, in seconds.
_KEPT_FOR = 20 * 3600.0
# In seconds: how soon most are paid, and how soon that is announced.
_SOON = 900.0
# For how long somebody may not be asked who was down, sent nonsense, or wants a pause.
_BACK_OFF = 3600.0


class Checks:
    """Sees whether what is promised is kept."""

    def __init__(self, home: ShopHome, bills: Bills, losses: Losses, weather: Weather) -> None:
        """Begin with the first step."""
        self._calm_from = defaultdict[str, float](float)
        """By account: since when nothing keeps a payment from being seen."""
        self._weather = weather
        self._home = home
        self._bills = bills
        self._losses = losses
        self.steps = 0

    def after_step(self) -> None:
        """Check what has to be so at any time."""
        self.steps += 1
        self._note_trouble()
        if not self._home.is_running or self._home.loop.is_halted:
            return
        hass = self._home.hass
        self._losses.after_step()
        for key, account in self._home.loaded():
            entry_id = self._home.entry_ids[key]
            check_nothing_is_forgotten(account)
            check_news_are_announced(hass, entry_id, account)
            left = account.coordinator.reader.standing.left
            assert left <= _BACK_OFF, f"{key} is not asked for {left} seconds"
            self._records_are_true(key, account)
            self._is_prompt(key, account)
            if self.steps % _SELDOM == 0:
                self._is_on_disk(key, account)
                check_devices(hass, entry_id, account)
                self._sums_are_shown(key, account)

    def _note_trouble(self) -> None:
        """Note what keeps payments from being seen, which takes a while longer after bad weather."""
        now = self._home.loop.passed
        is_trouble = self._home.disk_is != "well" or bool(self._home.loop.wall_offset)
        for key in self._home.entry_ids:
            if bad_until := self._weather.bad_until(key):
                self._calm_from[key] = max(self._calm_from[key], bad_until + _BACK_OFF)
            account = self._home.account(key)
            is_refused = account and account.coordinator.reader.standing.is_key_doubted
            if is_trouble or account is None or is_refused:
                self._calm_from[key] = max(self._calm_from[key], now + is_trouble * _BACK_OFF)

    def _is_prompt(self, key: str, account: AccountRuntime) -> None:
        """P2: what is paid soon after it was made is announced in minutes, if nothing is wrong."""
        home = self._home
        if account.auto_watch is None:
            return
        for bill in self._bills.of(key):
            if bill.invoice.state not in PAID or bill.was_paid_before or bill.was_deleted:
                continue
            paid_at = bill.invoice.updated_at
            paid_for = (home.loop.right() - paid_at).total_seconds()
            is_soon = (paid_at - bill.invoice.created_at).total_seconds() < _SOON
            if is_soon and _SOON < paid_for < home.loop.passed - self._calm_from[key]:
                is_heard = (home.entry_ids[key], bill.invoice.id) in home.heard.by_invoice
                what = f"{bill.invoice.id} at {key} was paid {paid_for:.0f} seconds ago"
                assert is_heard, f"{what}, and nobody knows"

    def _records_are_true(self, key: str, account: AccountRuntime) -> None:
        """P5: nothing has arrived of what is pending; what is taken back is owed until it is heard."""
        for id_, record in account.book.records.items():
            received, announced = record.received, record.announced
            if record.status is InvoiceStatus.PENDING and received is not None:
                assert not received.amount, f"{id_} at {key} is pending, and {received} arrived"
            is_heard_of = announced is not None and announced.is_paid and not record.status.is_paid
            if is_heard_of and record.counts["payment"] and not self._is_fulfilled(key, id_):
                assert record.item is not None, f"{id_} at {key} is owed no more, and nobody knows"

    def _is_fulfilled(self, key: str, invoice_id: str) -> bool:
        """Whether somebody was told that the latest payment of an invoice is fulfilled."""
        heard = self._home.heard
        announced = heard.by_invoice.get((self._home.entry_ids[key], invoice_id), [])
        return any(one.is_payment and one.id in heard.fulfilled for one in announced)

    def _is_on_disk(self, key: str, account: AccountRuntime) -> None:
        """P4: what is known is on disk, unless that is full or it is just being written."""
        book = account.book
        unwritten = book.writer._unwritten
        is_busy = book.writer._turn.locked() or unwritten.records or unwritten.gone
        if is_busy or not self._home.is_written(key):
            return
        try:
            database = book.writer._storage._opened
            stored = read_contents(database, self._home.loop.right())
            known = {row["id"] for row in database.execute("SELECT id FROM records")}
        except StorageError, sqlite3.Error:
            return
        for id_, record in book.records.items():
            is_right = record.may_rest or stored.records.get(id_) == record
            assert is_right, f"{id_} at {key} is on disk as it was"
        # P6: what is added up is what there is.
        carried = [carried.amount for carried in stored.carried.values()]
        brought = [record.brought for record in stored.records.values()]
        for currency, amount in add_up([*carried, *stored.on_disk, *brought]).items():
            sum_ = book.sums.received.get(currency)
            assert sum_ == amount, f"{key}: {amount} {currency} are added up to {sum_}"
        # What is lost with a full disk and a kill is found again.
        is_calm = self._home.loop.passed - self._calm_from[key] > _SOON
        if is_calm and key not in self._losses.accounts:
            self._is_kept(key, known)

    def _is_kept(self, key: str, known: AbstractSet[str]) -> None:
        """P5: what was announced lately is known; only staff end that, or a day that has passed."""
        heard, since = self._home.heard, self._home.loop.time() - _KEPT_FOR
        for bill in self._bills.of(key):
            id_ = bill.invoice.id
            if bill.was_deleted or not bill.is_promised or id_ in known:
                continue
            announced = heard.by_invoice.get((self._home.entry_ids[key], id_), [])
            is_late = any(one.at > since for one in announced)
            assert not is_late, f"{id_} at {key} is watched no more, {_KEPT_FOR:.0f} seconds later"

    def _sums_are_shown(self, key: str, account: AccountRuntime) -> None:
        """P6: what is shown is what the book says."""
        registry = er.async_get(self._home.hass)
        sums = account.book.sums
        for name, amounts in (("received", sums.received), ("outstanding", sums.outstanding)):
            for currency, amount in amounts.items():
                unique_id = f"{self._home.entry_ids[key]}_{name}_{currency}"
                entity_id = registry.async_get_entity_id("sensor", DOMAIN, unique_id)
                state = self._home.hass.states.get(entity_id) if entity_id else None
                if state is not None and state.state not in ("unavailable", "unknown"):
                    shown = Decimal(state.state)
                    assert shown == amount, f"{key}: {name} is shown as {shown}, not {amount}"

    def in_the_end(self) -> None:
        """Check that nothing was lost: payments, deliveries, money."""
        self.after_step()
        for key in self._home.entry_ids:
            account = self._home.account(key)
            entry = self._home.entry(key)
            assert account is not None, f"{key} is {entry and entry.state}"
            if any(one.due is not None for one in account.coordinator.data.values()):
                is_read = account.coordinator.last_update_success
                assert is_read, f"{key} answers, and nobody asks"
            assert not account.book.writer.failed, f"{key} is not written"
            self._payments_are_announced(key)
            self._money_is_right(key, account)
            self._ended_is_ended(key, account)
            self._fulfilled_is_fulfilled(key, account)

    def _payments_are_announced(self, key: str) -> None:
        """P2 and P3: as many IDs as payments, and all have heard them."""
        entry_id, heard = self._home.entry_ids[key], self._home.heard
        for bill in self._bills.of(key):
            announced = heard.by_invoice.get((entry_id, bill.invoice.id), [])
            payments = [one for one in announced if one.is_payment]
            reverts = [one for one in announced if one.is_revert]
            what = f"invoice {bill.number} at {key} ({bill.invoice.id}) is {bill.invoice.state}"
            assert len(payments) <= bill.payments, f"{what}, announced {len(payments)} times"
            assert len(reverts) <= bill.reverts, f"{what}, announced as taken back"
            if not bill.is_promised or bill.is_deleted or bill.was_paid_before:
                continue
            if bill.invoice.state in PAID:
                assert len(payments) == bill.payments, f"{what}, and that was never announced"
                self._is_heard(what, payments[-1])
            if announced:
                self._is_heard(what, announced[-1])

    def _is_heard(self, what: str, announced: Announced) -> None:
        """P3: an announcement was heard by all who were to hear it."""
        unheard = self._home.heard.unheard(announced)
        assert not unheard, f"{what}: {', '.join(unheard)} never heard of it"

    def _fulfilled_is_fulfilled(self, key: str, account: AccountRuntime) -> None:
        """What somebody was told is fulfilled is not owed again."""
        for id_, record in account.book.records.items():
            if record.is_owed and record.item is not None:
                is_given = record.item.announcement_id in self._home.heard.fulfilled
                assert not is_given, f"{id_} at {key} is owed again, and was fulfilled"

    def _ended_is_ended(self, key: str, account: AccountRuntime) -> None:
        """P5: what has ended at its provider for a while is taken for that, paid or not."""
        for bill in self._bills.of(key):
            record = account.book.records.get(bill.invoice.id)
            if record is None or bill.invoice.state in OPEN or self._bills.is_fresh(bill):
                continue
            what = f"invoice {bill.number} at {key} is {bill.invoice.state}"
            is_right = record.status.is_paid == (bill.invoice.state in PAID)
            is_right = is_right and not record.status.is_open
            assert is_right, f"{what}, and is taken for {record.status}"

    def _money_is_right(self, key: str, account: AccountRuntime) -> None:
        """P6: the sums are the provider's to the last digit, and those of the records."""
        book = account.book
        if key in self._losses.accounts:
            return
        expected: defaultdict[str, Decimal] = defaultdict(Decimal)
        blurred: set[str] = set()
        for bill in self._bills.of(key):
            brought = bill.brought
            if brought is None or not (bill.is_promised or bill.is_deleted):
                continue
            if bill.is_deleted and not bill.has_left:
                blurred.add(brought[0])
            expected[brought[0]] += brought[1]
        for currency in {*expected, *book.sums.received} - blurred:
            is_, should = book.sums.received.get(currency, Decimal(0)), expected[currency]
            assert is_ == should, f"{key}: {is_} {currency} were received, not {should}"

    def after_removal(self) -> None:
        """P7: nothing is left of the accounts."""
        loop = self._home.loop
        tasks = [repr(task) for task in asyncio.all_tasks(loop) if DOMAIN in repr(task)]
        timers = [repr(timer) for timer in loop.timers if DOMAIN in repr(timer)]
        assert not tasks, f"a task is left: {tasks}"
        assert not timers, f"a timer is left: {timers}"
        assert all(storage._database is None for storage in self._home.storages), "a file is open"
        files = [*self._home.folder.glob(f".storage/{DOMAIN}*")]
        assert not files, f"a file is left: {files}"
