"""An owner and a follower on a primary that dies, and its standby that is promoted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from forwarder.cluster.log import Log
from forwarder.cluster.postgres import PostgresEngine
from forwarder.cluster.replicated import ReplicatedJournal
from forwarder.cluster.view import View
from forwarder.errors import JournalError
from simulator.programs.postgres import PostgresServer
from tests.support.forwarder.log_events import GROUP, event

ACKNOWLEDGED = 30
TTL_MS = 60_000


@pytest.fixture
def primary() -> Iterator[PostgresServer]:
    server = PostgresServer("fsync = off")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def standby(primary: PostgresServer) -> Iterator[PostgresServer]:
    server = PostgresServer(primary=primary)
    server.start()
    with psycopg.connect(primary.url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        admin.execute("SELECT pg_reload_conf()")
        state = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        while not admin.execute(state).fetchall():
            pass
    yield server
    server.remove()


def _take_over(log: Log, view: View) -> ReplicatedJournal:
    lease = log.acquire(TTL_MS)
    assert lease is not None
    return ReplicatedJournal.take_over(log, lease, view, timer=lambda: 0, random=lambda: 0)


def _append_until_it_fails(
    owner: ReplicatedJournal, enough: threading.Event, is_over: threading.Event
) -> int:
    """Append events one by one; return the number of those acknowledged.

    Perhaps none fails: this thread may rest during the whole failover, and go on at the standby.
    """
    for number in count():
        if number == ACKNOWLEDGED:
            enough.set()
        if is_over.is_set():
            return number
        try:
            owner.append([event(number)], "live")
        except JournalError:
            return number
    raise AssertionError


def test_a_promoted_standby_has_every_acknowledged_event(
    primary: PostgresServer, standby: PostgresServer, tmp_path: Path
) -> None:
    hosts = f"{primary.directory},{standby.directory}"
    url = f"postgresql://admin@/postgres?host={hosts}"
    engines = [PostgresEngine(url, name) for name in ("owner", "follower")]
    logs = [engine.log(GROUP) for engine in engines]
    views = [View(tmp_path / name, GROUP, boot="boot") for name in ("owner", "follower")]
    owner = _take_over(logs[0], views[0])
    old_epoch = owner.epoch
    views[1].catch_up(logs[1])
    enough, is_over = threading.Event(), threading.Event()

    def fail_over() -> None:
        enough.wait()
        primary.stop("immediate")
        standby.promote()
        is_over.set()

    thread = threading.Thread(target=fail_over)
    thread.start()
    seen = _append_until_it_fails(owner, enough, is_over)
    thread.join()
    logs[0].release(owner._lease)
    successor = _take_over(logs[0], views[0])
    assert seen <= successor.head_seq <= seen + 1, "only the last one's outcome is unknown"
    assert successor.is_resumable(old_epoch, successor.head_seq)
    everything = [event(number) for number in range(seen + 5)]
    known = successor.find([one.id for one in everything])
    successor.append([one for one in everything if one.id not in known], "live")
    views[1].catch_up(logs[1])
    for journal in (successor, views[1].journal):
        assert [row.id for row in journal.read_after(0, 9_999)] == [one.id for one in everything]
    for view in views:
        view.close()
    for engine in engines:
        engine.close()
