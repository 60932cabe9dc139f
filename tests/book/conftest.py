"""What the tests of the book share: a disk, and somebody who does the jobs."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
import sqlite3
from typing import Any, cast, override
from unittest.mock import patch

from homeassistant.core import HomeAssistant
import pytest

from custom_components.crypto_invoices.book import storage as storage_module
from custom_components.crypto_invoices.book.book import Book
from custom_components.crypto_invoices.book.contents import Changes, Contents
from custom_components.crypto_invoices.book.record import Money, Record
from custom_components.crypto_invoices.book.rows import write_changes
from custom_components.crypto_invoices.book.storage import Storage
from custom_components.crypto_invoices.providers.model import InvoiceStatus as S

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def euros(amount: str) -> Money:
    """Return an amount of money."""
    return Money(Decimal(amount), "EUR")


def record(id_: str = "A", status: S = S.PENDING, **fields: Any) -> Record:
    """Return a record of an invoice of 10 EUR that automations know."""
    return Record(
        **{"id": id_, "status": status, "announced": status, "asked": euros("10"), **fields}
    )


class Disk(Storage):
    """A file on a disk that may be full in the middle of a transaction."""

    fulls = 0
    writes = 0

    @override
    def write(self, changes: Changes) -> None:
        """Write as far as there is room."""
        with patch.object(storage_module, "write_changes", self._write_changes):
            super().write(changes)

    def _write_changes(self, database: sqlite3.Connection, changes: Changes) -> None:
        """Write it all, unless the disk is full by then."""
        write_changes(database, changes)
        if self.fulls:
            raise sqlite3.OperationalError("database or disk is full")
        self.writes += 1

    @contextmanager
    def full(self) -> Iterator[None]:
        """Let the disk be full."""
        self.fulls += 1
        yield
        self.fulls -= 1


def read(path: Path, *, must_exist: bool = True) -> tuple[Disk, Contents]:
    """Open a file as a start does."""
    storage = Disk(path)
    return storage, storage.open(must_exist=must_exist, paid_since=LONG_AGO)


def make(path: Path) -> Disk:
    """Begin a file."""
    return read(path, must_exist=False)[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a book may be."""
    return tmp_path / "storage" / "book.db"


class Jobs:
    """Does the jobs that Home Assistant does for a book, at once."""

    def __init__(self) -> None:
        """Begin with nothing held."""
        self.data: dict[object, object] = {}

    async def async_add_executor_job[T](self, job: Callable[..., T], *args: Any) -> T:
        """Do a job; others have their turn before it and after it."""
        await asyncio.sleep(0)
        try:
            return job(*args)
        finally:
            await asyncio.sleep(0)

    def async_create_task[T](self, job: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Make a task."""
        return asyncio.get_running_loop().create_task(job, name=name, eager_start=True)


def open_book(
    path: Path, *, must_exist: bool = True, jobs: Jobs | None = None
) -> tuple[Book, Disk]:
    """Return a book as it is on disk, and the disk."""
    disk, contents = read(path, must_exist=must_exist)
    return Book(cast("HomeAssistant", jobs or Jobs()), "entry", disk, contents), disk
