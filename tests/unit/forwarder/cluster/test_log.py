"""The model and PostgreSQL are the same ``Log``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from forwarder.cluster.log import EMPTY, Entry, Fenced, Head, Lease, Log, Trimmed, digest_of
from forwarder.cluster.postgres import PostgresEngine
from simulator.programs.postgres import PostgresServer
from tests.support.cluster.memory_log import MemoryEngine

Open = Callable[..., Log]

TTL_MS = 60_000
_NUMBERS = count()


@pytest.fixture(params=["model", "postgresql"])
def open_log(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open clients of one engine, each as another forwarder."""
    if request.param == "model":
        yield MemoryEngine(lambda: 0).log
        return
    server: PostgresServer = request.getfixturevalue("server")
    engines: list[PostgresEngine] = []
    prefix = f"/test/{next(_NUMBERS)}"

    def connect(group: str, pattern: str = "") -> Log:
        engines.append(PostgresEngine(server.url, f"forwarder {len(engines)}"))
        return engines[-1].log(prefix + group, pattern)

    yield connect
    for engine in engines:
        engine.close()


@pytest.fixture
def log(open_log: Open) -> Log:
    return open_log("/a")


@pytest.fixture
def lease(log: Log) -> Lease:
    return _acquired(log)


def _acquired(log: Log, ttl_ms: int = TTL_MS) -> Lease:
    lease = log.acquire(ttl_ms)
    assert lease is not None
    return lease


def test_a_new_log_is_empty(log: Log) -> None:
    assert log.head() == EMPTY
    assert log.read(0, 9) == []
    status = log.status()
    assert (status.at, status.content) == (0, b"")
    assert log.wants() == {}


def test_entries_are_read_as_they_were_written(log: Log, lease: Lease, open_log: Open) -> None:
    written = [
        Entry(1, b"index\0\xff", b"bodies\0\xff"),
        Entry(2, b"another", None),
        Entry(3, bytes(range(256)) * 4096, bytes(range(256)) * 8192),
    ]
    for entry in written:
        log.append(lease, entry.position - 1, entry.index, entry.bodies)
    for reader in (log, open_log("/a")):
        assert reader.head() == Head(3, digest_of(written[2].index))
        assert reader.read(0, 9) == written
        assert reader.read(1, 1) == [written[1]]
        assert reader.read(3, 9) == []


@pytest.mark.parametrize("expected", [0, 2])
def test_an_append_elsewhere_is_fenced(log: Log, lease: Lease, expected: int) -> None:
    log.append(lease, 0, b"one", None)
    with pytest.raises(Fenced, match="another forwarder has taken over"):
        log.append(lease, expected, b"two", b"bodies")
    assert log.read(0, 9) == [Entry(1, b"one", None)]
    log.append(lease, 1, b"two", None)


def test_a_lease_is_held_by_one(log: Log, lease: Lease, open_log: Open) -> None:
    other = open_log("/a")
    assert other.acquire(TTL_MS) is None
    assert log.acquire(TTL_MS) is None
    log.release(lease)
    taken = _acquired(other)
    assert taken.token != lease.token
    log.release(lease)
    assert log.acquire(TTL_MS) is None, "an old lease releases nothing"


def test_an_expired_lease_works_until_another_takes_it(log: Log, open_log: Open) -> None:
    lease = _acquired(log, 0)
    log.append(lease, 0, b"one", None)
    assert log.renew(lease, b"status", 1)
    other = open_log("/a")
    taken = _acquired(other)
    with pytest.raises(Fenced):
        log.append(lease, 1, b"two", None)
    assert not log.renew(lease, b"old", 1)
    assert log.status().content == b"status"
    other.append(taken, 1, b"two", None)
    assert log.head().position == 2


def test_a_renewed_lease_lasts_longer(log: Log, open_log: Open) -> None:
    lease = _acquired(log, 0)
    log.renew(Lease(lease.token, TTL_MS), b"", 0)
    assert open_log("/a").acquire(TTL_MS) is None


