from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from forwarder.cluster import status as statuses
from forwarder.cluster.log import EMPTY, Entry, Lease
from forwarder.cluster.replicated import ReplicatedJournal
from forwarder.cluster.status import Report, Status
from forwarder.cluster.view import ForkedError, View, boot_id
from forwarder.errors import JournalError, JournalInUseError
from forwarder.journal.sqlite import SqliteJournals
from tests.support.cluster.memory_log import MemoryEngine, MemoryLog
from tests.support.forwarder.log_events import GROUP, events


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine(lambda: 0)


@pytest.fixture
def log(engine: MemoryEngine) -> MemoryLog:
    return engine.log(GROUP)


@pytest.fixture
def owner(log: MemoryLog, tmp_path: Path) -> Iterator[ReplicatedJournal]:
    view = View(tmp_path / "owner.view", GROUP, boot="boot")
    yield _take_over(log, view)
    view.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "follower.view"


def _take_over(log: MemoryLog, view: View) -> ReplicatedJournal:
    lease = log.acquire(10_000)
    assert lease is not None
    return ReplicatedJournal.take_over(log, lease, view, timer=lambda: 0, random=lambda: 1)


def _open(path: Path, boot: str = "boot") -> View:
    return View(path, GROUP, boot=boot)


def test_a_reopened_view_continues_where_it_was(
    owner: ReplicatedJournal, log: MemoryLog, path: Path
) -> None:
    owner.append(events(range(5)), "live")
    view = _open(path)
    assert not view.catch_up(log)
    head, rows = view.head, view.journal.read_after(0, 9)
    view.close()
    view = _open(path)
    assert (view.head, view.journal.read_after(0, 9)) == (head, rows)
    assert view.journal.epoch == owner.epoch
    view.close()


def test_a_view_from_before_a_power_cut_is_built_again(
    owner: ReplicatedJournal, log: MemoryLog, path: Path
) -> None:
    owner.append(events(range(5)), "live")
    view = _open(path)
    view.catch_up(log)
    view.close()
    view = _open(path, "another boot")
    assert view.head == EMPTY
    view.catch_up(log)
    assert view.journal.head_seq == 5
    view.close()


def test_a_damaged_view_is_built_again(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1_000)
    view = _open(path)
    assert view.head == EMPTY
    view.close()


def test_a_view_in_use_is_not_deleted(path: Path) -> None:
    view = _open(path)
    with pytest.raises(JournalInUseError, match="another forwarder is using it"):
        _open(path)
    assert path.exists()
    view.close()


def test_a_view_is_no_journal_to_start_a_forwarder_on(path: Path) -> None:
    _open(path).close()
    with pytest.raises(JournalError, match="another program's database"):
        SqliteJournals(path)


def test_a_view_of_a_log_that_was_set_back_is_built_again(
    owner: ReplicatedJournal, engine: MemoryEngine, log: MemoryLog, path: Path, tmp_path: Path
) -> None:
    state = engine.state()
    owner.append(events(range(5)), "live")
    view = _open(path)
    view.catch_up(log)
    position = view.position
    engine.set_back(state)
    engine.groups[GROUP, ""].token = None
    other = View(tmp_path / "other.view", GROUP, boot="boot")
    _take_over(log, other)
    assert log.head().position == position, "it has grown to the same length again"
    assert view.catch_up(log)
    assert view.head == log.head()
    assert view.journal.chain == other.journal.chain
    view.close()
    other.close()


def test_entries_that_do_not_follow_change_nothing(
    owner: ReplicatedJournal, log: MemoryLog, path: Path
) -> None:
    owner.append(events(range(5)), "live")
    owner.append(events(range(5, 9)), "live")
    first, second, third = log.read(0, 3)
    view = _open(path)
    for wrong in ([first, third], [second], [first, Entry(2, third.index, third.bodies)]):
        with pytest.raises(ForkedError, match="is not a copy"):
            view.apply(wrong)
        assert view.head == EMPTY
        assert view.journal.head_seq == 0
    assert len(view.apply([first, second, third])) == 3
    assert view.journal.head_seq == 9
    view.close()


