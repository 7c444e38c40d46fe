"""tests.unit.tui.client.test_saved."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tui.client import saved
from tui.client.saved import (
    Cursor,
    PreviousRun,
    SavedCursor,
    Subject,
    identity_of,
    load_cursor,
    save_cursor,
)
from wire.codec import encode
from wire.order import Interval, first_key
from wire.query import Filter

WANTED = Filter(executions=("one",))
SAVED = SavedCursor(
    Subject("ws://h:1", "/g", WANTED, 1_000),
    Cursor("e1", 42, Interval(first_key(1_000) + 10**55, None)),
)


def test_a_loaded_cursor_is_the_saved_one(tmp_path: Path) -> None:
    save_cursor(tmp_path, SAVED)
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED) == SAVED
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED, 1_000) == SAVED
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"], "no draft is left"


def test_a_newer_cursor_replaces_the_older(tmp_path: Path) -> None:
    save_cursor(tmp_path, SAVED)
    later = SavedCursor(SAVED.subject, Cursor("e2", 50, Interval(None, None)))
    save_cursor(tmp_path, later)
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED) == later


def test_a_cursor_belongs_to_its_target_group_filter_and_since(tmp_path: Path) -> None:
    """[7]"""
    save_cursor(tmp_path, SAVED)
    assert load_cursor(tmp_path, "ws://h:2", "/g", WANTED) is None
    assert load_cursor(tmp_path, "ws://h:1", None, WANTED) is None
    assert load_cursor(tmp_path, "ws://h:1", "/g", Filter()) is None
    filtered = Filter(executions=("one",), pattern="ERROR")
    assert load_cursor(tmp_path, "ws://h:1", "/g", filtered) is None
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED, 1_001) is None


def test_the_cursor_of_another_filter_is_not_used(tmp_path: Path) -> None:
    """[7]"""
    save_cursor(tmp_path, SAVED)
    (path,) = tmp_path.iterdir()
    save_cursor(tmp_path, SavedCursor(Subject("ws://h:1", "/g", Filter(), 1_000), SAVED.cursor))
    (other,) = set(tmp_path.iterdir()) - {path}
    path.write_bytes(other.read_bytes())
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED) is None


def test_a_filter_without_a_pattern_has_the_file_that_earlier_versions_gave_it() -> None:
    values = {"streams": [], "executions": ["one"], "prefixes": []}
    assert encode(identity_of(WANTED)) == encode(values)
    filtered = Filter(executions=("one",), pattern="ERROR")
    assert encode(identity_of(filtered)) == encode({**values, "pattern": "ERROR"})


def test_the_previous_run_is_saved_with_it_and_optional(tmp_path: Path) -> None:
    seen = SavedCursor(SAVED.subject, SAVED.cursor, PreviousRun(9_000, 8_000, 7_000, 12))
    save_cursor(tmp_path, seen)
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED) == seen
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().partition(b',"seen"')[0] + b"}")
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED) == SAVED


def test_a_damaged_cursor_is_reported_and_a_missing_one_is_not(tmp_path: Path) -> None:
    said: list[str] = []
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED, warn=said.append) is None
    assert said == []
    save_cursor(tmp_path, SAVED)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b'{"version":1')
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED, warn=said.append) is None
    (text,) = said
    assert text == (
        f"cannot resume where the last viewer stopped (it is damaged: {path}): starting over"
    )


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version":3}'])
def test_a_file_that_cannot_be_decoded_is_no_cursor(tmp_path: Path, content: bytes) -> None:
    save_cursor(tmp_path, SAVED)
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED) is None


def test_a_later_version_is_no_cursor_and_the_earlier_one_is(tmp_path: Path) -> None:
    save_cursor(tmp_path, SAVED)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    assert not saved.is_of_earlier_version(tmp_path, "ws://h:1", "/g", WANTED)
    path.write_bytes(data.replace(b'"version":2', b'"version":3'))
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED) is None
    path.write_bytes(data.replace(b'"version":2', b'"version":1'))
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED) == SAVED
    assert saved.is_of_earlier_version(tmp_path, "ws://h:1", "/g", WANTED)


def test_each_named_consumer_has_a_cursor_of_its_own(tmp_path: Path) -> None:
    named = msgspec.structs.replace(SAVED.subject, consumer="mine")
    save_cursor(tmp_path, SavedCursor(named, SAVED.cursor))
    assert load_cursor(tmp_path, "ws://h:1", "/g", WANTED) is None
    mine = load_cursor(tmp_path, "ws://h:1", "/g", WANTED, consumer="mine")
    assert mine is not None
    assert mine.subject == named


def test_a_cursor_that_cannot_be_written_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        save_cursor(tmp_path / "missing", SAVED)


KEYS = [1 << 250, 3, (1 << 250) + 1]


def test_loaded_bookmarks_are_the_saved_ones(tmp_path: Path) -> None:
    path = saved.bookmarks_path(tmp_path, [("own:x", "/group")], Filter())
    saved.save_bookmarks(path, KEYS)
    assert saved.load_bookmarks(path) == KEYS
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_each_set_of_targets_has_its_own_bookmarks(tmp_path: Path) -> None:
    paths = {
        saved.bookmarks_path(tmp_path, [("a", "/g"), ("b", "/h")], Filter()),
        saved.bookmarks_path(tmp_path, [("b", "/h"), ("a", "/g")], Filter()),
        saved.bookmarks_path(tmp_path, [("a", "/g")], Filter()),
        saved.bookmarks_path(tmp_path, [("a", "/g")], Filter(streams=("x",))),
        saved.bookmarks_path(tmp_path, [("a", None)], Filter()),
    }
    assert len(paths) == 5


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version":2,"bookmarks":["1"]}', b'{"version":1,"bookmarks":["x"]}'],
)
def test_a_damaged_bookmarks_file_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.view.json"
    path.write_bytes(content)
    assert saved.load_bookmarks(path) == []


def test_a_missing_bookmarks_file_counts_as_empty(tmp_path: Path) -> None:
    assert saved.load_bookmarks(tmp_path / "missing") == []
    assert saved.load_bookmarks(tmp_path) == []


def test_bookmarks_that_cannot_be_written_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        saved.save_bookmarks(tmp_path / "missing" / "x", [1])
    assert list(tmp_path.iterdir()) == []


def test_columns_belong_to_targets_under_any_filter(tmp_path: Path) -> None:
    path = saved.columns_path(tmp_path, [("b", "/h"), ("a", None)])
    assert path == saved.columns_path(tmp_path, [("a", None), ("b", "/h")])
    assert path != saved.columns_path(tmp_path, [("a", "/g"), ("b", "/h")])
    saved.save_columns(path, ["user.id", "took"])
    assert saved.load_columns(path) == ["user.id", "took"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version":2,"columns":["a"]}'])
def test_a_damaged_columns_file_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.columns.json"
    assert saved.load_columns(path) == []
    path.write_bytes(content)
    assert saved.load_columns(path) == []
