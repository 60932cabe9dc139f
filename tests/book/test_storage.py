"""The book on disk: real files, and what disks, kills and other programs do to them."""

import asyncio
from asyncio import create_subprocess_exec
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta, timezone
from pathlib import Path
import resource
import shutil
import signal
import sqlite3
import sys
from threading import Event
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.crypto_invoices.book import storage as storage_module
from custom_components.crypto_invoices.book.contents import Carried, Changes, Contents
from custom_components.crypto_invoices.book.database import StorageError, StorageLost
from custom_components.crypto_invoices.book.item import Item
from custom_components.crypto_invoices.book.record import Money, Record, Tombstone
from custom_components.crypto_invoices.book.rows import read_contents
from custom_components.crypto_invoices.book.storage import Storage
from custom_components.crypto_invoices.providers.model import InvoiceStatus as S

from .conftest import LONG_AGO, NOW, euros, make, read, record

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
moneys = st.builds(
    Money,
    st.decimals(allow_nan=False, allow_infinity=False, places=18, max_value=10**30)
    | st.decimals(allow_nan=False, allow_infinity=False),
    texts,
)
moments = st.builds(
    lambda seconds, zone: (NOW + timedelta(seconds=seconds)).astimezone(zone),
    st.floats(-6e10, 2e11),
    st.builds(timezone, st.timedeltas(timedelta(hours=-14), timedelta(hours=14))),
)
items = st.builds(
    Item,
    announcement_id=texts,
    previous=st.sampled_from(S),
    since=moments,
    tried_at=moments,
    attempts=st.integers(1, 30),
    heard_by=st.lists(texts, max_size=2).map(tuple),
    fulfilled_at=st.none() | moments,
)
records = st.builds(
    Record,
    id=texts,
    times_watched=st.integers(0, 2**40),
    order_id=st.none() | texts,
    is_automatic=st.booleans(),
    has_device=st.booleans(),
    asked=st.none() | moneys,
    status=st.sampled_from(S),
    announced=st.none() | st.sampled_from(S),
    counts=st.dictionaries(texts, st.integers(0, 2**60), max_size=3).map(Counter),
    received=st.none() | moneys,
    created_at=st.none() | moments,
    expires_at=st.none() | moments,
    paid_at=st.none() | moments,
    ended_at=st.none() | moments,
    payment_url=st.none() | texts,
    payment_text=st.none() | texts,
    is_test=st.booleans(),
    is_over=st.booleans(),
    item=st.none() | items,
)
tombstones = st.builds(
    Tombstone,
    id=texts,
    times_watched=st.integers(1, 9),
    gone_at=moments,
    created_at=st.none() | moments,
    paid_at=st.none() | moments,
    brought=st.none() | moneys,
)


def ten(path: Path) -> None:
    """Write a file of ten open invoices, larger than a page of SQLite's."""
    storage = make(path)
    storage.write(
        Changes(
            records=[record(f"INV-{number}", payment_url="x" * 900) for number in range(10)],
            carried=[Carried(euros("5"), 1)],
            facts={"begun": "yes"},
        )
    )
    storage.close()


@settings(max_examples=60, deadline=None)
@given(
    kept=st.lists(records, unique_by=lambda one: one.id, max_size=5),
    gone=tombstones,
    carried=moneys,
    fact=texts,
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    kept: list[Record],
    gone: Tombstone,
    carried: Money,
    fact: str,
) -> None:
    """Every digit and every second comes back, whatever is in a record."""
    path = tmp_path_factory.mktemp("book") / "book.db"
    storage = make(path)
    storage.write(
        Changes(
            records=[one for one in kept if one.id != gone.id],
            gone=[gone],
            carried=[Carried(carried, 3)],
            facts={"fact": fact},
        )
    )
    storage.close()
    storage, contents = read(path)
    expected = {one.id: one for one in kept if one.id != gone.id}
    assert storage.find([*expected, gone.id]) == {**expected, gone.id: gone}
    assert contents.carried == {carried.currency: Carried(carried, 3)}
    assert contents.facts == {"fact": fact}
    for id_, one in expected.items():
        is_needed = not one.is_over or one.has_device or one.item is not None
        is_in_memory = is_needed or one.announced is not one.status
        assert (id_ in contents.records) is is_in_memory
    on_disk = Counter(
        one.brought.currency
        for id_, one in expected.items()
        if id_ not in contents.records and one.brought
    )
    assert {money.currency for money in contents.on_disk} == set(on_disk)
    storage.close()


