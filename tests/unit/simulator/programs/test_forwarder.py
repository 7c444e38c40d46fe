"""The forwarder process, the viewers and the clock, with a process that plays the forwarder."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from common.concurrency import in_thread
from common.processes import ChildProcess
from simulator.errors import SimulatorError
from simulator.programs import forwarder
from simulator.programs.forwarder import ForwarderProcess, JournalFiles
from tests.support.processes.gapless_processes import WAIT_S
from tests.support.processes.process_tree import is_gone

PRETENDS = """
import json, pathlib, signal, sys
journal = pathlib.Path(sys.argv[1])
if journal.read_text() == "away":
    sys.exit(3)
def grow(*_):
    with journal.open("a") as file:
        file.write("x")
signal.signal(signal.SIGUSR1, grow)
print(json.dumps({"ready": True, "http": f"http://127.0.0.1:{1000 + len(journal.read_text())}"}))
sys.stdout.flush()
while True:
    signal.pause()
"""
"""Its journal is a text; its port is 1000 more than the text's length. SIGUSR1: it writes."""


class Rig:
    """A forwarder process, and the calls that it made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ports: list[int] = []
        self.failures: list[str] = []
        self.changes = 0
        argv = [sys.executable, "-S", "-c", PRETENDS, str(path)]
        self.keeper = ForwarderProcess(
            argv,
            os.environ,
            path,
            moved=self.ports.append,
            failed=self.failures.append,
            changed=self._change,
        )

    def _change(self) -> None:
        self.changes += 1

    def has_written(self, size: int) -> bool:
        return len(self.path.read_text()) == size

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 - processes set no events
                await asyncio.sleep(0.01)

    async def back(self, count: int = 1) -> int:
        """The port of the one that was started as the ``count``-th."""
        await self.until(lambda: len(self.ports) >= count or bool(self.failures))
        assert self.failures == []
        return self.ports[-1]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    path = tmp_path / "journal"
    path.write_text("four")
    one = Rig(path)
    first = one.keeper.start()
    await in_thread(first.ready)
    yield one
    await one.keeper.stop()
    assert not one.keeper.is_up


async def test_it_comes_back_with_its_journal(rig: Rig) -> None:
    before = rig.keeper.pid
    await rig.keeper.crash("a", 0, "kept")
    assert rig.keeper.describe() == {"up": False, "starts": 1, "pid": None}
    await rig.keeper.restart("a")
    assert await rig.back() == 1_004
    assert rig.keeper.pid != before
    assert rig.keeper.starts == 2
    assert rig.changes >= 2


async def test_its_journal_can_be_lost(rig: Rig) -> None:
    rig.path.with_name("journal-wal").write_text("more")
    await rig.keeper.crash("a", 0, "lost")
    assert not rig.path.exists()
    assert not rig.path.with_name("journal-wal").exists()
    rig.path.write_text("")
    await rig.keeper.restart("a")
    assert await rig.back() == 1_000


async def test_its_journal_can_be_an_earlier_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    wal = rig.path.with_name("journal-wal")
    copy = rig.keeper._copy

    async def copy_and_go_on(files: JournalFiles) -> None:
        await copy(files)
        rig.path.write_text("longer than before")
        wal.write_text("new")

    monkeypatch.setattr(rig.keeper, "_copy", copy_and_go_on)
    await rig.keeper.crash("a", 0, "rolled_back")
    await rig.keeper.restart("a")
    assert await rig.back() == 1_004
    assert rig.path.read_text() == "four"
    assert not wal.exists()


async def test_healed_before_its_moment_it_is_not_killed(rig: Rig) -> None:
    before = rig.keeper.pid
    await rig.keeper.crash("a", 60_000, "kept")
    await rig.keeper.restart("a")
    assert rig.keeper.pid == before
    assert rig.keeper.starts == 1


async def test_when_its_time_is_over_it_has_been_killed(rig: Rig) -> None:
    before = rig.keeper.pid
    await rig.keeper.crash("a", 60_000, "rolled_back")
    rig.path.write_text("longer than before")
    await rig.keeper.restart("a", is_called_off=False)
    assert await rig.back() == 1_004
    assert rig.keeper.pid != before


async def test_a_caller_that_times_out_may_call_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go = threading.Event()
    kill = ChildProcess.kill

    def slow(child: ChildProcess) -> None:
        may_go.wait()
        kill(child)

    monkeypatch.setattr(ChildProcess, "kill", slow)
    for ask in (rig.keeper.crash("a", 0, "kept"), rig.keeper.restart("a")):
        waiting = asyncio.create_task(ask)
        await asyncio.sleep(0)  # a task that is cancelled before its first step asks nothing
        await rig.until(lambda: not rig.keeper.is_up)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    may_go.set()
    await rig.keeper.restart("a")
    assert await rig.back() == 1_004


async def test_a_journal_that_can_not_be_touched_later_ends_the_simulation(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: JournalFiles) -> None:
        raise PermissionError(13, "refused")

    monkeypatch.setattr(JournalFiles, "restore", refuse)
    await rig.keeper.crash("a", 60_000, "rolled_back")
    await rig.keeper.restart("a", is_called_off=False)
    assert "journal could not be touched: [Errno 13] refused" in rig.failures[0]


async def test_it_is_down_while_anyone_keeps_it_down(rig: Rig) -> None:
    await rig.keeper.crash("a", 0, "kept")
    await rig.keeper.crash("b", 0, "kept")
    await rig.keeper.restart("a")
    await rig.keeper.restart("nobody")
    assert rig.keeper.starts == 1
    await rig.keeper.restart("b")
    await rig.back()
    assert rig.keeper.starts == 2


async def test_an_unexpected_end_ends_the_simulation(rig: Rig) -> None:
    assert rig.keeper.pid is not None
    os.kill(rig.keeper.pid, 9)
    await rig.until(lambda: bool(rig.failures))
    assert rig.failures == ["the forwarder was ended by SIGKILL"]


async def test_one_that_does_not_come_back_ends_the_simulation(rig: Rig) -> None:
    await rig.keeper.crash("a", 0, "lost")
    await rig.keeper.restart("a")
    await rig.until(lambda: bool(rig.failures))
    assert "the forwarder ended with exit code 1" in rig.failures[0]


async def test_one_that_finds_no_cloudwatch_is_started_again_until_it_does(rig: Rig) -> None:
    await rig.keeper.crash("a", 0, "kept")
    rig.path.write_text("away")
    await rig.keeper.restart("a")
    await rig.until(lambda: rig.keeper.starts >= 3)
    # In one go: it may be read at any moment.
    there = rig.path.with_name("there")
    there.write_text("there")
    there.replace(rig.path)
    assert await rig.back() == 1005


async def test_an_end_by_a_full_disk_is_no_failure(rig: Rig) -> None:
    await rig.keeper.fill_disk("a", 0)
    assert rig.keeper.pid is not None
    os.kill(rig.keeper.pid, 10)
    await rig.until(lambda: not rig.keeper.is_up)
    assert rig.path.read_text() == "four"
    assert rig.failures == []
    await rig.keeper.free_disk("a")
    assert await rig.back() == 1_004
    os.kill(rig.keeper.pid or 0, 10)
    await rig.until(lambda: rig.path.read_text() == "fourx")


async def test_an_end_by_a_full_disk_may_be_noticed_once_there_is_room_again(rig: Rig) -> None:
    await rig.keeper.fill_disk("a", 0)
    child = psutil.Process(rig.keeper.pid)
    child.send_signal(10)
    pause = threading.Event()
    while not is_gone(child):
        pause.wait(0.01)  # without awaiting: the keeper must not notice yet
    await rig.keeper.free_disk("a")
    assert await rig.back() == 1_004
    assert rig.failures == []
    os.kill(rig.keeper.pid or 0, 9)
    await rig.until(lambda: bool(rig.failures))


async def test_a_disk_may_have_a_little_room(rig: Rig) -> None:
    assert rig.keeper.pid is not None
    await rig.keeper.fill_disk("a", 2)
    for size in (5, 6):
        os.kill(rig.keeper.pid, 10)
        await rig.until(partial(rig.has_written, size))
    os.kill(rig.keeper.pid, 10)
    await rig.until(lambda: not rig.keeper.is_up)
    assert rig.path.read_text() == "fourxx"


async def test_impossible_requests_are_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "JOURNAL_COPY_BYTES_MAX", 1)
    with pytest.raises(SimulatorError, match="larger than"):
        await rig.keeper.crash("a", 0, "rolled_back")
    monkeypatch.setattr(rig.keeper, "_journal", None)
    with pytest.raises(SimulatorError, match="journal is no file here"):
        await rig.keeper.crash("a", 0, "lost")
    monkeypatch.delattr("resource.prlimit")
    with pytest.raises(SimulatorError, match="needs Linux"):
        await rig.keeper.fill_disk("a", 0)
    assert rig.keeper.is_up


async def test_it_is_stopped_while_anyone_stops_it(rig: Rig) -> None:
    assert rig.keeper.pid is not None
    process = psutil.Process(rig.keeper.pid)
    rig.keeper.pause("a")
    rig.keeper.pause("b")
    await rig.until(lambda: process.status() == psutil.STATUS_STOPPED)
    rig.keeper.go_on("a")
    assert process.status() == psutil.STATUS_STOPPED
    rig.keeper.go_on("b")
    await rig.until(lambda: process.status() != psutil.STATUS_STOPPED)
    rig.keeper.pause("c")
    await rig.keeper.stop()
    assert is_gone(process)
