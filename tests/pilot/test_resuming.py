from __future__ import annotations

from datetime import UTC

from gapless.viewing.screen import ScreenApp
from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line, make_rule
from tests.support.screen import NARROW, NOW_MS


async def test_the_next_run_says_how_many_lines_arrived_since() -> None:
    """It says so in the status line, and in a rule below the lines of the earlier run."""
    engine = FakeEngine()
    engine.add(make_line(number, f"before {number}") for number in range(3))
    rule = make_rule(1, EPOCH_MS + 250, "resumed", count=62, from_ms=EPOCH_MS + 500)
    engine.add([rule, *(make_line(number, f"since {number}") for number in range(3, 6))])
    app = ScreenApp(engine, title="t")
    app._clock, app._zone = (lambda: NOW_MS), UTC
    async with app.run_test(size=NARROW) as pilot:
        app.announce_resuming([rule])
        app.show_now()
        await pilot.pause()
        lines = [strip.text for strip in app.screen._compositor.render_strips()]
        assert "62 lines since you left · 12:00:00" in lines[-2]
        at = [next(y for y, line in enumerate(lines) if text in line)
              for text in ("before 2", "62 lines since you left", "since 3")]  # fmt: skip
        assert at == sorted(at)
        assert at[-1] - at[0] == 2