def test_only_its_owner_may_read_it(path: Path) -> None:
    """What somebody earns is nobody else's business; the journal neither."""
    storage = make(path)
    assert path.stat().st_mode & 0o777 == 0o600
    storage._opened.execute("BEGIN IMMEDIATE")
    storage._opened.execute("INSERT INTO facts VALUES ('a', 'b')")
    assert Path(f"{path}-journal").stat().st_mode & 0o777 == 0o600
    storage._opened.execute("ROLLBACK")
    storage.close()


def test_missing(path: Path) -> None:
    """A file that must exist is lost when it doesn't, and isn't made."""
    with pytest.raises(StorageLost):
        read(path)
    assert not path.exists()


def newer(path: Path) -> None:
    """Let a later version have written the file."""
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()


def spoil(change: str) -> Callable[[Path], None]:
    """Return what makes one row be nonsense."""

    def update(path: Path) -> None:
        with sqlite3.connect(path) as database:
            database.execute(change)
        database.close()

    return update


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(bytes(8192)), id="zeros"),
        pytest.param(lambda path: path.write_text('{"version": 1}'), id="another file"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes()[:8192].ljust(45_056, b"\0")),
            id="holes",
        ),
        pytest.param(newer, id="newer"),
        pytest.param(spoil("UPDATE records SET status = 'gone'"), id="unknown status"),
        pytest.param(spoil("UPDATE records SET announced = 'gone'"), id="unknown announced"),
        pytest.param(spoil("UPDATE records SET counts = '[1]'"), id="no counts"),
        pytest.param(spoil("UPDATE records SET counts = '{'"), id="half counts"),
        pytest.param(spoil("UPDATE records SET asked_amount = 'NaN'"), id="no amount"),
        pytest.param(spoil("UPDATE records SET asked_amount = 'much'"), id="no number"),
        pytest.param(spoil("UPDATE records SET created_at = 'yesterday'"), id="no time"),
    ],
)
def test_malformed(path: Path, damage: Callable[[Path], None]) -> None:
    """What can't be understood is lost: no part of it is taken for the whole. It is set aside."""
    ten(path)
    damage(path)
    damaged = path.read_bytes()
    storage = Storage(path)
    with pytest.raises(StorageLost):
        storage.open(must_exist=True, paid_since=LONG_AGO)
    storage.set_aside()
    [aside] = path.parent.iterdir()
    assert aside.read_bytes() == damaged
    assert storage.open(must_exist=False, paid_since=LONG_AGO).records == {}
    storage.delete()
    assert list(path.parent.iterdir()) == []


def is_whole(path: Path) -> bool:
    """Whether a file is understood, and says all that was written; else it must be lost."""
    try:
        storage, contents = read(path)
    except StorageLost:
        return False
    storage.close()
    assert contents.records.keys() == {f"INV-{number}" for number in range(10)}
    assert contents.carried == {"EUR": Carried(euros("5"), 1)}
    return True


def test_half_written(path: Path) -> None:
    """Wherever a file ends, it is whole or lost."""
    ten(path)
    whole = path.read_bytes()
    sizes = {*range(1, len(whole), 1013), *range(2048, len(whole), 2048)}
    understood = set()
    for size in sizes:
        path.write_bytes(whole[:size])
        if is_whole(path):
            understood.add(size)
    # The last page may have room at its end.
    assert all(size > len(whole) - 2048 for size in understood)


