from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from forwarder.cluster import postgres
from forwarder.cluster.log import (
    Entry,
    Fenced,
    Lease,
    NotAllowedError,
    Trimmed,
    Unavailable,
    Unknown,
)
from forwarder.cluster.postgres import PostgresEngine, PostgresLog
from forwarder.cluster.replicated import ReplicatedJournal
from forwarder.cluster.status import Report
from forwarder.cluster.view import View
from forwarder.errors import ConfigError, JournalError
from simulator.programs.postgres import PostgresServer
from tests.support.forwarder.log_events import GROUP, events

TTL_MS = 60_000
_NUMBERS = count()


class Database:
    """A database of its own, and engines that use it."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.name = f"db{next(_NUMBERS)}"
        self.url = server.url_of("admin", self.name)
        self._engines: list[PostgresEngine] = []
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {self.name}".encode())

    def engine(self, url: str | None = None) -> PostgresEngine:
        self._engines.append(PostgresEngine(url or self.url, "me"))
        return self._engines[-1]

    def admin(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)

    def close(self) -> None:
        for engine in self._engines:
            engine.close()


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Database]:
    database = Database(server)
    yield database
    database.close()


@pytest.fixture
def log(database: Database) -> PostgresLog:
    return database.engine().log(GROUP)


def _acquired(log: PostgresLog) -> Lease:
    lease = log.acquire(TTL_MS)
    assert lease is not None
    return lease


def _in_background(work: Callable[[], object]) -> Callable[[], None]:
    """Run ``work``; the result waits for its end, and raises what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised again
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def wait() -> None:
        thread.join()
        for error in raised:
            raise error

    return wait


def _wait_until(admin: psycopg.Connection, condition: str) -> None:
    """Wait until a backend of gapless is in a state."""
    sql = f"SELECT pid FROM pg_stat_activity WHERE application_name = 'gapless' AND {condition}"
    while not admin.execute(sql.encode()).fetchall():
        pass


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:secret@db/gapless", "contains a password.*PGPASSFILE"),
        ("host=db password=secret", "contains a password"),
        ("postgresql://db/gapless?nonsense=1", "no valid PostgreSQL URL.*nonsense"),
    ],
)
def test_a_wrong_url_is_a_usage_error(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        PostgresEngine(url, "me")
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_server_that_does_not_run_is_unavailable(tmp_path: Path) -> None:
    log = PostgresEngine(f"postgresql:///gapless?host={tmp_path}", "me").log(GROUP)
    with pytest.raises(Unavailable, match=r"can't be reached.*check that it runs") as error:
        log.head()
    assert "\n" not in str(error.value)


def test_a_restarted_server_is_found_again(database: Database, log: PostgresLog) -> None:
    lease = _acquired(log)
    log.append(lease, 0, b"one", None)
    database.server.stop()
    with pytest.raises(Unavailable):
        log.append(lease, 1, b"two", None)
    database.server.start()
    log.append(lease, 1, b"two", None)
    database.server.stop("immediate")
    database.server.start()
    # The dead connection is noticed first, so that the outcome is not unknown.
    log.append(lease, 2, b"three", None)
    assert log.head().position == 3


def test_an_append_without_an_answer_is_unknown_and_fenced_later(
    database: Database, log: PostgresLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = _acquired(log)
    monkeypatch.setattr(postgres, "ANSWER_MS", 200)
    with database.admin() as admin, admin.transaction():
        admin.execute("SELECT 1 FROM gapless.groups FOR UPDATE")
        with pytest.raises(Unknown, match="not answered: no answer in time"):
            log.append(lease, 0, b"one", None)
        # The server has not noticed, and goes on once the row is free.
        _wait_until(admin, "wait_event_type = 'Lock'")
    monkeypatch.undo()
    other = database.engine().log(GROUP)
    log.release(lease)
    successor = _acquired(other)
    position = other.head().position
    assert position in (0, 1)
    with pytest.raises(Fenced):
        log.append(lease, position, b"two", None)
    other.append(successor, position, b"two", None)


def test_a_connection_that_ends_within_an_append_is_unknown(
    database: Database, log: PostgresLog
) -> None:
    lease = _acquired(log)
    with database.admin() as admin, admin.transaction():
        admin.execute("SELECT 1 FROM gapless.groups FOR UPDATE")
        wait = _in_background(lambda: log.append(lease, 0, b"one", None))
        with database.admin() as other:
            _wait_until(other, "wait_event_type = 'Lock'")
            sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            other.execute(f"{sql} WHERE wait_event_type = 'Lock'".encode())
        with pytest.raises(Unknown, match="terminating connection"):
            wait()
    assert log.head().position == 0


def test_a_commit_that_was_not_replicated_is_unknown(database: Database, log: PostgresLog) -> None:
    lease = _acquired(log)
    tried: list[int] = []

    def append() -> None:
        # More than once: the server begins to wait for the standby some time after it was told.
        for position in count():
            tried.append(position)
            log.append(lease, position, b"one", None)

    with database.admin() as admin:
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        admin.execute("SELECT pg_reload_conf()")
        try:
            wait = _in_background(append)
            _wait_until(admin, "wait_event = 'SyncRep'")
            sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            admin.execute(f"{sql} WHERE wait_event = 'SyncRep'".encode())
            with pytest.raises(Unknown, match="canceling wait for synchronous replication"):
                wait()
        finally:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")
    # The entry is there, and may be lost with the primary.
    assert log.head().position == tried[-1] + 1


def test_a_database_that_refuses_writes_is_unavailable(
    database: Database, log: PostgresLog
) -> None:
    lease = _acquired(log)
    with database.admin() as admin:
        admin.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE disk_full USING MESSAGE = 'no room'; END $$"
        )
        admin.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON gapless.entries EXECUTE FUNCTION refuse()"
        )
        with pytest.raises(Unavailable, match="can't be used now: no room"):
            log.append(lease, 0, b"one", None)
        admin.execute("DROP TRIGGER refuse ON gapless.entries")
    log.append(lease, 0, b"one", None)


