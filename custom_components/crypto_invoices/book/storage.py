"""The book on disk: a small SQLite database for each account. Knows nothing of Home Assistant.

Everything here blocks.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps
import os
from pathlib import Path
import sqlite3
from threading import RLock
from typing import Concatenate

from .contents import Changes, Contents
from .database import StorageError, StorageLost, Transaction, explain, prepare
from .record import Record, Tombstone
from .rows import read_contents, read_record, read_tombstone, write_changes, write_time

# How long to wait for something else that has the file locked, in seconds.
_LOCKED_FOR = 2.0


def _alone[**P, R](
    method: Callable[Concatenate[Storage, P], R],
) -> Callable[Concatenate[Storage, P], R]:
    """Let a method wait until no other thread works with the database."""

    @wraps(method)
    def work(storage: Storage, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with storage.turn:
            return method(storage, *args, **kwargs)

    return work


class Storage:
    """One account's database.

    One thread at a time works with it: whoever waits for a job may be cancelled, the job never
    is, and a connection that is closed while it is used takes the whole process with it.
    """

    def __init__(self, path: Path) -> None:
        """Keep the path; nothing is opened yet."""
        self.path = path
        self.turn = RLock()
        self._database: sqlite3.Connection | None = None

    @_alone
    def open(self, *, must_exist: bool, paid_since: datetime) -> Contents:
        """Open the file, make it if it need not exist, and return what is in it.

        Raises StorageError where that may work later, and StorageLost where it can't.
        """
        try:
            if not self.path.exists():
                _check("the file is missing", is_fine=not must_exist)
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._database = sqlite3.connect(
                self.path, timeout=_LOCKED_FOR, isolation_level=None, check_same_thread=False
            )
            self._database.row_factory = sqlite3.Row
            prepare(self._database, must_exist=must_exist)
            return read_contents(self._database, paid_since)
        except BaseException as err:
            self.close()
            raise explain(err) from err

    @_alone
    def write(self, changes: Changes) -> None:
        """Write all of it or nothing. Raises StorageError."""
        try:
            database = self._opened
            with Transaction(database):
                write_changes(database, changes)
        except (OSError, sqlite3.Error) as err:
            raise StorageError(str(err)) from err

    @_alone
    def find(self, ids: Collection[str]) -> dict[str, Record | Tombstone]:
        """Return what is on disk of these invoices, watched or not. Raises StorageError."""
        found: dict[str, Record | Tombstone] = {}
        try:
            for id_ in ids:
                for row in self._opened.execute("SELECT * FROM tombstones WHERE id = ?", (id_,)):
                    found[id_] = read_tombstone(row)
                for row in self._opened.execute("SELECT * FROM records WHERE id = ?", (id_,)):
                    found[id_] = read_record(row)
        except (ArithmeticError, LookupError, OSError, TypeError, ValueError, sqlite3.Error) as err:
            raise StorageError(str(err)) from err
        return found

    @_alone
    def ended(self, before: datetime, most: int) -> list[str]:
        """Return the IDs of invoices that are on disk only and ended then. Raises StorageError."""
        try:
            rows = self._opened.execute(
                "SELECT id FROM on_disk WHERE ended_at <= ? LIMIT ?", (write_time(before), most)
            ).fetchall()
        except (OSError, sqlite3.Error) as err:
            raise StorageError(str(err)) from err
        return [row["id"] for row in rows]

    @_alone
    def at_rest(self, most: int) -> list[Record]:
        """Return invoices that are on disk only, the newest first. Raises StorageError."""
        try:
            rows = self._opened.execute(
                "SELECT * FROM on_disk ORDER BY coalesce(created_at, ended_at) DESC LIMIT ?",
                (most,),
            ).fetchall()
            return [read_record(row) for row in rows]
        except (ArithmeticError, LookupError, OSError, TypeError, ValueError, sqlite3.Error) as err:
            raise StorageError(str(err)) from err

    @_alone
    def recent(self, most: int) -> list[str]:
        """Return IDs that were watched until lately, or are on disk only, the latest first.

        Raises StorageError.
        """
        try:
            rows = self._opened.execute(
                "SELECT id, gone_at AS at FROM tombstones"
                " UNION ALL SELECT id, ended_at FROM on_disk ORDER BY at DESC LIMIT ?",
                (most,),
            ).fetchall()
        except (OSError, sqlite3.Error) as err:
            raise StorageError(str(err)) from err
        return [row["id"] for row in rows]

    @property
    def _opened(self) -> sqlite3.Connection:
        """The database, which has to be open."""
        if self._database is None:
            raise StorageError("the book is closed")
        return self._database

    @_alone
    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def set_aside(self) -> None:
        """Keep a file that can't be understood under another name, with its journal."""
        mark = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        for path in (self.path, self._journal):
            with suppress(FileNotFoundError):
                path.rename(f"{path}.unreadable.{mark}")

    @_alone
    def discard(self) -> None:
        """Delete the file and its journal."""
        self.close()
        for path in (self.path, self._journal):
            path.unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete the file, its journal, and what was set aside."""
        self.discard()
        for path in self._all_set_aside():
            path.unlink(missing_ok=True)

    @property
    def _journal(self) -> Path:
        """What SQLite writes before it changes the file."""
        return Path(f"{self.path}-journal")

    def _all_set_aside(self) -> list[Path]:
        """Return the files that were set aside."""
        return [
            path
            for path in self.path.parent.glob(f"{self.path.name}*")
            if ".unreadable." in path.name
        ]


def _check(problem: str, *, is_fine: bool) -> None:
    """Raise StorageLost where something is wrong with the file itself."""
    if not is_fine:
        raise StorageLost(problem)
