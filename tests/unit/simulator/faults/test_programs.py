"""What each fault of the programs does to them, and when it stops."""

from __future__ import annotations

import pytest

from simulator.errors import SimulatorError
from simulator.faults.base import Cycle, Fault
from simulator.faults.board import FAULTS
from simulator.faults.programs import PROGRAMS
from tests.support.simulator.harm_recorder import HarmRecorder


def make(kind: str, toxicity: float = 1.0, **given: int) -> Fault:
    return Fault(FAULTS[kind], "mine", given, toxicity, 9)


def done(fault: Fault, turns: int = 1) -> list[tuple[str, ...]]:
    """What it does in some turns."""
    levers = HarmRecorder()
    for turn in range(turns):
        levers.turn(fault, turn)
    return levers.calls


def test_every_one_is_known() -> None:
    assert {one.type for one in PROGRAMS} == {
        *("forwarder_crash", "journal_lost", "journal_rolled_back"),
        *("disk_full", "viewer_crash", "clock_jump"),
    }


def test_the_moment_of_a_crash_is_drawn_each_time_and_the_same_for_a_seed() -> None:
    crashes = [call for call in done(make("forwarder_crash"), 20) if call[0] == "crash"]
    assert len({call[2] for call in crashes}) > 10
    assert all(0 <= int(call[2]) <= 1_000 and call[3] == "kept" for call in crashes)
    assert crashes == [call for call in done(make("forwarder_crash"), 20) if call[0] == "crash"]


def test_a_crash_is_over_when_it_is_back() -> None:
    assert make("forwarder_crash").cycle() == Cycle(on_ms=3_000)
    assert make("forwarder_crash", down_ms=0).cycle() == Cycle(on_ms=None)
    assert make("forwarder_crash", every_ms=5_000).cycle() == Cycle(on_ms=3_000, every_ms=5_000)
    for given in ({"every_ms": 3_000}, {"every_ms": 9_000, "down_ms": 0, "within_ms": 0}):
        with pytest.raises(SimulatorError, match="must be above within_ms"):
            make("forwarder_crash", **given)


def test_journals() -> None:
    lost = ("crash", "mine", "0", "lost")
    assert done(make("journal_lost")) == [lost, ("restart", "mine", "called off")]
    assert done(make("journal_rolled_back"))[0] == ("crash", "mine", "5000", "rolled_back")
    assert make("journal_rolled_back").cycle() == Cycle(on_ms=6_000)
    assert make("journal_lost").cycle() == Cycle(on_ms=1_000)
    assert make("journal_lost", down_ms=0).cycle() == Cycle()
    for kind in ("journal_lost", "journal_rolled_back"):
        assert done(make(kind, toxicity=0))[0][3] == "kept"


@pytest.mark.parametrize("kind", ["forwarder_crash", "journal_lost", "journal_rolled_back"])
def test_a_kill_is_called_off_by_healing_alone(kind: str) -> None:
    levers = HarmRecorder()
    fault = make(kind)
    levers.turn(fault, 0, "over")
    levers.turn(fault, 1, "healed")
    _, ended, _, healed = levers.calls
    assert ended == ("restart", "mine")
    assert healed == ("restart", "mine", "called off")


def test_the_disk() -> None:
    assert done(make("disk_full", room_bytes=7)) == [("fill", "mine", "7"), ("free", "mine")]
    assert make("disk_full", for_ms=5).cycle() == Cycle(on_ms=5)


def test_viewers() -> None:
    assert done(make("viewer_crash", 0.5)) == [("kill", "0.5")]
    assert make("viewer_crash", every_ms=5).cycle() == Cycle(on_ms=0, every_ms=5)


def test_the_clock_jumps_both_ways() -> None:
    ahead, back = ("clock", "mine", "60000"), ("clock", "mine", "right")
    assert done(make("clock_jump")) == [ahead, back]
    assert done(make("clock_jump", ahead_ms=0, behind_ms=5))[0] == ("clock", "mine", "-5")
    assert make("clock_jump", for_ms=5).cycle() == Cycle(on_ms=5)


@pytest.mark.parametrize("kind", ["forwarder_crash", "disk_full", "clock_jump"])
def test_with_no_toxicity_nothing_happens(kind: str) -> None:
    harm = {"crash", "fill", "clock"}
    assert [call for call in done(make(kind, 0.0)) if call[0] in harm and call[2] != "right"] == []
