"""What each fault of a cluster does to it, and when it stops."""

from __future__ import annotations

import pytest

from forwarder.cluster.postgres import ANSWER_MS
from forwarder.groups.leasing import LEASE_MS
from simulator.errors import SimulatorError
from simulator.faults.base import (
    CrashEngine,
    CrashOwner,
    CrashServer,
    Cycle,
    FailOver,
    Fault,
    PauseEngine,
    PauseOwner,
    SetEngineBack,
)
from simulator.faults.board import FAULTS, catalogue
from simulator.faults.cluster import CLUSTER


def make(kind: str, toxicity: float = 1.0, **given: int) -> Fault:
    return Fault(FAULTS[kind], "mine", given, toxicity, 9)


@pytest.mark.parametrize(
    ("kind", "harm"), [("owner_crash", CrashOwner), ("server_crash", CrashServer)]
)
def test_the_moment_of_a_crash_is_drawn_each_time(
    kind: str, harm: type[CrashOwner | CrashServer]
) -> None:
    fault = make(kind)
    drawn = [fault.harm(turn) for turn in range(20)]
    moments = {one.after_ms for one in drawn if isinstance(one, harm)}
    assert len(moments) > 10
    assert all(0 <= one <= 1_000 for one in moments)
    assert fault.cycle() == Cycle(on_ms=3_000)
    with pytest.raises(SimulatorError, match="must be above within_ms"):
        make(kind, every_ms=3_000)


def test_the_owner_is_stopped_beyond_its_lease() -> None:
    fault = make("owner_pause")
    assert fault.harm(0) == PauseOwner()
    assert fault.values["for_ms"] > LEASE_MS


def test_the_database_comes_back() -> None:
    assert make("engine_crash").harm(0) == CrashEngine()
    assert make("engine_failover").harm(0) == FailOver()
    for kind in ("engine_crash", "engine_failover"):
        assert make(kind, down_ms=7).cycle() == Cycle(on_ms=7)
        assert make(kind, down_ms=0).cycle() == Cycle()


def test_the_database_is_away_for_longer_than_a_statement_may_take() -> None:
    fault = make("engine_away")
    assert fault.harm(0) == PauseEngine()
    assert fault.values["for_ms"] > ANSWER_MS
    assert make("engine_away", for_ms=0).cycle() == Cycle()


def test_the_copy_is_restored_when_it_has_its_age() -> None:
    fault = make("engine_set_back", back_ms=7)
    assert fault.harm(0) == SetEngineBack()
    assert fault.cycle() == Cycle(on_ms=7)
    with pytest.raises(SimulatorError, match="back_ms must be a whole number from 1"):
        make("engine_set_back", back_ms=0)


@pytest.mark.parametrize("kind", [one.type for one in CLUSTER])
def test_with_no_toxicity_nothing_happens(kind: str) -> None:
    assert make(kind, 0.0).harm(0) is None


def test_a_cluster_lists_its_own_faults_first() -> None:
    names = [one["type"] for one in catalogue()]
    assert names == list(FAULTS)
    own = [one.type for one in CLUSTER]
    assert [one["type"] for one in catalogue(is_cluster=True)] == [
        *own,
        *(name for name in names if name not in own),
    ]
