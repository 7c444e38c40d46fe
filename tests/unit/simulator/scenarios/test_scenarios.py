"""Every scenario: pure, deterministic, valid for the board, and together they use every fault."""

from __future__ import annotations

import pytest

from simulator.errors import SimulatorError
from simulator.faults.base import CrashForwarder, Fault, FillDisk, Harm
from simulator.faults.board import FAULTS, SINGLE, Board, FaultRequest, FaultSchedule
from simulator.faults.cluster import CLUSTER
from simulator.scenarios import chaos
from simulator.scenarios.base import (
    SPEED_MAX,
    Heal,
    Inject,
    Scenario,
    Step,
    Wait,
    heal,
    hurried,
    in_order,
    inject,
)
from simulator.scenarios.script import read_script, write_script
from simulator.scenarios.scripted import SCENARIOS
from tests.support.simulator.harm_recorder import HarmRecorder

SEEDS = range(60)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))


def injected(steps: list[Step]) -> list[FaultRequest]:
    return [step.action.fault for step in steps if isinstance(step.action, Inject)]


def test_the_same_seed_gives_the_same_steps(scenario: Scenario) -> None:
    for seed in SEEDS:
        assert scenario.steps(seed) == scenario.steps(seed)


def test_steps_are_in_order_and_say_what_happens(scenario: Scenario) -> None:
    assert scenario.doc.endswith(".")
    assert scenario.story
    steps = in_order(scenario, 1)
    assert list(scenario.steps(1)) == steps
    assert isinstance(steps[-1].action, Wait)
    assert steps[-1].says
    assert steps[0].at_ms <= 4_000
    assert sum(bool(step.says) for step in steps) >= 3
    assert 0 <= scenario.setup.connect_after_ms < steps[-1].at_ms


@pytest.mark.parametrize("speed", [1.0, 7.0, SPEED_MAX])
def test_every_step_is_one_that_the_board_takes(scenario: Scenario, speed: float) -> None:
    for seed in SEEDS:
        steps = in_order(scenario, seed, speed)
        levers = HarmRecorder()
        board = Board(levers.begin, levers.end, seed, lambda: 0)
        names = set()
        for request in injected(steps):
            told = board.switch_on(request)
            assert told["name"] not in names, "a second one of that name would end the first"
            names.add(told["name"])
        healed = {step.action.name for step in steps if isinstance(step.action, Heal)}
        assert healed - {""} <= names


def test_every_fault_is_used() -> None:
    used = {
        request.type
        for scenario in SCENARIOS.values()
        for seed in SEEDS
        for request in injected(in_order(scenario, seed))
    }
    assert used == set(FAULTS)


def test_chaos_draws_every_fault_with_every_attribute_in_range() -> None:
    assert set(chaos.DOSES) | set(chaos.CLUSTER_DOSES) == set(FAULTS)
    drawn = [request for seed in SEEDS for request in injected(in_order(chaos.SCENARIO, seed))]
    assert {request.type for request in drawn} == set(FAULTS)
    assert len({str(chaos.SCENARIO.steps(seed)) for seed in SEEDS}) == len(SEEDS)


def test_chaos_draws_for_the_forwarders_that_the_seed_has() -> None:
    shared = {one.type for one in CLUSTER}
    single = {one for one in FAULTS if isinstance(harm_of(one), CrashForwarder | FillDisk)}
    assert single == SINGLE
    for seed in SEEDS:
        kinds = {one.type for one in injected(in_order(chaos.SCENARIO, seed))}
        forwarders = chaos.SCENARIO.setup_for(seed).forwarders
        assert forwarders == (3 if seed % 5 == 0 else 1)
        assert not kinds & (shared if forwarders == 1 else single)
        assert forwarders == 1 or len(kinds & shared) >= 2


def harm_of(kind: str) -> Harm | None:
    return FAULTS[kind].harm(Fault(FAULTS[kind], kind, {}, 1.0, 1), 0)


@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_chaos_heals_a_fault_of_the_cluster_before_the_next(speed: float) -> None:
    shared = {one.type for one in CLUSTER}
    for seed in SEEDS:
        on = ""
        for step in in_order(chaos.SCENARIO, seed, speed):
            if isinstance(step.action, Heal) and step.action.name in ("", on):
                on = ""
            elif isinstance(step.action, Inject) and step.action.fault.type in shared:
                assert not on, f"seed {seed}"
                on = step.action.fault.type


def test_the_setup_of_a_scenario_may_depend_on_the_seed() -> None:
    plain = SCENARIOS["failover"]
    assert plain.setup_for(7) == plain.setup._replace(seed=7)
    described = chaos.SCENARIO.describe()["setup"]
    assert described == chaos.SCENARIO.setup_for(chaos.SCENARIO.setup.seed)._asdict()
    for seed, forwarders in ((4, 1), (5, 3)):
        copy = read_script(write_script(chaos.SCENARIO, seed), "chaos.toml")
        assert copy.setup == chaos.SCENARIO.setup_for(seed)
        assert copy.setup.forwarders == forwarders


def test_chaos_reads_no_altered_text_for_the_first_time() -> None:
    drawn = [{one.type for one in injected(list(chaos.steps(seed)))} for seed in range(300)]
    altering = [kinds for kinds in drawn if "altered_text" in kinds]
    assert altering
    for kinds in altering:
        assert "engine_set_back" not in kinds
        assert not kinds & {"journal_lost", "journal_rolled_back", "group_recreated"}
    assert any("journal_lost" in kinds for kinds in drawn)


def test_chaos_ends_healed() -> None:
    for seed in SEEDS:
        *before, last_heal, end = chaos.steps(seed)
        assert last_heal.action == Heal()
        assert end.action == Wait()
        assert before[-1].at_ms <= last_heal.at_ms


def test_faster_means_shorter_not_younger() -> None:
    assert hurried("disconnect", {"down_ms": 10_000, "every_ms": 20_000}, 10) == {
        "down_ms": 1_000,
        "every_ms": 2_001,
    }
    late = {"events": 5, "late_ms": 60_000, "every_ms": 5_000}
    assert hurried("late_events", late, 10) == {**late, "every_ms": 501}
    assert hurried("clock_jump", {"behind_ms": 9_000, "for_ms": 50}, 100) == {
        "behind_ms": 9_000,
        "for_ms": 1,
    }
    assert hurried("forwarder_crash", {}, 4) == {"within_ms": 250, "down_ms": 500}
    assert hurried("throttle", {"rate": 5}, 4) == {"rate": 5}


def test_schedules_run_at_speed() -> None:
    schedule = FaultSchedule(after_ms=1_000, for_ms=5, every_ms=100)
    step = Step(0, Inject(FaultRequest("latency", schedule=schedule)))
    [found] = in_order(Scenario("one", "One.", lambda _: [step]), 1, 10)
    assert isinstance(found.action, Inject)
    assert found.action.fault.schedule == FaultSchedule(after_ms=100, for_ms=1, every_ms=11)


def test_a_scenario_runs_at_speed() -> None:
    def steps(seed: int) -> list[Step]:
        return [heal(4_000), inject(seed, "disconnect", down_ms=500).saying("out")]

    scenario = Scenario("one", "One.", steps)
    assert in_order(scenario, 1_000, 2) == [
        inject(500, "disconnect", down_ms=250).saying("out"),
        heal(2_000),
    ]
    assert in_order(scenario, 5_000)[0] == heal(4_000)
    for speed in (0.9, SPEED_MAX + 1):
        with pytest.raises(SimulatorError, match="speed must be from 1 to 100"):
            in_order(scenario, 1, speed)
