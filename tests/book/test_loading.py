"""From a file to a book: what is lost is rebuilt, and no payment is announced falsely or again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
import shutil
import sqlite3
from threading import Event
from time import perf_counter
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE, EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, issue_registry as ir
import pytest

from custom_components.crypto_invoices import backup
from custom_components.crypto_invoices.book import storage as storage_module
from custom_components.crypto_invoices.book.contents import Changes, Contents
from custom_components.crypto_invoices.book.database import StorageError
from custom_components.crypto_invoices.book.rows import write_changes
from custom_components.crypto_invoices.book.storage import Storage
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers.model import InvoiceStatus as S
from sandbox.faults import Fault
from tests.conftest import (
    AddAccount,
    Runs,
    SandboxServer,
    account_state,
    async_act,
    async_add_invoices,
    async_delete_device,
    async_later,
    async_settle,
    device_id,
    find_entity,
    pass_time,
    state_of,
    watched,
)

from .conftest import make, read, record

PROVIDER = "cryptocloud"


def file_of(hass: HomeAssistant, entry: ConfigEntry) -> Path:
    """Return where the book of an account is."""
    return Path(hass.config.path(".storage", f"{DOMAIN}.{entry.entry_id}.db"))


def on_disk(hass: HomeAssistant, entry: ConfigEntry) -> Contents:
    """Return what would be there after a power cut now."""
    copy = Path(f"{file_of(hass, entry)}.copy")
    shutil.copyfile(file_of(hass, entry), copy)
    storage, contents = read(copy)
    storage.close()
    copy.unlink()
    return contents


def files(hass: HomeAssistant) -> list[str]:
    """Return the names of all our files."""
    return sorted(path.name for path in Path(hass.config.path(".storage")).glob(f"{DOMAIN}*"))


def lost_issue(hass: HomeAssistant, entry: ConfigEntry) -> ir.IssueEntry | None:
    """Return the issue that says that the book was lost."""
    return ir.async_get(hass).async_get_issue(DOMAIN, f"book_lost_{entry.entry_id}")


async def async_load(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Load an account again, and let it be read."""
    await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)


