"""The book of an account: what is in memory is ahead of the file, and never of what was said."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from custom_components.crypto_invoices.book.database import StorageError
from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.book.writer import HELD
from custom_components.crypto_invoices.providers.model import InvoiceStatus as S

from .conftest import NOW, Jobs, euros, open_book, record


async def test_survives_a_kill(path: Path) -> None:
    """What was committed is there after a kill; what wasn't is as it was."""
    book, disk = open_book(path, must_exist=False)
    await book.async_add([record("A"), record("B")])
    book.set_fact("listed_to", "then")
    assert await book.async_commit()
    book.records["A"].status = S.PAID
    book.changed(book.records["A"])
    assert list(book.unannounced) == ["A"]
    disk.close()

    book, disk = open_book(path)
    assert {id_: one.status for id_, one in book.records.items()} == {
        "A": S.PENDING,
        "B": S.PENDING,
    }
    assert book.fact("listed_to") == "then"
    await book.async_close()


async def test_announced_once(path: Path) -> None:
    """What is to be announced is a difference; it stays until it was delivered, over a kill."""
    book, _ = open_book(path, must_exist=False)
    await book.async_add([record("A")])
    one = book.records["A"]
    one.status = S.PAID
    book.changed(one)
    transition = book.pending("A")
    assert transition
    await book.async_close()

    book, _ = open_book(path)
    assert list(book.unannounced) == ["A"]
    again = book.pending("A")
    assert again == transition
    book.note_announced("A", transition)
    # A copy of the same delivery ends later.
    book.note_announced("A", transition)
    assert book.pending("A") is None
    assert not book.unannounced
    await book.async_close()

    book, _ = open_book(path)
    assert not book.unannounced
    assert book.records["A"].counts == {"payment": 1}
    await book.async_close()


async def test_announced_while_it_is_written(path: Path) -> None:
    """What a write began with is written: a kill after it announces with the same ID."""
    book, disk = open_book(path, must_exist=False)
    await book.async_add([record("A")])
    one = book.records["A"]
    one.status = S.PAID
    book.changed(one)
    transition = book.pending("A")
    assert transition
    # The disk has its turn after this.
    commit = asyncio.create_task(book.async_commit())
    await asyncio.sleep(0)
    book.note_announced("A", transition)
    assert await commit
    disk.close()

    book, _ = open_book(path)
    assert book.pending("A") in (None, transition)
    await book.async_close()


async def test_delivered_too_late(path: Path) -> None:
    """The end of a delivery of an invoice that was removed, or added anew, counts for nothing."""
    book, _ = open_book(path, must_exist=False)
    await book.async_add([record("A", S.PAID, announced=S.PENDING)])
    transition = book.pending("A")
    assert transition
    book.remove("A", NOW)
    book.note_announced("A", transition)
    await book.async_add([record("A", S.PAID, announced=S.PENDING)])
    book.note_announced("A", transition)
    new = book.pending("A")
    assert new
    assert new.id != transition.id, "it was watched before"
    await book.async_close()


async def test_removed_and_added_again(path: Path) -> None:
    """An invoice that is added again begins anew; that it was there before is remembered."""
    book, _ = open_book(path, must_exist=False)
    for times in range(3):
        [one] = await book.async_add([record("A", S.PAID, received=euros("9"))])
        assert (one.times_watched, one.announced) == (times, S.PAID)
        assert await book.async_add([record("A")]) == [], "it is watched already"
        assert book.sums.received == {"EUR": 9}
        book.remove("A", NOW)
        assert book.sums.received == {"EUR": 9}
        if times:
            await book.async_close()
            book, _ = open_book(path)
    assert book.records == {}
    assert await book.async_recent(10) == ["A"]
    await book.async_close()


@pytest.mark.parametrize("turns", range(8))
async def test_added_while_it_is_closed(path: Path, turns: int) -> None:
    """What is added then is on disk, or whoever adds it hears that it isn't."""
    book, _ = open_book(path, must_exist=False)
    book.set_fact("a", "b")
    closing = asyncio.ensure_future(book.async_close())
    for _ in range(turns):
        await asyncio.sleep(0)
    added: list[Record] = []
    with suppress(StorageError):
        added = await book.async_add([record("A")])
    await closing
    book, _ = open_book(path)
    assert list(book.records) == [one.id for one in added]
    await book.async_close()


async def test_what_is_only_on_disk(path: Path) -> None:
    """An invoice that is over and has no device takes no memory; added again it goes on."""
    book, _ = open_book(path, must_exist=False)
    over = record("A", S.PAID, is_over=True, has_device=False, times_watched=2)
    over.counts["payment"] = 1
    await book.async_add([over, record("B")])
    await book.async_close()
    book, _ = open_book(path)
    assert book.records.keys() == {"B"}
    assert book.sums.received == {"EUR": 10}
    [one] = await book.async_add([record("A")])
    assert (one.status, one.times_watched, one.counts) == (S.PAID, 2, {"payment": 1})
    assert one.has_device
    assert book.sums.received == {"EUR": 10}
    await book.async_close()


