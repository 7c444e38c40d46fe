from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from common.errors import GaplessError
from common.state import save_traceback, state_dir


def test_the_state_directory_is_the_platform_s_and_its_owner_s_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GAPLESS_STATE_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = state_dir("groups", "one")
    assert path == tmp_path / "gapless" / "groups" / "one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277, 0o777])
def test_no_umask_opens_or_closes_the_state_directory_and_its_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    root = tmp_path / "a" / "b" / "state"
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(root))
    before = os.umask(umask)
    try:
        path = state_dir("groups", "one")
    finally:
        os.umask(before)
    made = [path, *path.parents][:5]
    assert made[-1] == tmp_path / "a"
    assert {stat.S_IMODE(one.stat().st_mode) for one in made} == {0o700}


def test_directories_that_an_earlier_version_left_readable_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GAPLESS_STATE_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tmp_path / "gapless" / "groups" / "one"
    path.mkdir(parents=True)
    for one in (path, path.parent, path.parent.parent, tmp_path):
        one.chmod(0o755)
    assert state_dir("groups", "one") == path
    modes = [stat.S_IMODE(one.stat().st_mode) for one in (path, *path.parents)[:4]]
    assert modes == [0o700, 0o700, 0o700, 0o755]
    # What the user names may have other uses.
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    state_dir("gapless")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_state_directory_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path / "file"))
    with pytest.raises(GaplessError, match="GAPLESS_STATE_DIR"):
        state_dir("groups")
    assert save_traceback(ValueError("lost")) is None


def test_a_traceback_is_saved_and_old_ones_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    folder = state_dir("faults")
    for number in range(30):
        (folder / f"2001{number:02}-1.txt").touch()
    try:
        int("what happened \udc80")
    except ValueError as error:
        path = save_traceback(error)
    assert path is not None
    text = path.read_text()
    assert "Traceback" in text
    assert "ValueError: invalid literal" in text
    assert len(list(folder.iterdir())) == 20
