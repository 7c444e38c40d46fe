from __future__ import annotations

import os
import threading
from pathlib import Path

from gapless.reader import when_reader_leaves


def test_a_reader_that_leaves_is_noticed_without_writing() -> None:
    theirs, ours = os.pipe()
    left = threading.Event()
    when_reader_leaves(ours, left.set)
    os.write(ours, b"x")
    assert not left.wait(0.1)
    os.close(theirs)
    assert left.wait(240)
    os.close(ours)


def test_a_file_has_no_reader_that_could_leave(tmp_path: Path) -> None:
    before = threading.active_count()
    with (tmp_path / "file").open("wb") as file:
        when_reader_leaves(file.fileno(), lambda: None)
    assert threading.active_count() == before