async def async_reload(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Begin anew with what is on disk."""
    assert await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)


type TwoInvoices = Callable[[], Awaitable[tuple[ConfigEntry, str, str]]]


@pytest.fixture
def two(sandbox: SandboxServer, add_account: AddAccount) -> TwoInvoices:
    """Return a way to set up an account with two invoices."""

    async def add() -> tuple[ConfigEntry, str, str]:
        first, second = (sandbox.store.create(PROVIDER).id for _ in range(2))
        return await add_account(PROVIDER, first, second), first, second

    return add


@contextmanager
def writing_waits(*, fails: bool = False) -> Iterator[tuple[Event, Event]]:
    """Let a write take as long as a test wants; yield when it began, and what lets it go on."""
    began, may_end = Event(), Event()
    write = Storage.write

    def wait(storage: Storage, changes: Changes) -> None:
        began.set()
        assert may_end.wait(10)
        if fails:
            raise StorageError("disk full")
        write(storage, changes)

    with patch.object(Storage, "write", wait):
        yield began, may_end
        may_end.set()


async def async_until(event: Event) -> None:
    """Wait until something happened in another thread."""
    assert await asyncio.get_running_loop().run_in_executor(None, event.wait, 10)


async def test_taken_over(hass: HomeAssistant, two: TwoInvoices) -> None:
    """What the dialog looked up goes into the book, is written, and only then out of the entry."""
    entry, first, second = await two()
    assert watched(entry) == [first, second]
    assert "invoices" not in entry.data
    assert on_disk(hass, entry).records.keys() == {first, second}
    assert file_of(hass, entry).stat().st_mode & 0o777 == 0o600


def _never_finish(path: Path) -> None:
    path.unlink()
    make(path).close()


def _execute(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-9000]), id="half written"),
        pytest.param(lambda path: path.write_text('{"version": 1}'), id="another file"),
        pytest.param(lambda path: _execute(path, "PRAGMA user_version = 2"), id="newer"),
        pytest.param(lambda path: _execute(path, "UPDATE records SET status = 'x'"), id="nonsense"),
        pytest.param(lambda path: _execute(path, "DROP TABLE facts"), id="no table"),
        pytest.param(_never_finish, id="never finished"),
        pytest.param(lambda path: path.unlink(), id="missing"),
    ],
)
async def test_lost(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    two: TwoInvoices,
    runs: Runs,
    damage: Callable[[Path], None],
) -> None:
    """A book that is lost is set aside and rebuilt from the devices; nothing is announced falsely."""
    entry, first, second = await two()
    devices = [device_id(hass, entry, invoice_id) for invoice_id in (first, second)]
    await hass.config_entries.async_unload(entry.entry_id)
    path = file_of(hass, entry)
    damage(path)
    damaged = path.read_bytes() if path.exists() else None
    sandbox.store.act(PROVIDER, first, "pay")

    await async_load(hass, entry)
    assert state_of(hass, entry, first, "status").state == "paid"
    assert runs == []
    assert [device_id(hass, entry, invoice_id) for invoice_id in (first, second)] == devices
    aside = [other for other in path.parent.iterdir() if other.name.startswith(f"{path.name}.")]
    assert [other.read_bytes() for other in aside] == ([] if damaged is None else [damaged])
    issue = lost_issue(hass, entry)
    assert issue
    assert issue.translation_placeholders == {"account": entry.title}

    sandbox.store.act(PROVIDER, second, "pay")
    await async_later(hass)
    await async_reload(hass, entry)
    assert [run["invoice"] for run in runs] == [second]
    assert lost_issue(hass, entry), "nobody has read it"
    await hass.config_entries.async_remove(entry.entry_id)
    assert files(hass) == []
    assert lost_issue(hass, entry) is None


async def test_lost_in_an_outage(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """What can't be read yet when the book is rebuilt begins with its first reading, days later."""
    entry, first, _ = await two()
    await hass.config_entries.async_unload(entry.entry_id)
    file_of(hass, entry).unlink()
    sandbox.store.act(PROVIDER, first, "pay")
    sandbox.switch(PROVIDER, Fault.SERVER_ERROR)
    for _ in range(2):
        await async_load(hass, entry)
        # An account that was never read, as far as it knows, can't be set up now.
        assert load_state(entry) is ConfigEntryState.SETUP_RETRY
        await hass.config_entries.async_unload(entry.entry_id)
    sandbox.switch(PROVIDER, None)
    await async_load(hass, entry)
    assert state_of(hass, entry, first, "status").state == "paid"
    assert runs == []


async def test_lost_with_the_devices(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """Without the devices, too, a user hears of it; what is added again announces nothing old."""
    entry, first, second = await two()
    sandbox.store.act(PROVIDER, first, "pay")
    await async_later(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    file_of(hass, entry).unlink()
    registry = dr.async_get(hass)
    for device in dr.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_remove_device(device.id)
    await async_load(hass, entry)
    assert watched(entry) == []
    assert lost_issue(hass, entry)
    await async_add_invoices(hass, entry, [first, second])
    assert len(runs) == 1


async def test_rebuilding_fails(hass: HomeAssistant, two: TwoInvoices, runs: Runs) -> None:
    """A book that can't be rebuilt now is rebuilt later, with all invoices; no file piles up."""
    entry, first, second = await two()
    await hass.config_entries.async_unload(entry.entry_id)
    file_of(hass, entry).write_bytes(b"")
    with patch.object(
        storage_module, "write_changes", side_effect=sqlite3.OperationalError("disk full")
    ):
        for _ in range(3):
            await async_load(hass, entry)
            assert entry.state is ConfigEntryState.SETUP_RETRY
            assert entry.error_reason_translation_key == "book_unavailable"
            await hass.config_entries.async_unload(entry.entry_id)
    assert len(files(hass)) == 1, "what was set aside"
    await async_load(hass, entry)
    assert sorted(watched(entry)) == sorted([first, second])
    assert lost_issue(hass, entry)
    assert device_id(hass, entry, first)
    assert runs == []


@pytest.mark.parametrize("trouble", ["locked", "unreadable", "is a directory", "read-only"])
async def test_not_now(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    two: TwoInvoices,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
) -> None:
    """A book that can't be read for a moment is waited for: nothing is lost or set aside."""
    entry, first, second = await two()
    await hass.config_entries.async_unload(entry.entry_id)
    monkeypatch.setattr(storage_module, "_LOCKED_FOR", 0.0)
    sandbox.store.act(PROVIDER, first, "pay")
    with _in_trouble(file_of(hass, entry), trouble):
        await async_load(hass, entry)
        assert entry.state is ConfigEntryState.SETUP_RETRY
        assert entry.error_reason_translation_key == "book_unavailable"
        assert entry.error_reason_translation_placeholders
        assert entry.error_reason_translation_placeholders["account"] == entry.title
    assert runs == []
    pass_time(hass, 600)
    await async_settle(hass)
    assert load_state(entry) is ConfigEntryState.LOADED
    await async_settle(hass)
    assert [run["invoice"] for run in runs] == [first]
    assert lost_issue(hass, entry) is None
    assert files(hass) == [file_of(hass, entry).name]
    assert sorted(watched(entry)) == sorted([first, second])


def load_state(entry: ConfigEntry) -> ConfigEntryState:
    """Return how an account is now, which says nothing about later."""
    return entry.state


@contextmanager
def _in_trouble(path: Path, trouble: str) -> Iterator[None]:
    """Let a file be out of reach."""
    if trouble == "locked":
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.close()
    elif trouble == "is a directory":
        moved = path.rename(path.with_suffix(".moved"))
        path.mkdir()
        yield
        path.rmdir()
        moved.rename(path)
    else:
        error = OSError(5 if trouble == "unreadable" else 13, trouble)
        with patch.object(sqlite3, "connect", side_effect=error):
            yield


async def test_older_backup(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """A backup, or a copy of the installation, knows less: the same payment has the same ID."""
    entry, first, second = await two()
    older = file_of(hass, entry).read_bytes()
    sandbox.store.act(PROVIDER, first, "pay")
    await async_later(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    file_of(hass, entry).write_bytes(older)
    await async_load(hass, entry)
    assert [run["invoice"] for run in runs] == [first, first]
    assert len({run["id"] for run in runs}) == 1
    sandbox.store.act(PROVIDER, second, "pay")
    await async_later(hass)
    assert len(runs) == 3
    assert lost_issue(hass, entry) is None


async def test_entry_of_an_older_backup(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """What the dialog looked up is taken over once, also if the entry is older than its book."""
    entry, first, second = await two()
    sandbox.store.act(PROVIDER, first, "pay")
    await async_later(hass)
    await async_delete_device(hass, entry, second)
    await async_settle(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    looked_up = [
        {"id": id_, "status": "pending", "order_id": None, "amount": None, "currency": None}
        for id_ in (first, second)
    ]
    hass.config_entries.async_update_entry(entry, data={**entry.data, "invoices": looked_up})
    await async_load(hass, entry)
    assert watched(entry) == [first]
    assert "invoices" not in entry.data
    assert len(runs) == 1


async def test_killed_during_a_write(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """A hot journal is rolled back at the next start: the payment comes, with its ID, once more."""
    entry, first, _ = await two()
    path = file_of(hass, entry)
    sandbox.store.act(PROVIDER, first, "pay")
    half_written: list[bytes] = []

    def note(database: sqlite3.Connection, changes: Changes) -> None:
        database.execute("PRAGMA cache_size = 1")
        write_changes(database, changes)
        database.execute(
            "INSERT INTO facts WITH RECURSIVE n(x) AS (SELECT 1 UNION SELECT x + 1 FROM n LIMIT 999)"
            " SELECT x, hex(randomblob(100)) FROM n"
        )
        half_written.extend(file.read_bytes() for file in (path, Path(f"{path}-journal")))
        database.execute("DELETE FROM facts WHERE length(value) = 200")

    with patch.object(storage_module, "write_changes", note):
        await async_later(hass)
    assert len(runs) == 1
    await hass.config_entries.async_unload(entry.entry_id)
    path.write_bytes(half_written[0])
    path.with_name(f"{path.name}-journal").write_bytes(half_written[1])
    await async_load(hass, entry)
    assert files(hass) == [path.name]
    assert lost_issue(hass, entry) is None
    assert [run["invoice"] for run in runs] == [first, first]
    assert len({run["id"] for run in runs}) == 1
    assert not on_disk(hass, entry).facts.keys() - {"begun", "was_read"}


async def test_full_disk(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """While nothing can be written a payment is announced once, and it is written afterwards."""
    entry, first, second = await two()
    sandbox.store.act(PROVIDER, first, "pay")
    with patch.object(
        storage_module, "write_changes", side_effect=sqlite3.OperationalError("disk full")
    ):
        for _ in range(3):
            await async_later(hass)
        assert [run["invoice"] for run in runs] == [first]
        assert on_disk(hass, entry).records[first].status is S.PENDING
        assert account_state(hass, entry, "paid_today").state == "1"
    await async_later(hass)
    written = on_disk(hass, entry).records[first]
    assert (written.status, written.announced) == (S.PAID, S.PAID)
    await async_reload(hass, entry)
    assert len(runs) == 1
    sandbox.store.act(PROVIDER, second, "pay")
    await async_later(hass)
    assert len(runs) == 2


@pytest.mark.parametrize("is_removed", [False, True])
async def test_cancelled_while_it_loads(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs, *, is_removed: bool
) -> None:
    """A set-up that is cancelled leaves nothing behind that could write over the next one."""
    entry, first, _ = await two()
    sandbox.store.act(PROVIDER, first, "pay")
    await async_later(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    began, may_end = Event(), Event()
    opened: list[Storage] = []
    open_file = Storage.open

    def wait(storage: Storage, **how: Any) -> Contents:
        opened.append(storage)
        began.set()
        assert may_end.wait(10)
        return open_file(storage, **how)

    with patch.object(Storage, "open", wait):
        setting_up = hass.async_create_task(hass.config_entries.async_setup(entry.entry_id))
        await async_until(began)
        setting_up.cancel()
        with suppress(asyncio.CancelledError):
            await setting_up
        assert entry.state is not ConfigEntryState.LOADED
        then = hass.config_entries.async_remove if is_removed else hass.config_entries.async_reload
        again: asyncio.Task[Any] = hass.async_create_task(then(entry.entry_id))
        await asyncio.sleep(0.05)
        assert len(opened) == 1, "two would write one over the other"
        may_end.set()
        assert await again
    await async_settle(hass)
    if is_removed:
        assert not files(hass)
        return
    assert load_state(entry) is ConfigEntryState.LOADED
    assert opened[0]._database is None, "it stays open"
    assert state_of(hass, entry, first, "status").state == "paid"
    assert len(runs) == 1
    assert lost_issue(hass, entry) is None


async def test_reloaded_while_the_disk_is_slow(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    two: TwoInvoices,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Home Assistant doesn't wait for ever for an account to end; its next book does."""
    entry, first, _ = await two()
    sandbox.store.act(PROVIDER, first, "pay")
    with writing_waits() as (began, may_end):
        entry.runtime_data.coordinator.async_hint([first])
        await async_until(began)
        wait = asyncio.wait

        async def wait_less(tasks: Any, **how: Any) -> Any:
            return await wait(tasks, **(how | ({"timeout": 0.01} if "timeout" in how else {})))

        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "wait", wait_less)
            assert await hass.config_entries.async_unload(entry.entry_id)
        loading = hass.async_create_task(hass.config_entries.async_setup(entry.entry_id))
        await asyncio.sleep(0.05)
        assert not loading.done(), "two would write one over the other"
        may_end.set()
        assert await loading
    await async_settle(hass)
    assert len(runs) == 1
    assert on_disk(hass, entry).records[first].announced is S.PAID


@pytest.mark.parametrize("fails", [False, True])
async def test_reading_is_cancelled_while_it_is_written(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs, *, fails: bool
) -> None:
    """A script that is stopped while a payment is written costs nothing: it is written all the same."""
    entry, first, _ = await two()
    sandbox.store.act(PROVIDER, first, "pay")
    with writing_waits(fails=fails) as (began, may_end):
        asked = hass.async_create_task(entry.runtime_data.coordinator.async_refresh())
        entry.runtime_data.coordinator.async_hint([first])
        await async_until(began)
        asked.cancel()
        may_end.set()
        await async_settle(hass)
    await async_later(hass)
    assert on_disk(hass, entry).records[first].announced is S.PAID
    await async_reload(hass, entry)
    assert len(runs) == 1


async def test_stop_during_a_write(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """What is under way when Home Assistant stops is written, and the file is closed in the end."""
    entry, first, _ = await two()
    sandbox.store.act(PROVIDER, first, "pay")
    with writing_waits() as (began, may_end):
        entry.runtime_data.coordinator.async_hint([first])
        await async_until(began)
        hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
        await asyncio.sleep(0)
        may_end.set()
        await async_settle(hass)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_CLOSE)
    await async_settle(hass)
    assert on_disk(hass, entry).records[first].announced is S.PAID
    assert entry.runtime_data.book.writer._storage._database is None
    assert len(runs) == 1


async def test_backup(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """While a backup is made the file stays as it is; payments are announced, and written then."""
    entry, first, second = await two()
    with writing_waits() as (began, may_end):
        sandbox.store.act(PROVIDER, first, "pay")
        entry.runtime_data.coordinator.async_hint([first])
        await async_until(began)
        waiting = hass.async_create_task(backup.async_pre_backup(hass))
        await asyncio.sleep(0)
        assert not waiting.done(), "it must not begin in the middle of a write"
        may_end.set()
        await waiting
    path = file_of(hass, entry)
    held, journal = path.read_bytes(), path.with_name(f"{path.name}-journal")
    sandbox.store.act(PROVIDER, second, "pay")
    await async_later(hass, 60)
    assert [run["invoice"] for run in runs] == [first, second]
    assert path.read_bytes() == held
    assert not journal.exists()
    await backup.async_post_backup(hass)
    await async_settle(hass)
    assert on_disk(hass, entry).records[second].announced is S.PAID


async def test_reloaded_during_a_backup(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """An account that is loaded anew meanwhile writes nothing either, and everything then."""
    entry, first, _ = await two()
    await backup.async_pre_backup(hass)
    await async_reload(hass, entry)
    held = file_of(hass, entry).read_bytes()
    sandbox.store.act(PROVIDER, first, "pay")
    await async_later(hass, 60)
    assert [run["invoice"] for run in runs] == [first]
    assert file_of(hass, entry).read_bytes() == held
    await backup.async_post_backup(hass)
    await async_settle(hass)
    assert on_disk(hass, entry).records[first].announced is S.PAID


async def test_unloaded_while_a_backup_begins(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, add_account: AddAccount
) -> None:
    """A backup waits for an account's file; another one that is unloaded meanwhile is no matter."""
    entry, first, _ = await two()
    other = await add_account("egates", sandbox.store.create("egates").id)
    with writing_waits() as (began, may_end):
        sandbox.store.act(PROVIDER, first, "pay")
        entry.runtime_data.coordinator.async_hint([first])
        await async_until(began)
        waiting = hass.async_create_task(backup.async_pre_backup(hass))
        await asyncio.sleep(0)
        unloading = hass.async_create_task(hass.config_entries.async_unload(other.entry_id))
        may_end.set()
        assert await unloading
        await waiting
    await backup.async_post_backup(hass)
    await async_settle(hass)
    assert on_disk(hass, entry).records[first].announced is S.PAID


async def test_backup_whose_end_nobody_tells(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """After ten minutes it is written again; a second backup meanwhile begins them anew."""
    entry, first, _ = await two()
    await backup.async_pre_backup(hass)
    await backup.async_pre_backup(hass)
    sandbox.store.act(PROVIDER, first, "pay")
    await async_later(hass, 60)
    assert len(runs) == 1
    assert on_disk(hass, entry).records[first].status is S.PENDING
    pass_time(hass, backup.LONGEST_BACKUP + 1)
    await async_settle(hass)
    assert on_disk(hass, entry).records[first].announced is S.PAID
    await backup.async_post_backup(hass)


async def test_started_in_an_outage(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """Sums are what the book says before anything could be read; the invoices' own are not known."""
    entry, first, second = await two()
    sandbox.store.act(PROVIDER, first, "pay")
    await async_later(hass)
    shown = {
        key: account_state(hass, entry, key).state
        for key in ("received_USD", "outstanding_USD", "paid_today", "open_invoices")
    }
    assert shown["received_USD"] != "0"
    assert shown["outstanding_USD"] == "25"
    assert (shown["paid_today"], shown["open_invoices"]) == ("1", "1")
    sandbox.switch(PROVIDER, Fault.SERVER_ERROR)
    await async_reload(hass, entry)
    assert {key: account_state(hass, entry, key).state for key in shown} == shown
    assert state_of(hass, entry, first, "status").state == "unavailable"
    sandbox.switch(PROVIDER, None)
    sandbox.store.act(PROVIDER, second, "pay")
    await async_later(hass)
    assert [run["invoice"] for run in runs] == [first, second]


async def test_created_and_then_a_power_cut(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """An invoice that a script made is on disk by the time the script hears of it."""
    may_create = sandbox.sandbox.providers[PROVIDER].invoicing_credentials
    entry = await add_account(PROVIDER, sandbox.store.create(PROVIDER).id, **may_create)
    answer = await async_act(
        hass,
        "create_invoice",
        config_entry_id=entry.entry_id,
        amount="5",
        currency="EUR",
    )
    assert answer["invoice_id"] in on_disk(hass, entry).records


async def test_money_stays(hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices) -> None:
    """What was paid stays counted, once: over reloads, removal, and being added again."""
    entry, first, second = await two()
    sandbox.store.act(PROVIDER, first, "pay")
    await async_later(hass)
    received = account_state(hass, entry, "received_USD").state
    assert received != "0"
    await async_delete_device(hass, entry, first)
    await async_delete_device(hass, entry, second)
    for _ in range(2):
        assert account_state(hass, entry, "received_USD").state == received
        assert account_state(hass, entry, "paid_today").state == "1"
        assert account_state(hass, entry, "outstanding_USD").state == "0"
        await async_reload(hass, entry)
    await async_add_invoices(hass, entry, [first])
    assert account_state(hass, entry, "received_USD").state == received
    assert account_state(hass, entry, "paid_today").state == "1"


async def test_partly_paid(hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices) -> None:
    """Outstanding is what is still missing, and test money is in no sum."""
    entry, first, second = await two()
    sandbox.store.act(PROVIDER, first, "partly_pay")
    await async_later(hass)
    arrived = entry.runtime_data.book.records[first].received
    assert arrived
    assert arrived.amount > 0
    asked = sum(sandbox.store.get(PROVIDER, id_).amount for id_ in (first, second))
    outstanding = account_state(hass, entry, "outstanding_USD").state
    assert Decimal(outstanding) == asked - arrived.amount
    assert account_state(hass, entry, "received_USD").state == "0"


async def test_nothing_is_remembered_of_what_is_gone(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices
) -> None:
    """The provider's caches, entities and devices go with the record."""
    entry, first, second = await two()
    cache = entry.runtime_data.provider._last_rows
    assert len(cache) == 2
    await async_act(hass, "untrack_invoices", invoice_ids=[first])
    await async_settle(hass)
    assert len(cache) == 1
    assert find_entity(hass, entry, first, "status") is None
    assert find_entity(hass, entry, second, "status")


async def test_removed_account(hass: HomeAssistant, two: TwoInvoices) -> None:
    """What is kept of an account goes with it: file, journal, and what was set aside."""
    entry, _, _ = await two()
    path = file_of(hass, entry)
    path.with_name(f"{path.name}.unreadable.20261120T120000").write_text("old")
    path.with_name(f"{path.name}-journal.unreadable.20261120T120000").write_text("old")
    other = path.with_name(f"{DOMAIN}.another.db.unreadable.1")
    other.write_text("another account's")
    await hass.config_entries.async_remove(entry.entry_id)
    assert files(hass) == [other.name]


async def test_10_000(
    hass: HomeAssistant, sandbox: SandboxServer, two: TwoInvoices, runs: Runs
) -> None:
    """With 10,000 records an account loads, and announces, without holding up the loop."""
    entry, first, _ = await two()
    await hass.config_entries.async_unload(entry.entry_id)
    storage, _ = read(file_of(hass, entry))
    storage.write(
        Changes(
            records=[
                record(f"over-{number}", S.PAID, is_over=True, has_device=False)
                for number in range(10_000)
            ]
        )
    )
    storage.close()
    sandbox.store.act(PROVIDER, first, "pay")
    # In debug mode asyncio looks up the stack of each task.
    hass.loop.set_debug(False)
    gaps = [await _longest_gap(lambda: async_load(hass, entry))]
    assert [run["invoice"] for run in runs] == [first]
    assert account_state(hass, entry, "received_EUR").state == "100000"
    while min(gaps) > 0.05 and len(gaps) < 10:
        # Something else on this machine may have held it up.
        gaps.append(await _longest_gap(lambda: async_reload(hass, entry)))
    assert min(gaps) <= 0.05


async def _longest_gap(job: Callable[[], Awaitable[None]]) -> float:
    """Return how long the event loop was held up at most while something was done."""
    gaps = [0.0]

    async def tick() -> None:
        while True:
            began = perf_counter()
            await asyncio.sleep(0)
            gaps.append(perf_counter() - began)

    ticking = asyncio.get_running_loop().create_task(tick())
    await job()
    ticking.cancel()
    return max(gaps)
