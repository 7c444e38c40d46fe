from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forwarder.cluster import entries
from forwarder.cluster.log import Fenced, Lease, Unavailable, Unknown
from forwarder.cluster.replicated import PAUSE_MAX_MS, CircuitBreaker, ReplicatedJournal
from forwarder.cluster.status import Report
from forwarder.cluster.view import ENTRY_BYTES, View
from forwarder.errors import JournalFullError
from forwarder.journal.contract import ROW_BYTES
from tests.support.cluster.memory_log import Fault, MemoryEngine, MemoryLog
from tests.support.forwarder.log_events import GROUP, events


class Rig:
    """An owner over a log in memory."""

    def __init__(self, folder: Path) -> None:
        self.now_ms = 0
        self.engine = MemoryEngine(lambda: self.now_ms)
        self.log = self.engine.log(GROUP)
        self.view = View(folder / "a.view", GROUP, boot="boot")
        self.owner = self.take_over(self.log, self.view)

    def take_over(self, log: MemoryLog, view: View) -> ReplicatedJournal:
        lease = log.acquire(10_000)
        assert lease is not None
        return ReplicatedJournal.take_over(
            log, lease, view, timer=lambda: self.now_ms, random=lambda: 1
        )


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.view.close()


def test_an_engine_that_is_away_is_like_a_full_disk(rig: Rig) -> None:
    rig.log.is_down = True
    with pytest.raises(JournalFullError, match="away"):
        rig.owner.append(events(range(3)), "live")
    assert rig.owner.failure is None
    assert rig.owner.head_seq == 0
    assert rig.owner.find(["1"]) == {}
    rig.log.is_down = False
    rig.now_ms += 1_000
    assert rig.owner.append(events(range(3)), "live") == 3


def test_calls_after_a_failure_do_not_wait_for_the_engine(rig: Rig) -> None:
    rig.log.faults = ["refused", "refused"]
    for _ in range(3):
        with pytest.raises(Unavailable):
            rig.owner.append(events(range(3)), "live")
    assert len(rig.log.faults) == 1, "only the first one reached the log"
    rig.now_ms += 1_000
    with pytest.raises(Unavailable):
        rig.owner.append(events(range(3)), "live")
    rig.now_ms += 1_999
    with pytest.raises(Unavailable):
        rig.owner.append(events(range(3)), "live")
    rig.now_ms += 1
    assert rig.owner.append(events(range(3)), "live") == 3


def test_a_renewal_that_works_ends_the_pause(rig: Rig) -> None:
    rig.log.is_down = True
    with pytest.raises(Unavailable):
        rig.owner.renew(Report())
    rig.log.is_down = False
    with pytest.raises(Unavailable):
        rig.owner.renew(Report())
    rig.now_ms += 1_000
    rig.owner.renew(Report())
    assert rig.owner.append(events(range(3)), "live") == 3


def test_a_lease_outlives_the_longest_pause() -> None:
    assert 2 * PAUSE_MAX_MS < 10_000


def test_pauses_grow_and_are_bounded() -> None:
    breaker = CircuitBreaker(lambda: 1)
    now_ms = 0
    for pause_ms in (1_000, 2_000, 4_000, 4_000):
        breaker.fail(Unavailable("away"), now_ms)
        with pytest.raises(Unavailable, match="away"):
            breaker.check(now_ms + pause_ms - 1)
        now_ms += pause_ms
        breaker.check(now_ms)
    breaker.succeed()
    breaker.fail(Unavailable("away"), now_ms)
    breaker.check(now_ms + 1_000)


@pytest.mark.parametrize("fault", ["lost_request", "lost_answer", "in_flight"])
def test_after_an_unknown_outcome_the_owner_takes_over_again(rig: Rig, fault: Fault) -> None:
    rig.log.faults = [fault]
    old = rig.owner
    with pytest.raises(Unknown):
        old.append(events(range(3)), "live")
    assert isinstance(old.failure, Unknown)
    with pytest.raises(Unknown):
        old.put_ended("job/1", "FAILED", "rule")
    rig.log.release(old._lease)
    new = rig.take_over(rig.log, rig.view)
    rig.engine.deliver()
    assert new.head_seq == (3 if fault == "lost_answer" else 0)
    known = new.find([str(one) for one in range(5)])
    new.append([one for one in events(range(5)) if one.id not in known], "live")
    assert [row.id for row in new.read_after(0, 9)] == ["0", "1", "2", "3", "4"]
    assert rig.log.head() == rig.view.head


def test_the_predecessor_is_fenced(rig: Rig, tmp_path: Path) -> None:
    rig.owner.append(events(range(3)), "live")
    rig.now_ms += 10_000
    other = View(tmp_path / "b.view", GROUP, boot="boot")
    new = rig.take_over(rig.engine.log(GROUP), other)
    assert new.head_seq == 3
    assert new.is_resumable(rig.owner.epoch, 3)
    with pytest.raises(Fenced, match="has taken over"):
        rig.owner.append(events(range(3, 5)), "live")
    assert isinstance(rig.owner.failure, Fenced)
    assert rig.owner.head_seq == 3
    new.append(events(range(3, 5)), "live")
    other.close()


