from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from common.errors import GaplessError
from common.lockfile import LockedError, LockFile, lock_path, owner_of, wait_until_free

READY = {"ready": True, "websocket": "ws://127.0.0.1:1/v1/tail"}


def test_the_lock_file_stands_beside_the_journal() -> None:
    assert lock_path(Path("/a/journal.sqlite3")) == Path("/a/journal.sqlite3.lock")


def test_the_owner_is_found_while_it_lives(tmp_path: Path) -> None:
    path = tmp_path / "journal.lock"
    assert owner_of(path) is None
    with LockFile.take(path) as lock:
        assert owner_of(path) == {}
        lock.write(READY)
        assert owner_of(path) == {**READY, "pid": os.getpid()}
    assert owner_of(path) is None
    assert not path.exists()


def test_what_a_killed_owner_left_is_nobody_s_and_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "journal.lock"
    path.write_text('{"websocket": "ws://gone"}')
    assert owner_of(path) is None
    with LockFile.take(path):
        assert owner_of(path) == {}


def test_a_second_owner_is_told_where_the_first_one_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3.lock"
    with LockFile.take(path) as lock:
        lock.write(READY)
        with pytest.raises(LockedError, match=r"ws://127.0.0.1:1/v1/tail has .*sqlite3: watch"):
            LockFile.take(path)


def test_a_place_that_can_t_be_written(tmp_path: Path) -> None:
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
def test_a_lock_file_that_can_t_be_read_is_that_of_an_owner_not_yet_ready(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "journal.lock"
    with LockFile.take(path):
        path.write_text(text)
        assert owner_of(path) == {}