def _begin_another_chain(owner: ReplicatedJournal) -> None:
    for number in range(5):
        owner.append(events([number]), "live")
    owner.begin_chain()
    owner.append(events(range(7, 9)), "live")


@pytest.mark.parametrize("parts", [1, 2, 9])
@pytest.mark.parametrize("applied", range(8))
def test_a_view_behind_trimmed_entries_goes_on_with_the_next_chain(
    owner: ReplicatedJournal, log: MemoryLog, path: Path, applied: int, parts: int
) -> None:
    _begin_another_chain(owner)
    view = _open(path)
    view.apply(log.read(0, applied))
    for _ in range(parts):
        owner.trim(1)
    assert not view.catch_up(log)
    assert view.head == log.head()
    assert view.journal.chain == owner.chain
    assert view.journal.read_after(0, 9) == owner.read_after(0, 9)
    assert view.chain_at == 7
    # As with any other view, coverage is what the owner says, once it says it.
    owner.cover(0, 9)
    owner.renew(Report())
    status = statuses.decode(log.status().content)
    assert view.is_valid(status, log.status().at)
    view.close()
    view = _open(path)
    assert view.head == log.head()
    view.close()


def test_a_view_does_not_skip_what_no_chain_follows(
    owner: ReplicatedJournal, engine: MemoryEngine, log: MemoryLog, path: Path
) -> None:
    owner.append(events([1]), "live")
    owner.append(events([2]), "live")
    view = _open(path)
    view.apply(log.read(0, 1))
    del engine.groups[GROUP, ""].entries[1]
    with pytest.raises(ForkedError):
        view.apply(log.read(1, 1))
    view.close()


def test_a_view_of_an_earlier_version_goes_on(
    owner: ReplicatedJournal, log: MemoryLog, path: Path
) -> None:
    owner.append(events(range(5)), "live")
    view = _open(path)
    view.catch_up(log)
    view.close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE replica DROP COLUMN log_bytes")
    connection.close()
    view = _open(path)
    assert (view.head, view.log_bytes) == (log.head(), 0)
    owner.append(events([6]), "live")
    view.catch_up(log)
    assert view.log_bytes > 0
    view.close()


def test_a_log_that_contradicts_itself_is_reported(
    owner: ReplicatedJournal, engine: MemoryEngine, log: MemoryLog, path: Path
) -> None:
    owner.append(events(range(5)), "live")
    group = engine.groups[GROUP, ""]
    group.entries[1] = Entry(2, group.entries[0].index, None)
    view = _open(path)
    with pytest.raises(JournalError, match="contradicts itself: restore its database"):
        view.catch_up(log)
    view.close()


def test_a_status_holds_only_once_its_position_is_applied(
    owner: ReplicatedJournal, log: MemoryLog, path: Path
) -> None:
    view = _open(path)
    view.catch_up(log)
    owner.append(events(range(5)), "live")
    owner.cover(0, 9)
    owner.renew(Report())
    stored = log.status()
    status = statuses.decode(stored.content)
    assert not view.is_valid(status, stored.at)
    view.catch_up(log)
    assert view.is_valid(status, stored.at)
    view.adopt(status)
    assert list(view.journal.coverage()) == [(0, 9)]
    owner.begin_chain()
    view.catch_up(log)
    assert not view.is_valid(status, stored.at), "it speaks of a forgotten chain"
    assert list(view.journal.coverage()) == []
    view.close()


@pytest.mark.usefixtures("owner")
def test_a_status_of_another_log_is_a_fork(log: MemoryLog, path: Path) -> None:
    view = _open(path)
    view.catch_up(log)
    with pytest.raises(ForkedError):
        view.is_valid(Status(b"another.", view.chain_at, (), ()), view.position)
    view.close()


