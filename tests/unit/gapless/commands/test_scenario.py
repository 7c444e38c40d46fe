"""The line that a failed run prints does the same again, in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from gapless.commands.scenario import command
from gapless.rehearsal import play
from gapless.rehearsal.result import RehearsalResult
from simulator.scenarios.base import Scenario, Step, in_order

SCHEDULE = """
import sys
from simulator.scenarios.scripted import SCENARIOS
from simulator.scenarios.base import in_order
for scenario in SCENARIOS.values():
    for seed in (1, 424, 2**31):
        print(scenario.name, seed, *in_order(scenario, seed, float(sys.argv[1])), sep="\\n")
"""


def schedule_of_another_process(hash_seed: str, speed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    argv = [sys.executable, "-c", SCHEDULE, speed]
    return subprocess.run(
        argv, env=environment, capture_output=True, text=True, check=True, timeout=90
    ).stdout


def test_every_process_draws_the_same_schedule() -> None:
    speed = str(10 / 3)
    first, second = (schedule_of_another_process(one, speed) for one in ("1", "2"))
    assert first.count("chaos") == 3
    assert first == second


@pytest.mark.parametrize("speed", ["1", "10", "3.3333333333333335", "12.5"])
def test_the_printed_command_repeats_a_failed_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, speed: str
) -> None:
    played: list[tuple[str, int, list[Step]]] = []

    def fail(
        scenario: Scenario, seed: int, speed: float, *, lifeline: Path, stop: threading.Event
    ) -> RehearsalResult:
        del lifeline, stop
        played.append((scenario.name, seed, in_order(scenario, seed, speed)))
        return RehearsalResult(
            scenario=scenario.name, seed=seed, speed=speed, version="1", error="no"
        )

    monkeypatch.setattr(play, "play", fail)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    first = CliRunner().invoke(command, ["run", "chaos", "--seed", "424", "--speed", speed])
    again = next(line for line in first.stdout.splitlines() if "again: " in line)
    _, _, line = again.partition("again: gapless scenario ")
    told = CliRunner().invoke(command, [*line.split(), "--json"])
    assert json.loads(told.stdout)["seed"] == 424
    assert len(played) == 2
    assert played[0] == played[1]
    assert played[0][:2] == ("chaos", 424)
    assert len(played[0][2]) > 8
