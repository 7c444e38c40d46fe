"""Pictures of the screen as SVG, compared byte by byte."""

from __future__ import annotations

from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.image import SVGImageSnapshotExtension

from tests.support.fake_catalogue import FakeCatalogue
from tests.support.fake_engine import FakeControls, FakeEngine
from tests.support.scenes import NOW_MS
from tests.support.screen import running
from tests.support.terminal import patient_pilot, same_terminal

__all__ = ["patient_pilot", "picture", "same_terminal"]


@pytest.fixture
def picture(snapshot: SnapshotAssertion) -> Any:  # noqa: ANN401 - a function with keywords
    """Compare the screen after some keys with the stored picture."""
    stored = snapshot.use_extension(SVGImageSnapshotExtension)

    async def compare(
        engine: FakeEngine,
        *keys: str,
        size: tuple[int, int],
        controls: bool = True,
        theme: str | None = None,
        catalogue: FakeCatalogue | None = None,
    ) -> None:
        switches = FakeControls() if controls else None
        async with running(
            engine, size=size, controls=switches, theme=theme, now_ms=NOW_MS, catalogue=catalogue
        ) as screen:
            await screen.press(*keys)
            assert screen.app.export_screenshot() == stored

    return compare
