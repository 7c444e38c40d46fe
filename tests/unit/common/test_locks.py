from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.locks import hold, is_still_at, remove_if_free
from tests.support.parts import WAIT_S

NEEDED = """
import signal, sys, threading
from pathlib import Path
from common.locks import end_when_released
ended = threading.Event()
if {orderly}:
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
else:
    signal.signal(signal.SIGTERM, lambda *_: None)
end_when_released(Path(sys.argv[1]), {within_s})
print("ready", flush=True)
while not ended.wait(0.05):
    pass
print("in order", flush=True)
"""

HOLDER = """
import sys
from pathlib import Path
from common.locks import hold
held = hold(Path(sys.argv[1]))
print("holding", flush=True)
sys.stdin.read()
"""


@contextmanager
def program(code: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def rest(process: subprocess.Popen[str]) -> str:
    """What it still says until its end; not ``communicate``, which forgets what was read ahead."""
    assert process.stdout is not None
    said = process.stdout.read()
    process.wait(WAIT_S)
    return said


def needed(*, orderly: bool = True) -> str:
    return NEEDED.format(orderly=orderly, within_s=WAIT_S if orderly else 0.2)


def test_it_ends_in_order_with_the_last_holder_and_takes_the_file_along(tmp_path: Path) -> None:
    path = tmp_path / "users"
    first, second = hold(path), hold(path)
    with program(needed(), path) as process:
        first.release()
        assert process.poll() is None
        second.release()
        out = rest(process)
    assert out == "in order\n"
    assert process.returncode == 0
    assert not path.exists()


def test_it_ends_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "users"
    with program(HOLDER, path) as holder, program(needed(), path) as process:
        holder.kill()
        assert rest(process) == "in order\n"
    assert not path.exists()


def test_what_does_not_end_in_order_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "users"
    held = hold(path)
    with program(needed(orderly=False), path) as process:
        held.release()
        rest(process)
    assert process.returncode == 1


def test_it_ends_at_once_where_the_file_is_gone_already(tmp_path: Path) -> None:
    with program(needed(), tmp_path / "never") as process:
        assert rest(process) == "in order\n"


def test_a_newcomer_waits_for_what_is_ending_and_gets_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "users"
    ending = os.open(path, os.O_CREAT | os.O_RDWR)
    fcntl.flock(ending, fcntl.LOCK_EX)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as newcomer:
        path.unlink()
        os.close(ending)
        assert newcomer.stdout is not None
        assert newcomer.stdout.readline() == "holding\n"
        now_there = os.open(path, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(now_there, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(now_there)
        newcomer.kill()


def test_a_file_of_one_s_own_goes_with_its_release(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    with hold(path, remove=True) as held:
        assert path.exists()
        held.release()
    assert not path.exists()


def test_whether_a_file_is_still_the_one_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    assert is_still_at(path, descriptor)
    path.unlink()
    assert not is_still_at(path, descriptor)
    path.touch()
    assert not is_still_at(path, descriptor)
    os.close(descriptor)


def test_a_file_is_removed_only_where_nobody_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with hold(path):
        remove_if_free(path)
        assert path.exists()
    remove_if_free(path, lambda: True)
    assert path.exists()
    remove_if_free(path)
    assert not path.exists()
    remove_if_free(path)
