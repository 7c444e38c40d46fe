"""tests.unit.common.test_processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest

from common import processes
from common.errors import EndedBySignalError, GaplessError, SimulatorError
from common.processes import ENDING, Child, PartFailedError, environment, heard, run, start

FAKE = """
import json, os, signal, sys, threading
from pathlib import Path
mode = sys.argv[1]
if mode == "ready":
    print(json.dumps({"ready": True, "pid": os.getpid(), "cwd": os.getcwd()}), flush=True)
    threading.Event().wait()
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("{}", flush=True)
    threading.Event().wait()
if mode == "silent":
    threading.Event().wait()
if mode == "refused":
    print("Traceback of something", file=sys.stderr)
    print("gapless: the port is in use: choose another", file=sys.stderr)
    sys.exit(3)
if mode == "garbage":
    print("hello", flush=True)
    threading.Event().wait()
"""


@pytest.fixture(autouse=True)
def fake_gapless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in place of ours, so that each way to end can be had at will."""
    package = tmp_path / "fake" / "gapless"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(FAKE)
    monkeypatch.setattr("common.processes.HOME", package.parent)


def test_a_part_is_read_until_ready_and_ended() -> None:
    with start("the part", ["ready"]) as part:
        assert part.ready()["pid"] == part.pid
        assert part.is_running
        assert os.getsid(part.pid) == part.pid
    assert not psutil.pid_exists(part.pid)


def test_its_own_one_line_error_and_exit_code_come_through(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("gapless: an error of long ago\n")
    for where in (None, log):
        with start("the part", ["refused"], log=where) as part:
            with pytest.raises(PartFailedError, match=r"^the port is in use: choose") as caught:
                part.ready()
            assert caught.value.exit_code == 3


def test_a_part_that_ends_without_a_word() -> None:
    with start("the part", ["ready"]) as part:
        os.kill(part.pid, signal.SIGKILL)
        part.end()
        assert "ended with status -9 and said nothing" in str(part.failure())
        assert part.failure().exit_code == 1


def test_a_part_that_is_not_ready_in_time_is_ended() -> None:
    with start("the part", ["silent"]) as part:
        with pytest.raises(PartFailedError, match="not ready within"):
            part.ready(within_s=0.05)
        assert not part.is_running


def test_a_part_that_says_something_else_is_ended() -> None:
    with start("the part", ["garbage"]) as part:
        with pytest.raises(PartFailedError, match="the part ended"):
            part.ready()
        assert not part.is_running


def test_sigkill_follows_sigterm() -> None:
    with start("the part", ["stubborn"]) as part:
        part.ready()
        part.end(within_s=0.05)
        assert not part.is_running


def test_a_part_that_is_left_runs_on() -> None:
    part = start("the part", ["ready"])
    pid = part.ready()["pid"]
    part.leave()
    assert psutil.Process(pid).is_running()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_log_that_can_t_be_written(tmp_path: Path) -> None:
    with pytest.raises(GaplessError, match="cannot write"):
        start("the part", ["ready"], log=tmp_path / "none" / "log")


def test_parts_get_no_settings_and_none_of_the_directory_s_modules() -> None:
    ours = {"PATH": "/bin", "GAPLESS_PORT": "1", "GAPLESS_STATE_DIR": "/s", "PYTHONPATH": "/x"}
    theirs = environment(ours)
    assert theirs["PATH"] == "/bin"
    assert theirs["GAPLESS_STATE_DIR"] == "/s"
    assert "GAPLESS_PORT" not in theirs
    assert theirs["GAPLESS_CONFIG"] == os.devnull
    assert theirs["PYTHONSAFEPATH"] == "1"
    assert theirs["PYTHONPATH"].endswith(":/x")
    assert len(environment({})["PYTHONPATH"].split(":")) == 1


READY = 'import json; print(json.dumps({"ready": True, "x": 1}), flush=True);'
WAIT = "import signal; signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"


async def python(code: str) -> Child:
    argv = [sys.executable, "-S", "-c", code]
    return await Child.start("the part", argv, environment=os.environ)


async def test_it_is_ready_and_ends() -> None:
    child = await python(READY + WAIT)
    assert await child.ready() == {"ready": True, "x": 1}
    await child.stop()
    assert await child.ended() == -signal.SIGTERM
    await child.stop()


async def test_what_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT_S", 0.1)
    child = await python(DEAF + READY + "\nwhile True: signal.pause()")
    await child.ready()
    await child.stop()
    assert await child.ended() == -signal.SIGKILL


async def test_it_does_not_stop_at_a_full_pipe() -> None:
    child = await python(READY + "print('x' * 1_000_000, flush=True)")
    await child.ready()
    assert await child.ended() == 0
    await child.stop()


async def test_an_end_before_it_is_ready_is_said() -> None:
    child = await python("raise SystemExit(3)")
    with pytest.raises(SimulatorError, match="the part ended with exit code 3"):
        await child.ready()
    await child.stop()


@pytest.mark.parametrize("line", ["hello", "{}", "[1]", '{"ready": false}'])
async def test_another_line_is_said(line: str) -> None:
    child = await python(f"print({line!r}, flush=True); {WAIT}")
    with pytest.raises(SimulatorError, match="instead of a ready line"):
        await child.ready()
    await child.stop()


async def test_silence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "READY_TIMEOUT_S", 0.1)
    child = await python(WAIT)
    with pytest.raises(SimulatorError, match="the part was not ready within"):
        await child.ready()
    await child.stop()


async def test_a_program_that_is_not_there_is_said() -> None:
    with pytest.raises(SimulatorError, match="the part can't be started: /no/such/program"):
        await Child.start("the part", ["/no/such/program"], environment={})


async def test_how_it_ended_is_said() -> None:
    child = await python(READY)
    await child.ready()
    await child.ended()
    assert child.epitaph(2).startswith("the part ended with exit code 2")
    assert child.epitaph(-9) == "the part was ended by SIGKILL"
    assert child.epitaph(-99) == "the part was ended by signal 99"
    await child.stop()


async def hurt(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_is_not_lost_in_the_task_that_it_meets(number: int) -> None:
    before = signal.getsignal(number)
    is_over = False

    async def work() -> None:
        nonlocal is_over
        other = asyncio.create_task(hurt(number))
        try:
            await asyncio.Event().wait()
        finally:
            await other
            is_over = True

    with pytest.raises(EndedBySignalError) as ended:
        run(work())
    assert ended.value.exit_code == 128 + number
    assert is_over
    assert signal.getsignal(number) is before


def test_a_signal_to_another_thread_is_heard() -> None:
    async def work() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        with pytest.raises(EndedBySignalError):
            run(work())
    finally:
        over.set()
        other.join()


def test_a_hangup_is_ignored_where_nohup_says_so() -> None:
    async def work() -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        return 7

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(work()) == 7
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.SIGHUP not in heard()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP in heard()


def test_what_comes_of_it() -> None:
    async def seven() -> int:
        return 7

    async def cancelled() -> None:
        raise asyncio.CancelledError

    assert run(seven()) == 7
    with pytest.raises(asyncio.CancelledError):
        run(cancelled())
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(run(seven())))
    thread.start()
    thread.join()
    assert found == [7]