def test_another_byte(path: Path) -> None:
    """A byte that changed, also in an index, never costs an invoice."""
    ten(path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 373):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        is_whole(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let something else hold the file."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.execute("ROLLBACK")
    other.close()


def test_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What something else has locked can be read and written later; nothing is lost."""
    monkeypatch.setattr(storage_module, "_LOCKED_FOR", 0.0)
    ten(path)
    with locked(path), pytest.raises(StorageError):
        read(path)
    storage, contents = read(path)
    assert len(contents.records) == 10
    with locked(path), pytest.raises(StorageError):
        storage.write(Changes(records=[record("new")]))
    storage.write(Changes(records=[record("new")]))
    storage.close()
    storage, contents = read(path)
    assert len(contents.records) == 11
    storage.close()


@pytest.mark.parametrize("what", ["a directory", "an I/O error"])
def test_unreadable_for_a_moment(path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """What can't be read now is not lost, and nothing is changed."""
    ten(path)
    whole = path.read_bytes()
    with monkeypatch.context() as patch:
        if what == "a directory":
            moved = path.rename(path.with_suffix(".moved"))
            path.mkdir()
        else:
            patch.setattr(sqlite3, "connect", _fail)
        with pytest.raises(StorageError):
            read(path)
    if what == "a directory":
        path.rmdir()
        moved.rename(path)
    assert path.read_bytes() == whole
    read(path)[0].close()


def _fail(*args: Any, **kwargs: Any) -> sqlite3.Connection:
    raise OSError(5, "Input/output error")


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_full_disk(path: Path) -> None:
    """What there was no room for isn't there in part, and can be written later."""
    ten(path)
    storage, _ = read(path)
    changes = Changes(
        records=[record(f"new-{number}", payment_url="x" * 900) for number in range(50)],
        carried=[Carried(euros("99"), 2)],
    )
    for size in (0, 4096, path.stat().st_size, path.stat().st_size + 8192):
        with full_disk(size), pytest.raises(StorageError):
            storage.write(changes)
        assert len(storage.find([f"new-{number}" for number in range(50)])) == 0
    storage.write(changes)
    storage.close()
    storage, contents = read(path)
    assert len(contents.records) == 60
    assert contents.carried == {"EUR": Carried(euros("99"), 2)}
    storage.close()


def test_folder_that_is_gone(path: Path, tmp_path: Path) -> None:
    """A folder that goes away in the middle fails the write; it is made again at a start."""
    ten(path)
    storage, _ = read(path)
    away = path.parent.rename(tmp_path / "away")
    with pytest.raises(StorageError):
        storage.write(Changes(records=[record("new")]))
    away.rename(path.parent)
    storage.write(Changes(records=[record("new")]))
    storage.delete()
    shutil.rmtree(path.parent)
    make(path).close()


def test_all_or_nothing(path: Path) -> None:
    """Of a transaction that fails in the middle nothing is written."""
    ten(path)
    storage, _ = read(path)
    impossible: Any = None
    with pytest.raises(StorageError):
        storage.write(Changes(records=[record("new")], facts={"more": impossible}))
    assert storage.find(["new"]) == {}
    storage.write(Changes(records=[record("new")]))
    assert storage.find(["new"]).keys() == {"new"}
    storage.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from custom_components.crypto_invoices.book import storage as module
from tests.book.conftest import read, record

storage, contents = read(Path(sys.argv[1]))
storage._opened.execute("PRAGMA cache_size = 1")

def kill(*details):
    os.kill(os.getpid(), signal.SIGKILL)

module.Transaction.__exit__ = kill
changed = [*contents.records.values()]
for one in changed:
    one.payment_url = "y" * 3000
storage.write(module.Changes(records=[*changed, *(record(f"new-{n}") for n in range(500))]))
"""


async def async_be_killed(path: Path) -> None:
    """Have somebody else be killed in the middle of a transaction."""
    command = (sys.executable, "-c", KILLED, str(path))
    killed = await create_subprocess_exec(*command, cwd=Path(__file__).parents[2])
    assert await killed.wait() == -signal.SIGKILL


def test_killed_in_the_middle(path: Path) -> None:
    """A journal that a kill leaves behind takes back what was half written."""
    ten(path)
    before = path.read_bytes()
    asyncio.run(async_be_killed(path))
    assert path.read_bytes() != before, "nothing was written yet"
    assert Path(f"{path}-journal").stat().st_size
    half_written, journal = path.read_bytes(), Path(f"{path}-journal").read_bytes()
    storage, contents = read(path)
    assert {one.payment_url for one in contents.records.values()} == {"x" * 900}
    assert len(contents.records) == 10
    storage.close()
    assert path.read_bytes() == before

    # The account is removed, or the file is lost, while the journal is there.
    path.write_bytes(half_written)
    Path(f"{path}-journal").write_bytes(journal)
    storage.set_aside()
    assert len(list(path.parent.iterdir())) == 2
    path.write_bytes(half_written)
    Path(f"{path}-journal").write_bytes(journal)
    storage.delete()
    assert list(path.parent.iterdir()) == []


def test_forgetting(path: Path) -> None:
    """What was watched long ago is forgotten; the latest come first."""
    storage = make(path)
    storage.write(
        Changes(
            gone=[
                Tombstone(id=str(days), times_watched=1, gone_at=NOW - timedelta(days=days))
                for days in (1, 29, 31)
            ]
        )
    )
    assert storage.recent(2) == ["1", "29"]
    # What is on disk only was watched until lately, too.
    ended = record("at rest", S.PAID, is_over=True, has_device=False, ended_at=NOW)
    storage.write(Changes(records=[ended, record("shown", S.PAID, is_over=True, ended_at=NOW)]))
    assert storage.recent(2) == ["at rest", "1"]
    storage.write(Changes(forget_before=NOW - timedelta(days=30)))
    assert storage.find(["1", "29", "31"]).keys() == {"1", "29"}
    storage.close()


def test_closed(path: Path) -> None:
    """Whoever asks a book that is closed hears so, and closing it again is fine."""
    ten(path)
    storage, _ = read(path)
    storage.close()
    storage.close()
    for ask in (
        lambda: storage.find(["INV-1"]),
        lambda: storage.recent(1),
        lambda: storage.write(Changes(facts={"a": "b"})),
    ):
        with pytest.raises(StorageError):
            ask()


def written_bytes() -> int:
    """Return how many bytes this process wrote."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


@pytest.mark.parametrize("count", [100, 10_000])
def test_a_payment_writes_little(path: Path, count: int) -> None:
    """However many invoices there are, a payment is written in 32 KiB at most."""
    storage = make(path)
    storage.write(
        Changes(
            records=[
                record(
                    f"INV-{number:05}",
                    S.PAID,
                    is_over=True,
                    has_device=False,
                    received=euros("10"),
                    order_id=f"Order {number}",
                    payment_url=f"https://pay.example/{number:032}",
                    created_at=NOW,
                    ended_at=NOW,
                )
                for number in range(count)
            ]
        )
    )
    for number in range(0, count, count // 10):
        paid = record(f"INV-{number:05}", S.PAID, announced=S.PENDING, ended_at=NOW)
        before = written_bytes()
        storage.write(Changes(records=[paid]))
        delivered = written_bytes()
        paid.announced = S.PAID
        storage.write(Changes(records=[paid]))
        assert delivered - before <= 32 * 1024
        assert written_bytes() - delivered <= 32 * 1024
    storage.close()


def test_closed_while_it_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever closes it waits for the thread that uses it: SQLite would crash the process."""
    make(path).close()
    is_open, go_on = Event(), Event()

    def slow(*given: Any) -> Contents:
        is_open.set()
        assert go_on.wait(10)
        return read_contents(*given)

    monkeypatch.setattr(storage_module, "read_contents", slow)
    storage = Storage(path)
    with ThreadPoolExecutor() as threads:
        opening = threads.submit(storage.open, must_exist=True, paid_since=LONG_AGO)
        assert is_open.wait(10)
        closing = threads.submit(storage.close)
        assert not wait([closing], timeout=0.05).done
        go_on.set()
        opening.result(10)
        closing.result(10)
    with pytest.raises(StorageError):
        storage.find(["A"])
