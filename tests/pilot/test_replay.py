"""A replay on the screen: its keys, its position, and what was recorded, as recorded."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from functools import partial

import pytest
from textual.pilot import Pilot

from tests.support.viewer.recordings import BEGAN_MS, encoded, incident
from tests.support.viewer.scripted_forwarder import eventually
from tui.replay.engine import ReplayEngine, ReplaySource
from tui.screen.app import ViewerApp

SIZE = (150, 40)


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


class Screen:
    """A running replay."""

    def __init__(
        self, app: ViewerApp, engine: ReplayEngine, clock: Clock, pilot: Pilot[None]
    ) -> None:
        self.app = app
        self.engine = engine
        self.clock = clock
        self._pilot = pilot

    @property
    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)

    @property
    def at_ms(self) -> int:
        return self.engine.position_ms - BEGAN_MS

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)
        await self._pilot.pause()

    async def reach(self, at_ms: int) -> None:
        """Wait until the rows of a moment are shown."""
        await eventually(lambda: self.at_ms == at_ms)
        await eventually(lambda: self.engine.timeline.lines == lines_at(at_ms))
        self.app.show_now()
        await self._pilot.pause()


def lines_at(at_ms: int) -> int:
    moment = BEGAN_MS + at_ms
    arrivals = [one["arrived"] for one in incident() if one["type"] == "event"]
    return sum(one <= moment for one in arrivals)


def shows(screen: Screen, lines: int) -> bool:
    return screen.app.log_view.lines == lines


def counts(screen: Screen, lines: int) -> bool:
    return screen.app._search.filters.chips[0].hits == lines


@asynccontextmanager
async def replaying(
    data: bytes = encoded(incident()),
    *,
    speed: float | None = 1.0,
) -> AsyncIterator[Screen]:
    source = ReplaySource(io.BytesIO(data), "incident.ndjson", len(data))
    clock = Clock()
    engine = ReplayEngine(source, speed=speed, steady_ms=clock)
    app = ViewerApp(
        engine, title=source.name, player=engine, clock=lambda: engine.position_ms, zone=UTC
    )
    async with app.run_test(size=SIZE) as pilot:
        await engine.loaded.wait()
        yield Screen(app, engine, clock, pilot)


async def test_lines_rules_and_states_come_at_their_time() -> None:
    async with replaying() as screen:
        await screen.reach(0)
        assert "REPLAY" in screen.text
        screen.clock.now_ms = 10_500
        await screen.reach(10_500)
        assert "line-10" in screen.text
        assert "line-11" not in screen.text
        assert "2026-11-23 12:00:10" in screen.text
        assert "as recorded: \u2714 COMPLETE to 12:00:09" in screen.text
        screen.clock.now_ms = 25_000
        await screen.reach(25_000)
        assert "RECONNECTING" in screen.text
        assert "\u2500 offline" in screen.text
        assert "line-21" not in screen.text
        screen.clock.now_ms = 46_000
        await screen.reach(46_000)
        assert "offline 10.0 s \u00b7 10 lines recovered" in screen.text
        assert "gap repaired \u00b7 1 line recovered" in screen.text
        screen.clock.now_ms = 99_000
        await screen.reach(60_000)
        assert "REPLAY at its end" in screen.text


async def test_keys_pause_seek_and_change_the_speed() -> None:
    async with replaying() as screen:
        screen.clock.now_ms = 5_000
        await screen.reach(5_000)
        await screen.press("space")
        screen.clock.now_ms = 9_000
        await screen.reach(5_000)
        assert "REPLAY paused" in screen.text
        await screen.press("greater_than_sign", "greater_than_sign")
        await screen.reach(25_000)
        await screen.press("less_than_sign")
        await screen.reach(15_000)
        await screen.press("right_curly_bracket")
        await screen.reach(60_000)
        await screen.press("left_curly_bracket")
        await screen.reach(0)
        await screen.press("colon", *"12:00:33", "enter")
        await screen.reach(33_000)
        assert "offline 10.0 s" in screen.text
        await screen.press("colon", *"-13s", "enter")
        await screen.reach(20_000)
        assert "offline 10.0 s" not in screen.text
        await screen.press("right_square_bracket", "right_square_bracket", "space")
        assert "\u00d75" in screen.text
        screen.clock.now_ms += 2_000
        await screen.reach(30_000)


async def test_a_seek_beyond_the_recording_says_what_it_is_of() -> None:
    async with replaying() as screen:
        await screen.press("colon", *"13:00", "enter")
        await screen.reach(60_000)
        assert "the recording is of 12:00:00 to 12:01:00" in screen.text


async def test_filters_and_counts_hold_when_a_replay_goes_back() -> None:
    async with replaying() as screen:
        await screen.press("f", *"ERROR", "enter")
        for at_ms in (55_000, 15_000, 45_000, 0, 59_000):
            screen.engine.seek(BEGAN_MS + at_ms)
            screen.engine.toggle() if not screen.engine.player.is_paused else None
            await screen.reach(at_ms)
            errors = [
                one
                for one in incident()
                if one["type"] == "event"
                and one["message"].startswith("ERROR")
                and one["arrived"] <= BEGAN_MS + at_ms
            ]
            count = len(errors)
            await eventually(partial(shows, screen, count))
            assert all(one["message"] in screen.text for one in errors)
            assert "INFO" not in screen.text
            await eventually(partial(counts, screen, count))


async def test_keys_of_the_live_viewer_do_nothing_and_are_not_offered() -> None:
    async with replaying() as screen:
        await screen.press("r", "o")
        assert "reconnecting now" not in screen.text
        await screen.press("question_mark")
        assert "pause the replay" in screen.text
        assert "freeze the screen" not in screen.text
        assert "reconnect now" not in screen.text


async def test_the_connection_panel_is_as_recorded() -> None:
    async with replaying() as screen:
        screen.clock.now_ms = 25_000
        await screen.reach(25_000)
        await screen.press("c")
        assert "as recorded, at this moment of the replay" in screen.text
        assert "/gapless/demo" in screen.text


async def test_panels_and_the_oldest_line_work() -> None:
    async with replaying(speed=None) as screen:
        await screen.reach(60_000)
        for key in ("h", "h", "P", "P", "s", "s", "g", "j", "enter", "enter", "G"):
            await screen.press(key)
        assert "line-59" in screen.text


async def test_a_truncated_record_says_so() -> None:
    data = encoded(incident())[:5_000]
    async with replaying(data, speed=None) as screen:
        screen.app.show_now()
        await screen.press("G")
        assert "truncated: shown as far as it goes" in screen.text


async def test_a_log_claims_nothing() -> None:
    lines = [{"ts": 1_700_000_000 + at, "msg": f"entry {at}"} for at in range(5)]
    async with replaying(encoded(lines) + b"oops\n", speed=None) as screen:
        await eventually(lambda: screen.engine.timeline.lines == 6)
        screen.app.show_now()
        await screen.press("G")
        assert "entry 4" in screen.text
        assert "oops" in screen.text
        assert "1 unusable line shown as it is" in screen.text
        assert "nothing in it says whether lines are missing" in screen.text
        for claim in ("COMPLETE", "LIVE", "VERIFIED"):
            assert claim not in screen.text


@pytest.mark.parametrize("speed", [1.0, 7.0, 100.0])
async def test_every_speed_ends_with_the_same_rows(speed: float) -> None:
    async with replaying(speed=speed) as screen:
        seen = 0
        while not screen.engine.player.position_ms >= BEGAN_MS + 60_000:
            screen.clock.now_ms += 500
            await screen.reach(min(60_000, int(screen.clock.now_ms * speed)))
            assert screen.engine.timeline.lines >= seen
            seen = screen.engine.timeline.lines
        assert seen == 60
        rules = len(screen.engine.timeline) - seen
        assert rules == 2
