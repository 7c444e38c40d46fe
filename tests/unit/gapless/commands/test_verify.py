"""The progress of ``gapless verify``."""

from __future__ import annotations

from gapless.commands.verify import at_most_every


def test_progress_is_shown_at_most_every_so_often() -> None:
    shown: list[str] = []
    now_s = 100.0
    show = at_most_every(10.0, shown.append, shown_s=100.0, timer=lambda: now_s)
    for at_s in (100.0, 105.0, 110.0, 111.0, 119.9, 120.0, 150.0):
        now_s = at_s
        show(f"{at_s:.0f}")
    assert shown == ["110", "120", "150"]
