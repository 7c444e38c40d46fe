from __future__ import annotations

import threading

import pytest

from simulator.errors import NotFoundError, SimulatorError
from simulator.faults import board, fault_log
from simulator.faults.base import ClusterHarm, CrashForwarder, Fault, FaultType, FillDisk
from simulator.faults.board import (
    FAMILIES,
    FAULTS,
    Board,
    FaultRequest,
    FaultSchedule,
    catalogue,
    lasts_ms,
    needs,
)
from simulator.faults.fault_log import FaultLog
from tests.support.processes.gapless_processes import WAIT_S
from tests.support.simulator.harm_recorder import HarmRecorder

PULL, PLUG = ("pull", "disconnect"), ("plug", "disconnect")


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = 1_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def levers() -> HarmRecorder:
    return HarmRecorder()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def switches(levers: HarmRecorder, clock: Clock) -> Board:
    return Board(levers.begin, levers.end, 7, clock)


def request(
    kind: str = "disconnect", *, schedule: FaultSchedule | None = None, **given: int
) -> FaultRequest:
    return FaultRequest(type=kind, attributes=given, schedule=schedule or FaultSchedule())


def test_on_until_healed(switches: Board, levers: HarmRecorder) -> None:
    told = switches.switch_on(request())
    assert told["name"] == told["type"] == "disconnect"
    assert told["on"] is True
    assert switches.step(10**9) is None
    assert levers.calls == [PULL]
    switches.switch_off("disconnect")
    assert levers.calls == [PULL, PLUG]
    assert switches.describe_all() == []


def test_once_for_a_time(switches: Board, levers: HarmRecorder, clock: Clock) -> None:
    switches.switch_on(request(down_ms=300))
    assert switches.step(clock.now_ms + 299) == 1
    assert switches.describe("disconnect")["on"] is True
    assert switches.step(clock.now_ms + 300) is None
    assert levers.calls == [PULL, PLUG]
    assert switches.describe_all() == []


def test_again_and_again(switches: Board, levers: HarmRecorder, clock: Clock) -> None:
    switches.switch_on(request(down_ms=100, every_ms=300))
    assert switches.step(clock.now_ms + 100) == 200
    waiting = {"on": False, "since_ms": None, "turns": 1}
    assert switches.describe("disconnect").items() >= waiting.items()
    assert switches.step(clock.now_ms + 300) == 100
    assert levers.calls == [PULL, PLUG, PULL]
    assert switches.step(clock.now_ms + 600) == 100  # the end of the last one was slept through
    assert levers.calls == [PULL, PLUG, PULL, PLUG, PULL]


def test_what_a_fault_affects_is_counted_over_its_turns(levers: HarmRecorder, clock: Clock) -> None:
    switches = Board(levers.begin, levers.end, 7, clock, affected=levers.affected)
    assert switches.switch_on(request(down_ms=100, every_ms=300))["affected"] == 0
    levers.counts["disconnect"] = 2
    assert switches.describe("disconnect")["affected"] == 2
    switches.step(clock.now_ms + 100)
    assert switches.describe("disconnect")["affected"] == 2
    switches.step(clock.now_ms + 300)
    levers.counts["disconnect"] = 3
    assert [one["affected"] for one in switches.describe_all()] == [5]
    switches.switch_off("disconnect")
    entries = switches.log.describe()["entries"]
    assert [one["affected"] for one in entries] == [None, None, 2, None, None, 3]
    assert [one["event"] for one in entries if one["affected"]] == ["ended", "ended"]
    assert switches.switch_on(request())["affected"] == 0
    assert switches.describe("disconnect")["affected"] == 3  # of this one alone


def test_a_full_log_counts_what_it_drops(
    levers: HarmRecorder, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fault_log, "ENTRIES_MAX", 3)
    log = FaultLog(lambda: 1)
    switches = Board(levers.begin, levers.end, 7, clock, log=log)
    switches.switch_on(request())
    assert log.describe()["dropped"] == 0
    switches.switch_off("disconnect")
    assert log.describe()["dropped"] == 1
    assert [one["event"] for one in log.describe()["entries"]] == ["began", "healed", "ended"]


