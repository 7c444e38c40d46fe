"""The line that a failed run prints does the same again, in another process."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from common.errors import EXIT_FAILURE, EXIT_USAGE, GaplessError
from gapless import extras
from gapless.commands import scenario as scenario_command
from gapless.commands.scenario import command
from gapless.rehearsal import play
from gapless.rehearsal.result import RehearsalResult
from simulator.scenarios.base import DAY_MS, Scenario, Step, in_order
from simulator.scenarios.scripted import SCENARIOS
from tests.support import rehearsals

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


def test_a_shown_scenario_runs_from_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played: list[tuple[Scenario, int]] = []

    def note(scenario: Scenario, seed: int, speed: float, **_: object) -> RehearsalResult:
        played.append((scenario, seed))
        return RehearsalResult(
            scenario=scenario.name, seed=seed, speed=speed, version="1", file=scenario.path
        )

    monkeypatch.setattr(play, "play", note)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    shown = CliRunner().invoke(command, ["show", "chaos", "--seed", "7"])
    file = tmp_path / "my own.toml"
    file.write_text(shown.stdout, encoding="utf-8")
    result = CliRunner().invoke(command, ["run", str(file)])
    assert f"gapless scenario run '{file}' --seed 7" in result.stdout
    [(scenario, seed)] = played
    assert seed == 7
    assert in_order(scenario, seed) == in_order(SCENARIOS["chaos"], 7)
    assert scenario.script == shown.stdout
    CliRunner().invoke(command, ["run", str(file), "--seed", "9", "--seeds", "2"])
    assert [seed for _, seed in played[1:]] == [9, 10]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[[steps]]\nat = 5\n", "line 2: steps[1].at: must be a duration"),
        (b"[[steps]]\n# caf\xe9\n", "line 2: not UTF-8"),
        (b"\xc3\xa9" * (200 << 10), "a scenario file has 256 KiB at most"),
        (None, "No such file"),
    ],
)
def test_a_bad_file_is_a_usage_error(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "x.toml"
    if content is not None:
        file.write_bytes(content)
    for arguments in (["run", str(file)], ["show", str(file)]):
        error = CliRunner().invoke(command, arguments).exception
        assert isinstance(error, GaplessError)
        assert said in str(error)
        assert error.exit_code == EXIT_USAGE


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Names of the scenarios that were played; the first one of them takes longest."""
    names: list[str] = []
    others = threading.Event()

    def note(scenario: Scenario, seed: int, speed: float, **_: object) -> RehearsalResult:
        if not names:
            names.append(scenario.name)
            others.wait(20)
        else:
            names.append(scenario.name)
            others.set()
        return RehearsalResult(
            scenario=scenario.name, seed=seed, speed=speed, version="1", file=scenario.path
        )

    monkeypatch.setattr(play, "play", note)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return names


def test_all_stands_beside_files(played: list[str], tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[[steps]]\nat = "1s"\n')
    report = tmp_path / "r.JSON"
    words = ["run", str(file), "all", "--jobs", "2", "--report", str(report)]
    CliRunner().invoke(command, words)
    assert sorted(played) == sorted(["own", *SCENARIOS])
    names = [one["scenario"] for one in json.loads(report.read_text())]
    assert names == ["own", *SCENARIOS]  # in the order of the words, whichever ended first


def test_a_report_that_cannot_be_written_spares_the_others(
    played: list[str], tmp_path: Path
) -> None:
    whole = tmp_path / "r.md"
    words = ["run", "reconnect", "storm", "--jobs", "2", "--report", str(whole)]
    error = CliRunner().invoke(command, [*words, "--junit", "/dev/full"]).exception
    assert isinstance(error, GaplessError)
    assert "No space left" in str(error)
    assert len(played) == 2
    assert "reconnect" in whole.read_text()


def test_a_report_that_does_not_fit_on_the_disk_leaves_the_earlier_one(
    played: list[str], tmp_path: Path
) -> None:
    del played
    report = tmp_path / "r.md"
    report.write_text("earlier")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        words = ["run", "reconnect", "storm", "--jobs", "2", "--report", str(report)]
        error = CliRunner().invoke(command, words).exception
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert isinstance(error, GaplessError)
    assert "cannot write the report" in str(error)
    assert report.read_text() == "earlier"
    assert not list(tmp_path.glob(".*.new"))


def test_a_report_is_written_where_its_link_leads(played: list[str], tmp_path: Path) -> None:
    del played
    (tmp_path / "folder").mkdir()
    report, link = tmp_path / "folder" / "r.md", tmp_path / "latest.md"
    link.symlink_to(report)
    words = ["run", "reconnect", "storm", "--jobs", "2", "--report", str(link)]
    for _ in range(2):
        CliRunner().invoke(command, words)
        assert link.is_symlink()
        assert "reconnect" in report.read_text()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["no/folder.html"], "its folder is missing or not writable"),
        (["r.txt"], "its name must end in .html, .md, .json, .svg"),
        (["r.xml"], "JUnit XML is --junit FILE"),
        (["pipe.html"], "pipe.html: it is not a regular file"),
        (["r.html", "r.html"], "r.html, the same file: give each a name of its own"),
        (["r.html", "folder/../r.html"], "r.html, the same file: give each a name of its own"),
        (["r.html", "link.html"], "r.html, the same file: give each a name of its own"),
        (["r.html", "absent.html"], "r.html, the same file: give each a name of its own"),
        (["hard.html", "first.html"], "hard.html, the same file: give each a name of its own"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_at_once(
    played: list[str], tmp_path: Path, names: list[str], said: str
) -> None:
    os.mkfifo(tmp_path / "pipe.html")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "r.html")
    (tmp_path / "absent.html").symlink_to("link.html")
    (tmp_path / "first.html").touch()
    (tmp_path / "hard.html").hardlink_to(tmp_path / "first.html")
    words = [word for name in names for word in ("--report", str(tmp_path / name))]
    error = CliRunner().invoke(command, ["run", "reconnect", *words]).exception
    assert isinstance(error, GaplessError)
    assert said in str(error)
    assert error.exit_code == EXIT_USAGE
    assert not played


