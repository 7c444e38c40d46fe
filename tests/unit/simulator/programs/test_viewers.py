"""Viewers that are registered to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from simulator.errors import NotFoundError, SimulatorError
from simulator.programs import viewers
from simulator.programs.viewers import Viewers
from tests.support.processes.gapless_processes import WAIT_S

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that look like viewers."""
    processes: list[subprocess.Popen[bytes]] = []

    def one() -> subprocess.Popen[bytes]:
        code = "import signal; print(flush=True); signal.pause()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, "gapless", "tail"], stdout=subprocess.PIPE
        )
        processes.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield one
    for process in processes:
        process.kill()
        process.wait(WAIT_S)
        assert process.stdout is not None
        process.stdout.close()


def test_registered_viewers_are_killed(start: Start) -> None:
    handed, other = start(), start()
    known = Viewers()
    known.add(handed.pid)
    assert known.pids() == [handed.pid]
    assert known.kill(1.0, 3) == 1
    assert handed.wait(WAIT_S) == -signal.SIGKILL
    assert other.poll() is None
    assert known.pids() == []


def test_a_share_of_them_is_killed(start: Start) -> None:
    known = Viewers()
    for _ in range(12):
        known.add(start().pid)
    killed = known.kill(0.5, 3)
    assert 2 < killed < 10
    assert len(known.pids()) == 12 - killed
    known.close()
    assert known.pids() == []


def test_only_viewers_can_be_registered(start: Start) -> None:
    known = Viewers()
    gone = start()
    gone.kill()
    gone.wait(WAIT_S)
    for pid in (os.getpid(), 1, 0, -1, 1 << 40, gone.pid):
        with pytest.raises(SimulatorError, match=f"process {pid} is no viewer"):
            known.add(pid)
    with pytest.raises(SimulatorError, match="no viewer is registered"):
        known.kill(1.0, 3)


def test_a_viewer_is_registered_while_it_starts(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    read = viewers._command_line

    def late(pid: int) -> list[bytes]:
        looks.append(pid)
        return [] if len(looks) < 3 else read(pid)

    monkeypatch.setattr(viewers, "_command_line", late)
    known = Viewers()
    one = start()
    known.add(one.pid)
    assert known.pids() == [one.pid]
    assert looks == [one.pid] * 3


def test_an_ended_process_is_refused_at_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "_STARTS_WITHIN_S", 3600.0)
    one = start()
    one.kill()
    os.waitid(
        os.P_PID, one.pid, os.WEXITED | os.WNOWAIT
    )  # ended, and its process id is still taken
    with pytest.raises(SimulatorError, match=f"process {one.pid} is no viewer"):
        Viewers().add(one.pid)


def test_a_process_without_arguments_is_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewers, "_STARTS_WITHIN_S", 0.0)
    monkeypatch.setattr(viewers, "_command_line", lambda _pid: [])
    one = start()
    with pytest.raises(SimulatorError, match=f"process {one.pid} is no viewer"):
        Viewers().add(one.pid)


def test_a_viewer_that_has_ended_is_unregistered(start: Start) -> None:
    known = Viewers()
    one = start()
    known.add(one.pid)
    known.add(one.pid)
    one.kill()
    one.wait(WAIT_S)
    assert known.kill(1.0, 3) == 0
    assert known.pids() == []


def test_viewers_can_be_unregistered_and_are_bounded(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewers, "VIEWERS_MAX", 1)
    known = Viewers()
    one, two = start(), start()
    known.add(one.pid)
    with pytest.raises(SimulatorError, match="the most there may be"):
        known.add(two.pid)
    known.remove(one.pid)
    with pytest.raises(NotFoundError, match=f"no viewer {one.pid}"):
        known.remove(one.pid)
    known.add(two.pid)
    two.kill()
    two.wait(WAIT_S)
    known.add(one.pid)
    assert known.pids() == [one.pid]
    known.close()