def test_the_latest_status_replaces_the_others(log: Log, lease: Lease, open_log: Open) -> None:
    for at, content in ((0, b"one\0"), (1, b"")):
        assert log.renew(lease, content, at)
        status = open_log("/a").status()
        assert (status.at, status.content) == (at, content)
        assert status.written_ms <= status.now_ms
        log.append(lease, at, b"index", None)


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("status", [b"", b"one\0"])
def test_a_look_finds_entries_end_and_status(
    log: Log, lease: Lease, count: int, status: bytes
) -> None:
    for position in range(count):
        log.append(lease, position, b"%d" % position, b"bodies" if position % 2 else None)
    assert log.renew(lease, status, count)
    for after in range(count + 1):
        for limit in (1, 2, 9):
            news = log.look(after, limit)
            assert news.entries == log.read(after, limit)
            assert news.head == log.head()
            assert news.status.now_ms >= news.status.written_ms
            assert news.status._replace(now_ms=0) == log.status()._replace(now_ms=0)


@pytest.mark.parametrize("at", [0, 2])
def test_a_status_of_another_position_is_refused(log: Log, lease: Lease, at: int) -> None:
    log.append(lease, 0, b"index", None)
    assert not log.renew(lease, b"status", at)
    assert log.status().content == b""


def test_bodies_are_dropped_up_to_a_position(log: Log, lease: Lease) -> None:
    for position in range(4):
        log.append(lease, position, b"index", b"bodies" if position != 1 else None)
    assert log.drop_bodies(Lease(lease.token + 1, TTL_MS), 4, 9) == 0
    assert [one.bodies for one in log.read(0, 9)] == [b"bodies", None, b"bodies", b"bodies"]
    assert log.drop_bodies(lease, 3, 1) == 1
    assert [one.bodies for one in log.read(0, 9)] == [None, None, b"bodies", b"bodies"]
    assert log.drop_bodies(lease, 3, 9) == 1
    assert log.drop_bodies(lease, 3, 9) == 0
    assert [one.bodies for one in log.read(0, 9)] == [None, None, None, b"bodies"]
    assert log.head() == Head(4, digest_of(b"index"))


def test_entries_are_trimmed_from_the_newest_on(log: Log, lease: Lease) -> None:
    for position in range(6):
        log.append(lease, position, b"%d" % position, b"bodies" if position % 2 else None)
    assert log.trim(lease, 6, 5, 3) == Trimmed(3, 2)
    left = [Entry(1, b"0", None), Entry(5, b"4", None), Entry(6, b"5", b"bodies")]
    assert log.read(0, 9) == left
    assert [log.read(after, 1) for after in (1, 3, 4)] == [[left[1]]] * 3
    assert log.head() == Head(6, digest_of(b"5"))
    assert log.trim(lease, 6, 2, 3) == Trimmed(1, 1)
    assert log.trim(lease, 6, 1, 3) == Trimmed(0, 0)
    assert log.renew(lease, b"status", 6)
    for after in (0, 2, 4, 5, 6):
        news = log.look(after, 9)
        assert (
            news.entries == log.read(after, 9) == [one for one in left[1:] if one.position > after]
        )
        assert news.status.content == b"status"
    log.append(lease, 6, b"6", None)
    assert log.head().position == 7


@pytest.mark.parametrize("at", [2, 4])
def test_a_trim_elsewhere_does_nothing(log: Log, lease: Lease, at: int) -> None:
    for position in range(3):
        log.append(lease, position, b"index", b"bodies")
    assert log.trim(lease, at, 3, 9) == Trimmed(0, 0)
    assert log.trim(Lease(lease.token + 1, TTL_MS), 3, 3, 9) == Trimmed(0, 0)
    assert [one.bodies for one in log.read(0, 9)] == [b"bodies"] * 3


def test_wants_are_replaced_and_expire(log: Log, open_log: Open) -> None:
    log.want("a", b"one", TTL_MS)
    log.want("b", b"two\0", TTL_MS)
    log.want("c", b"gone", 0)
    log.want("a", b"three", TTL_MS)
    assert open_log("/a").wants() == {"a": b"three", "b": b"two\0"}


def test_waiting_ends_with_news_or_time(log: Log, lease: Lease) -> None:
    log.wait(0, 1)
    log.append(lease, 0, b"one", None)
    log.wait(0, 600_000)


def test_journals_have_logs_of_their_own(open_log: Open) -> None:
    logs = [open_log("/a"), open_log("/b"), open_log("/a", "ERROR"), open_log("/a", "\udcff")]
    for number, log in enumerate(logs, 1):
        lease = _acquired(log)
        for position in range(number):
            log.append(lease, position, b"index", None)
    assert [log.head().position for log in logs] == [1, 2, 3, 4]
