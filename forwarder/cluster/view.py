"""A view: a local SQLite journal that follows a replicated log, for all reads.

The log is the truth, so commits do not wait for the disk. The position and the digest of the last
applied entry are in the same transaction as its rows, hence the file always is a prefix of the log
that it followed. A file that is no prefix of the present log (it was set back), or that a power cut
may have damaged, is deleted and built again from the log.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from forwarder.cluster import entries as coding
from forwarder.cluster.entries import (
    Append,
    BeginChain,
    BeginEpoch,
    Change,
    MarkLost,
    Over,
    Restore,
    Retire,
)
from forwarder.cluster.log import EMPTY, Entry, Head, Log, digest_of
from forwarder.cluster.status import Status
from forwarder.errors import JournalError, JournalFullError, JournalInUseError
from forwarder.journal.contract import new_epoch
from forwarder.journal.database import Database, from_blob
from forwarder.journal.sqlite import SqliteJournal
from forwarder.journal.tables import Bodied
from forwarder.records import LogEvent

READ_ENTRIES: Final = 64
"""Entries that are read and applied at once: at most 64 MiB, mostly far less."""

DIGESTS_MAX: Final = 10_000
"""Entries whose digests are kept: a status that is older is not compared, hence not believed."""

ENTRY_BYTES: Final = 100
"""Approximate size of an entry in an engine besides its index (PostgreSQL: 93, measured)."""

REBUILDS_MAX: Final = 3
"""Times that one call builds the file again; a log that contradicts itself would never end."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS replica (
    position INTEGER NOT NULL, digest BLOB NOT NULL,  -- of the last entry that is applied
    chain_at INTEGER NOT NULL,  -- position of the entry that began the chain
    dropped_seq INTEGER NOT NULL,  -- no row up to it has its body, restored ones aside
    boot TEXT NOT NULL,
    log_bytes INTEGER NOT NULL  -- size of the chain's entries in the log, bodies aside
);
CREATE TABLE IF NOT EXISTS replica_digests (  -- of the latest entries
    position INTEGER PRIMARY KEY, digest BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS replica_entries (  -- which entry holds the rows from a seq on
    first_seq INTEGER PRIMARY KEY, position INTEGER NOT NULL
);
"""


class ForkedError(JournalError):
    """The view is no prefix of the log: ``rebuild`` it; its cursors beyond the fork are void."""


def boot_id() -> str:
    """Identify the run of this machine's kernel; each call differs where that is not known.

    Files written before a power cut can't be trusted, because commits do not wait for the disk.
    """
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return secrets.token_hex(16)


class _Append(NamedTuple):
    """An entry that appends events."""

    change: Append
    messages: Sequence[bytes] | None


class View:
    """One journal's view, in a file of its own; for one thread."""

    def __init__(self, path: Path, group: str, pattern: str = "", *, boot: str) -> None:
        """Open or create the file.

        Args:
            path: the file, in a directory of the forwarder's own; it may be deleted at any time.
            group: the log group.
            pattern: the feed's filter pattern; empty: all events.
            boot: the present ``boot_id``.

        Raises:
            JournalError: it can't be opened, or another process has it open.
        """
        self._path = path
        self._group = group
        self._pattern = pattern
        self._boot = boot
        self._epoch: str | None = None
        self._chain_at: int
        self._dropped_seq: int
        self._log_bytes: int
        try:
            self._open()
        except (JournalInUseError, JournalFullError):
            raise
        except JournalError:
            # Damaged, or of another version: the log has it all.
            self._delete()
            self._open()

    def _open(self) -> None:
        self._db = Database(self._path, is_replica=True)
        try:
            self._load()
        except BaseException:
            self._db.close()
            raise

    def _load(self) -> None:
        db = self._db
        with db.transaction() as connection:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            columns = connection.execute("PRAGMA table_info(replica)").fetchall()
            if "log_bytes" not in [column[1] for column in columns]:
                # An earlier version's file: what it holds so far is not counted.
                connection.execute(
                    "ALTER TABLE replica ADD COLUMN log_bytes INTEGER NOT NULL DEFAULT 0"
                )
            if not connection.execute("SELECT 1 FROM replica").fetchone():
                values = (*EMPTY, self._boot)
                connection.execute("INSERT INTO replica VALUES (?, ?, 0, 0, ?, 0)", values)
        [(boot,)] = db.rows("SELECT boot FROM replica")
        if boot != self._boot:
            msg = f"the view {self._path} was written before this machine restarted"
            raise JournalError(msg)
        self._load_position()
        self.journal = SqliteJournal(
            db, self._group, self._make_epoch, pattern=self._pattern, is_replica=True
        )
        """What the view holds, to be read only; another object after ``rebuild``."""

    def _load_position(self) -> None:
        sql = "SELECT position, digest, chain_at, dropped_seq, log_bytes FROM replica"
        [(position, digest, *rest)] = self._db.rows(sql)
        self._chain_at, self._dropped_seq, self._log_bytes = rest
        self._head: Head = Head(int(position), digest)

    def _make_epoch(self) -> str:
        """The epoch of the entry that is being applied; before the first, a new one."""
        epoch, self._epoch = self._epoch, None
        return epoch or new_epoch()

    @property
    def head(self) -> Head:
        """The last entry that is applied."""
        return self._head

    @property
    def position(self) -> int:
        """Its position; 0 in an empty view, which cannot serve viewers."""
        return self.head.position

    @property
    def chain_at(self) -> int:
        """Position of the entry that began the present chain."""
        return self._chain_at

    @property
    def log_bytes(self) -> int:
        """Approximate size of the present chain in the log, bodies aside."""
        return self._log_bytes

    def close(self) -> None:
        """Close and unlock the file."""
        self._db.close()

    def rebuild(self) -> None:
        """Delete the file and begin an empty one."""
        self._db.close()
        self._delete()
        self._open()

    def _delete(self) -> None:
        try:
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            msg = f"the view {self._path} can't be deleted: {error.strerror}: check its permissions"
            raise JournalError(msg) from error

    def catch_up(self, log: Log) -> bool:
        """Apply all that the log has, from scratch if need be; return whether it was rebuilt.

        Raises:
            Unavailable: The log can't be read.
            JournalError: The file can't be written, or the log contradicts itself.
        """
        for rebuilds in range(REBUILDS_MAX):
            try:
                self._follow(log)
            except ForkedError:
                self.rebuild()
            else:
                return rebuilds > 0
        msg = (
            f"the replicated journal of {self._group} contradicts itself:"
            " restore its database from a backup"
        )
        raise JournalError(msg)

    def _follow(self, log: Log) -> None:
        head = log.head()
        while self.position < head.position:
            found = log.read(self.position, READ_ENTRIES)
            if not found:
                break
            self.apply(found)
        # A log that was set back may have grown to the same length again.
        if self.position < head.position or (self.position == head.position and self._head != head):
            raise self.forked(self.position)
        if self.position > head.position:
            self._check_prefix(log)

    def _check_prefix(self, log: Log) -> None:
        """Check a view that is ahead of the head it asked for: the log grew, or was set back."""
        found = log.read(self.position - 1, 1)
        if not found or digest_of(found[0].index) != self._head.digest:
            raise self.forked(self.position)

    def apply(self, entries: Sequence[Entry]) -> list[Change]:
        """Apply the entries that follow, in one transaction; return their changes.

        An entry that begins a chain follows any that is older: it makes the view forget them, and
        those that the view does not have yet may have been trimmed.

        Raises:
            ForkedError: They do not follow.
            JournalError: They can't be read or written; nothing was changed.
        """
        changes: list[Change] = []
        appends: list[_Append] = []
        with self._transaction() as connection:
            for entry in entries:
                previous, change = coding.decode(entry.index)
                if entry.position != self.position + 1 or previous != self._head.digest:
                    self._skip(connection, Head(entry.position - 1, previous), change)
                messages = None if entry.bodies is None else coding.decode_bodies(entry.bodies)
                if appends and not (
                    isinstance(change, Append) and change.origin == appends[0].change.origin
                ):
                    self._append(appends)
                    appends.clear()
                self._note(connection, change, entry.position)
                if isinstance(change, Append):
                    appends.append(_Append(change, messages))
                else:
                    self.perform(change, messages)
                changes.append(change)
                self._move(connection, entry.index)
            self._append(appends)
            self._write_position(connection)
        return changes

    def _skip(self, connection: sqlite3.Connection, before: Head, change: Change) -> None:
        """Go on after ``before``, which another chain follows.

        Raises:
            ForkedError: The view needs what it would skip.
        """
        if not isinstance(change, BeginChain) or before.position <= self.position:
            raise self.forked(before.position + 1)
        self._head = before
        # Nobody knows whether they are those of this log.
        connection.execute("DELETE FROM replica_digests")

    @contextmanager
    def advancing(self, index: bytes, change: Change) -> Iterator[None]:
        """Apply the next entry by the block, which changes ``journal`` as ``change`` says.

        The owner's way: it has the entry's contents at hand, not encoded.
        """
        with self._transaction() as connection:
            self._note(connection, change, self.position + 1)
            yield
            self._move(connection, index)
            self._write_position(connection)

    def perform(self, change: Change, messages: Sequence[bytes] | None = None) -> int:
        """Make a change to ``journal``, within ``advancing``; return what its method returns.

        Args:
            change: the change.
            messages: its bodies; None: there are none, or none any more.
        """
        journal = self.journal
        match change:
            case Append():
                return self._append([_Append(change, messages)])
            case BeginEpoch():
                self._epoch = change.epoch
                journal.begin_epoch()
            case BeginChain():
                self._epoch = change.epoch
                journal.begin_chain()
            case Restore():
                texts = map(from_blob, messages) if messages else (None,) * len(change.ids)
                return journal.restore(dict(zip(change.ids, texts, strict=True)))
            case MarkLost():
                return journal.mark_lost(change.ids, from_blob(change.reason))
            case Retire():
                return journal.retire_within(change.extent)
            case Over():
                rule, execution = from_blob(change.rule), from_blob(change.execution)
                journal.put_ended(execution, change.status, rule)
        return 0

    def _append(self, appends: Sequence[_Append]) -> int:
        """Append what some entries of one origin have; all at once, since each call takes time."""
        journal = self.journal
        events: list[LogEvent] = []
        digests: list[int] = []
        bodies: list[bytes | None] = []
        for change, messages in appends:
            if change.first_seq != journal.head_seq + len(events) + 1:
                raise self.forked(self.position + 1)
            events += coding.events_of(change)
            digests += coding.digests_of(change)
            bodies += messages or [None] * len(change.ids)
        if not appends:
            return 0
        return journal.append_bodied(events, Bodied(digests, bodies), appends[0].change.origin)

    def _note(self, connection: sqlite3.Connection, change: Change, position: int) -> None:
        """Note where the rows of an entry, or of a chain, begin."""
        if isinstance(change, Append):
            values = change.first_seq, position
            connection.execute("INSERT OR REPLACE INTO replica_entries VALUES (?, ?)", values)
        elif isinstance(change, BeginChain):
            connection.execute("DELETE FROM replica_entries")
            self._chain_at, self._dropped_seq, self._log_bytes = position, 0, 0

    def is_valid(self, status: Status, at: int) -> bool:
        """Whether a status, written when the log ended at ``at``, holds for what is applied.

        Raises:
            ForkedError: The status is one of another log than this view's.
        """
        if at > self.position:
            return False
        found = self._db.rows("SELECT digest FROM replica_digests WHERE position = ?", (at,))
        if found and found[0][0] != status.digest:
            # Even a status of an earlier position: the log may have been set back to before that.
            raise self.forked(at)
        return bool(found) and status.chain_at == self._chain_at

    def adopt(self, status: Status | None) -> None:
        """Replace coverage and gaps by those of a valid status; None: nothing is known."""
        coverage, gaps = (status.coverage, status.gaps) if status is not None else ((), ())
        journal = self.journal
        with self._transaction():
            journal.set_coverage(coverage)
            journal.set_gaps(gaps)

    def retired_position(self) -> int:
        """The position up to which no entry's bodies are needed any more."""
        seq = self.journal.first_seq_with_body(self._dropped_seq)
        if seq is None:
            return self.position
        rows = self._db.rows(
            "SELECT first_seq, position FROM replica_entries WHERE first_seq <= ?"
            " ORDER BY first_seq DESC LIMIT 1",
            (seq,),
        )
        if not rows:
            return 0
        [(first_seq, position)] = rows
        with self._transaction() as connection:
            # Rows before it have no body: the next call need not look at them again.
            self._dropped_seq = max(self._dropped_seq, first_seq - 1)
            connection.execute(
                "DELETE FROM replica_entries WHERE first_seq <= ?", (self._dropped_seq,)
            )
            self._write_position(connection)
        return int(position) - 1

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction around calls of ``journal``, whose memory follows a rollback."""
        try:
            with self._db.transaction() as connection:
                yield connection
        except BaseException:
            self._load_position()
            self.journal.reload()
            raise

    def _move(self, connection: sqlite3.Connection, index: bytes) -> None:
        """Make an entry that was applied the last one."""
        self._head = Head(self.position + 1, digest_of(index))
        self._log_bytes += len(index) + ENTRY_BYTES
        connection.execute("INSERT INTO replica_digests VALUES (?, ?)", self._head)

    def _write_position(self, connection: sqlite3.Connection) -> None:
        oldest = self.position - DIGESTS_MAX
        connection.execute("DELETE FROM replica_digests WHERE position <= ?", (oldest,))
        connection.execute(
            "UPDATE replica SET position = ?, digest = ?, chain_at = ?, dropped_seq = ?,"
            " log_bytes = ?",
            (*self._head, self._chain_at, self._dropped_seq, self._log_bytes),
        )

    def forked(self, position: int) -> ForkedError:
        """Return the error for a view that is no copy of its log at a position."""
        msg = (
            f"the view {self._path} is not a copy of the replicated journal (entry {position}):"
            " it is built again"
        )
        return ForkedError(msg)