def test_a_role_needs_no_more_than_its_schema(database: Database) -> None:
    role = f"role_{database.name}"
    log = database.engine(database.server.url_of(role, database.name)).log(GROUP)
    with database.admin() as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN".encode())
        with pytest.raises(JournalError, match="CREATE SCHEMA gapless AUTHORIZATION"):
            log.head()
        admin.execute(f"CREATE SCHEMA gapless AUTHORIZATION {role}".encode())
    log.append(_acquired(log), 0, b"one", None)


def test_the_manual_lists_the_rights_of_a_role_that_creates_no_tables(
    database: Database, log: PostgresLog
) -> None:
    log.head()
    manual = Path(postgres.__file__).with_name("POSTGRESQL.md").read_text()
    grants = manual.split("```sql")[2].split("```")[0]
    role = f"role_{database.name}"
    with database.admin() as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN".encode())
        for grant in grants.strip().splitlines():
            admin.execute(grant.replace("another", role).encode())
    other = database.engine(database.server.url_of(role, database.name)).log(f"{GROUP}/another")
    lease = _acquired(other)
    other.append(lease, 0, b"one", b"bodies")
    other.renew(lease, b"status", 1)
    assert other.drop_bodies(lease, 1, 9) == 1
    assert other.trim(lease, 1, 1, 9) == Trimmed(0, 0)
    other.want("me", b"", 0)
    other.want("me", b"", TTL_MS)
    assert other.wants() == {"me": b""}
    assert other.read(0, 9)[0].bodies is None
    other.release(lease)


def test_a_role_that_may_not_remove_entries_is_told_so(
    database: Database, log: PostgresLog
) -> None:
    log.append(_acquired(log), 0, b"one", None)
    role = f"role_{database.name}"
    with database.admin() as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN".encode())
        admin.execute(f"GRANT USAGE ON SCHEMA gapless TO {role}".encode())
        admin.execute(f"GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA gapless TO {role}".encode())
        admin.execute("UPDATE gapless.groups SET lease_until = NULL")
    other = database.engine(database.server.url_of(role, database.name)).log(GROUP)
    lease = _acquired(other)
    with pytest.raises(NotAllowedError, match=r"GRANT DELETE ON gapless\.entries TO"):
        other.trim(lease, 1, 1, 9)
    assert other.renew(lease, b"status", 1)


