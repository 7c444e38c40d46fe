"""Older lines on demand: which keys ask for them, and what the screen says."""

from __future__ import annotations

from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line
from tests.support.screen import WIDE, Screen, running
from tui.client.refetch import OlderLines
from tui.client.session import ViewerSession
from wire.order import Interval, first_key

HOUR = 3_600_000


class OlderEngine(FakeEngine):
    """An engine of one target, whose history the test extends."""

    def __init__(self) -> None:
        self.session = ViewerSession(since=EPOCH_MS)
        self.session.is_welcomed = True
        self.arrive(EPOCH_MS)
        self.extensions: list[int] = []
        super().__init__()
        self.add(make_line(n, f"line {n}", at_ms=EPOCH_MS + n * 1_000) for n in range(100))

    def _make_older(self) -> OlderLines:
        return OlderLines(
            self.timeline,
            lambda: [self.session],
            self._note_extension,
            self._note_change,
            1,
            lambda: 0,
        )

    def _note_extension(self, session: ViewerSession, since: int) -> None:
        self.extensions.append(since)
        session.extend(since)

    def arrive(self, from_ms: int) -> None:
        """The history is here from a time on."""
        self.session.set_held(Interval(first_key(from_ms), None))


async def up_to_the_top(screen: Screen) -> None:
    await screen.press("colon")
    await screen.type("12:00")


async def settle(screen: Screen, engine: OlderEngine) -> None:
    engine.older.update()
    await screen.press("f9")  # bound to nothing: workers finish, and all is drawn


def cursor(screen: Screen) -> str:
    return str(getattr(screen.app.log_view.current(), "message", ""))


async def test_up_on_the_first_line_fetches_an_hour_and_says_so() -> None:
    engine = OlderEngine()
    async with running(engine, size=WIDE) as screen:
        await up_to_the_top(screen)
        assert engine.extensions == []
        await screen.press("k")
        assert engine.extensions == [EPOCH_MS - HOUR]
        await settle(screen, engine)
        rule = screen.line_with("fetching older lines: 0 lines so far")
        assert "Esc stops · from 2026-11-23 11:00:00 · complete from 2026-11-23 12:00:00" in rule
        engine.add([make_line(500, "an older line", at_ms=EPOCH_MS - 1_000)])
        engine.arrive(EPOCH_MS - HOUR)
        await settle(screen, engine)
        assert not engine.older.is_fetching
        assert cursor(screen) == "line 0"
        await screen.press("k")
        assert cursor(screen) == "an older line"
        await screen.press("k")
        assert "complete from 2026-11-23 11:00:00" in screen.line_with("fetched when you scroll up")
        assert len(engine.extensions) == 1


async def test_page_up_above_the_first_line_fetches_too() -> None:
    for keys in (("pageup", "pageup"), ("u", "u")):
        engine = OlderEngine()
        async with running(engine) as screen:
            await up_to_the_top(screen)
            await screen.press(*keys)
            assert engine.extensions == [EPOCH_MS - HOUR]


async def test_a_time_before_the_start_is_fetched_and_gone_to() -> None:
    engine = OlderEngine()
    async with running(engine) as screen:
        await screen.press("colon")
        await screen.type("11:30")
        assert engine.extensions == [EPOCH_MS - HOUR // 2]
        engine.add(make_line(500 + n, f"old {n}", at_ms=EPOCH_MS - HOUR // 2 + n) for n in range(9))
        engine.arrive(EPOCH_MS - HOUR // 2)
        await settle(screen, engine)
        assert cursor(screen) == "old 0"


async def test_g_goes_on_to_the_oldest_line_that_there_is() -> None:
    engine = OlderEngine()
    async with running(engine) as screen:
        await screen.press("g")
        assert cursor(screen) == "line 0"
        assert "fetching older lines to the beginning" in screen.lines[-2]
        engine.add([make_line(600, "the oldest line", at_ms=EPOCH_MS - 9 * HOUR)])
        while engine.older.is_fetching:
            engine.arrive(engine.extensions[-1])
            await settle(screen, engine)
        assert engine.extensions[-1] == 0
        assert "beginning of the log group: CloudWatch has nothing older" in screen.lines[1]
        assert "the oldest line" in screen.lines[2]
        await screen.press("g", "k")
        assert not engine.older.is_fetching


async def test_escape_ends_the_walk_to_the_beginning() -> None:
    engine = OlderEngine()
    async with running(engine) as screen:
        await screen.press("g")
        await screen.press("escape")
        assert "no more older lines are fetched" in screen.lines[-2]
        engine.arrive(engine.extensions[-1])
        await settle(screen, engine)
        assert len(engine.extensions) == 1
        assert not engine.older.is_fetching
        assert cursor(screen) == "line 0"


async def test_moving_on_keeps_the_cursor_where_the_reader_put_it() -> None:
    engine = OlderEngine()
    async with running(engine) as screen:
        await screen.press("g", "j", "j")
        before = cursor(screen)
        engine.add([make_line(600, "the oldest line", at_ms=EPOCH_MS - 9 * HOUR)])
        while engine.older.is_fetching:
            engine.arrive(engine.extensions[-1])
            await settle(screen, engine)
        assert cursor(screen) == before
        assert before.startswith("line ")
