"""Replicated logs in PostgreSQL; the only module that imports psycopg. POSTGRESQL.md is its manual.

An append is one statement, hence one transaction and one round trip. Its outcome is certain only if
the server answers: a statement is never cancelled, since a commit that waits for its standby
*succeeds* when cancelled, with a mere warning. After the time limit the socket is closed.
"""

from __future__ import annotations

import secrets
import select
import time
from typing import Any, Final, NoReturn

from common.errors import MissingExtraError
from forwarder.cluster.log import (
    NO_DIGEST,
    Entry,
    Fenced,
    Head,
    Lease,
    News,
    NotAllowedError,
    StoredGroup,
    StoredStatus,
    Trimmed,
    Unavailable,
    Unknown,
    digest_of,
)
from forwarder.errors import ConfigError, JournalError

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
except ImportError as error:
    _WHAT: Final = "a journal in PostgreSQL"
    raise MissingExtraError(_WHAT, "postgresql") from error

SCHEMA_VERSION: Final = 1
"""The database's version; a greater one means that a newer gapless has changed the tables."""

CONNECT_S: Final = 5
"""Time limit of a connection attempt to one host."""

ANSWER_MS: Final = 5_000
"""Time limit of a statement: half the usual lease, so that its holder can still be replaced."""

SCHEMA_MS: Final = 60_000
"""Time limit of creating the tables, which waits for another forwarder that does the same."""

POLL_MS: Final = 100
"""Interval of looking for entries where notifications do not come, such as behind a pooler."""

TRIM_BYTES_MAX: Final = 4 << 20
"""Bytes that one call of ``trim`` or ``drop_bodies`` removes, except for a single larger entry: the
owner waits for it."""

NOTIFIED_POLL_MS: Final = 1_000
"""The same once a notification has come on the connection."""

