"""The page in headless Chromium, and a foreign page that attacks a forwarder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.foreign_page import check_foreign_page
from tests.browser.page_walk import walk

pytestmark = pytest.mark.timeout(900)


def test_the_page_of_the_demo(tmp_path: Path) -> None:
    walk(tmp_path, tmp_path)
    pictures = sorted(one.name for one in tmp_path.glob("*.png"))
    assert {"live.png", "offline.png", "ended.png", "unsupported.png"} <= set(pictures)


def test_a_foreign_page_reads_nothing_and_causes_nothing(tmp_path: Path) -> None:
    steps = list(check_foreign_page(tmp_path))
    assert len(steps) >= 3
