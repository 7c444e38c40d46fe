"""Scenarios with real programs at high speed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from simulator.scenarios.scripted import SCENARIOS
from tests.support.processes.gapless_processes import GaplessProcess, wait_until

pytestmark = pytest.mark.timeout(600)


def run(state: Path, *arguments: str) -> tuple[int, list[str], list[str]]:
    """Run a command; returns its exit code and the lines of stdout and stderr."""
    with GaplessProcess("scenario", *arguments, state=state) as process:
        code = process.popen.wait(500)
        return code, process.out.wait_end(), process.err.wait_end()


def test_scenarios_are_clean_and_leave_a_report(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    names = ("reconnect", "viewer-crash")
    options = ("--speed", "10", "--jobs", "2", "--report", str(report))
    code, lines, errors = run(tmp_path, "run", *names, *options, "--json")
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert {one["scenario"] for one in found} == set(names)
    for one in found:
        assert one["ok"], one
        assert one["verdict"]["clean"]
        assert one["verdict"]["shown"] > 100
        assert one["looks"] >= 2
        assert one["marks"][-1]["digest"]
        assert one["replay"] == f"gapless scenario run {one['scenario']} --seed 1 --speed 10"
        assert [step["action"] for step in one["steps"]].count("inject") >= 1
    assert (code, errors) == (0, [])
    lives = {one["scenario"]: one["viewer_lives"] for one in found}
    assert lives["viewer-crash"] >= 2
    assert lives["reconnect"] == 1
    text = report.read_text(encoding="utf-8")
    assert "2 of 2 clean" in text
    assert "inject disconnect down_ms=1000" in text


def test_a_demo_is_recorded_and_run_again(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    with GaplessProcess("simulate", "--rate", "30", state=tmp_path) as simulator:
        simulator.ready()
        for words in (["inject", "disconnect", "down_ms=1500"], ["scenario", "record", str(file)]):
            with GaplessProcess(*words, state=tmp_path) as process:
                assert process.popen.wait(60) == 0, process.err.wait_end()
    assert "down_ms = 1_500" in file.read_text(encoding="utf-8")
    code, lines, errors = run(tmp_path, "run", str(file), "--speed", "4", "--json")
    [found] = [json.loads(line) for line in lines]
    assert found["ok"], found
    assert (code, errors) == (0, [])
    assert found["replay"] == f"gapless scenario run {file} --seed 1 --speed 4"
    assert [one["action"] for one in found["steps"]] == ["inject", "heal", "wait"]


def test_events_that_retention_removes_are_declared_lost(tmp_path: Path) -> None:
    code, lines, errors = run(tmp_path, "run", "retention", "--speed", "6", "--json")
    [found] = [json.loads(line) for line in lines]
    assert found["ok"], found
    assert found["verdict"]["expired"] > 0
    assert found["verdict"]["undeclared"] == 0
    assert "forwarder_crash" not in json.dumps(found["steps"])
    assert (code, errors) == (0, [])


def test_chaos_is_clean_whatever_the_seed(tmp_path: Path) -> None:
    code, lines, errors = run(
        tmp_path, "run", "chaos", "--seed", "9", "--seeds", "2", "--speed", "16", "--jobs", "2"
    )
    assert (code, errors) == (0, []), lines
    assert lines[-1] == "2 of 2 clean"
    assert sum(line.startswith("clean  chaos") for line in lines) == 2


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    with GaplessProcess("scenario", "run", "half-open", state=tmp_path) as process:
        me = psutil.Process(process.popen.pid)
        wait_until(lambda: len(me.children(recursive=True)) >= 4, "all the programs")
        family = me.children(recursive=True)
        assert process.end(signal.SIGINT) == 130

        def is_gone(one: psutil.Process) -> bool:
            return not one.is_running() or one.status() == psutil.STATUS_ZOMBIE

        wait_until(lambda: all(map(is_gone, family)), "every process to end")
        assert process.out.wait_end() == []
    lifelines = tmp_path / "xdg_state_home" / "gapless" / "lifelines"
    assert list(lifelines.iterdir()) == []


def test_scenarios_are_listed(tmp_path: Path) -> None:
    code, lines, _ = run(tmp_path, "list")
    assert code == 0
    assert [line.split()[0] for line in lines] == list(SCENARIOS)
    code, lines, _ = run(tmp_path, "list", "--json")
    assert [one["name"] for one in json.loads("\n".join(lines))] == list(SCENARIOS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "nonsense"), "no scenario is called 'nonsense'; there are: late-connect"),
        (("run", "recon"), "did you mean reconnect? there are: late-connect"),
        (("run", "no/such.toml"), "cannot read the scenario no/such.toml"),
        (("run", "all", "--report", "/no/such/folder/x"), "cannot write the report"),
        (("run", "all", "--speed", "0.5"), "0.5 is not in the range"),
        (("run",), "Missing argument"),
    ],
)
def test_errors_are_reported(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    code, lines, errors = run(tmp_path, *arguments)
    assert (code, lines) == (2, [])
    assert len(errors) == 1
    assert said in errors[0]
