"""What SQLite is given about a book, and what its errors mean. Knows nothing of Home Assistant."""

from contextlib import suppress
import sqlite3

SCHEMA_VERSION = 1
# In bytes. A payment changes one or two pages, and each is written twice: to the journal and to
# the file. Smaller ones are too small for a record.
PAGE_SIZE = 2048
# What says nothing about the file itself: the low byte of SQLite's error codes.
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
TABLES = """
CREATE TABLE records (
    id TEXT PRIMARY KEY, times_watched INTEGER NOT NULL, order_id TEXT, memo TEXT,
    is_automatic INTEGER NOT NULL, has_device INTEGER NOT NULL,
    asked_amount TEXT, asked_currency TEXT, status TEXT NOT NULL, announced TEXT,
    counts TEXT NOT NULL, received_amount TEXT, received_currency TEXT,
    created_at TEXT, expires_at TEXT, paid_at TEXT, ended_at TEXT,
    payment_url TEXT, payment_text TEXT, is_test INTEGER NOT NULL, is_over INTEGER NOT NULL,
    is_dated_here INTEGER NOT NULL,
    item_announcement_id TEXT, item_previous TEXT, item_since TEXT, item_tried_at TEXT,
    item_attempts INTEGER, item_heard_by TEXT, item_fulfilled_at TEXT
) WITHOUT ROWID;
CREATE VIEW in_memory AS SELECT * FROM records
    WHERE NOT is_over OR has_device OR announced IS NOT status OR item_since IS NOT NULL;
CREATE VIEW on_disk AS SELECT * FROM records
    WHERE NOT (
        NOT is_over OR has_device OR announced IS NOT status OR item_since IS NOT NULL
    );
CREATE TABLE tombstones (
    id TEXT PRIMARY KEY, times_watched INTEGER NOT NULL, gone_at TEXT NOT NULL,
    created_at TEXT, paid_at TEXT, brought_amount TEXT, brought_currency TEXT
) WITHOUT ROWID;
CREATE TABLE carried (currency TEXT PRIMARY KEY, amount TEXT NOT NULL, number INTEGER NOT NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class StorageError(Exception):
    """The book can't be read or written for the moment: nothing of it is lost."""


class StorageLost(Exception):
    """There is no book in the file, or none that this version understands."""


class Transaction:
    """All of it or nothing."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Keep the database."""
        self._database = database

    def __enter__(self) -> None:
        """Begin."""
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        """Commit, or take everything back."""
        if kind is None:
            try:
                self._database.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        """Take everything back; SQLite has done so already after some errors."""
        with suppress(sqlite3.Error):
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")


def prepare(database: sqlite3.Connection, *, must_exist: bool) -> None:
    """Check the schema, or make it in a file that is new."""
    database.execute("PRAGMA synchronous = FULL")
    [version] = database.execute("PRAGMA user_version").fetchone()
    if version == 0 and not must_exist:
        database.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        with Transaction(database):
            for statement in TABLES.split(";"):
                database.execute(statement)
            database.execute("PRAGMA user_version = 1")
    elif version != SCHEMA_VERSION:
        raise StorageLost(f"schema version {version}, not {SCHEMA_VERSION}")
    [[verdict]] = database.execute("PRAGMA integrity_check(1)").fetchall()
    if verdict != "ok":
        raise StorageLost("the file is damaged")


def explain(err: BaseException) -> BaseException:
    """Return what a failure to open the file means."""
    if isinstance(err, StorageError | StorageLost):
        return err
    if isinstance(err, OSError) or (isinstance(err, sqlite3.Error) and _is_passing(err)):
        return StorageError(str(err))
    malformed = (ArithmeticError, LookupError, TypeError, ValueError, sqlite3.Error, AttributeError)
    return StorageLost(str(err)) if isinstance(err, malformed) else err


def _is_passing(err: sqlite3.Error) -> bool:
    """Whether an error says nothing about the file itself."""
    code = getattr(err, "sqlite_errorcode", 0)
    # A file that ends too early stays so.
    return code & 0xFF in _PASSING and code != sqlite3.SQLITE_IOERR_SHORT_READ
