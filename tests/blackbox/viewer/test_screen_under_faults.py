"""Every key of the screen on a real terminal in chaos; by hand: ``python -m tests.chaos``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.gestures import gestures
from tests.chaos.rig import Rig, Variant

pytestmark = pytest.mark.timeout(1_200)


def test_every_key_while_everything_breaks(tmp_path: Path) -> None:
    report = Rig(seed=3, speed=16, folder=tmp_path, variant=Variant()).run()
    assert set(report.gestures) >= set(gestures("", controls=True))
    assert report.barriers >= 10
    assert report.shown > 300


def test_a_viewer_that_is_killed_goes_on_with_nothing_lost_or_doubled(tmp_path: Path) -> None:
    report = Rig(seed=6, speed=16, folder=tmp_path, variant=Variant(killed=True)).run()
    assert set(report.gestures) >= set(gestures("", controls=False))
    assert report.lives >= 2
    assert report.shown > 300
