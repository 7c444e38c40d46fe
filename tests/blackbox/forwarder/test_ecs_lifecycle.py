"""``--lifecycle ecs:CLUSTER``: the end of an ECS task sets the exit code of ``tail``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes.ecs_stand_in import CLUSTER, EcsStandIn, ecs_stand_in
from tests.support.processes.gapless_processes import WAIT_S, Viewer, forwarder
from tests.support.processes.log_writer import Ledger, now_ms
from tests.support.processes.moto_server import raw_moto

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[EcsStandIn]:
    with raw_moto() as moto, ecs_stand_in(moto) as one:
        one.load_ecs()
        yield one


def fail(task: dict[str, Any]) -> None:
    task["stopCode"] = "EssentialContainerExited"
    task["containers"][0]["exitCode"] = 137


def stop(task: dict[str, Any]) -> None:
    task["stopCode"] = "UserInitiated"
    task["containers"][0]["exitCode"] = 143


def test_a_task_is_drained_and_its_status_is_the_exit_code(
    stand_in: EcsStandIn, tmp_path: Path
) -> None:
    succeeded, failed, stopped = (stand_in.run_task() for _ in range(3))
    forgotten, odd = "0123456789abcdef" * 2, "no-task"
    stand_in.changes = {failed: fail, stopped: stop}
    stand_in.throttles = 1
    streams = {one: f"app/main/{one}" for one in (succeeded, failed, stopped, forgotten, odd)}
    ledger = Ledger(stand_in.moto, "/ecs/job", tuple(streams.values()))
    began_ms = now_ms() - 90_000
    for stream in streams.values():
        ledger.put(stream, [(began_ms + i, f"line {i} of {stream}") for i in range(20)])

    def last_words() -> None:
        for one in (succeeded, failed, stopped):
            ledger.put(streams[one], [(now_ms(), f"last words of {streams[one]}")])

    stand_in.after_stop = last_words
    with ExitStack() as stack:
        process = stack.enter_context(
            forwarder("/ecs/job", stand_in.url, tmp_path, "--lifecycle", f"ecs:{CLUSTER}")
        )
        url = process.ready()["websocket"]
        viewers = {
            one: stack.enter_context(Viewer(url, "--execution", one, state=tmp_path, name=one))
            for one in streams
        }
        codes = {one: viewer.popen.wait(WAIT_S) for one, viewer in viewers.items()}
        printed = {one: viewer.out.wait_end() for one, viewer in viewers.items()}
    assert codes == {succeeded: 0, failed: 5, stopped: 6, forgotten: 0, odd: 0}
    assert stand_in.has_called
    for one, stream in streams.items():
        written = [message for of, _, message in ledger.accepted if of == stream]
        assert [json.loads(line)["message"] for line in printed[one]] == written
        assert len(written) == (20 if one in (forgotten, odd) else 21)
    assert stand_in.describes
    assert not [asked for asked in stand_in.describes if odd in asked]
    ledger.close()


def test_an_unknown_cluster(stand_in: EcsStandIn, tmp_path: Path) -> None:
    stand_in.moto.create("/ecs/other", "app/main/x")
    with forwarder("/ecs/other", stand_in.url, tmp_path, "--lifecycle", "ecs:nowhere") as process:
        assert process.popen.wait(WAIT_S) == 2
        said = process.err.wait_end()[-1]
    assert said.startswith("gapless: --lifecycle: there is no ECS cluster 'nowhere'")
