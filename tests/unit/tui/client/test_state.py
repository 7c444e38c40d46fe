from __future__ import annotations

from pathlib import Path

import pytest

from tui.client.saved import Cursor, SavedCursor, Seen, Subject
from tui.client.state import forget, load, save
from wire.order import Interval, first_key
from wire.query import Filter

WANTED = Filter(executions=("one",))
SAVED = SavedCursor(
    Subject("ws://h:1", "/g", WANTED, 1_000),
    Cursor("e1", 42, Interval(first_key(1_000) + 10**55, None)),
)


def test_a_cursor_comes_back_as_it_was(tmp_path: Path) -> None:
    save(tmp_path, SAVED)
    assert load(tmp_path, "ws://h:1", "/g", WANTED) == SAVED
    assert load(tmp_path, "ws://h:1", "/g", WANTED, 1_000) == SAVED
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"], "no draft is left"


def test_the_last_one_counts(tmp_path: Path) -> None:
    save(tmp_path, SAVED)
    later = SavedCursor(SAVED.subject, Cursor("e2", 50, Interval(None, None)))
    save(tmp_path, later)
    assert load(tmp_path, "ws://h:1", "/g", WANTED) == later


def test_a_cursor_belongs_to_its_target_group_filter_and_since(tmp_path: Path) -> None:
    """[7]"""
    save(tmp_path, SAVED)
    assert load(tmp_path, "ws://h:2", "/g", WANTED) is None
    assert load(tmp_path, "ws://h:1", None, WANTED) is None
    assert load(tmp_path, "ws://h:1", "/g", Filter()) is None
    assert load(tmp_path, "ws://h:1", "/g", WANTED, 1_001) is None


def test_another_filters_cursor_under_this_ones_name_is_none(tmp_path: Path) -> None:
    """[7]"""
    save(tmp_path, SAVED)
    (path,) = tmp_path.iterdir()
    save(tmp_path, SavedCursor(Subject("ws://h:1", "/g", Filter(), 1_000), SAVED.cursor))
    (other,) = set(tmp_path.iterdir()) - {path}
    path.write_bytes(other.read_bytes())
    assert load(tmp_path, "ws://h:1", "/g", WANTED) is None


def test_what_was_seen_goes_with_it_and_may_be_left_out(tmp_path: Path) -> None:
    seen = SavedCursor(SAVED.subject, SAVED.cursor, Seen(9_000, 8_000, 7_000, 12))
    save(tmp_path, seen)
    assert load(tmp_path, "ws://h:1", "/g", WANTED) == seen
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().partition(b',"seen"')[0] + b"}")
    assert load(tmp_path, "ws://h:1", "/g", WANTED) == SAVED


def test_a_cursor_that_is_of_no_use_is_told_of_and_a_missing_one_is_not(tmp_path: Path) -> None:
    said: list[str] = []
    assert load(tmp_path, "ws://h:1", "/g", WANTED, warn=said.append) is None
    assert said == []
    save(tmp_path, SAVED)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b'{"version":1')
    assert load(tmp_path, "ws://h:1", "/g", WANTED, warn=said.append) is None
    (text,) = said
    assert text == (
        f"cannot go on where the last viewer was (it is damaged: {path}): beginning anew"
    )


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version":2}'])
def test_what_can_not_be_read_is_no_cursor(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, SAVED)
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert load(tmp_path, "ws://h:1", "/g", WANTED) is None


def test_another_version_is_no_cursor(tmp_path: Path) -> None:
    save(tmp_path, SAVED)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    assert load(tmp_path, "ws://h:1", "/g", WANTED) is None


def test_a_cursor_may_be_forgotten(tmp_path: Path) -> None:
    forget(tmp_path, SAVED)
    save(tmp_path, SAVED)
    forget(tmp_path, SAVED)
    assert load(tmp_path, "ws://h:1", "/g", WANTED) is None


def test_where_nothing_can_be_written_what_was_there_stays(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        save(tmp_path / "missing", SAVED)
