from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from common.locks import hold
from gapless.rehearsal.runs import SimulatorRun, newest_ready, remove_leftovers, run_folder


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    return tmp_path


def test_the_newest_run_is_found_while_it_lasts() -> None:
    assert newest_ready() is None
    with run_folder() as first:
        assert newest_ready() is None
        first.announce({"control": "http://one"})
        with run_folder() as second:
            second.announce({"control": "http://two"})
            os.utime(first.folder / "ready.json", (1, 1))
            assert newest_ready() == {"control": "http://two"}
        assert newest_ready() == {"control": "http://one"}
        assert not second.folder.exists()
    assert newest_ready() is None


def test_leftovers_of_a_killed_run_are_not_found_and_are_deleted(state: Path) -> None:
    left = SimulatorRun(state / "runs" / "run-left")
    left.folder.mkdir(parents=True)
    left.lifeline.touch()
    left.announce({"control": "http://gone"})
    assert newest_ready() is None
    remove_leftovers(state / "runs", time.time())
    assert left.folder.exists()
    with hold(left.lifeline):
        remove_leftovers(state / "runs", time.time() + 3600)
        assert left.folder.exists()
    remove_leftovers(state / "runs", time.time() + 3600)
    assert not left.folder.exists()


def test_an_invalid_ready_file_is_skipped() -> None:
    with run_folder() as run:
        (run.folder / "ready.json").write_text("{")
        assert newest_ready() is None
