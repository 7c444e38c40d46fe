"""All keys on a real terminal during random faults; see also ``python -m tests.chaos``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.gestures import gestures
from tests.chaos.rig import Rig, Variant

pytestmark = pytest.mark.timeout(1_200)


def test_every_key_under_faults(tmp_path: Path) -> None:
    report = Rig(seed=3, speed=16, folder=tmp_path, variant=Variant()).run()
    assert set(report.gestures) >= set(gestures("", controls=True))
    assert report.barriers >= 10
    assert report.claims >= 5, "the verdict is in the status line"
    assert report.shown > 300


def test_a_killed_viewer_resumes_without_loss_or_duplicates(tmp_path: Path) -> None:
    report = Rig(seed=6, speed=16, folder=tmp_path, variant=Variant(killed=True)).run()
    assert set(report.gestures) >= set(gestures("", controls=False))
    assert report.lives >= 2
    assert report.shown > 300
