"""The simulator with a cluster: its faults, its scenarios, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.processes.gapless_processes import GaplessProcess, wait_until
from tests.support.processes.process_tree import command_of, is_gone

pytestmark = pytest.mark.timeout(600)


def ask(ready: dict[str, Any], path: str, body: object = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(ready["control"] + path, data)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def family(process: GaplessProcess) -> tuple[list[psutil.Process], Path]:
    """The simulator's children, the servers of its database, which are none, and their folder."""
    children = psutil.Process(process.popen.pid).children(recursive=True)
    lines = map(command_of, children)  # some are programs of PostgreSQL, which soon end
    [folder] = [line[-1] for line in lines if "simulator.programs.remover" in line]
    servers = [
        one
        for one in psutil.process_iter(["cmdline"])
        if any(word.startswith(folder) for word in one.info["cmdline"] or ())
    ]
    return [*children, *servers], Path(folder)


@pytest.mark.parametrize(
    ("number", "engine"),
    [
        (signal.SIGTERM, "engine_failover"),
        (signal.SIGKILL, "engine_failover"),
        (signal.SIGKILL, "engine_away"),
    ],
)
def test_nothing_of_a_cluster_is_left_behind(
    tmp_path: Path, number: signal.Signals, engine: str
) -> None:
    with GaplessProcess("simulate", "--forwarders", "2", "--rate", "5", state=tmp_path) as process:
        ready = process.ready()
        starts = ask(ready, "/simulator/changes")["forwarder"]["starts"]
        assert starts == 2
        if engine == "engine_failover":
            ask(ready, "/simulator/faults", {"type": engine})
        ask(ready, "/simulator/faults", {"type": "owner_pause"})
        if engine == "engine_away":
            ask(ready, "/simulator/faults", {"type": engine, "attributes": {"for_ms": 0}})
        ask(ready, "/simulator/faults", {"type": "server_crash", "attributes": {"within_ms": 0}})
        wait_until(
            lambda: ask(ready, "/simulator/changes")["forwarder"]["starts"] == starts + 1,
            "the server to be started again",
        )
        known, folder = family(process)
        assert any("bin/postgres" in " ".join(command_of(one)) for one in known)
        os.kill(process.popen.pid, number)
        process.popen.wait(60)
        wait_until(lambda: all(map(is_gone, known)), "every process to end")
        wait_until(lambda: not folder.exists(), "the database to be deleted")


def test_viewers_resume_in_the_scenarios_of_a_cluster(tmp_path: Path) -> None:
    options = "--speed", "2", "--jobs", "2", "--json"
    with GaplessProcess(
        *("scenario", "run", "failover", "split-brain", "database-outage"), *options, state=tmp_path
    ) as run:
        code = run.popen.wait(500)
        found: list[dict[str, Any]] = [json.loads(line) for line in run.out.wait_end()]
    assert [one["ok"] for one in found] == [True, True, True], found
    assert code == 0
    for one in found:
        assert one["verdict"]["clean"]
        assert one["verdict"]["shown"] > 100