@pytest.mark.parametrize("option", ["--junit", "--report"])
def test_a_report_never_replaces_the_scenario(
    played: list[str], tmp_path: Path, option: str
) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[[steps]]\nat = "1s"\n')
    link = tmp_path / "r.html"
    link.symlink_to(file)
    error = CliRunner().invoke(command, ["run", str(file), option, str(link)]).exception
    assert isinstance(error, GaplessError)
    assert f"{link} would replace {file}" in str(error)
    assert error.exit_code == EXIT_USAGE
    assert not played
    assert file.read_text().startswith("[[steps]]")


def test_several_forwarders_need_an_extra(
    monkeypatch: pytest.MonkeyPatch, played: list[str]
) -> None:
    monkeypatch.setitem(extras.EXTRAS, "postgresql", ("no_such_module",))
    error = CliRunner().invoke(command, ["run", "reconnect", "failover"]).exception
    assert isinstance(error, GaplessError)
    assert "gapless[postgresql]" in str(error)
    assert not played


@pytest.mark.parametrize(
    ("name", "said"), [("x.txt", "must end in .toml"), ("known.toml", "exists")]
)
def test_a_recording_does_not_replace_a_file(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "known.toml").write_text("mine")
    error = CliRunner().invoke(command, ["record", str(tmp_path / name)]).exception
    assert isinstance(error, GaplessError)
    assert said in str(error)
    assert (tmp_path / "known.toml").read_text() == "mine"


@pytest.mark.parametrize("dropped", [0, 1_234])
def test_a_recording_says_that_the_beginning_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dropped: int
) -> None:
    entry = {"event": "requested", "name": "latency", "type": "latency", "at_ms": 1_000}
    log: dict[str, object] = {
        "entries": [entry | {"request": {"type": "latency"}}],
        "dropped": dropped,
        "now_ms": 9_000,
        "setup": {},
    }

    class Api:
        def fault_log(self) -> dict[str, object]:
            return log

    monkeypatch.setattr(scenario_command, "control_api", lambda _: Api())
    done = CliRunner().invoke(command, ["record", str(tmp_path / "x.toml")])
    assert (done.exit_code, done.stdout.startswith("Recorded: 1 fault")) == (0, True)
    said = (
        "gapless: the fault log of the simulator keeps its newest 1 entries, and 1,234 older ones"
    )
    assert done.stderr.startswith(said) if dropped else done.stderr == ""


def test_a_recording_that_could_not_be_run_is_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry: dict[str, object] = {"event": "requested", "name": "latency", "type": "latency"}
    entry |= {"request": {"type": "latency"}, "at_ms": 1_000}
    log: dict[str, object] = {"entries": [entry], "now_ms": 3 * DAY_MS, "setup": {}}

    class Api:
        def fault_log(self) -> dict[str, object]:
            return log

    monkeypatch.setattr(scenario_command, "control_api", lambda _: Api())
    file = tmp_path / "x.toml"
    error = CliRunner().invoke(command, ["record", str(file)]).exception
    assert isinstance(error, GaplessError)
    assert "(not written) line" in str(error)
    assert "must be from 0s to 1d" in str(error)
    assert not file.exists()


def test_runs_that_nobody_reads_are_not_called_clean(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def play_clean(scenario: Scenario, seed: int, speed: float, **_: object) -> RehearsalResult:
        return RehearsalResult(scenario=scenario.name, seed=seed, speed=speed, version="1")

    def break_pipe(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(play, "play", play_clean)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(click, "echo", break_pipe)
    report = tmp_path / "report.json"
    arguments = ["run", "reconnect", "--seeds", "2", "--report", str(report)]
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert done.return_value == EXIT_FAILURE
    assert len(json.loads(report.read_text())) == 1


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("locale", "is_ascii"), [("C.UTF-8", False), ("C", True)])
def test_the_chart_is_drawn_as_the_screen_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, locale: str, *, is_ascii: bool
) -> None:
    monkeypatch.setattr(
        play, "play", lambda *_, **__: rehearsals.result(scenario="reconnect", seed=1)
    )
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name, value in (("LC_ALL", locale), ("TERM", "xterm"), ("COLUMNS", "60")):
        monkeypatch.setenv(name, value)
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    command.main(["run", "reconnect"], standalone_mode=False)
    _, *lines, _ = shown.getvalue().splitlines()
    assert len(lines) > 5
    assert all(map(str.isascii, lines)) == is_ascii
    assert max(map(len, lines)) <= 60, "sentences are wrapped as the chart is"
