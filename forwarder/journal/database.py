"""The SQLite file that holds the journals: one writer, and every failure a ``JournalError``.

A connection takes half a megabyte. ``rest`` gives it up while nothing is read or written, as for
most of many log groups; the next use connects again.

WAL with synchronous=NORMAL: a commit survives the end of the process, but not always a power cut.
Rows that a power cut removes can't be confused with what viewers know: every open begins an epoch.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

from common.files import open_regular
from forwarder.errors import JournalError, JournalFullError, JournalInUseError

SCHEMA_VERSION: Final = 1
"""The file's ``user_version``; a greater one means that a newer gapless wrote it."""

APPLICATION_ID: Final = 0x6761706C
"""The file's ``application_id``: ``gapl`` in ASCII."""

REPLICA_ID: Final = 0x67617076
"""A replica's ``application_id``, ``gapv``: opening it as a journal would begin an epoch."""

_BUSY_S: Final = 1.0
"""Time to wait for the lock of a forwarder that is just stopping."""

_PAGE_BYTES: Final = 16_384
"""Appending is about a tenth faster than with 4 KiB (measured)."""

SMALL_PAGE_BYTES: Final = 4_096
"""Of a file for one log group among many: SQLite allocates 20 pages for each connection at once."""

_CACHE_KIB: Final = 32_768

_SYNCHRONOUS: Final = "NORMAL"
"""Commits do not wait for the disk; see the module's docstring."""

_WAL_BYTES_MAX: Final = 64 << 20
"""Size to which the WAL file is truncated after it grew."""

_FAILED_WRITES: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
    }
)

_IN_USE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_SCHEMA: Final = """
CREATE TABLE chains (  -- one feed's rows from one beginning; the others are being deleted
    chain INTEGER PRIMARY KEY AUTOINCREMENT,
    name BLOB NOT NULL,
    is_current INTEGER NOT NULL,
    head INTEGER NOT NULL,
    body_bytes INTEGER NOT NULL,
    retired_ms INTEGER NOT NULL  -- no event before it has its body, those in strays aside
);
CREATE UNIQUE INDEX chain_of_group ON chains (name) WHERE is_current;
CREATE TABLE links (
    chain INTEGER NOT NULL, position INTEGER NOT NULL,
    epoch TEXT NOT NULL, first_seq INTEGER NOT NULL,
    PRIMARY KEY (chain, position)
) WITHOUT ROWID;
CREATE TABLE streams (
    stream INTEGER PRIMARY KEY,
    chain INTEGER NOT NULL, name BLOB NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
    UNIQUE (chain, name)
);
CREATE TABLE events (
    place INTEGER PRIMARY KEY,  -- chain << 40 | seq
    chain INTEGER NOT NULL,
    id BLOB NOT NULL,  -- its digits, two a byte, so that bytes compare as numbers do
    timestamp INTEGER NOT NULL,
    ingestion_time INTEGER,
    stream INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    digest INTEGER NOT NULL,  -- signed
    message BLOB  -- UTF-8, lone surrogates passed; NULL where retention took it
);
CREATE UNIQUE INDEX event_ids ON events (chain, id);
CREATE INDEX display_order ON events (chain, timestamp, id, stream, digest);
CREATE TABLE sums (  -- of all rows, by stream and block of time: low and high halves of digests
    chain INTEGER NOT NULL, block INTEGER NOT NULL, stream INTEGER NOT NULL,
    count INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
    PRIMARY KEY (chain, block, stream)
) WITHOUT ROWID;
CREATE TABLE strays (  -- bodies that came, or came back, behind retired_ms
    chain INTEGER NOT NULL, timestamp INTEGER NOT NULL, id BLOB NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (chain, timestamp, id)
) WITHOUT ROWID;
CREATE TABLE lost (
    place INTEGER PRIMARY KEY,
    chain INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    stream INTEGER NOT NULL, digest INTEGER NOT NULL, reason BLOB NOT NULL
);
CREATE INDEX lost_order ON lost (chain, timestamp);
CREATE TABLE coverage (
    chain INTEGER NOT NULL, from_ms INTEGER NOT NULL, through_ms INTEGER NOT NULL,
    PRIMARY KEY (chain, from_ms)
) WITHOUT ROWID;
CREATE TABLE gaps (
    chain INTEGER NOT NULL, id TEXT NOT NULL,
    from_ms INTEGER NOT NULL, through_ms INTEGER NOT NULL,
    state TEXT NOT NULL, reason BLOB NOT NULL, recovered INTEGER NOT NULL,
    PRIMARY KEY (chain, id)
) WITHOUT ROWID;
CREATE TABLE executions_over (
    chain INTEGER NOT NULL, rule BLOB NOT NULL, execution BLOB NOT NULL, status TEXT NOT NULL,
    PRIMARY KEY (chain, rule, execution)
) WITHOUT ROWID;
"""

