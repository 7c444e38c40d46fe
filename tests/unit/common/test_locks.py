from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.errors import GaplessError
from common.locks import (
    FileLock,
    LockedError,
    LockFile,
    call_when_released,
    hold,
    hold_temporary,
    is_held,
    is_same_file,
    lock_path,
    owner_of,
    remove_if_free,
    wait_until_free,
)
from tests.support.processes.gapless_processes import WAIT_S

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


def test_it_ends_in_order_with_the_last_holder_and_deletes_the_file(tmp_path: Path) -> None:
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


def test_a_process_that_does_not_end_in_order_exits(tmp_path: Path) -> None:
    path = tmp_path / "users"
    held = hold(path)
    with program(needed(orderly=False), path) as process:
        held.release()
        rest(process)
    assert process.returncode == 1


def test_it_ends_at_once_if_the_file_is_missing(tmp_path: Path) -> None:
    with program(needed(), tmp_path / "never") as process:
        assert rest(process) == "in order\n"


def test_a_newcomer_waits_for_an_ending_process_and_gets_a_new_file(tmp_path: Path) -> None:
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


def test_an_own_file_is_deleted_at_its_release(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    with hold(path, remove=True) as held:
        assert path.exists()
        held.release()
    assert not path.exists()


def test_whether_a_file_is_still_the_one_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    assert is_same_file(path, descriptor)
    path.unlink()
    assert not is_same_file(path, descriptor)
    path.touch()
    assert not is_same_file(path, descriptor)
    os.close(descriptor)


def test_a_file_is_deleted_only_if_no_process_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with hold(path):
        remove_if_free(path)
        assert path.exists()
    remove_if_free(path, lambda: True)
    assert path.exists()
    remove_if_free(path)
    assert not path.exists()
    remove_if_free(path)


READY = {"ready": True, "websocket": "ws://127.0.0.1:1/v1/tail"}


def test_the_lock_file_stands_beside_the_journal() -> None:
    assert lock_path(Path("/a/journal.sqlite3")) == Path("/a/journal.sqlite3.lock")


def test_the_owner_is_found_while_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "journal.lock"
    assert owner_of(path) is None
    with LockFile.take(path) as lock:
        assert owner_of(path) == {}
        lock.write(READY)
        assert owner_of(path) == {**READY, "pid": os.getpid()}
    assert owner_of(path) is None
    assert not path.exists()


def test_the_lock_file_of_a_killed_owner_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "journal.lock"
    path.write_text('{"websocket": "ws://gone"}')
    assert owner_of(path) is None
    with LockFile.take(path):
        assert owner_of(path) == {}


def test_the_error_of_a_second_owner_names_the_first(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3.lock"
    with LockFile.take(path) as lock:
        lock.write(READY)
        with pytest.raises(LockedError, match=r"ws://127.0.0.1:1/v1/tail has .*sqlite3: watch"):
            LockFile.take(path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(GaplessError, match="--journal"):
        LockFile.take(tmp_path / "missing" / "journal.lock")


def test_waiting_until_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "journal.lock"
    wait_until_free(path)
    lock = LockFile.take(path)
    free = threading.Event()

    def wait() -> None:
        wait_until_free(path)
        free.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert not free.wait(0.1)
    lock.release()
    assert free.wait(240)
    waiter.join()


@pytest.mark.parametrize("text", ["", "no json", "[]"])
def test_an_invalid_lock_file_means_an_owner_that_is_not_ready(tmp_path: Path, text: str) -> None:
    path = tmp_path / "journal.lock"
    with LockFile.take(path):
        path.write_text(text)
        assert owner_of(path) == {}


def test_a_release_is_noticed_when_it_happens() -> None:
    held = hold_temporary()
    released = threading.Event()
    call_when_released(held.path, released.set)
    held.path.unlink()
    assert not released.is_set()
    held.release()
    assert released.wait(240)


def test_a_missing_lifeline_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GaplessError, match="can't be opened"):
        call_when_released(tmp_path / "none", pytest.fail)


def test_a_named_pipe_in_a_lock_files_place_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(GaplessError, match="not a regular file"):
        hold(pipe)
    with pytest.raises(GaplessError, match="not a regular file"):
        LockFile.take(pipe)
    with pytest.raises(OSError, match="not a regular file"):
        FileLock.take(pipe)
    assert not is_held(pipe)
    assert owner_of(pipe) is None
    wait_until_free(pipe)
    remove_if_free(pipe)
    assert pipe.exists()


def test_a_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    other, link = tmp_path / "precious", tmp_path / "a.lock"
    other.write_text("kept", encoding="ascii")
    link.symlink_to(other)
    with pytest.raises(GaplessError, match=r"a\.lock"):
        LockFile.take(link)
    assert other.read_text(encoding="ascii") == "kept"