_CONNECTION: Final[dict[str, Any]] = {
    "application_name": "gapless",
    "client_encoding": "utf8",
    "connect_timeout": CONNECT_S,
    # Of several hosts the primary: a standby may lag behind, and can't be written.
    "target_session_attrs": "read-write",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

_TOKEN_BITS: Final = 63
_LOCK: Final = 0x6761706C
_CHANNEL: Final = "gapless"

_TABLES: Final = (
    "CREATE TABLE gapless.version (version bigint NOT NULL)",
    """CREATE TABLE gapless.groups (
        id bigint PRIMARY KEY, -- random: a restored sequence would give one out twice
        name text NOT NULL, pattern bytea NOT NULL,
        head bigint NOT NULL DEFAULT 0, digest bytea NOT NULL,
        token bigint, owner text, lease_until timestamptz,
        status_at bigint NOT NULL DEFAULT 0, status bytea NOT NULL DEFAULT '',
        status_written timestamptz NOT NULL DEFAULT clock_timestamp(),
        UNIQUE (name, pattern)
    )""",
    """CREATE TABLE gapless.entries (
        group_id bigint NOT NULL, position bigint NOT NULL, index bytea NOT NULL,
        PRIMARY KEY (group_id, position)
    )""",
    """CREATE TABLE gapless.bodies (
        group_id bigint NOT NULL, position bigint NOT NULL, bodies bytea NOT NULL,
        PRIMARY KEY (group_id, position)
    )""",
    """CREATE TABLE gapless.wants (
        group_id bigint NOT NULL, server text NOT NULL,
        wants bytea NOT NULL, until timestamptz NOT NULL,
        PRIMARY KEY (group_id, server)
    )""",
    # They are compressed already.
    "ALTER TABLE gapless.groups ALTER COLUMN status SET STORAGE EXTERNAL",
    "ALTER TABLE gapless.entries ALTER COLUMN index SET STORAGE EXTERNAL",
    "ALTER TABLE gapless.bodies ALTER COLUMN bodies SET STORAGE EXTERNAL",
)

# Not to_regclass, whose cache does not see what another forwarder has created meanwhile.
_FIND_TABLES: Final = """
SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'gapless' AND c.relname = 'version'"""
_MAKE_GROUP: Final = """
INSERT INTO gapless.groups (id, name, pattern, digest) VALUES ($1::bigint, $2::text, $3, $4)
ON CONFLICT (name, pattern) DO NOTHING"""
_FIND_GROUP: Final = "SELECT id FROM gapless.groups WHERE name = $1::text AND pattern = $2"
_ACQUIRE: Final = """
UPDATE gapless.groups SET token = $2::bigint, owner = $3::text,
    lease_until = clock_timestamp() + $4::bigint * interval '1 ms'
WHERE id = $1::bigint AND (lease_until IS NULL OR lease_until <= clock_timestamp())
RETURNING token"""
_RENEW: Final = """
UPDATE gapless.groups SET lease_until = clock_timestamp() + $3::bigint * interval '1 ms',
    status = $4, status_at = $5::bigint, status_written = clock_timestamp()
WHERE id = $1::bigint AND token = $2::bigint AND head = $5::bigint
RETURNING token"""
_RELEASE: Final = """
UPDATE gapless.groups SET token = NULL, owner = NULL, lease_until = NULL
WHERE id = $1::bigint AND token = $2::bigint"""
_APPEND: Final = """
WITH moved AS (
    UPDATE gapless.groups SET head = head + 1, digest = $4
    WHERE id = $1::bigint AND token = $2::bigint AND head = $3::bigint
    RETURNING id, head
), entry AS (
    INSERT INTO gapless.entries SELECT id, head, $5::bytea FROM moved
), body AS (
    INSERT INTO gapless.bodies SELECT id, head, $6::bytea FROM moved WHERE $6::bytea IS NOT NULL
), notified AS (
    SELECT pg_notify($7::text, id::text) FROM moved
)
SELECT head FROM moved, notified"""
_READ: Final = """
SELECT position, index, bodies
FROM gapless.entries LEFT JOIN gapless.bodies USING (group_id, position)
WHERE group_id = $1::bigint AND position > $2::bigint
ORDER BY position LIMIT $3::bigint"""
_HEAD: Final = "SELECT head, digest FROM gapless.groups WHERE id = $1::bigint"
_STATUS_COLUMNS: Final = """
status_at, status, (extract(epoch FROM status_written) * 1000)::bigint,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint"""
_STATUS: Final = "SELECT" + _STATUS_COLUMNS + " FROM gapless.groups WHERE id = $1::bigint"
# The status once, not in each row.
_LOOK: Final = (
    "WITH found AS ("  # noqa: S608 - constants
    + _READ
    + """) SELECT head, digest,
    CASE WHEN position IS NOT DISTINCT FROM (SELECT min(position) FROM found) THEN status END,"""
    + _STATUS_COLUMNS.replace("status,", "", 1)
    + """, position, index, bodies
FROM gapless.groups LEFT JOIN found ON true WHERE id = $1::bigint ORDER BY position"""
)
_DROP: Final = """
WITH oldest AS (
    SELECT position, octet_length(bodies) AS size FROM gapless.bodies
    WHERE group_id = $1::bigint AND position <= $3::bigint
    AND EXISTS (SELECT FROM gapless.groups WHERE id = $1::bigint AND token = $2::bigint)
    ORDER BY position LIMIT $4::bigint
), summed AS (
    SELECT position, size, sum(size) OVER (ORDER BY position) AS total FROM oldest
), removed AS (
    DELETE FROM gapless.bodies WHERE group_id = $1::bigint
    AND position IN (SELECT position FROM summed WHERE total <= $5::bigint OR total = size)
    RETURNING position
)
SELECT count(*) FROM removed"""
# The lock keeps the lease and the end of the log as they are until the entries are gone.
_TRIM: Final = """
WITH held AS (
    SELECT id FROM gapless.groups
    WHERE id = $1::bigint AND token = $2::bigint AND head = $3::bigint FOR NO KEY UPDATE
), newest AS (
    SELECT position, octet_length(index) + coalesce(octet_length(bodies), 0) AS size
    FROM gapless.entries LEFT JOIN gapless.bodies USING (group_id, position)
    WHERE group_id = $1::bigint AND position < $4::bigint AND EXISTS (SELECT FROM held)
    ORDER BY position DESC LIMIT $5::bigint
), summed AS (
    SELECT position, size, sum(size) OVER (ORDER BY position DESC) AS total FROM newest
), chosen AS (
    SELECT position FROM summed
    WHERE total <= $6::bigint OR total = size
), bared AS (
    DELETE FROM gapless.bodies
    WHERE group_id = $1::bigint AND position IN (SELECT position FROM chosen)
), removed AS (
    DELETE FROM gapless.entries
    WHERE group_id = $1::bigint AND position IN (SELECT position FROM chosen) RETURNING position
)
SELECT count(*), coalesce(min(position), 0) FROM removed"""
_EXPIRE: Final = "DELETE FROM gapless.wants WHERE until <= clock_timestamp()"
_WANT: Final = """
INSERT INTO gapless.wants
VALUES ($1::bigint, $2::text, $3, clock_timestamp() + $4::bigint * interval '1 ms')
ON CONFLICT (group_id, server) DO UPDATE SET wants = excluded.wants, until = excluded.until"""
_WANTS: Final = """
SELECT server, wants FROM gapless.wants
WHERE group_id = $1::bigint AND until > clock_timestamp() ORDER BY server"""

_GROUPS: Final = """
WITH indexes AS (
    SELECT group_id, count(*) AS stored, sum(octet_length(index))::bigint AS size
    FROM gapless.entries GROUP BY group_id
), messages AS (
    SELECT group_id, sum(octet_length(bodies))::bigint AS size
    FROM gapless.bodies GROUP BY group_id
)
SELECT name, pattern, head, CASE WHEN lease_until > clock_timestamp() THEN owner END,
    greatest(0, (extract(epoch FROM lease_until - clock_timestamp()) * 1000)::bigint),
    CASE WHEN status = '' THEN NULL ELSE
        (extract(epoch FROM clock_timestamp() - status_written) * 1000)::bigint END,
    coalesce(stored, 0), coalesce(indexes.size, 0) + coalesce(messages.size, 0)
FROM gapless.groups LEFT JOIN indexes ON indexes.group_id = id
    LEFT JOIN messages ON messages.group_id = id
WHERE head > 0 ORDER BY name, pattern"""

Value = int | str | bytes | None
_Row = tuple[bytes | None, ...]

_GENERIC_WARNING: Final = "01000"
_MISSING: Final = frozenset({"3F000", "42P01"})
_NO_RIGHT: Final = "42501"
_REFUSALS: Final = frozenset({_NO_RIGHT, "28000", "28P01", "3D000", "42703", "42P10"})
"""Server's answers that stay the same until somebody changes the database."""
_ENDED: Final = frozenset({"57P01", "57P02", "57P05"})
"""The server ended the connection, perhaps in the middle of a commit."""


class _RefusedError(Exception):
    """The server answered with an error: the statement was rolled back."""

    def __init__(self, text: str, state: str) -> None:
        super().__init__(text)
        self.state = state


class _LostError(Exception):
    """The connection ended, or was closed after the time limit, without an answer."""


class _Link:
    """A connection, whose statements have a time limit and are never cancelled."""

    def __init__(self, conninfo: str) -> None:
        """Connect.

        Raises:
            psycopg.OperationalError: It can't be done.
        """
        # Each statement is a transaction.
        self._connection = psycopg.connect(conninfo, autocommit=True)
        self._server = self._connection.pgconn
        self.warnings: list[str] = []
        """Texts of the generic warnings of the last statement."""
        self._connection.add_notice_handler(self._note_warning)
        self.notified: set[str] = set()
        """Payloads of the notifications that have come and were not yet taken."""
        self.is_notified = False
        """Whether notifications reach this connection at all."""
        self.is_listening = False

    def _note_warning(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.sqlstate == _GENERIC_WARNING:
            self.warnings.append(notice.message_primary or "")

    @property
    def is_alive(self) -> bool:
        """Whether the connection is open, as far as this machine knows."""
        try:
            self.take_notifications(0)
        except _LostError:
            return False
        return self._server.status == ConnStatus.OK

    def run(self, sql: str, *values: Value, timeout_ms: int | None = None) -> list[_Row]:
        """Run a statement; return its rows in binary form. ``timeout_ms``: if not ``ANSWER_MS``.

        Raises:
            _RefusedError: It was not done.
            _LostError: It is not known whether it was done. The connection is closed.
        """
        self.warnings.clear()
        parameters = [
            str(value).encode() if isinstance(value, int | str) else value for value in values
        ]
        formats = [int(isinstance(value, bytes)) for value in values]
        deadline = time.monotonic() + (timeout_ms or ANSWER_MS) / 1_000
        try:
            self._server.send_query_params(
                sql.encode(), parameters, param_formats=formats, result_format=1
            )
            while self._server.flush():
                self._wait(deadline, select.POLLIN | select.POLLOUT)
            return self._read_results(deadline)
        except psycopg.Error as error:
            self.close()
            raise _LostError(_one_line(error)) from error

    def _read_results(self, deadline: float) -> list[_Row]:
        rows: list[_Row] = []
        refusal: _RefusedError | None = None
        while True:
            while self._server.is_busy():
                self._wait(deadline, select.POLLIN)
            result = self._server.get_result()
            if result is None:
                break
            if result.status == ExecStatus.FATAL_ERROR:
                state = result.error_field(DiagnosticField.SQLSTATE) or b""
                refusal = _RefusedError(_one_line(result.get_error_message()), state.decode())
            for row in range(result.ntuples):
                columns = range(result.nfields)
                rows.append(tuple(result.get_value(row, column) for column in columns))
        if self._server.status != ConnStatus.OK or (refusal and refusal.state in _ENDED):
            self.close()
            raise _LostError(str(refusal or "the server closed the connection"))
        if refusal is not None:
            raise refusal
        return rows

    def _wait(self, deadline: float, events: int) -> None:
        """Wait for the socket, and read what has come."""
        left_ms = (deadline - time.monotonic()) * 1_000
        ready = self._poll(events, left_ms) if left_ms > 0 else 0
        if not ready:
            self.close()
            msg = "no answer in time"
            raise _LostError(msg)
        if ready & ~select.POLLOUT:
            self._server.consume_input()

    def _poll(self, events: int, timeout_ms: float) -> int:
        """Wait for the socket; return the events that have come."""
        poll = select.poll()
        poll.register(self._server.socket, events)
        ready = poll.poll(timeout_ms)
        return ready[0][1] if ready else 0

    def take_notifications(self, timeout_ms: int) -> None:
        """Wait for notifications, and add their payloads to ``notified``.

        Raises:
            _LostError: The connection has ended.
        """
        try:
            while self._poll(select.POLLIN, timeout_ms):
                # More than once: a server that stops first says so, and then closes the socket.
                self._server.consume_input()
                timeout_ms = 0
            while found := self._server.notifies():
                self.notified.add(found.extra.decode())
                self.is_notified = True
        except psycopg.Error as error:
            self.close()
            raise _LostError(_one_line(error)) from error

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()


class PostgresEngine:
    """The logs in one database, over one connection; for one thread."""

    def __init__(self, url: str, name: str) -> None:
        """Prepare to connect, which the first call of a log does.

        Args:
            url: ``postgresql://user@host/database?sslmode=verify-full``, or a libpq string.
            name: this forwarder, as others see it.

        Raises:
            ConfigError: The URL is invalid, or contains a password.
        """
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            msg = f"--journal is no valid PostgreSQL URL: {_one_line(error)}"
            raise ConfigError(msg) from error
        if "password" in given:
            msg = (
                "--journal contains a password, which all users of this machine can read:"
                " put it into the file that PGPASSFILE names, or into PGPASSWORD"
            )
            raise ConfigError(msg)
        self._conninfo = make_conninfo(**{**_CONNECTION, **given})
        self._where = f"{given.get('host') or 'localhost'}/{given.get('dbname') or ''}"
        self.name = name
        self._link: _Link | None = None

    def log(self, group: str, pattern: str = "") -> PostgresLog:
        """The log of a feed's journal, created by its first call if needed."""
        return PostgresLog(self, group, pattern)

    def close(self) -> None:
        """Close the connection."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def groups(self) -> list[StoredGroup]:
        """All journals, by name; reads all rows, which may take a while."""
        rows = self.run(_GROUPS, timeout_ms=SCHEMA_MS)
        return [
            StoredGroup(
                (name or b"").decode(),
                (pattern or b"").decode("utf-8", "surrogatepass"),
                _int(head),
                None if owner is None else owner.decode(),
                0 if left is None else _int(left),
                None if age is None else _int(age),
                _int(stored),
                _int(size),
            )
            for name, pattern, head, owner, left, age, stored, size in rows
        ]

    def link(self) -> _Link:
        """The connection, opened if needed; the tables exist.

        Raises:
            Unavailable: The server can't be reached.
            JournalError: The database can't be used.
        """
        link = self._link
        if link is not None and link.is_alive:
            return link
        self.close()
        try:
            link = _Link(self._conninfo)
        except psycopg.Error as error:
            msg = (
                f"the journal's database {self._where} can't be reached: {_one_line(error)}:"
                " check that it runs, its address and the credentials"
            )
            raise Unavailable(msg) from error
        try:
            self._prepare(link)
        except (_RefusedError, _LostError) as error:
            link.close()
            self.refuse(error)
        except BaseException:
            link.close()
            raise
        self._link = link
        return link

    def _prepare(self, link: _Link) -> None:
        """Check the version, create the tables, and make commits durable."""
        version = self._version(link)
        if version is None:
            link.run("BEGIN", timeout_ms=SCHEMA_MS)
            link.run("SELECT pg_advisory_xact_lock($1::bigint)", _LOCK, timeout_ms=SCHEMA_MS)
            if self._version(link) is None:
                # Not IF NOT EXISTS, for which the role would need more rights.
                if not link.run("SELECT oid FROM pg_namespace WHERE nspname = 'gapless'"):
                    link.run("CREATE SCHEMA gapless")
                for statement in _TABLES:
                    link.run(statement, timeout_ms=SCHEMA_MS)
                link.run("INSERT INTO gapless.version VALUES ($1::bigint)", SCHEMA_VERSION)
            link.run("COMMIT", timeout_ms=SCHEMA_MS)
            version = self._version(link)
        if version is None or version > SCHEMA_VERSION:
            msg = (
                f"the journal's database {self._where} was changed by a newer gapless (version"
                f" {version}, this one knows {SCHEMA_VERSION}): upgrade gapless on this machine"
            )
            raise JournalError(msg)
        [(durability,)] = link.run("SELECT current_setting('synchronous_commit')")
        if durability == b"off":
            link.run("SET synchronous_commit = on")

    def _version(self, link: _Link) -> int | None:
        """The version of the tables; None without tables."""
        if not link.run(_FIND_TABLES):
            return None
        rows = link.run("SELECT version FROM gapless.version")
        return _int(rows[0][0]) if rows else None

    def run(self, sql: str, *values: Value, timeout_ms: int | None = None) -> list[_Row]:
        """Run a statement that may be repeated, so that all failures are ``Unavailable``."""
        try:
            return self.link().run(sql, *values, timeout_ms=timeout_ms)
        except (_RefusedError, _LostError) as error:
            self.refuse(error)

    def refuse(self, error: _RefusedError | _LostError) -> NoReturn:
        """Raise the error for a statement that was not done, or may be repeated."""
        if isinstance(error, _RefusedError) and error.state in _REFUSALS | _MISSING:
            msg = (
                f"the journal's database {self._where} refuses: {error}: let an administrator run"
                " CREATE SCHEMA gapless AUTHORIZATION <this role>"
            )
            raise JournalError(msg) from error
        msg = f"the journal's database {self._where} can't be used now: {error}"
        raise Unavailable(msg) from error


class PostgresLog:
    """One journal's ``Log``."""

    def __init__(self, engine: PostgresEngine, group: str, pattern: str) -> None:
        self._engine = engine
        self._group = group
        self._pattern = pattern.encode("utf-8", "surrogatepass")
        self._known_id: int | None = None

    def _id(self) -> int:
        """The group's id, which is looked up again after ``_forget``."""
        if self._known_id is None:
            run, name = self._engine.run, self._group
            found = run(_FIND_GROUP, name, self._pattern)
            if not found:
                run(_MAKE_GROUP, secrets.randbits(_TOKEN_BITS), name, self._pattern, NO_DIGEST)
                found = run(_FIND_GROUP, name, self._pattern)
            self._known_id = _int(found[0][0])
        return self._known_id

    def _row(self, sql: str) -> _Row:
        """The one row of a query about the group."""
        return self._rows(sql)[0]

    def _rows(self, sql: str, *values: Value) -> list[_Row]:
        """The rows of a query about the group, one at least.

        A database that was restored from a backup may know the group under another id, or not.
        """
        rows = self._engine.run(sql, self._id(), *values)
        if not rows:
            self._known_id = None
            rows = self._engine.run(sql, self._id(), *values)
        return rows

    def acquire(self, ttl_ms: int) -> Lease | None:
        """Take the lease if it is free or expired."""
        self.head()  # the group exists
        token = secrets.randbits(_TOKEN_BITS)
        taken = self._engine.run(_ACQUIRE, self._id(), token, self._engine.name, ttl_ms)
        return Lease(token, ttl_ms) if taken else None

    def renew(self, lease: Lease, status: bytes, at: int) -> bool:
        """Extend the lease and replace the status; whether the owner may go on."""
        values = self._id(), lease.token, lease.ttl_ms, status, at
        return bool(self._engine.run(_RENEW, *values))

    def release(self, lease: Lease) -> None:
        """Give the lease back."""
        self._engine.run(_RELEASE, self._id(), lease.token)

    def append(self, lease: Lease, expected: int, index: bytes, bodies: bytes | None) -> None:
        """Write an entry at position ``expected + 1``, durably."""
        values = self._id(), lease.token, expected, digest_of(index), index, bodies, _CHANNEL
        link = self._engine.link()
        try:
            rows = link.run(_APPEND, *values)
        except _RefusedError as error:
            self._engine.refuse(error)
        except _LostError as error:
            msg = f"{self._group}: an append to the journal's database was not answered: {error}"
            raise Unknown(msg) from error
        if link.warnings:
            msg = f"{self._group}: the journal's database warns: {'; '.join(link.warnings)}"
            raise Unknown(msg)
        if not rows:
            msg = f"another forwarder has taken over {self._group}"
            raise Fenced(msg)

    def read(self, after: int, limit: int) -> list[Entry]:
        """The entries that follow a position, at most ``limit``."""
        rows = self._engine.run(_READ, self._id(), after, limit)
        return [Entry(_int(position), index or b"", bodies) for position, index, bodies in rows]

    def look(self, after: int, limit: int) -> News:
        """Entries that follow a position, the end and the status, as one statement sees them."""
        rows = self._rows(_LOOK, after, limit)
        position, digest, content, at, written_ms, now_ms, *_ = rows[0]
        return News(
            [Entry(_int(row[6]), row[7] or b"", row[8]) for row in rows if row[6] is not None],
            Head(_int(position), digest or b""),
            StoredStatus(_int(at), content or b"", _int(written_ms), _int(now_ms)),
        )

    def head(self) -> Head:
        """The present end."""
        position, digest = self._row(_HEAD)
        return Head(_int(position), digest or b"")

    def wait(self, after: int, timeout_ms: int) -> None:
        """Wait until there may be entries after a position."""
        deadline = time.monotonic() + timeout_ms / 1_000
        payload = str(self._id())
        link = self._engine.link()
        try:
            if not link.is_listening:
                link.run(f"LISTEN {_CHANNEL}")
                link.is_listening = True
            poll_ms = NOTIFIED_POLL_MS if link.is_notified else POLL_MS
            link.notified.discard(payload)
            while self.head().position <= after:
                left_ms = int((deadline - time.monotonic()) * 1_000)
                if left_ms <= 0:
                    return
                link.take_notifications(min(poll_ms, left_ms))
                if payload in link.notified:
                    return
        except (_RefusedError, _LostError) as error:
            self._engine.refuse(error)

    def drop_bodies(self, lease: Lease, through: int, limit: int) -> int:
        """Remove the bodies of the oldest ``limit`` entries with any, up to a position."""
        values = self._id(), lease.token, through, limit, TRIM_BYTES_MAX
        [(removed,)] = self._engine.run(_DROP, *values)
        return _int(removed)

    def trim(self, lease: Lease, at: int, below: int, limit: int) -> Trimmed:
        """Remove the newest entries below a position, with their bodies; at most ``limit``."""
        engine = self._engine
        values = self._id(), lease.token, at, below, limit, TRIM_BYTES_MAX
        try:
            [(count, lowest)] = engine.link().run(_TRIM, *values)
        except _RefusedError as error:
            if error.state == _NO_RIGHT:
                msg = (
                    f"entries of {self._group} that nobody needs stay in the journal's database:"
                    f" {error}: let an administrator run GRANT DELETE ON gapless.entries TO"
                    " <this role>"
                )
                raise NotAllowedError(msg) from error
            engine.refuse(error)
        except _LostError as error:
            engine.refuse(error)
        return Trimmed(_int(count), _int(lowest))

    def status(self) -> StoredStatus:
        """The latest status."""
        at, content, written_ms, now_ms = self._row(_STATUS)
        return StoredStatus(_int(at), content or b"", _int(written_ms), _int(now_ms))

    def want(self, server: str, wants: bytes, ttl_ms: int) -> None:
        """Leave what a server needs from the owner, in place of what it left before."""
        self._engine.run(_EXPIRE)
        self._engine.run(_WANT, self._id(), server, wants, ttl_ms)

    def wants(self) -> dict[str, bytes]:
        """What the servers need, by their names; expired ones are left out."""
        rows = self._engine.run(_WANTS, self._id())
        return {(server or b"").decode(): wants or b"" for server, wants in rows}


def _int(value: bytes | None) -> int:
    """Decode a bigint in binary form."""
    assert value is not None, "the column is NOT NULL"
    return int.from_bytes(value, "big", signed=True)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
