from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from common.lifeline import hold_new, when_released
from simulator.errors import SimulatorError


def test_its_release_is_noticed_and_not_before() -> None:
    path, descriptor = hold_new()
    released = threading.Event()
    when_released(path, released.set)
    path.unlink()
    assert not released.is_set()
    os.close(descriptor)
    assert released.wait(240)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="can't be opened"):
        when_released(tmp_path / "none", pytest.fail)
