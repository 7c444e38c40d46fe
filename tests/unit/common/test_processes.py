from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from common.errors import GaplessError
from common.processes import ChildFailedError, ChildProcess, child_environment, start_gapless

FAKE = """
import json, os, signal, sys, threading
from pathlib import Path
mode = sys.argv[1]
if mode == "ready":
    print(json.dumps({"ready": True, "pid": os.getpid(), "cwd": os.getcwd()}), flush=True)
    threading.Event().wait()
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(json.dumps({"ready": True}), flush=True)
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


def test_a_child_is_read_until_ready_and_stopped() -> None:
    with start_gapless("the part", ["ready"]) as part:
        assert part.ready()["pid"] == part.pid
        assert part.is_running
        assert os.getsid(part.pid) == part.pid
    assert not psutil.pid_exists(part.pid)


def test_the_childs_own_error_and_exit_code_are_raised(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("gapless: an error of long ago\n")
    for where in (None, log):
        with start_gapless("the part", ["refused"], log=where) as part:
            with pytest.raises(ChildFailedError, match=r"^the port is in use: choose") as caught:
                part.ready()
            assert caught.value.exit_code == 3


def test_the_error_of_a_child_that_fails_before_its_parent_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = subprocess.Popen

    def preempted(
        argv: list[str],
        **options: Any,  # noqa: ANN401 - as Popen
    ) -> subprocess.Popen[bytes]:
        process = start(argv, **options)
        process.wait()
        return process

    monkeypatch.setattr(subprocess, "Popen", preempted)
    with (
        start_gapless("the part", ["refused"]) as part,
        pytest.raises(ChildFailedError, match=r"^the port is in use: choose"),
    ):
        part.ready()


def test_a_killed_child() -> None:
    with start_gapless("the part", ["ready"]) as part:
        os.kill(part.pid, signal.SIGKILL)
        part.stop()
        assert str(part.failure()) == "the part was ended by SIGKILL"
        assert part.failure().exit_code == 1


def test_a_child_that_is_not_ready_in_time_is_stopped() -> None:
    with start_gapless("the part", ["silent"]) as part:
        with pytest.raises(ChildFailedError, match="not ready within"):
            part.ready(within_s=0.05)
        assert not part.is_running


def test_a_child_that_prints_something_else_is_stopped() -> None:
    with start_gapless("the part", ["garbage"]) as part:
        with pytest.raises(
            ChildFailedError, match="the part printed b'hello' instead of a ready line"
        ):
            part.ready()
        assert not part.is_running


def test_sigkill_follows_sigterm() -> None:
    with start_gapless("the part", ["stubborn"]) as part:
        part.ready()
        part.stop(within_s=0.05)
        assert not part.is_running


def test_a_detached_child_keeps_running() -> None:
    part = start_gapless("the part", ["ready"])
    pid = part.ready()["pid"]
    part.detach()
    assert psutil.Process(pid).is_running()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_log_that_can_t_be_written(tmp_path: Path) -> None:
    with pytest.raises(GaplessError, match="cannot write"):
        start_gapless("the part", ["ready"], log=tmp_path / "none" / "log")


def test_children_get_no_settings_and_no_modules_of_the_current_directory() -> None:
    ours = {"PATH": "/bin", "GAPLESS_PORT": "1", "GAPLESS_STATE_DIR": "/s", "PYTHONPATH": "/x"}
    theirs = child_environment(ours)
    assert theirs["PATH"] == "/bin"
    assert theirs["GAPLESS_STATE_DIR"] == "/s"
    assert "GAPLESS_PORT" not in theirs
    assert theirs["GAPLESS_CONFIG"] == os.devnull
    assert theirs["PYTHONSAFEPATH"] == "1"
    assert theirs["PYTHONPATH"].endswith(":/x")
    assert len(child_environment({})["PYTHONPATH"].split(":")) == 1


READY = 'import json; print(json.dumps({"ready": True, "x": 1}), flush=True);'
WAIT = "import signal; signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"


def python(code: str) -> ChildProcess:
    argv = [sys.executable, "-S", "-c", code]
    return ChildProcess.start("the part", argv, environment=os.environ)


def test_it_is_ready_and_ends() -> None:
    child = python(READY + WAIT)
    assert child.ready() == {"ready": True, "x": 1}
    child.stop()
    assert child.wait() == -signal.SIGTERM
    child.stop()


def test_a_child_that_ignores_sigterm_is_killed() -> None:
    child = python(DEAF + READY + "\nwhile True: signal.pause()")
    child.ready()
    child.stop(within_s=0.1)
    assert child.wait() == -signal.SIGKILL


def test_it_does_not_stop_at_a_full_pipe() -> None:
    child = python(READY + "print('x' * 1_000_000, flush=True)")
    child.ready()
    assert child.wait() == 0
    child.stop()


def test_an_end_before_the_ready_line_is_an_error() -> None:
    child = python("raise SystemExit(3)")
    with pytest.raises(ChildFailedError, match="the part ended with exit code 3"):
        child.ready()
    child.stop()


@pytest.mark.parametrize("line", ["hello", "{}", "[1]", '{"ready": false}'])
def test_another_line_than_the_ready_line_is_an_error(line: str) -> None:
    child = python(f"print({line!r}, flush=True); {WAIT}")
    with pytest.raises(ChildFailedError, match="instead of a ready line"):
        child.ready()
    child.stop()


def test_no_ready_line_in_time_is_an_error() -> None:
    child = python(WAIT)
    with pytest.raises(ChildFailedError, match="the part was not ready within"):
        child.ready(within_s=0.1)
    child.stop()


def test_a_missing_program_is_reported() -> None:
    with pytest.raises(ChildFailedError, match="cannot start the part: /no/such/program"):
        ChildProcess.start("the part", ["/no/such/program"], environment={})


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("raise SystemExit(2)", "the part ended with exit code 2; its error is printed above"),
        ("import os; os.kill(os.getpid(), 9)", "the part was ended by SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "the part was ended by signal 40"),
    ],
)
def test_how_a_child_ended_is_described(code: str, text: str) -> None:
    child = python(READY + code)
    child.ready()
    child.wait()
    assert str(child.failure()) == text


def test_a_child_that_prints_no_error() -> None:
    text = "ended with exit code 0 and printed no error"
    with (
        start_gapless("the part", ["unknown"]) as part,
        pytest.raises(ChildFailedError, match=text),
    ):
        part.ready()
