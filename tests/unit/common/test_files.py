from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from common.files import NotRegularError, open_regular, read_regular, replace_file


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


def test_a_link_stays_and_leads_to_the_new_file(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(path)
    for content in (b"one", b"two"):
        with replace_file(link) as file:
            file.write(content)
        assert link.is_symlink()
        assert path.read_bytes() == content
    assert sorted(tmp_path.iterdir()) == [path, link]


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
def test_an_open_file_is_written_to(tmp_path: Path, folder: str) -> None:
    with (tmp_path / "file").open("w+b") as shown:
        with replace_file(Path(folder, str(shown.fileno()))) as file:
            file.write(b"shown")
        assert shown.read() == b"shown"


def test_nothing_waits_for_the_other_end_of_a_named_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(NotRegularError, match="not a regular file"):
        read_regular(pipe)
    for flags in (os.O_RDONLY, os.O_RDWR | os.O_CREAT):
        with pytest.raises(NotRegularError):
            open_regular(pipe, flags)


def test_regular_files_and_the_null_device_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert read_regular(path) == b"content"
    assert read_regular(path, 3) == b"con"
    assert read_regular(Path(os.devnull)) == b""
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")


def test_a_device_is_written_to_and_stays() -> None:
    controller, terminal = os.openpty()
    try:
        with replace_file(Path(os.ttyname(terminal))) as file:
            file.write(b"shown")
        assert os.read(controller, 100) == b"shown"
        assert stat.S_ISCHR(os.fstat(terminal).st_mode)
        assert Path(os.ttyname(terminal)).is_char_device()
    finally:
        os.close(controller)
        os.close(terminal)
