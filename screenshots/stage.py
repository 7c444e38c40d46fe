"""What stands behind the screen while it is photographed: the one place to put another there."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tests.support import scenes
from tests.support.fake_engine import FakeControls
from tui.controls import Controls
from tui.ports import ViewerEngine


class Stage(msgspec.Struct, frozen=True):
    """An engine, the simulator's switches, and a clock."""

    engine: ViewerEngine
    controls: Controls | None
    clock: Callable[[], int]


ENGINES: dict[str, Callable[[], ViewerEngine]] = {
    "live": scenes.live,
    "reconnecting": scenes.reconnecting,
    "backfilling": scenes.backfilling,
    "missing": scenes.missing,
}


def staged(name: str) -> Stage:
    """Seeded lines over a clock that stands still: the same picture each time.

    Raises:
        KeyError: there is no scene of that name.

    """
    return Stage(ENGINES[name](), FakeControls(), lambda: scenes.NOW_MS)