def test_a_trim_is_bounded_by_bytes_but_for_a_single_entry(
    log: PostgresLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "TRIM_BYTES_MAX", 2_000)
    lease = _acquired(log)
    for position, size in enumerate((9_000, 500, 500, 500, 9_000, 1)):
        log.append(lease, position, bytes(size), bytes(size))
    below, found = 6, []
    while (done := log.trim(lease, 6, below, 9)).removed:
        found.append(done)
        below = done.lowest
    assert found == [Trimmed(1, 5), Trimmed(2, 3), Trimmed(1, 2), Trimmed(1, 1)]
    assert log.read(0, 9) == [Entry(6, b"\0", b"\0")]


def test_the_size_of_a_log_is_that_of_what_is_stored(database: Database, log: PostgresLog) -> None:
    lease = _acquired(log)
    for position in range(4):
        log.append(lease, position, bytes(30), bytes(9_000) if position % 2 else None)
    log.trim(lease, 4, 3, 1)
    [group] = database.engine().groups()
    assert (group.head, group.stored, group.size_bytes) == (4, 3, 3 * 30 + 9_000)


def _trim_for_ever(url: str, folder: Path) -> None:
    """Own a journal with two former chains, and trim it entry by entry."""
    view = View(folder / "killed", GROUP, boot="boot")
    log = PostgresEngine(url, "killed").log(GROUP)
    lease = log.acquire(1)
    assert lease is not None
    owner = ReplicatedJournal.take_over(log, lease, view, timer=lambda: 0, random=lambda: 1)
    for first in (0, 10_000):
        for number in range(300):
            owner.append(events([first + number]), "live")
        owner.begin_chain()
    owner.append(events(range(20_000, 20_005)), "live")
    owner.renew(Report())
    sys.stdout.write("trimming\n")
    sys.stdout.flush()
    sys.stdin.readline()
    while True:
        owner.trim(1)


@pytest.mark.parametrize("victim", ["owner", "database"])
def test_a_kill_during_trimming_harms_nobody(tmp_path: Path, victim: str) -> None:
    server = PostgresServer()  # durable
    server.start()
    try:
        _kill_while_trimming(server, tmp_path, victim)
    finally:
        server.remove()


def _kill_while_trimming(server: PostgresServer, folder: Path, victim: str) -> None:
    code = f"from {__name__} import _trim_for_ever as f; from pathlib import Path;"
    code += f" f({server.url!r}, Path({str(folder)!r}))"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == b"trimming\n"
        engine = PostgresEngine(server.url, "me")
        log = engine.log(GROUP)
        behind = View(folder / "behind", GROUP, boot="boot")
        behind.apply(log.read(0, 450))
        total = log.head().position
        child.stdin.write(b"\n")
        child.stdin.flush()
        while engine.groups()[0].stored > total - 20:
            assert child.poll() is None
        if victim == "database":
            server.kill()
            server.start()
        child.kill()
    # The last statement may still be carried out; the server ends its connection after it.
    with psycopg.connect(server.url, autocommit=True) as admin:
        ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'gapless'"
        while len(admin.execute(ours).fetchall()) > 1:
            pass
    stored = [one.position for one in log.read(0, total)]
    whole = range(1, total + 1)
    # All of the former chains may be gone: the child goes on until the kill reaches it.
    gaps = (gap for gap in range(len(stored)) if stored[-1 - gap] != total - gap)
    first = total - next(gaps, len(stored)) + 1
    assert 20 <= total - len(stored) < total
    # A prefix, and all of the present chain.
    assert stored == [one for one in whole if one <= len(stored) - (total - first + 1)] + [
        one for one in whole if one >= first
    ]
    fresh = View(folder / "fresh", GROUP, boot="boot")
    for view in (behind, fresh):
        assert not view.catch_up(log), "it was not built again"
    owner = ReplicatedJournal.take_over(
        log, _acquired(log), fresh, timer=lambda: 0, random=lambda: 1
    )
    while owner.trim():
        pass
    assert owner.trimmed == len(stored) - (total - first + 1)
    assert [one.position for one in log.read(0, total)] == [*range(first, total + 2)]
    last = View(folder / "last", GROUP, boot="boot")
    for view in (behind, last):
        view.catch_up(log)
        assert view.head == fresh.head
        assert view.journal.chain == owner.chain
        rows = view.journal.read_after(0, 9_999)
        assert rows == owner.read_after(0, 9_999)
        assert [row.id for row in rows] == [str(one) for one in range(20_000, 20_005)]
    for view in (behind, fresh, last):
        view.close()
    engine.close()


