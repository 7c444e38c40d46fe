"""Every key of the screen on a real terminal in chaos; by hand: ``python -m tests.chaos``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.gestures import gestures
from tests.chaos.rig import PAST, Rig, Variant

pytestmark = pytest.mark.timeout(600)


def test_every_key_while_everything_breaks(tmp_path: Path) -> None:
    report = Rig(seed=3, speed=16, folder=tmp_path, variant=Variant()).run()
    assert set(report.gestures) >= set(gestures("", controls=True))
    assert report.barriers >= 10
    assert report.shown > 300


def test_two_targets_with_little_memory_and_a_viewer_that_is_killed(tmp_path: Path) -> None:
    variant = Variant(small=True, two=True, killed=True)
    report = Rig(seed=5, speed=16, folder=tmp_path, variant=variant).run()
    assert report.lives >= 2
    assert report.shown > 2 * PAST
    assert report.recalled > PAST