def test_an_instant_happens_and_is_over(switches: Board, levers: HarmRecorder) -> None:
    assert switches.switch_on(request("duplicate_timestamps"))["turns"] == 1
    assert levers.calls == [("submit",)]
    assert switches.describe_all() == []


def test_instants_again_and_again(switches: Board, levers: HarmRecorder, clock: Clock) -> None:
    switches.switch_on(request("duplicate_timestamps", every_ms=50))
    assert switches.step(clock.now_ms) == 50
    assert switches.step(clock.now_ms + 50) == 50
    assert levers.calls == [("submit",)] * 2


def test_a_schedule(switches: Board, levers: HarmRecorder, clock: Clock) -> None:
    told = switches.switch_on(request(schedule=FaultSchedule(after_ms=500, for_ms=200)))
    assert told["on"] is False
    assert levers.calls == []
    assert switches.step(clock.now_ms) == 500
    assert switches.step(clock.now_ms + 500) == 200
    assert levers.calls == [PULL]
    assert switches.step(clock.now_ms + 700) is None
    assert levers.calls == [PULL, PLUG]
    assert switches.describe_all() == []


def test_a_schedule_bounds_a_cycle(switches: Board, levers: HarmRecorder, clock: Clock) -> None:
    schedule = FaultSchedule(for_ms=350)
    switches.switch_on(request(schedule=schedule, down_ms=100, every_ms=300))
    assert switches.step(clock.now_ms + 100) == 200
    assert switches.step(clock.now_ms + 300) == 50
    assert switches.step(clock.now_ms + 350) is None
    assert levers.calls == [PULL, PLUG, PULL, PLUG]


def test_a_fault_that_begins_late_lasts_its_whole_time(
    switches: Board, levers: HarmRecorder, clock: Clock
) -> None:
    switches.switch_on(request(schedule=FaultSchedule(after_ms=500, for_ms=200)))
    assert switches.step(clock.now_ms + 900) == 200
    assert switches.step(clock.now_ms + 1_099) == 1
    assert levers.calls == [PULL]
    assert switches.step(clock.now_ms + 1_100) is None
    assert levers.calls == [PULL, PLUG]


