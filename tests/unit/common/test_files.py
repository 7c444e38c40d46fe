from __future__ import annotations

from pathlib import Path

import pytest

from common.files import replace_file


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path: Path, *, sync: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replace_file(path, sync=sync) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def fail_in_the_middle(path: Path) -> None:
    with replace_file(path) as file:
        file.write(b"half")
        msg = "disk full"
        raise OSError(msg)


def test_a_block_that_raises_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"):
        fail_in_the_middle(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
