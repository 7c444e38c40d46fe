from __future__ import annotations

from pathlib import Path

import pytest

from gapless import cli
from gapless.commands.simulate import forwarder_command, member_command
from gapless.rehearsal.runs import SimulatorRun


def test_the_simulator_s_forwarder_knows_its_lifeline_and_how_executions_end() -> None:
    arguments = list(
        forwarder_command(SimulatorRun(Path("/runs/one")), "/jobs")("http://127.0.0.1:1")
    )
    text = " ".join(arguments)
    assert "-m gapless forward /jobs --endpoint-url http://127.0.0.1:1 --port 0" in text
    assert "--journal /runs/one/journal.sqlite3" in text
    assert "--while-held /runs/one/held" in text
    assert "--no-token" in arguments
    assert "(?P<FAILED>FAILED)" in arguments[arguments.index("--lifecycle") + 1]


def test_another_program_can_take_the_forwarder_s_place() -> None:
    command = forwarder_command(SimulatorRun(Path("/runs/one")), "/jobs", ["-m", "broken", "--"])
    arguments = list(command("http://127.0.0.1:1"))
    assert arguments[1:6] == ["-m", "broken", "--", "forward", "/jobs"]
    assert (
        arguments[6:]
        == list(forwarder_command(SimulatorRun(Path("/runs/one")), "/jobs")("http://127.0.0.1:1"))[
            5:
        ]
    )


@pytest.mark.parametrize(
    "arguments", [["--rate", "0"], ["--executions", "0"], ["--cloudwatch", "aws"], ["--seed", "x"]]
)
def test_mistakes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["simulate", *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_a_process_of_a_cluster_has_the_common_journal_and_views_of_its_own() -> None:
    command = member_command(SimulatorRun(Path("/runs/one")), "/jobs")
    text = " ".join(command("http://127.0.0.1:1", "postgresql:///x", 2, "ingest"))
    assert "--endpoint-url http://127.0.0.1:1 --port 0" in text
    assert "--journal postgresql:///x --role ingest --views /runs/one/views-2" in text
    assert "--while-held /runs/one/held" in text
