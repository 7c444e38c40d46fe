"""Every command says where a log group was looked for, and which names are similar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess
from tests.support.processes.moto_server import RawMoto, raw_moto

pytestmark = pytest.mark.timeout(600)

WHERE = "in us-east-1 (account 123456789012)"


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        server.create("/jobs/nightly", "s")
        yield server


@pytest.mark.parametrize(
    ("command", "code"),
    [("tail", 3), ("forward", 3), ("executions", 3), ("verify", 3), ("groups", 0)],
)
def test_region_account_and_a_similar_name(
    moto: RawMoto, command: str, code: int, tmp_path: Path
) -> None:
    options = ("--endpoint-url", moto.url, "--region", "us-east-1")
    with GaplessProcess(command, "/jobs/nigthly", *options, state=tmp_path) as process:
        assert process.popen.wait(WAIT_S) == code
        [line] = process.err.wait_end()
        assert WHERE in line
        assert "'/jobs/nigthly'" in line
        assert "did you mean '/jobs/nightly'?" in line