Values = Sequence[Any]


def to_blob(text: str) -> bytes:
    """Encode any text, since SQLite's TEXT does not accept lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def from_blob(data: bytes) -> str:
    """Decode what ``to_blob`` encoded."""
    return data.decode("utf-8", "surrogatepass")


class Database:
    """An open SQLite file, for one thread, locked against other processes until it is closed."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        is_replica: bool = False,
        page_bytes: int = _PAGE_BYTES,
    ) -> None:
        """Open or create the file.

        Args:
            path: the file.
            page_bytes: size of a page, if the file is created.
            is_replica: whether another store holds the truth, so that commits need not survive a
                power cut (the owner of the file must notice one).

        Raises:
            JournalError: it can't be opened, is not a journal, is in use, or is of a newer
                version; nothing was changed.
        """
        self.path = os.fspath(path)
        self._application_id = REPLICA_ID if is_replica else APPLICATION_ID
        self._synchronous = "OFF" if is_replica else _SYNCHRONOUS
        self._page_bytes = page_bytes
        self._is_closed = False
        self.use_count = 0
        """Queries and transactions so far."""
        self._create_file()
        self._open: sqlite3.Connection | None = self._connect()

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            if self._is_closed:
                self._fail("it is closed")
            if not Path(self.path).exists():
                self._fail("it was moved or deleted while in use: put it back, or restart")
            self._open = self._connect()
        return self._open

    def _connect(self) -> sqlite3.Connection:
        with self._translating_errors("opened"):
            connection = sqlite3.connect(Path(self.path).absolute(), _BUSY_S, isolation_level=None)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    @property
    def is_resting(self) -> bool:
        """Whether there is no connection at present."""
        return self._open is None

    def rest(self) -> None:
        """Close the connection until the next use; other processes must be kept away meanwhile.

        Raises:
            JournalError: the WAL can't be checkpointed.
        """
        connection, self._open = self._open, None
        if connection is not None:
            with self._translating_errors("closed"):
                connection.close()

    def rows(self, sql: str, values: Values = ()) -> list[Any]:
        """Run a query and return all rows as tuples."""
        self.use_count += 1
        with self._translating_errors("read"):
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write in a transaction: committed at the end of the block, rolled back on an error.

        Within another one it is a part of that: committed or rolled back with it.
        """
        self.use_count += 1
        connection = self._connection
        with self._translating_errors("written"):
            is_nested = connection.in_transaction
            if is_nested:
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Checkpoint the WAL and unlock the file."""
        self._is_closed = True
        self.rest()

    def _create_file(self) -> None:
        """Create the file if needed, for its owner only, because logs may be confidential."""
        path = Path(self.path)
        if not path.parent.is_dir():
            self._fail(f"the directory {path.parent} does not exist: create it")
        if path.is_dir():
            self._fail("it is a directory: name a file in it")
        try:
            os.close(open_regular(path, os.O_RDWR | os.O_CREAT))
        except OSError as error:
            self._fail(f"{error.strerror}: check its permissions, or give --journal another path")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # The lock is taken at the first access and held until the file is closed. It ends with the
        # process, so there is nothing to clean up after SIGKILL.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        is_new = not connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]
        if not is_new and owner != self._application_id:
            self._fail("it is another program's database: give --journal another path")
        if version > SCHEMA_VERSION:
            self._fail(
                f"it was written by a newer gapless (version {version}, this one knows"
                f" {SCHEMA_VERSION}): upgrade gapless, or give --journal another path"
            )
        connection.execute(f"PRAGMA page_size = {self._page_bytes}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_MAX}")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        if is_new:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute(f"PRAGMA application_id = {self._application_id}")
        connection.execute("COMMIT")

    @contextmanager
    def _translating_errors(self, action: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._fail(_advice(error), action, error)

    def _fail(self, why: str, action: str = "opened", error: Exception | None = None) -> NoReturn:
        msg = f"the journal {self.path} can't be {action}: {why}"
        raise _error_type(error)(msg) from error


def _error_type(error: Exception | None) -> type[JournalError]:
    if _is_out_of_space(error):
        return JournalFullError
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return JournalInUseError if code in _IN_USE else JournalError


def _is_out_of_space(error: Exception | None) -> bool:
    """Whether there was no room: a quota or a file size limit shows as a failed write."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code in _FAILED_WRITES


def _advice(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _IN_USE:
        return "another forwarder is using it: stop that one, or give --journal another path"
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full: make room"
    if _is_out_of_space(error):
        return f"{error}: make room on the disk, or check its quota and its health"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"{error}: move it away to start a new journal, or give --journal another path"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"{error}: check the permissions of the file and its directory"
    return f"{error}: check the disk"
