from __future__ import annotations

from pathlib import Path

import pytest

from tui.client import kept
from wire.query import Filter

KEYS = [1 << 250, 3, (1 << 250) + 1]


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    path = kept.path_of(tmp_path, [("own:x", "/group")], Filter())
    kept.save(path, KEYS)
    assert kept.load(path) == KEYS
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_each_view_has_a_file_of_its_own(tmp_path: Path) -> None:
    paths = {
        kept.path_of(tmp_path, [("a", "/g"), ("b", "/h")], Filter()),
        kept.path_of(tmp_path, [("b", "/h"), ("a", "/g")], Filter()),
        kept.path_of(tmp_path, [("a", "/g")], Filter()),
        kept.path_of(tmp_path, [("a", "/g")], Filter(streams=("x",))),
        kept.path_of(tmp_path, [("a", None)], Filter()),
    }
    assert len(paths) == 5


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version":2,"bookmarks":["1"]}', b'{"version":1,"bookmarks":["x"]}'],
)
def test_a_file_that_is_not_whole_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.view.json"
    path.write_bytes(content)
    assert kept.load(path) == []


def test_no_file(tmp_path: Path) -> None:
    assert kept.load(tmp_path / "missing") == []
    assert kept.load(tmp_path) == []


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        kept.save(tmp_path / "missing" / "x", [1])
    assert list(tmp_path.iterdir()) == []
