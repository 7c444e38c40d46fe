from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from common.errors import GaplessError
from common.processes import PartFailedError, environment, start

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
    monkeypatch.setattr("gapless.__file__", str(package / "__init__.py"))


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
