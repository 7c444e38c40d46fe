"""Executions: listing them, following them from their first line, and their end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes.gapless_processes import (
    WAIT_S,
    GaplessProcess,
    Viewer,
    clean_environment,
    forwarder,
)
from tests.support.processes.log_writer import Ledger, now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto

A, B, C = STREAMS = ("job/main/aaaa", "job/main/bbbb", "job/main/cccc")
RULE = "pattern:state=(?P<FAILED>failed)"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


@pytest.fixture
def ledger(moto: RawMoto, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """Executions that started three hours ago, before any forwarder ran."""
    one = Ledger(moto, "/jobs/" + request.node.name[-30:].strip("_-[]"), STREAMS)
    began_ms = now_ms() - 3 * 3_600_000
    for stream in STREAMS:
        one.put(stream, [(began_ms + i * 1000, f"line {i} of {stream}") for i in range(200)])
    yield one
    one.close()


def aws(moto: RawMoto) -> tuple[str, ...]:
    return ("--endpoint-url", moto.url, "--region", "us-east-1")


def written(ledger: Ledger, *streams: str) -> list[str]:
    ordered = sorted(ledger.accepted, key=lambda one: one[1])
    return [message for stream, _, message in ordered if stream in streams]


def test_a_late_viewer_gets_executions_from_their_first_line(
    ledger: Ledger, tmp_path: Path
) -> None:
    with forwarder(ledger.group, ledger.moto.url, tmp_path, "--lifecycle", RULE) as process:
        url = process.ready()["websocket"]
        both = ("--execution", "aaaa", "--execution", "bbbb")
        with (
            Viewer(url, "--execution", "aaaa", state=tmp_path, name="one") as one,
            Viewer(url, *both, state=tmp_path, name="many") as many,
        ):
            one.wait_shown(200)
            many.wait_shown(400)
            ledger.put(A, [(now_ms(), "state=failed")])
            assert one.popen.wait(WAIT_S) == 5
            ledger.put(B, [(now_ms(), "state=failed")])
            assert many.popen.wait(WAIT_S) == 5
            one.out.wait_end()
            many.out.wait_end()
            assert [line["message"] for line in one.shown()] == written(ledger, A)
            assert sorted(line["message"] for line in many.shown()) == sorted(written(ledger, A, B))
        listed = subprocess.run(
            [sys.executable, "-m", "gapless", "executions", url, "--json"],
            env=clean_environment(tmp_path, credentials=False),
            capture_output=True,
            timeout=WAIT_S,
            check=True,
        ).stdout
    rows = {one["execution"]: (one["status"], one["count"]) for one in json.loads(listed)}
    assert rows["aaaa"] == rows["bbbb"] == ("FAILED", 201)


def test_a_groups_own_forwarder_takes_its_lifecycle_from_the_settings(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.put(C, [(now_ms() - 1_000, "state=failed")])
    done = tail(ledger, tmp_path, "--execution", "cccc", GAPLESS_LIFECYCLE=RULE)
    assert (done.returncode, done.stderr) == (5, "")
    assert len(done.stdout.splitlines()) == 201


def test_a_missing_lifecycle_rule_is_reported(ledger: Ledger, tmp_path: Path) -> None:
    arguments = ("tail", ledger.group, "--execution", "aaaa", "--output", "raw")
    with GaplessProcess(*arguments, *aws(ledger.moto), state=tmp_path) as process:
        process.out.wait_for(200, "lines")
        said = process.err.wait_for(1, "words about it")[0]
        assert process.end() != 0
    assert "set GAPLESS_LIFECYCLE to ecs:CLUSTER, pattern:RE or idle:30s" in said


def test_an_unknown_execution(ledger: Ledger, tmp_path: Path) -> None:
    done = tail(ledger, tmp_path, "--execution", "zzzz", "--execution", "bbbb", "--no-follow")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 200
    assert done.stderr.startswith("gapless: no events of execution 'zzzz'")
    assert done.stderr.count("\n") == 1


def tail(
    ledger: Ledger, state: Path, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run ``gapless tail`` of the log group to its end."""
    command = ("tail", ledger.group, "--output", "raw", *arguments, *aws(ledger.moto))
    return subprocess.run(
        [sys.executable, "-m", "gapless", *command],
        env=clean_environment(state, settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
