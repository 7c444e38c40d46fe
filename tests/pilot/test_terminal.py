from __future__ import annotations

import asyncio
import re
import time

import pytest

from tests.support.fake_catalogue import FakeCatalogue
from tests.support.fake_engine import FakeControls, FakeEngine, busy_lines, make_line, make_rule
from tests.support.screen import NOW_MS, WIDE, running
from tui.render.palette import LIGHT

NASTY = (
    "\x1b[2J\x1b[H\x1b]0;title\x07\x1bPq\x1b\\\x1b[6n",
    "\x9b2J\x9d0;x\x9c",
    "\u202eevil\u2066\u200b\u200f\ufeff",
    "bell\x07 back\x08\x08 cr\r nul\x00 del\x7f",
    "\x1b[31mred without end",
    "lone \ud800 half",
    "漢字" * 100,
    "e" + "\u0301" * 500,
    "\x1b" * 2_000,
    "x" * 1_000_000,
    "\n" * 3_000,
)
CURSOR_AND_COLOUR = re.compile(r"\x1b\[[0-9;]*[mH]")


def assert_harmless(raw: str) -> None:
    left = CURSOR_AND_COLOUR.sub("", raw)
    bad = {char for char in left if not char.isprintable() and char not in "\n\u0301"}
    assert not bad, bad
    raw.encode("utf-8")


@pytest.mark.parametrize("keys", [[], ["vertical_line"], ["enter"], ["g"], ["c"]])
async def test_nothing_of_a_message_reaches_the_terminal(keys: list[str]) -> None:
    engine = FakeEngine()
    engine.add(
        make_line(number, message, stream=message[:300]) for number, message in enumerate(NASTY)
    )
    engine.add([make_rule(1, NOW_MS, "offline", through_ms=None, reason=NASTY[0])])
    engine.set(detail=NASTY[0], name=NASTY[2], url=NASTY[3], epoch=NASTY[4])
    async with running(engine, size=WIDE) as screen:
        for _ in range(len(NASTY) + 1):
            await screen.press("k", *keys)
            assert_harmless(screen.raw)
        await screen.press("f")
        screen.app._prompt.query_one("#prompt-field").value = NASTY[2]  # type: ignore[attr-defined] # it is an input
        await screen.press("enter")
        assert_harmless(screen.raw)


async def test_no_colour_if_the_environment_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    engine = FakeEngine()
    engine.add(busy_lines(100))
    engine.add([make_line(900, "\x1b[31mred\x1b[38;2;1;2;3mdeep")])
    engine.set(complete_through_ms=NOW_MS)
    async with running(engine, controls=FakeControls()) as screen:
        keys = ("k", "slash", "escape", "c", "question_mark", "escape", "f2", "1", "escape")
        for key in (*keys, "s", "h", "left", "escape", "m", "K", "5", "z", "colon", "x", "enter"):
            await screen.press(key)
            codes = {code for part in re.findall(r"\x1b\[([0-9;]*)m", screen.raw)
                     for code in part.split(";")}  # fmt: skip
            coloured = {code for code in codes if code[:1] in "3489" and len(code) > 1}
            assert coloured <= {"39", "49"}
        assert "COMPLETE" in screen.text


async def test_levels_are_letters_too() -> None:
    engine = FakeEngine()
    structured = '{"level": "error", "msg": "a"}'
    engine.add([make_line(1, structured), make_line(2, "WARN b"), make_line(3, "c")])
    async with running(engine) as screen:
        assert " E a" in screen.text
        assert "   WARN b" in screen.text  # the word itself says it


async def test_a_theme_is_chosen_while_it_runs() -> None:
    engine = FakeEngine()
    engine.add(busy_lines(50))
    async with running(engine) as screen:
        dark = screen.raw
        screen.app.theme = LIGHT.name
        await screen.pilot.pause()
        await screen.settle()
        assert screen.raw != dark
        style = screen.app._palette.style("message")
        assert style.bgcolor is not None
        assert style.bgcolor.triplet == (255, 255, 255)


async def test_a_light_terminal_gets_a_light_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORFGBG", "0;15")
    async with running() as screen:
        assert screen.app.theme == LIGHT.name


@pytest.mark.parametrize(("name", "value"), [("TERM", "linux"), ("LC_ALL", "C")])
async def test_a_terminal_with_ascii_alone(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    engine = FakeEngine()
    engine.add(make_line(n, "a\x1bb\nc" * 9, origin="backfill") for n in range(100))
    engine.add([make_rule(1, NOW_MS, "end", reason="exec-7", state="SUCCEEDED")])
    engine.extra["volume"] = (1, 2, 3)
    engine.set(complete_through_ms=NOW_MS)
    catalogue, controls = FakeCatalogue(), FakeControls()
    monkeypatch.setattr("tui.screen.app.MESSAGE_S_PER_CHAR", 60.0)
    async with running(
        engine, controls=controls, catalogue=catalogue, notifications=True
    ) as screen:
        keys = ("k", "c", "enter", "escape", "question_mark", "escape", "space", "space", "f2", "1")
        more = ("escape", "s", "h", "left", "escape", "escape", "m", "K", "f", "a", "enter", "z")
        last = ("o", "a", "escape", "ctrl+p", "e", "escape", "colon", "x", "enter")
        for key in (*keys, *more, *last):
            await screen.press(key)
            assert screen.text.isascii(), key
        await screen.press("escape", "Y")
        screen.app.show_message("a word or two " * 12)
        await screen.settle()
        assert "| a word or two" in screen.text
        assert screen.text.isascii()


@pytest.mark.parametrize(
    "keys",
    [["q"], ["ctrl+c"], ["slash", "a", "ctrl+c"], ["question_mark", "ctrl+c"], ["c", "tab", "q"]],
)
async def test_leaving(keys: list[str]) -> None:
    async with running(controls=FakeControls()) as screen:
        await screen.pilot.press(*keys)
        await screen.pilot.pause()
    assert screen.engine.started
    assert screen.engine.stopped
    assert screen.app.return_code == 0


async def test_a_program_held_up_still_draws_new_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    late_s: dict[str, float] = {}

    def clock() -> float:
        """The time; a timer of one turn finds that a second has passed whenever it looks."""
        task = asyncio.current_task()
        name = "" if task is None else task.get_name()
        if name.startswith("set_timer#"):
            late_s[name] = late_s.get(name, 0.0) + 1.0
        return time.monotonic() + late_s.get(name, 0.0)

    monkeypatch.setattr("textual._time.get_time", clock)
    async with running(size=WIDE) as screen:
        for size in ((100, 30), (80, 24)):
            await screen.pilot.resize_terminal(*size)
            await screen.settle()
            assert len(screen.lines) == size[1]
        assert late_s