async def test_full_disk(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What could not be written is written later, all of it; one line says that it can't."""
    book, disk = open_book(path, must_exist=False)
    await book.async_add([record("A"), record("B", S.PAID), record("C")])
    await book.async_commit()
    with disk.full():
        book.records["A"].status = S.PAID
        book.changed(book.records["A"])
        for _ in range(3):
            assert not await book.async_commit()
        book.remove("B", NOW)
        assert not await book.async_commit()
        book.remove("C", NOW)
        await book.async_add([record("B", S.PAID, received=euros("4"))])
        book.set_fact("listed_to", "then")
        with pytest.raises(StorageError):
            await book.async_write()
        assert book.diagnostics()["last_write_failed"]
    assert caplog.text.count("Can't write book.db") == 1
    assert await book.async_commit()
    assert not book.diagnostics()["last_write_failed"]
    expected = dict(book.records)
    disk.close()
    book, _ = open_book(path)
    assert book.records == expected
    assert book.records["B"].times_watched == 1
    assert book.sums.received == {"EUR": 14}
    assert book.fact("listed_to") == "then"
    await book.async_close()


async def test_nothing_is_written_that_did_not_change(path: Path) -> None:
    """A commit without changes, or of facts that were known, doesn't touch the disk."""
    book, disk = open_book(path, must_exist=False)
    await book.async_add([record("A")])
    book.note_read()
    await book.async_commit()
    assert disk.writes == 1
    for _ in range(3):
        book.note_read()
        assert await book.async_commit()
    assert disk.writes == 1
    await book.async_close()


@pytest.mark.parametrize("fails", [False, True])
async def test_whoever_is_cancelled(path: Path, *, fails: bool) -> None:
    """A commit goes on without its caller; what it could not write is not forgotten."""
    book, disk = open_book(path, must_exist=False)
    await book.async_add([record("A")])
    if fails:
        disk.fulls += 1
    # One has its turn, the other waits for it.
    commits = [asyncio.create_task(book.async_commit()) for _ in range(2)]
    await asyncio.sleep(0)
    for commit in commits:
        commit.cancel()
    for commit in commits:
        with suppress(asyncio.CancelledError):
            await commit
    disk.fulls = 0
    assert await book.async_commit()
    disk.close()
    book, _ = open_book(path)
    assert book.records.keys() == {"A"}
    await book.async_close()


async def test_adding_goes_on(path: Path) -> None:
    """An invoice that somebody began to add is watched, also when the caller is gone."""
    book, _ = open_book(path, must_exist=False)
    version = book.version
    adding = asyncio.create_task(book.async_add([record("A")]))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    await book.async_commit()
    assert book.records.keys() == {"A"}
    assert book.version != version, "nobody would notice"
    await book.async_close()


async def test_added_twice_at_once(path: Path) -> None:
    """The same invoice from two sides is one."""
    book, _ = open_book(path, must_exist=False)
    added = await asyncio.gather(*(book.async_add([record("A"), record(id_)]) for id_ in "BC"))
    assert sorted(one.id for some in added for one in some) == ["A", "B", "C"]
    assert book.sums.outstanding == {"EUR": 30}
    await book.async_close()


async def test_hold(path: Path) -> None:
    """While a backup is made nothing is written, what was under way first comes to its end."""
    jobs = Jobs()
    book, disk = open_book(path, must_exist=False, jobs=jobs)
    await book.async_add([record("A")])
    under_way = [asyncio.create_task(book.async_commit()) for _ in range(2)]
    await asyncio.sleep(0)
    book.set_fact("changed", "meanwhile")
    jobs.data[HELD] = object()
    assert not await book.async_commit()
    writes = disk.writes
    await asyncio.gather(*under_way)
    assert disk.writes == writes, "what was under way had ended"
    book.set_fact("changed", "later")
    assert not await book.async_commit()
    assert disk.writes == writes
    # It can be read, all the same.
    assert (await book.async_find(["A"])).keys() == {"A"}
    del jobs.data[HELD]
    assert await book.async_commit()
    disk.close()
    book, _ = open_book(path, jobs=jobs)
    assert book.fact("changed") == "later"
    # Who closes it doesn't wait for a backup.
    jobs.data[HELD] = object()
    book.set_fact("changed", "at the end")
    await book.async_close()
    book, _ = open_book(path)
    assert book.fact("changed") == "at the end"
    await book.async_close()


async def test_forgets(path: Path) -> None:
    """After a month the ID is forgotten, never the money."""
    book, _ = open_book(path, must_exist=False)
    await book.async_add([record("A", S.PAID), record("B", S.PAID)])
    book.remove("A", NOW)
    book.remove("B", NOW + timedelta(days=2))
    await book.async_commit()
    book.forget_before(NOW + timedelta(days=1))
    await book.async_commit()
    assert (await book.async_find("AB")).keys() == {"B"}
    assert book.sums.received == {"EUR": 20}
    await book.async_close()
    book, _ = open_book(path)
    assert book.sums.received == {"EUR": 20}
    await book.async_close()


async def test_10_000(path: Path) -> None:
    """With 10,000 invoices that are over, only the others are in memory."""
    book, _ = open_book(path, must_exist=False)
    await book.async_add(
        record(f"over-{number}", S.PAID, is_over=True, has_device=False) for number in range(9_900)
    )
    await book.async_add(record(f"open-{number}") for number in range(100))
    await book.async_close()
    book, _ = open_book(path)
    assert len(book.records) == 100
    assert book.sums.received == {"EUR": 99_000}
    assert book.sums.outstanding == {"EUR": 1_000}
    await book.async_close()


async def test_diagnostics(path: Path) -> None:
    """How much is known may be shared, and nothing of what it is."""
    book, _ = open_book(path, must_exist=False)
    await book.async_add([record("INV-SECRET", S.PAID, announced=S.PENDING)])
    transition = book.pending("INV-SECRET")
    assert transition
    assert book.diagnostics()["to_announce"] == 1
    book.note_announced("INV-SECRET", transition)
    assert book.diagnostics() == {
        "version": 1,
        "records": 1,
        "announced": {"payment": 1},
        "to_announce": 0,
        "to_fulfill": 0,
        "last_write_failed": False,
    }
    await book.async_close()
