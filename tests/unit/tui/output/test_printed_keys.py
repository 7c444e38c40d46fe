"""The keys of printed lines: remembered from run to run, within bounds, whatever cuts a run off."""

from __future__ import annotations

from pathlib import Path

import pytest

import tui.output.printed_keys as module
from tui.output.printed_keys import PrintedKeys
from wire.order import KEY_MAX


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "consumer.keys"


def saved(path: Path, *keys: int, is_new: bool = False) -> PrintedKeys:
    one = PrintedKeys(path, is_new=is_new)
    one.add(keys)
    one.save()
    return one


def remembered(path: Path, *keys: int) -> list[int]:
    one = PrintedKeys(path, is_new=False)
    return [key for key in keys if key in one]


def test_later_runs_know_what_earlier_runs_printed(path: Path) -> None:
    saved(path, 7, is_new=True)
    saved(path, 3, KEY_MAX)
    saved(path)
    assert remembered(path, 3, 4, 7, KEY_MAX) == [3, 7, KEY_MAX]
    assert PrintedKeys(path, is_new=False).is_whole


def test_a_consumer_that_starts_over_forgets(path: Path) -> None:
    saved(path, 7, is_new=True)
    assert 7 not in PrintedKeys(path, is_new=True)
    saved(path, is_new=True)
    assert remembered(path, 7) == []


def test_what_was_not_saved_yet_is_remembered_too(path: Path) -> None:
    one = PrintedKeys(path, is_new=True)
    one.add([7])
    assert 7 in one


def test_half_a_key_of_a_killed_run_is_cut_off(path: Path) -> None:
    saved(path, 7, is_new=True)
    path.write_bytes(path.read_bytes() + b"\x01" * 9)
    assert remembered(path, 7) == [7]
    saved(path, 8)
    assert remembered(path, 7, 8) == [7, 8]


def test_of_too_many_the_last_are_kept_and_that_is_known(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEYS_MAX", 3)
    saved(path, 1, 2, 3, is_new=True)
    one = saved(path, 4, 5, 6)
    assert one.is_whole
    assert remembered(path, *range(9)) == [1, 2, 3, 4, 5, 6]
    one.add([7])
    one.save()
    assert remembered(path, *range(9)) == [5, 6, 7]
    assert [one.is_whole] == [False]
    saved(path, 8)
    assert remembered(path, *range(9)) == [5, 6, 7, 8]
    assert not PrintedKeys(path, is_new=False).is_whole


def test_a_consumer_of_an_earlier_version_remembers_only_what_follows(path: Path) -> None:
    one = saved(path, 1)
    assert not one.is_whole
    assert not PrintedKeys(path, is_new=False).is_whole
    assert remembered(path, 1) == [1]


def test_a_full_disk_delays_and_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYS_MAX", 3)
    one = saved(path, 1, is_new=True)
    path.unlink()
    path.mkdir()
    one.add([2, 3])
    with pytest.raises(OSError, match="directory"):
        one.save()
    assert one.is_whole
    one.add([4, 5])
    path.rmdir()
    one.save()
    assert [one.is_whole] == [False]
    assert remembered(path, *range(9)) == [3, 4, 5]
