"""The systemd unit: systemd accepts it, and the command line in it serves a log group."""

from __future__ import annotations

import configparser
import json
import shlex
import shutil
import subprocess
from pathlib import Path
from string import Template
from typing import Final

import pytest

from tests.support.processes.gapless_processes import GaplessProcess
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import raw_moto

PROJECT: Final = Path(__file__).parents[3]
UNIT: Final = PROJECT / "deploy" / "gapless.service"
PROGRAM: Final = "/opt/gapless/bin/gapless"

GROUP: Final = "/jobs/as-a-service"
TOKEN: Final = "token-of-the-service"

pytestmark = pytest.mark.timeout(300)


def service() -> configparser.SectionProxy:
    # Settings may occur several times: the last one counts here.
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # names are case-sensitive
    unit.read_string(UNIT.read_text())
    return unit["Service"]


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    program = shutil.which("true")
    assert program is not None
    text = UNIT.read_text()
    assert text.count(PROGRAM) == 1
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(PROGRAM, program))  # it must exist
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_command_line_of_the_unit_serves_a_log_group(tmp_path: Path) -> None:
    credentials, groups = tmp_path / "credentials", tmp_path / "groups.txt"
    credentials.mkdir()
    (credentials / "tokens").write_text(f"{TOKEN} {GROUP}\n")
    (credentials / "tokens").chmod(0o400)
    groups.write_text(GROUP)
    line = Template(service()["ExecStart"]).substitute(CREDENTIALS_DIRECTORY=credentials)
    program, *arguments = shlex.split(line.replace("/etc/gapless/groups.txt", str(groups)))
    assert program == PROGRAM
    with raw_moto() as moto:
        moto.create(GROUP, "stream")
        moto.put(GROUP, "stream", [(now_ms(), "served")])
        settings = {"GAPLESS_ENDPOINT_URL": moto.url, "GAPLESS_PORT": "0"}
        with GaplessProcess(*arguments, state=tmp_path, environment=settings) as forwarder:
            url = forwarder.ready()["websocket"]
            token = ("--token-file", str(credentials / "tokens"))
            viewer = ("tail", url, "--no-follow", "--output", "json", *token)
            with GaplessProcess(*viewer, state=tmp_path) as shown:
                (event,) = shown.out.wait_for(1, "events")
                assert json.loads(event)["message"] == "served"
                assert shown.popen.wait(60) == 0
            assert forwarder.end() == 0
