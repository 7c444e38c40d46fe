from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gapless import cli
from gapless.commands.forward import OneLineFormatter


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--host", "0.0.0.0", "jobs"], 2, "give --token-file"),
        (["--host", "0.0.0.0", "--no-token", "jobs"], 2, "give --token-file"),
        (["--no-token", "--token-file", "t", "jobs"], 2, "give only one of them"),
        (["--port", "70000", "jobs"], 2, "--port"),
        (["--live", "push", "jobs"], 2, "--live"),
        (["--retain", "soon", "jobs"], 2, "is not a duration"),
        (["--allowance", "late", "jobs"], 2, "is not a duration"),
        (["--journal", "/dev/null/journal", "jobs"], 1, "--journal"),
        (["no good name"], 2, "is not the name of a log group"),
        (["--lifecycle", "weather", "jobs"], 2, "--lifecycle"),
        (["--lifecycle", "ecs:", "jobs"], 2, "--lifecycle"),
        (["--allow-host", "https://logs", "jobs"], 2, "is not a host"),
        (["--calls-per-second", "0", "jobs"], 2, "--calls-per-second"),
        (["--tls-cert", "cert.pem", "jobs"], 2, "--tls-key"),
        (["arn:aws:s3:::bucket"], 2, "is not the ARN of a log group"),
        (["--groups-file", "/no/such/file"], 2, "can't be read"),
        ([], 2, "give a TARGET, --groups-file or --any-group"),
    ],
)
def test_what_can_go_wrong_before_anything_is_asked(
    arguments: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    assert cli.run(["forward", *arguments]) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.startswith("gapless: ")
    assert said.count("\n") == 1


FORGED = "x\r\n2026-01-01 CRITICAL all is well\x1b[2J\x9b31m\u2028\u202e\x00"


def test_a_name_can_not_forge_a_line() -> None:
    record = logging.LogRecord("n", logging.WARNING, "p", 1, "%s: gone", (FORGED,), None)
    line = OneLineFormatter("%(levelname)s %(message)s").format(record)
    assert line.startswith(r"WARNING x\r\n2026-01-01 CRITICAL")
    assert line.isprintable()