def test_a_status_of_a_log_that_was_set_back_is_a_fork(
    owner: ReplicatedJournal, engine: MemoryEngine, log: MemoryLog, path: Path, tmp_path: Path
) -> None:
    state = engine.state()
    for number in range(9):
        owner.append(events([number]), "live")
    view = _open(path)
    view.catch_up(log)
    engine.set_back(state)
    engine.groups[GROUP, ""].token = None
    other = View(tmp_path / "other.view", GROUP, boot="boot")
    successor = _take_over(log, other)
    successor.cover(0, 9)
    successor.renew(Report())
    stored = log.status()
    assert stored.at < view.position
    with pytest.raises(ForkedError):
        view.is_valid(statuses.decode(stored.content), stored.at)
    view.close()
    other.close()


def test_only_the_latest_digests_are_kept(
    owner: ReplicatedJournal, log: MemoryLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forwarder.cluster.view.DIGESTS_MAX", 3)
    owner.renew(Report())
    stored = log.status()
    view = _open(path)
    for number, is_known in enumerate([True, True, True, False, False]):
        view.catch_up(log)
        assert view.is_valid(statuses.decode(stored.content), stored.at) == is_known
        owner.append(events([number]), "live")
    view.close()


def test_a_new_owner_does_not_keep_coverage_that_was_never_published(
    log: MemoryLog, path: Path
) -> None:
    view = _open(path)
    owner = _take_over(log, view)
    owner.cover(0, 9)
    view.close()
    log.release(Lease(1, 0))
    view = _open(path)
    assert list(_take_over(log, view).coverage()) == []
    view.close()


def test_the_log_forgets_what_retention_removed(
    owner: ReplicatedJournal, log: MemoryLog, path: Path
) -> None:
    for start in (0, 5, 10):
        owner.append(events(range(start, start + 5), from_ms=start * 100), "live")
    while owner.retire(before=1_000) or owner.trim():
        pass
    assert [one.bodies is None for one in log.read(0, 9)] == [True, True, True, False, True]
    view = _open(path)
    view.catch_up(log)
    assert view.journal.read_after(0, 20) == owner.read_after(0, 20)
    assert view.journal.size_bytes() == owner.size_bytes()
    view.close()


def test_the_log_keeps_a_body_that_came_back(owner: ReplicatedJournal, log: MemoryLog) -> None:
    owner.append(events(range(5), from_ms=0), "live")
    owner.append(events(range(5, 9), from_ms=500), "live")
    while owner.retire(before=500) or owner.trim():
        pass
    assert owner.restore({"3": "line 3"}) == 1
    position = log.head().position
    owner.append(events(range(9, 12), from_ms=900), "live")
    while owner.retire(bytes_max=owner.size_bytes() - 1):
        pass
    while owner.retire(before=500) or owner.trim():
        pass
    assert log.read(position - 1, 1)[0].bodies is None, "removed again: strays go first"
    assert owner.restore({"3": "line 3"}) == 1
    position = log.head().position
    owner.retire(before=0)
    owner._has_retired = True
    assert not owner.retire(before=0)
    assert log.read(position - 1, 1)[0].bodies is not None


def test_the_boot_is_the_same_within_a_process() -> None:
    assert boot_id() == boot_id()


def test_a_failed_write_leaves_memory_and_file_alike(
    owner: ReplicatedJournal, log: MemoryLog, path: Path
) -> None:
    owner.append(events(range(5)), "live")
    view = _open(path)
    view.catch_up(log)
    owner.append(events(range(5, 9)), "live")
    found = log.read(view.position, 9)
    broken = [*found, Entry(found[-1].position + 1, b"\x01broken", None)]
    with pytest.raises(JournalError, match="damaged"):
        view.apply(broken)
    assert view.journal.head_seq == 5
    assert view.journal.find(["7"]) == {}
    view.catch_up(log)
    assert view.journal.head_seq == 9
    view.close()