def test_a_fault_that_is_slow_to_begin_lasts_its_whole_time(
    switches: Board, levers: HarmRecorder, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(owner: str) -> None:
        clock.now_ms += 700
        HarmRecorder.pull(levers, owner)

    monkeypatch.setattr(levers, "pull", slow)
    switches.switch_on(request(down_ms=300, every_ms=1_000))
    begun_ms = clock.now_ms
    for first_ms in (begun_ms, begun_ms + 1_700):
        levers.calls.clear()
        assert switches.step(first_ms) == 300
        assert switches.step(first_ms + 299) == 1
        assert levers.calls == []
        assert switches.step(first_ms + 300) == 700
        assert levers.calls == [PLUG]
        clock.now_ms = first_ms + 1_000
        assert switches.step(clock.now_ms) == 300
        assert levers.calls == [PLUG, PULL]


def test_a_fault_whose_time_is_over_is_not_called_off(
    switches: Board, levers: HarmRecorder, clock: Clock
) -> None:
    ended, healed = ("restart", "journal_lost"), ("restart", "journal_lost", "called off")
    switches.switch_on(request("journal_lost", down_ms=300))
    switches.step(clock.now_ms + 300)
    switches.switch_on(request("journal_lost", down_ms=300))
    switches.switch_off("journal_lost")
    switches.switch_on(request("journal_lost", down_ms=300, schedule=FaultSchedule(for_ms=100)))
    switches.step(clock.now_ms + 100)
    restarts = [call for call in levers.calls if call[0] == "restart"]
    assert restarts == [ended, healed, healed]


def test_the_same_name_replaces(switches: Board, levers: HarmRecorder) -> None:
    switches.switch_on(request())
    switches.switch_on(request(down_ms=5))
    assert levers.calls == [PULL, PLUG, PULL]
    assert [told["attributes"]["down_ms"] for told in switches.describe_all()] == [5]


def test_two_of_a_type_under_names_of_their_own(switches: Board, levers: HarmRecorder) -> None:
    switches.switch_on(request())
    switches.switch_on(FaultRequest(type="disconnect", name="other"))
    assert switches.heal() == ["disconnect", "other"]
    assert levers.calls == [PULL, ("pull", "other"), PLUG, ("plug", "other")]


def test_a_refused_request_changes_nothing(switches: Board, levers: HarmRecorder) -> None:
    switches.switch_on(request())
    with pytest.raises(SimulatorError, match="no fault is called 'x'; there are: disconnect, "):
        switches.switch_on(request("x"))
    with pytest.raises(SimulatorError, match="has no attribute"):
        switches.switch_on(request(wrong=1))
    with pytest.raises(NotFoundError, match="'x' is on; on are: disconnect"):
        switches.switch_off("x")
    with pytest.raises(NotFoundError, match="'x' is on"):
        switches.describe("x")
    assert levers.calls == [PULL]


def test_no_fault_has_the_name_that_heals_all(switches: Board) -> None:
    with pytest.raises(SimulatorError, match="choose another name"):
        switches.switch_on(FaultRequest(type="disconnect", name="all"))
    assert switches.describe_all() == []


def test_a_failed_harm_is_reported_and_leaves_no_fault_on(
    switches: Board, levers: HarmRecorder, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    levers.broken = True
    with pytest.raises(SimulatorError, match="the lever broke"):
        switches.switch_on(request())
    assert levers.calls == [PULL, PLUG], "it may have worked before it broke"
    levers.broken = False
    assert switches.step(clock.now_ms) is None
    assert switches.describe_all() == []
    assert levers.calls == [PULL, PLUG, PLUG]
    switches.switch_on(request(schedule=FaultSchedule(after_ms=10)))
    levers.broken = True
    assert switches.step(clock.now_ms + 10) == board.RETRY_MS
    assert switches.step(clock.now_ms + 20) == board.RETRY_MS
    assert capsys.readouterr().err == "gapless: disconnect: the lever broke\n"
    levers.broken = False
    assert switches.step(clock.now_ms + 30) is None
    assert switches.describe_all() == []


def test_a_failed_healing_is_retried(switches: Board, levers: HarmRecorder, clock: Clock) -> None:
    switches.switch_on(request(down_ms=300))
    levers.broken = True
    assert switches.step(clock.now_ms + 300) == board.RETRY_MS, "its time was over"
    for heal in (switches.heal, lambda: switches.switch_off("disconnect")):
        with pytest.raises(SimulatorError, match="the lever broke"):
            heal()
        assert switches.describe("disconnect")["on"] is True
    levers.broken = False
    assert switches.step(clock.now_ms + 400) is None
    assert switches.describe_all() == []


def test_faults_are_listed_while_one_is_being_switched(
    switches: Board, levers: HarmRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow(owner: str) -> None:
        del owner
        begun.set()
        assert may_end.wait(WAIT_S)

    monkeypatch.setattr(levers, "plug", slow)
    switches.switch_on(request())
    healing = threading.Thread(target=switches.heal)
    healing.start()
    assert begun.wait(WAIT_S)
    assert [told["on"] for told in switches.describe_all()] == [True]
    may_end.set()
    healing.join()
    assert switches.describe_all() == []


def test_healing_goes_on_after_a_broken_lever(switches: Board, levers: HarmRecorder) -> None:
    switches.switch_on(request())
    switches.switch_on(FaultRequest(type="disconnect", name="other"))
    levers.broken = True
    with pytest.raises(SimulatorError, match="the lever broke"):
        switches.heal()
    assert levers.calls[-2:] == [PLUG, ("plug", "other")]
    levers.broken = False
    assert switches.step(0) is None
    assert switches.describe_all() == []


def test_the_number_of_faults_is_bounded(switches: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "FAULTS_ON_MAX", 1)
    switches.switch_on(request())
    with pytest.raises(SimulatorError, match="the most there may be"):
        switches.switch_on(FaultRequest(type="disconnect", name="other"))
    switches.switch_on(request())


def test_its_thread_switches_scheduled_faults() -> None:
    pulled = threading.Event()

    class Cable(HarmRecorder):
        def plug(self, owner: str) -> None:
            super().plug(owner)
            pulled.set()

    levers = Cable()
    switches = Board(levers.begin, levers.end, 7)
    switches.start()
    try:
        switches.switch_on(request(down_ms=20))
        assert pulled.wait(240)
    finally:
        switches.close()
    assert levers.calls == [PULL, PLUG]


def test_the_catalogue_lists_every_fault() -> None:
    told = {one["type"]: one for one in catalogue()}
    assert set(told) == set(FAULTS)
    assert told["disconnect"]["attributes"][0]["name"] == "down_ms"
    assert all(one["meaning"].endswith((".", ",")) or one["meaning"] for one in told.values())


def test_any_fault_can_be_repeated(switches: Board, levers: HarmRecorder, clock: Clock) -> None:
    switches.switch_on(request("latency", schedule=FaultSchedule(for_ms=200, every_ms=1_000)))
    began = len(levers.calls)
    assert switches.step(clock.now_ms + 199) == 1
    assert switches.describe("latency")["on"] is True
    assert switches.step(clock.now_ms + 200) == 800
    assert switches.describe("latency")["on"] is False
    assert switches.step(clock.now_ms + 1_000) == 200
    assert switches.describe("latency")["on"] is True
    assert switches.describe("latency")["turns"] == 2
    switches.switch_off("latency")
    assert len(levers.calls) == began + 3


def test_an_instant_is_repeated_without_a_duration(
    switches: Board, levers: HarmRecorder, clock: Clock
) -> None:
    switches.switch_on(request("journal_lost", schedule=FaultSchedule(every_ms=60_000)))
    assert switches.step(clock.now_ms + 60_000) is not None
    assert switches.describe("journal_lost")["turns"] == 2
    assert len(levers.calls) >= 3


@pytest.mark.parametrize(
    ("kind", "schedule", "said"),
    [
        ("latency", FaultSchedule(every_ms=500), "latency lasts until healed: give a for_ms"),
        ("latency", FaultSchedule(for_ms=500, every_ms=500), "lasts 500 ms"),
        ("blackhole", FaultSchedule(every_ms=500), "blackhole lasts"),
    ],
)
def test_a_repetition_needs_a_pause(
    switches: Board, levers: HarmRecorder, kind: str, schedule: FaultSchedule, said: str
) -> None:
    switches.switch_on(request(kind))
    before = list(levers.calls)
    with pytest.raises(SimulatorError, match=said):
        switches.switch_on(request(kind, schedule=schedule))
    assert switches.describe(kind)["on"] is True, "the one that is on stays on"
    assert levers.calls == before


@pytest.mark.parametrize("kind", FAULTS.values(), ids=list(FAULTS))
def test_a_setup_lacks_what_a_harm_needs(kind: FaultType) -> None:
    harm = kind.harm(Fault(kind, kind.type, {}, 1.0, 1), 0)
    assert bool(needs(kind.type, 1, is_live=True)) == isinstance(harm, ClusterHarm)
    is_single = isinstance(harm, CrashForwarder | FillDisk)
    assert bool(needs(kind.type, 3, is_live=True)) == is_single
    is_pushed = kind in FAMILIES["live path"]
    assert bool(needs(kind.type, 3, is_live=False)) == (is_single or is_pushed)


@pytest.mark.parametrize(
    ("request_", "ms"),
    [
        (FaultRequest("latency"), None),
        (FaultRequest("latency", schedule=FaultSchedule(after_ms=5, for_ms=20)), 25),
        (FaultRequest("latency", schedule=FaultSchedule(for_ms=20, every_ms=50)), None),
        (FaultRequest("burst", schedule=FaultSchedule(after_ms=5)), 5),
        (FaultRequest("disconnect", attributes={"down_ms": 30}), 30),
        (FaultRequest("disconnect", attributes={"down_ms": 30, "every_ms": 90}), None),
        (FaultRequest("owner_pause"), 15_000),
    ],
)
def test_how_long_a_fault_lasts_by_itself(request_: FaultRequest, ms: int | None) -> None:
    assert lasts_ms(request_) == ms
