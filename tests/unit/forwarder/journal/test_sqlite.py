from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from forwarder.errors import JournalError, JournalFullError
from forwarder.journal import sqlite
from forwarder.journal.database import APPLICATION_ID, SCHEMA_VERSION, Database, from_blob
from forwarder.journal.sqlite import RecentIds, SqliteJournal, SqliteJournals
from forwarder.journal.tables import Bodied, compute_digests
from forwarder.records import KnownRow
from tests.support.forwarder.log_events import GROUP, NOW_MS, event, events
from wire.query import Filter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


def _refused(path: Path, words: str) -> None:
    with pytest.raises(JournalError, match=words) as error:
        SqliteJournals(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def _groups(journals: SqliteJournals) -> list[str]:
    """Log groups that have a journal in the file."""
    rows = journals._db.rows("SELECT name FROM chains WHERE is_current")
    return sorted(from_blob(name) for (name,) in rows)


def test_a_reopened_journal_continues(path: Path) -> None:
    journals = SqliteJournals(path)
    first = journals.journal(GROUP)
    first.append(events(range(1, 5)), "live")
    first.cover(NOW_MS, NOW_MS + 30)
    rows, epoch = first.read_after(0, 9), first.epoch
    journals.close()
    journals = SqliteJournals(path)
    second = journals.journal(GROUP)
    assert second.read_after(0, 9) == rows
    assert list(second.coverage()) == [(NOW_MS, NOW_MS + 30)]
    assert second.epoch != epoch
    assert second.is_resumable(epoch, 4)
    assert not second.is_resumable(epoch, 5)
    assert second.append([event(5)], "live") == 5
    assert not second.is_resumable(epoch, 5)
    journals.close()


def test_a_group_has_one_journal_in_an_open_file(path: Path) -> None:
    journals = SqliteJournals(path)
    assert _groups(journals) == []
    journal = journals.journal("/b")
    assert journals.journal("/b") is journal
    journals.journal("/a")
    assert _groups(journals) == ["/a", "/b"]
    assert journals._db.path == str(path)
    journals.close()


def test_groups_of_one_file_do_not_see_each_other(path: Path) -> None:
    journals = SqliteJournals(path)
    one, other = journals.journal("/one"), journals.journal("/other")
    one.append(events(range(1, 4)), "live")
    other.append([event(2, message="the other's")], "live")
    assert [row.message for row in other.read_after(0, 9)] == ["the other's"]
    assert (one.head_seq, other.head_seq) == (3, 1)
    assert other.total(0, 1 << 52, Filter()).count == 1
    assert one.retire(before=1 << 52) == 3
    assert other.begin_chain()
    assert [row.id for row in one.read_after(0, 9)] == ["1", "2", "3"]
    journals.close()


def test_each_pattern_of_a_group_has_a_journal_of_its_own(path: Path) -> None:
    journals = SqliteJournals(path)
    whole, errors = journals.journal(GROUP), journals.journal(GROUP, "ERROR")
    assert journals.journal(GROUP, "ERROR") is errors
    assert [(one.group, one.pattern) for one in (whole, errors)] == [(GROUP, ""), (GROUP, "ERROR")]
    whole.append(events(range(1, 5)), "live")
    errors.append([event(3)], "live")
    journals.close()
    journals = SqliteJournals(path)
    heads = [journals.journal(GROUP, one).head_seq for one in ("", "ERROR", "WARN")]
    assert heads == [4, 1, 0]
    assert journals.journal(GROUP, "ERROR").is_resumable(errors.epoch, 1)
    assert not journals.journal(GROUP).is_resumable(errors.epoch, 1)
    journals.journal(GROUP, "ERROR").begin_chain()
    assert journals.journal(GROUP).head_seq == 4
    journals.close()


def test_only_the_owner_may_read_it(path: Path) -> None:
    SqliteJournals(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_other_files_remain_beside_a_closed_journal(path: Path) -> None:
    journals = SqliteJournals(path)
    journals.journal(GROUP).append([event(1)], "live")
    journals.close()
    assert list(path.parent.iterdir()) == [path]


def test_a_second_forwarder_is_refused_until_the_first_has_ended(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forwarder.journal.database._BUSY_S", 0.0)
    journals = SqliteJournals(path)
    _refused(path, "another forwarder is using it")
    journals.journal(GROUP).append([event(1)], "live")
    _refused(path, "another forwarder is using it")
    journals.close()
    SqliteJournals(path).close()


_WRITER = """
import sys
from forwarder.journal.sqlite import SqliteJournals
from forwarder.records import LogEvent
journal = SqliteJournals(sys.argv[1]).journal("g")
for number in range(1, 501):
    journal.append([LogEvent(str(number), number, None, "job/1", "line")], "live")
print(journal.epoch, flush=True)
sys.stdin.read()
"""


def test_appended_rows_survive_sigkill_and_the_lock_does_not(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        epoch = writer.stdout.readline().decode().strip()
        _refused(path, "another forwarder is using it")
        writer.kill()
        writer.wait()
    journals = SqliteJournals(path)
    journal = journals.journal("g")
    assert journal.head_seq == 500
    assert journal.is_resumable(epoch, 500)
    assert [row.seq for row in journal.read_after(498, 9)] == [499, 500]
    journals.close()


def test_an_older_copy_works_and_does_not_resume_later_cursors(path: Path) -> None:
    journals = SqliteJournals(path)
    journals.journal(GROUP).append(events(range(1, 4)), "live")
    journals.close()
    copy = shutil.copy(path, path.with_suffix(".copy"))
    journals = SqliteJournals(path)
    journal = journals.journal(GROUP)
    journal.append(events(range(4, 8)), "live")
    later, earlier = journal.epoch, journal.chain[0].epoch
    journals.close()
    shutil.copy(copy, path)
    journals = SqliteJournals(path)
    restored = journals.journal(GROUP)
    assert restored.epoch not in (later, earlier)
    assert restored.head_seq == 3
    assert not restored.is_resumable(later, 3)
    assert restored.is_resumable(earlier, 3)
    assert restored.append(events(range(4, 6)), "live") == 5
    assert not restored.is_resumable(earlier, 4)
    journals.close()


def test_a_file_mixed_from_two_is_refused(path: Path) -> None:
    journals = SqliteJournals(path)
    journals.journal(GROUP).append(events(range(1, 4)), "live")
    journals.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE timestamp = ?", (NOW_MS + 20,))
    connection.close()
    journals = SqliteJournals(path)
    with pytest.raises(JournalError, match="is damaged"):
        journals.journal(GROUP)
    journals.close()


@pytest.mark.parametrize("content", [b"not", b"a log file\n" * 1_000])
def test_a_file_that_is_no_database_is_refused_and_unchanged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    _refused(path, "not a database: move it away")
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.touch()
    journals = SqliteJournals(path)
    assert journals.journal(GROUP).append([event(1)], "live") == 1
    journals.close()


def test_another_programs_database_is_refused_and_unchanged(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cookies (name)")
    connection.close()
    content = path.read_bytes()
    _refused(path, "another program's database")
    assert path.read_bytes() == content


def test_a_newer_journal_is_refused_and_unchanged(path: Path) -> None:
    SqliteJournals(path).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    content = path.read_bytes()
    _refused(path, "written by a newer gapless")
    assert path.read_bytes() == content


def test_a_directory_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path, "it is a directory")


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    _refused(tmp_path / "none" / "journal", "none does not exist: create it")


def test_a_file_that_may_not_be_opened_is_refused(path: Path) -> None:
    # Permissions would not stop root, a symbolic link to nowhere does.
    path.symlink_to(path.parent / "none" / "journal")
    _refused(path, "check its permissions")


def test_a_damaged_file_is_refused_when_it_is_read(path: Path) -> None:
    journals = SqliteJournals(path)
    journals.journal(GROUP).append(events(range(1, 2_000)), "live")
    journals.close()
    content = bytearray(path.read_bytes())
    content[20_000:] = b"\x5a" * (len(content) - 20_000)
    path.write_bytes(content)
    with pytest.raises(JournalError, match="move it away"):
        SqliteJournals(path).journal(GROUP)
    assert path.read_bytes() == content


def test_a_full_disk_is_an_error_and_nothing_is_half_written(path: Path) -> None:
    journals = SqliteJournals(path)
    journal = journals.journal(GROUP)
    journal.append([event(1)], "live")
    [(pages,)] = journals._db.rows("PRAGMA page_count")
    journals._db.rows(f"PRAGMA max_page_count = {pages}")
    wide = [event(number, stream=f"job/{number}", message="m" * 900) for number in range(2, 500)]
    with pytest.raises(JournalFullError, match="the disk is full: make room"):
        journal.append(wide, "live")
    assert journal.head_seq == 1
    assert journal.find([one.id for one in wide]) == {}
    assert [name for name, *_ in journal.streams()] == ["job/1"]
    journals._db.rows("PRAGMA max_page_count = 1000000")
    assert journal.append(wide, "live") == 499
    assert [row.id for row in journal.read_after(0, 3)] == ["1", "2", "3"]
    journals.close()
    journals = SqliteJournals(path)
    assert journals.journal(GROUP).head_seq == 499
    journals.close()


LIMITED = """
import resource, signal, sys
from forwarder.errors import JournalFullError
from forwarder.journal.sqlite import SqliteJournals
from tests.support.forwarder.log_events import GROUP, event
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journals = SqliteJournals(sys.argv[1])
journal = journals.journal(GROUP)
journal.append([event(1)], "live")
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
number = 2
try:
    while number < 5_000:
        journal.append([event(number, message="m" * 4_000)], "live")
        number += 1
except JournalFullError as error:
    assert "make room" in str(error), error
    assert journal.head_seq == number - 1 > 1
    assert len(journal.read_after(0, 10_000)) == number - 1
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
journal.append([event(number, message="m" * 4_000)], "live")
journals.close()
print(number)
"""


def test_a_file_size_limit_counts_as_a_full_disk(path: Path) -> None:
    """A system limit on file sizes looks to SQLite like a quota."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, path], stdout=subprocess.PIPE, check=True, timeout=100
    )
    last = int(done.stdout)
    assert 2 < last < 5_000
    journals = SqliteJournals(path)
    assert journals.journal(GROUP).head_seq == last
    journals.close()


def test_a_forgotten_chain_is_deleted_in_steps(path: Path) -> None:
    journals = SqliteJournals(path)
    journal = journals.journal(GROUP)
    journal.append(events(range(1, 5_001)), "live")
    journal.cover(1, 2)
    journal.begin_chain()
    counts = []
    for number in range(1, 4):
        journal.append([event(number)], "live")
        counts.append(journals._db.rows("SELECT COUNT(*) FROM events")[0][0])
    assert counts == [3_001, 1_002, 3]
    journal.retire(before=0)
    for table in ("chains", "links"):
        assert journals._db.rows(f"SELECT COUNT(*) FROM {table}") == [(1,)]
    assert journals._db.rows("SELECT COUNT(*) FROM coverage") == [(0,)]
    journals.close()


def test_a_failed_write_after_another_leaves_the_file_usable(path: Path) -> None:
    journals = SqliteJournals(path)
    journal = journals.journal(GROUP)
    journal.append([event(1)], "live")
    with pytest.raises(JournalError, match="can't be written"):
        journal.append([event(1)], "live")
    assert journal.append([event(2)], "live") == 2
    journals.close()


def test_reading_a_closed_journal_raises_journal_error(path: Path) -> None:
    journals = SqliteJournals(path)
    journal = journals.journal(GROUP)
    journals.close()
    with pytest.raises(JournalError):
        journal.read_after(0, 1)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "GENERATION_MAX", 10)
    monkeypatch.setattr(sqlite, "_OUTLIERS", 2)


def _known(number: int) -> tuple[str, KnownRow]:
    return str(number), KnownRow(
        number, number, "job/1", has_body=True, is_lost=False, digest=number
    )


def test_an_id_greater_than_all_dropped_ones_is_new() -> None:
    kept = RecentIds("100")
    kept.add([_known(105)])
    found, unknown = kept.split(["105", "99", "100", "101", "1000"])
    assert list(found) == ["105"]
    assert unknown == ["99", "100"]


def test_an_empty_journal_needs_no_lookup() -> None:
    assert RecentIds(None).split(["0", "1"]) == ({}, [])


def test_the_oldest_generation_is_left_to_the_disk() -> None:
    kept = RecentIds(None)
    for number in range(1, 34):
        kept.add([_known(number)])
    found, unknown = kept.split([str(number) for number in range(1, 40)])
    assert len(found) <= 10 + 2 + 11
    assert {*found, *unknown} == {str(number) for number in range(1, 34)}
    assert "33" in found


def test_a_timestamp_ahead_of_the_clock_does_not_leave_all_others_to_the_disk() -> None:
    kept = RecentIds(None)
    kept.add([_known(9_999)])
    for number in range(100, 150):
        kept.add([_known(number)])
    found, unknown = kept.split(["9999", "150", "9998"])
    assert "9999" in found
    assert unknown == []


def test_changed_rows_are_left_to_the_disk() -> None:
    kept = RecentIds(None)
    kept.add([_known(1), _known(2)])
    kept.forget(["1", "7"])
    assert kept.split(["1", "2"]) == (dict([_known(2)]), ["1"])


def test_a_transaction_within_another_is_a_part_of_it(path: Path) -> None:
    journals = SqliteJournals(path)
    journal = journals.journal(GROUP)
    with pytest.raises(ValueError, match="stop"), journals._db.transaction():  # noqa: PT012
        journal.append(events(range(3)), "live")
        journal.put_ended("job/1", "FAILED", "rule")
        msg = "stop"
        raise ValueError(msg)
    journal.reload()
    assert journal.head_seq == 0
    assert journal.find(["1"]) == {}
    assert journal.ended_executions("rule") == {}
    with journals._db.transaction():
        journal.append(events(range(3)), "live")
        journal.put_ended("job/1", "FAILED", "rule")
    journals.close()
    journals = SqliteJournals(path)
    assert journals.journal(GROUP).head_seq == 3
    journals.close()


def test_a_replica_continues_under_the_epoch_that_it_has(path: Path) -> None:
    file = Database(path, is_replica=True)
    first = SqliteJournal(file, GROUP, lambda: "first", is_replica=True)
    first.append(events(range(3)), "live")
    file.close()
    again = Database(path, is_replica=True)
    journal = SqliteJournal(again, GROUP, lambda: "second", is_replica=True)
    assert (journal.epoch, journal.head_seq) == ("first", 3)
    again.close()
    _refused(path, "another program's database")


def test_retirement_can_be_planned_and_repeated_elsewhere(tmp_path: Path) -> None:
    files = [SqliteJournals(tmp_path / name) for name in "ab"]
    first, second = (one.journal(GROUP) for one in files)
    for journal in (first, second):
        journal.append(events(range(9), from_ms=0), "live")
    assert first.plan_retirement(before=0) is None
    for before in (30, 50):
        plan = first.plan_retirement(before=before)
        assert plan is not None
        assert first.retire(before=before) == second.retire_within(plan)
        assert second.read_after(0, 9) == first.read_after(0, 9)
        for journal in (first, second):
            journal.restore({"1": "line 1"})
    assert second.size_bytes() == first.size_bytes()
    for one in files:
        one.close()


def test_rows_without_bodies_are_known_and_not_counted(path: Path) -> None:
    journals = SqliteJournals(path)
    journal = journals.journal(GROUP)
    batch = events(range(3))
    bodies = Bodied(compute_digests(batch), [b"one", None, b"three"])
    journal.append_bodied(batch, bodies, "live")
    assert [row.message for row in journal.read_after(0, 9)] == ["one", None, "three"]
    found = journal.find(["0", "1", "2"])
    assert [found[one].has_body for one in ("0", "1", "2")] == [True, False, True]
    assert journal.missing(["0", "1", "2"]) == {"1": False}
    assert journal.first_seq_with_body(0) == 1
    assert journal.first_seq_with_body(1) == 3
    assert journal.first_seq_with_body(3) is None
    journals.close()


def test_a_resting_file_is_opened_by_its_next_use(path: Path) -> None:
    journals = SqliteJournals(path, is_small=True)
    journal = journals.journal(GROUP)
    journal.append(events(range(1, 5)), "live")
    journals.rest()
    assert not path.with_name(path.name + "-wal").exists()
    assert journal.retire(before=NOW_MS - 1) == 0  # needs the file once
    journals.rest()
    assert journal.retire(before=NOW_MS - 1) == 0
    assert journal.coverage() == []
    journal.cover(NOW_MS, NOW_MS + 1)
    assert not journals._db.is_resting
    journals.rest()
    assert journal.append([event(5)], "live") == 5
    assert [row.seq for row in journal.read_after(0, 9)] == [1, 2, 3, 4, 5]
    journals.close()
    with pytest.raises(JournalError, match="it is closed"):
        journal.read_after(0, 9)


def test_a_file_that_vanished_while_it_rested_is_not_made_again(path: Path) -> None:
    journals = SqliteJournals(path)
    journal = journals.journal(GROUP)
    journals.rest()
    path.unlink()
    with pytest.raises(JournalError, match="moved or deleted while in use"):
        journal.append([event(1)], "live")
    assert not path.exists()


def test_retention_finds_what_came_while_nothing_was_old(path: Path) -> None:
    journals = SqliteJournals(path)
    journal = journals.journal(GROUP)
    journal.append([event(9, NOW_MS + 9)], "live")
    assert journal.retire(before=NOW_MS) == 0
    journal.append([event(1, NOW_MS - 5)], "repair")
    assert journal.retire(before=NOW_MS) == 1
    assert journal.restore({event(1).id: event(1).message}) == 1
    assert journal.retire(before=NOW_MS) == 1
    assert journal.retire(before=NOW_MS + 10) == 1
    assert journal.retire(before=NOW_MS + 10) == 0
    journals.close()


def test_polls_write_their_coverage_now_and_then(path: Path) -> None:
    journals = SqliteJournals(path)
    journal = journals.journal(GROUP)
    journal.cover(NOW_MS, NOW_MS + 1_000)
    before = journals.use_count
    for passed in range(2_000, sqlite.COVERAGE_LAG_MS, 1_000):
        journal.cover(NOW_MS + passed - 1_500, NOW_MS + passed)
    assert journals.use_count == before
    copy = path.with_name("copy.sqlite3")
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", f"{copy}{end}")
    killed = SqliteJournals(copy)
    assert list(killed.journal(GROUP).coverage()) == [(NOW_MS, NOW_MS + 1_000)]
    killed.close()
    saved = list(journal.coverage())
    journals.close()
    again = SqliteJournals(path)
    assert list(again.journal(GROUP).coverage()) == saved
    journal = again.journal(GROUP)
    journal.cover(saved[0][1], saved[0][1] + sqlite.COVERAGE_LAG_MS)
    assert again._db.rows("SELECT through_ms FROM coverage") == [
        (saved[0][1] + sqlite.COVERAGE_LAG_MS,)
    ]
    again.close()