def test_a_lost_lease_is_noticed_when_it_is_renewed(rig: Rig) -> None:
    rig.owner.renew(Report())
    rig.now_ms += 9_999
    assert rig.log.acquire(10_000) is None
    rig.now_ms += 1
    assert rig.log.acquire(10_000) is not None
    with pytest.raises(Fenced, match="has taken over"):
        rig.owner.renew(Report())
    with pytest.raises(Fenced):
        rig.owner.cover(0, 1)


def test_a_batch_that_was_written_in_part_ends_the_owner(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "ENTRY_BYTES_MAX", 100)
    monkeypatch.setattr(rig.log, "append", _failing_second(rig.log))
    with pytest.raises(Unknown, match="a part of a batch"):
        rig.owner.append(events(range(3)), "live")
    assert isinstance(rig.owner.failure, Unknown)


def _failing_second(log: MemoryLog) -> object:
    append, calls = log.append, iter([False, True])

    def call(lease: Lease, expected: int, index: bytes, bodies: bytes | None) -> None:
        if next(calls):
            msg = "away"
            raise Unavailable(msg)
        append(lease, expected, index, bodies)

    return call


def test_what_can_not_be_applied_ends_the_owner(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        msg = "the disk is full"
        raise JournalFullError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(rig.view.journal, "append_bodied", fail)
        with pytest.raises(Unknown, match="in the log, not here: the disk is full"):
            rig.owner.append(events(range(3)), "live")
    assert rig.view.position == rig.log.head().position - 1
    rig.log.release(rig.owner._lease)
    assert rig.take_over(rig.log, rig.view).head_seq == 3


def test_nothing_is_written_without_a_change(rig: Rig) -> None:
    rig.owner.append(events(range(3)), "live")
    head = rig.log.head()
    assert rig.owner.append([], "live") == 3
    assert rig.owner.restore({"1": "line 1"}) == 0
    assert rig.owner.mark_lost(["1"], "why") == 0
    assert rig.owner.retire(before=0) == 0
    assert rig.log.head() == head


def test_a_forgotten_chain_is_trimmed_part_by_part(rig: Rig) -> None:
    for number in range(4):
        rig.owner.append(events([number]), "live")
    assert not rig.owner.trim(2), "the chain is the present one"
    rig.owner.begin_chain()
    assert rig.owner.trim(2)
    assert [one.position for one in rig.log.read(0, 9)] == [1, 2, 3, 6]
    while rig.owner.trim(2):
        pass
    assert [one.position for one in rig.log.read(0, 9)] == [6]
    assert rig.owner.trimmed == 5


def test_the_next_owner_goes_on_trimming(rig: Rig, tmp_path: Path) -> None:
    rig.owner.append(events(range(4)), "live")
    rig.owner.begin_chain()
    rig.owner.trim(1)
    rig.log.release(rig.owner._lease)
    view = View(tmp_path / "b.view", GROUP, boot="boot")
    other = rig.take_over(rig.engine.log(GROUP), view)
    assert not rig.owner.trim(1), "without the lease, nothing is removed"
    while other.trim(1):
        pass
    assert [one.position for one in rig.log.read(0, 9)] == [3, 4]
    assert other.trimmed == 1
    view.close()


@pytest.mark.parametrize("fault", ["refused", "lost_answer", "in_flight"])
def test_a_failed_trim_is_tried_again(rig: Rig, fault: Fault) -> None:
    rig.owner.append(events(range(4)), "live")
    rig.owner.begin_chain()
    rig.log.faults = [fault]
    with pytest.raises(Unavailable):
        rig.owner.trim()
    assert rig.owner.failure is None
    rig.now_ms += 1_000
    while rig.owner.trim():
        pass
    rig.engine.deliver()
    assert [one.position for one in rig.log.read(0, 9)] == [3]


def test_bodies_that_retention_removed_leave_the_log(rig: Rig) -> None:
    rig.owner.append(events(range(4)), "live")
    rig.owner.retire(bytes_max=0)
    while rig.owner.trim():
        pass
    assert [one.bodies for one in rig.log.read(0, 9)] == [None] * 3


def test_the_log_counts_as_the_journals_size_where_it_is_larger_than_the_rows(rig: Rig) -> None:
    rig.owner.append(events(range(50)), "live")
    rows = rig.view.journal.size_bytes
    assert rig.owner.size_bytes() == rows()
    for _ in range(90):
        rig.owner.retire(bytes_max=0)
        rig.owner.restore({str(number): "again" for number in range(50)})
    stored = sum(len(one.index) + ENTRY_BYTES for one in rig.log.read(0, 999))
    assert rig.owner.size_bytes() == rows() + stored - ROW_BYTES * 50
    # Retention must not spare bodies that are there beside it.
    assert rig.owner.retire(bytes_max=rows() + 1) == 50
    rig.owner.begin_chain()
    assert rig.owner.size_bytes() < 1_000