def test_two_forwarders_may_create_the_tables_at_once(database: Database) -> None:
    logs = [database.engine().log(GROUP) for _ in range(4)]
    waits = [_in_background(log.head) for log in logs]
    for wait in waits:
        wait()
    assert [lease is not None for lease in [log.acquire(TTL_MS) for log in logs]].count(True) == 1


def test_tables_of_a_newer_version_are_not_touched(database: Database, log: PostgresLog) -> None:
    log.head()
    with database.admin() as admin:
        admin.execute("UPDATE gapless.version SET version = version + 1")
    with pytest.raises(JournalError, match="upgrade gapless"):
        database.engine().log(GROUP).head()


def test_a_group_that_a_restore_removed_is_created_again(
    database: Database, log: PostgresLog
) -> None:
    lease = _acquired(log)
    with database.admin() as admin:
        admin.execute("DELETE FROM gapless.groups")
    with pytest.raises(Fenced):
        log.append(lease, 0, b"one", None)
    log.append(_acquired(log), 0, b"one", None)


def test_a_waiting_reader_is_notified(
    database: Database, log: PostgresLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = _acquired(log)
    reader = database.engine().log(GROUP)
    monkeypatch.setattr(postgres, "POLL_MS", 600_000)
    wait = _in_background(lambda: reader.wait(0, 600_000))
    with database.admin() as admin:
        _wait_until(admin, "state = 'idle' AND query LIKE 'SELECT head%'")
    log.append(lease, 0, b"one", None)
    wait()
    assert reader.head().position == 1


def test_a_reader_behind_a_pooler_polls(database: Database, log: PostgresLog) -> None:
    lease = _acquired(log)
    engine = database.engine()
    reader = engine.log(GROUP)
    # Poolers accept LISTEN, and lose the notifications.
    engine.link().is_listening = True
    wait = _in_background(lambda: reader.wait(0, 600_000))
    log.append(lease, 0, b"one", None)
    wait()
    assert reader.head().position == 1


def test_an_owner_and_a_follower_share_a_journal(
    database: Database, log: PostgresLog, tmp_path: Path
) -> None:
    views = [View(tmp_path / name, GROUP, boot="boot") for name in ("owner", "follower")]
    owner = ReplicatedJournal.take_over(
        log, _acquired(log), views[0], timer=lambda: 0, random=lambda: 1
    )
    owner.append(events(range(2_000)), "live")
    owner.put_ended("job/1", "FAILED", "rule")
    views[1].catch_up(database.engine().log(GROUP))
    assert views[1].journal.read_after(0, 9_999) == owner.read_after(0, 9_999)
    assert views[1].journal.chain == owner.chain
    assert views[1].journal.ended_executions("rule") == {"job/1": "FAILED"}
    for view in views:
        view.close()


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_without_psycopg_the_error_names_the_extra() -> None:
    code = "import sys; sys.modules['psycopg'] = None; import forwarder.cluster.postgres"
    assert "a journal in PostgreSQL needs the postgresql extra: pipx install" in _run(code)


def test_a_forwarder_on_sqlite_imports_no_psycopg() -> None:
    code = "import sys; import forwarder.main; print('psycopg' in sys.modules)"
    assert _run(code) == "False\n"
