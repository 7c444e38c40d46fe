"""Matches, bookmarks and the selection stay on their lines while others arrive and are evicted."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.support.fake_engine import EPOCH_MS, FakeEngine, FakeRefetcher, evicted_for, make_line
from tests.support.screen import WIDE, Screen, running
from tui.lines.rows import Line, Row, Rule

CAPACITY = 120


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.lines.blocks.CHUNK_ROWS", 20)
    monkeypatch.setattr("tui.lines.timeline.NEAR_BLOCKS", 1)


def lines_of(engine: FakeEngine) -> list[Line]:
    return [row for row in engine.timeline.iterate() if isinstance(row, Line)]


class PinningRefetcher(FakeRefetcher):
    """Keeps visible rows in memory, as the real one does."""

    def fetch_visible(self, rows: Sequence[Row], cursor: int | None, *, is_filtered: bool) -> None:
        super().fetch_visible(rows, cursor, is_filtered=is_filtered)
        if rows:
            self._timeline.pin_around(rows[0].key, rows[-1].key)


class Reading(FakeEngine):
    """An engine whose visible rows stay in memory."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.refetcher = PinningRefetcher(self.timeline)


class Log:
    """All lines, in memory or evicted."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.known: dict[int, Line] = {}
        self.number = 0

    def add(self, *times_ms: int) -> None:
        fresh = []
        for at_ms in times_ms:
            self.number += 1
            word = "hit" if self.number % 7 == 0 else "miss"
            fresh.append(make_line(self.number, f"line {self.number} {word}", at_ms=at_ms))
        self.known |= {one.key: one for one in fresh}
        self.engine.add(fresh)

    def bring_back(self) -> None:
        """Restores the oldest evicted lines."""
        for rule in [row for row in self.engine.timeline.iterate() if isinstance(row, Rule)]:
            piece = evicted_for(self.engine.timeline, rule, from_above=True)
            if piece is not None:
                back = [self.known[key] for key in sorted(self.known)]
                back = [one for one in back if piece.low <= one.key <= piece.high]
                self.engine.report(self.engine.timeline.restore(piece, back))
                return


def matches(screen: Screen) -> list[int]:
    found = screen.app._search._matches
    assert found is not None
    while found.step():
        pass
    return list(found.keys)


async def test_matches_bookmarks_and_selection_stay_on_their_lines() -> None:
    rng = random.Random(4)
    engine = Reading(CAPACITY)
    log = Log(engine)
    async with running(engine, size=WIDE) as screen:
        log.add(*(EPOCH_MS + 1_000 * number for number in range(100)))
        await screen.settle()
        await screen.press("slash", *"hit", "enter")
        await screen.press("k", "k", "m", "k", "m", "v", "k", "k", "k")
        marked = screen.app._navigation.bookmarks.keys
        span = screen.app.log_view.selection.span
        cursor = screen.app.log_view.place.cursor
        assert len(marked) == 2
        assert span is not None
        top_ms = screen.app.log_view.visible_rows[0].timestamp
        was_gone = was_back = False
        for turn in range(15):
            newest = max(log.known.values(), key=lambda one: one.key).timestamp
            log.add(*(newest + 10 * number for number in range(1, 20)))
            log.add(*(rng.randrange(EPOCH_MS, top_ms) for _ in range(5)))
            if turn % 3 == 2:
                log.bring_back()
                was_back = True
            await screen.settle()
            here = {one.key for one in lines_of(engine)}
            was_gone = was_gone or len(here) < len(log.known)
            hits = [key for key in sorted(here) if log.known[key].message.endswith("hit")]
            assert matches(screen) == hits
            assert all(one in here or engine.timeline.evicted_at(one) for one in log.known)
            assert screen.app._navigation.bookmarks.keys == marked
            assert screen.app.log_view.selection.span == span
            assert screen.app.log_view.place.cursor == cursor
            current = screen.app.log_view.current()
            assert current is not None
            assert current.key == cursor, "what is being read never leaves"
        assert was_gone
        assert was_back
        await screen.press("Y")
        low, high = span
        taken = [one for one in lines_of(engine) if low <= one.key <= high]
        assert f"of {len(taken)} lines" in screen.text
        assert screen.app.clipboard.startswith(taken[0].message)


async def test_a_copy_says_what_it_lacks() -> None:
    engine = Reading(CAPACITY)
    log = Log(engine)
    async with running(engine, size=WIDE) as screen:
        log.add(*(EPOCH_MS + 1_000 * number for number in range(400)))
        await screen.settle()
        gone = engine.timeline.evicted
        assert gone > 100
        await screen.press("v", "g", "Y")
        assert f"without {gone} lines not in memory" in screen.text
