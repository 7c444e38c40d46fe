from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from common.locks import LockFile, lock_path
from forwarder.errors import JournalError
from forwarder.groups.journals import (
    JournalFolder,
    SharedFile,
    delete_journal,
    file_bytes,
    journal_name,
    journals_in,
    move_journal,
)
from forwarder.records import FeedKey, LogEvent

ONE, TWO, ERRORS = FeedKey("/jobs/one"), FeedKey("/jobs/two"), FeedKey("/jobs/one", "ERROR")
EVENT = LogEvent("1", 5, 5, "s", "a message")


def make_old(path: Path, age_s: float = 10_000) -> None:
    for one in path.parent.glob(path.name + "*"):
        os.utime(one, (time.time() - age_s,) * 2)


def test_each_feed_has_a_file_with_a_readable_name_of_its_own() -> None:
    names = {journal_name(one) for one in (ONE, TWO, ERRORS, FeedKey("/jobs-one"))}
    assert len(names) == 4
    assert journal_name(ONE).startswith("jobs-one-")
    assert len(journal_name(FeedKey("x" * 512))) < 100


def test_a_closed_journal_goes_on_under_a_new_epoch(tmp_path: Path) -> None:
    for journals in (JournalFolder(tmp_path / "folder"), SharedFile(tmp_path / "f.sqlite3")):
        journal = journals.open(ONE)
        journal.append([EVENT], "live")
        epoch = journal.epoch
        journals.open(TWO)
        journals.close(ONE)
        again = journals.open(ONE)
        assert again.head_seq == 1
        assert again.epoch != epoch
        assert again.is_resumable(epoch, 1)
        assert journals.exists(ONE)
        assert journals.size_bytes(ONE) > 0
        journals.close_all()


def test_a_journal_that_another_forwarder_has_is_refused(tmp_path: Path) -> None:
    journals, other = JournalFolder(tmp_path), JournalFolder(tmp_path)
    journals.open(ONE)
    with pytest.raises(JournalError, match="another forwarder"):
        other.open(ONE)
    journals.close(ONE)
    other.open(ONE)
    other.close_all()


def test_what_cannot_be_opened_leaves_no_lock(tmp_path: Path) -> None:
    journals = JournalFolder(tmp_path)
    (tmp_path / journal_name(ONE)).write_bytes(b"no journal" * 1_000)
    with pytest.raises(JournalError):
        journals.open(ONE)
    assert not list(tmp_path.glob("*.lock"))


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="give --journal a folder"):
        JournalFolder(tmp_path / "file")


def test_only_what_was_not_used_for_long_is_deleted(tmp_path: Path) -> None:
    journals = JournalFolder(tmp_path)
    for key in (ONE, TWO, ERRORS):
        journals.open(key).append([EVENT], "live")
    journals.close(ONE)
    journals.close(TWO)
    for key in (ONE, ERRORS):
        make_old(tmp_path / journal_name(key))
    size = file_bytes(tmp_path / journal_name(ONE))
    assert journals.delete_unused(3_600) == size > 0
    kept = {tmp_path / journal_name(TWO), tmp_path / journal_name(ERRORS)}
    assert set(journals_in(tmp_path)) == kept
    assert journals.open(ONE).head_seq == 0
    journals.close_all()
    assert not list(tmp_path.glob("*.lock"))


def test_another_programs_database_in_the_folder_stays(tmp_path: Path) -> None:
    others = [tmp_path / name for name in ("app.sqlite3", "app-2024.sqlite3", "-x.sqlite3")]
    for path in others:
        path.write_bytes(b"x")
        make_old(path)
    assert JournalFolder(tmp_path).delete_unused(0) == 0
    assert all(path.exists() for path in others)


def test_a_locked_journal_stays_whatever_its_age(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    path.write_bytes(b"x")
    with LockFile.take(lock_path(path)):
        assert delete_journal(path, 0) is None
    with LockFile.take(tmp_path / "folder.lock"):
        assert delete_journal(path, 0, tmp_path / "folder.lock") is None
    assert delete_journal(path, 3_600) is None
    assert delete_journal(path, 0) == 1
    assert not path.exists()


def test_a_journal_is_moved_with_what_sqlite_keeps_beside_it(tmp_path: Path) -> None:
    for name in ("a.sqlite3", "a.sqlite3-wal"):
        (tmp_path / name).write_text(name, encoding="ascii")
    move_journal(tmp_path / "a.sqlite3", tmp_path / "b.sqlite3")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.sqlite3", "b.sqlite3-wal"]
