from __future__ import annotations

from pathlib import Path

import click
import pytest

from common.errors import UsageError
from gapless import cli
from gapless.commands.inject import command, complete_attribute, complete_fault, fault_request

TYPES = [
    {"type": "disconnect", "attributes": [{"name": "down_ms"}, {"name": "every_ms"}]},
    {"type": "blackhole", "attributes": [{"name": "for_ms"}]},
]


def test_attributes_toxicity_name_and_schedule_are_sorted_into_the_request() -> None:
    given = ["down_ms=3000", "toxicity=0.5", "name=cut", "after_ms=10", "for_ms=20"]
    assert fault_request("disconnect", given, TYPES) == {
        "type": "disconnect",
        "name": "cut",
        "toxicity": 0.5,
        "attributes": {"down_ms": 3000},
        "schedule": {"after_ms": 10, "for_ms": 20},
    }


def test_a_fault_s_own_attribute_takes_precedence_over_the_schedule_s() -> None:
    asked = fault_request("blackhole", ["for_ms=20"], TYPES)
    assert asked["attributes"] == {"for_ms": 20}
    assert asked["schedule"] == {}


@pytest.mark.parametrize(
    ("fault", "given", "says"),
    [
        ("earthquake", [], "'gapless inject --list' lists all"),
        ("blackhol", [], r"did you mean blackhole\?"),
        ("disconnect", ["toxicity=1.5"], "toxicity is a share, from 0 to 1"),
        ("disconnect", ["toxicity=nan"], "toxicity is a share, from 0 to 1"),
        ("disconnect", ["down_ms"], "is not KEY=VALUE"),
        ("disconnect", ["down_ms=long"], "is not a whole number"),
        ("disconnect", ["toxicity=much"], "is not a number"),
        ("disconnect", ["down_ms=1", "for_ms=5", "down_ms=2"], "down_ms= is given 2 times"),
        ("disconnect", ["name=a", "name=a"], "name= is given 2 times: give it once"),
    ],
)
def test_mistakes(fault: str, given: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        fault_request(fault, given, TYPES)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["inject", "disconnect"], 3, "no simulator is running: start one with"),
        (["inject", "--heal", "disconnect", "a=1"], 2, "--heal takes no KEY=VALUE"),
        (["inject", "--list", "disconnect", "a=1"], 2, "--list takes only a FAULT"),
        (["inject", "--list", "--heal"], 2, "--list takes only a FAULT"),
        (["inject", "--list", "laten"], 2, "did you mean latency or late_events?"),
        (["inject", "disconnect", "--control", "localhost:1"], 2, "is not a URL"),
        (["inject", "disconnect", "--control", "http://127.0.0.1:1"], 3, "cannot reach"),
    ],
)
def test_what_can_go_wrong_before(
    arguments: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    assert cli.run(arguments) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_without_a_simulator_the_faults_are_listed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    assert cli.run(["inject", "--list", "bandwidth"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("off bandwidth: Limits the rate")
    assert "rate_kbps=500" in told
    assert cli.run(["inject", "--list"]) == cli.run(["inject"]) == 0
    told = capsys.readouterr().out
    assert told.count("off storm: ") == 2


def test_faults_and_their_keys_are_completed() -> None:
    def completed(begun: str, fault: str | None = None) -> list[str]:
        context = click.Context(command)
        context.params["fault"] = fault
        complete = complete_fault if fault is None else complete_attribute
        return [one.value for one in complete(context, command.params[0], begun)]

    assert completed("late") == ["latency", "late_events"]
    assert completed("x") == []
    assert completed("", "latency")[:3] == ["latency_ms=", "jitter_ms=", "toxicity="]
    assert completed("for", "blackhole") == ["for_ms="], "once, though it is common, too"
    assert completed("t", "unknown") == ["toxicity="]
