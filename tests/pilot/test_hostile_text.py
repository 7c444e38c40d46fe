"""Hostile text through the whole application: nothing of it may act on the terminal."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from textual import events
from textual.drivers.headless_driver import HeadlessDriver

from tests.support.fake_catalogue import FakeCatalogue
from tests.support.fake_engine import EPOCH_MS, FakeControls, FakeEngine, make_line, make_rule
from tests.support.screen import NOW_MS, WIDE, Screen, running
from tui.client.status import ConnectionOutage, EndStatus, GapStatus, LostRange, StateChange
from tui.screen.ports import CatalogueError, Choice

SEEDS: Final = range(2)

PIECES: Final = (
    "\x1b[2J", "\x1b[6n", "\x1b]0;owned\x07", "\x1b]52;c;b3duZWQ=\x07", "\x1b]9;owned\x1b\\",
    "\x1bPq#0\x1b\\", "\x1b[31;777m", "\x1b[?1049l", "\x1b[777T", "\x1bc", "\x9b777J",
    "\x9d0;x\x9c", "\x90q\x9c", "\x1b(0", "\x1b", "\x07", "\x08", "\r", "\x00", "\x7f", "\x0e",
    "\x85", "\u2028", "\u202e", "\u2066", "\u200b", "\ufeff", "\ud800", "\U000e0041",
    "e" + "\u0301" * 20, "漢字", "🚚", "\n", "\t", "{", "[red]", "]", ";", "\\", '"', "plain",
    "ERROR", " ", "a" * 40, "%s",
)  # fmt: skip

# Sequences of the application itself: colours, cursor, synchronized output, mouse shape.
OWN: Final = re.compile(
    r"\x1b\[(?:[0-9;]*m|[0-9;]*H|\?2026[hl]|\?25[hl])"
    r"|\x1b\]22;[a-z-]*\x07"
    r"|\x1b\]52;c;(?P<copied>[A-Za-z0-9+/=]*)\x07"
    r"|\x1b\]9;gapless: (?P<notice>[^\x1b\x07]*)\x1b\\"
)


class Terminal:
    """Collects what is written to the driver."""

    def __init__(self) -> None:
        self.is_watched = False
        self.written: list[str] = []

    def write(self, data: str) -> None:
        if self.is_watched:
            self.written.append(data)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Makes the application draw as on a real terminal."""
    found = Terminal()
    monkeypatch.setattr(HeadlessDriver, "write", lambda _self, data: found.write(data))
    monkeypatch.setattr(HeadlessDriver, "is_headless", property(lambda _: not found.is_watched))
    return found


def assert_harmless(written: str) -> None:
    """Asserts that only the application's own sequences act on the terminal."""
    assert written
    left = OWN.sub("", written)
    bad = {char for char in left if not char.isprintable() and char not in "\n\u0301"}
    assert not bad, (bad, [left[max(0, left.index(one) - 20) :][:60] for one in bad])
    for code in re.findall(r"\x1b\[([0-9;]*)", written):
        assert "777" not in code
    for found in OWN.finditer(written):
        base64.b64decode(found["copied"] or "", validate=True)
        assert (found["notice"] or "x").isprintable()
    written.encode("utf-8")


class Hostile:
    """Random hostile text."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def text(self, pieces_max: int = 12) -> str:
        return "".join(self.chance.choices(PIECES, k=self.chance.randrange(1, pieces_max)))

    def message(self) -> str:
        kind = self.chance.randrange(4)
        if kind == 0:
            found = {self.text(4): self.text(), "level": "error", "tags": [self.text(4), 1, None]}
            return json.dumps(found, ensure_ascii=self.chance.random() < 0.5)
        return f"{'ERROR ' if kind == 1 else ''}{self.text()}"

    def engine(self) -> FakeEngine:
        engine = FakeEngine()
        engine.add(
            make_line(number, self.message(), stream=self.text(5), late_ms=number % 2)
            for number in range(40)
        )
        engine.add(make_rule(1, EPOCH_MS + 500, kind, reason=self.text(), state=self.text(2))
                   for kind in ("gap",))  # fmt: skip
        bad = self.text()
        engine.set(
            detail=bad, name=bad, group=bad, url=bad, epoch=bad,
            gaps=(GapStatus(0, bad, EPOCH_MS, EPOCH_MS + 1, "suspected", bad, 1),),
            lost=(LostRange(0, EPOCH_MS, EPOCH_MS + 1, bad),),
            ends=(EndStatus(bad, "FAILED", EPOCH_MS, EPOCH_MS + 1, 1, equal=False),),
            history=(StateChange(EPOCH_MS, "reconnecting", bad),),
            outages=(ConnectionOutage(EPOCH_MS, None, 1006, bad, None, None),),
        )  # fmt: skip
        return engine


class HostileCatalogue(FakeCatalogue):
    """A catalogue whose names, notes and errors are hostile."""

    def __init__(self, hostile: Hostile) -> None:
        super().__init__()
        self.hostile = hostile

    async def groups(self) -> list[Choice]:
        return [Choice(self.hostile.text(), None, self.hostile.text(), self.hostile.text())] * 2

    async def executions(self, target: str) -> list[Choice]:
        raise CatalogueError(self.hostile.text() + target)


def scripts(hostile: Hostile, folder: Path) -> Iterator[tuple[list[str], str | None]]:
    """Presses keys, and inserts a text into the prompt that they open."""
    yield ["k", "m", "k", "v", "k", "k", "Y"], None
    yield ["escape", "y"], None
    yield ["enter", "tab", "down", "down", "f"], None
    yield ["x", "tab", "down", "z"], None
    yield ["ctrl+p", "ctrl+v"], None
    yield ["escape", "escape", "escape", "escape", "s", "down", "space", "enter"], None
    yield ["c"], None
    yield ["escape", "h", "left", "left"], None
    yield ["escape", "vertical_line", "g"], None
    yield ["o", "down", "tab"], None
    yield ["escape", "question_mark"], None
    yield ["escape", "f2"], None
    yield ["escape", "y", "slash", "ctrl+v"], None
    for key in ("slash", "f", "x", "colon"):
        yield ["escape", key], hostile.text()
    yield ["escape", "ctrl+s", "ctrl+u"], str(folder / "missing" / hostile.text())
    yield ["escape", "ctrl+s", "ctrl+u"], str(folder / "saved.log")


async def play(screen: Screen, keys: list[str], entered: str | None) -> None:
    await screen.press(*keys)
    if entered is not None:
        screen.app.post_message(events.Paste(entered))
        await screen.press("enter")


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_control_byte_of_a_message_reaches_the_terminal(
    seed: int, terminal: Terminal, tmp_path: Path
) -> None:
    hostile = Hostile(seed)
    engine = hostile.engine()
    async with running(
        engine,
        size=WIDE,
        controls=FakeControls(),
        catalogue=HostileCatalogue(hostile),
        title=hostile.text(),
    ) as screen:
        screen.app.set_notify_mode("osc9")
        terminal.is_watched = True
        drawn = 0
        for keys, entered in scripts(hostile, tmp_path):
            await play(screen, keys, entered)
            at_ms = NOW_MS + len(terminal.written)
            engine.add([make_line(500 + len(terminal.written), hostile.message(), at_ms=at_ms)])
            await screen.settle()
            drawn += any(len(one) > 100 for one in terminal.written)
            assert_harmless("".join(terminal.written))
            terminal.written.clear()
        terminal.is_watched = False
        assert drawn > 10
    saved = tmp_path / "saved.log"
    assert "\x1b" not in saved.read_text()


def test_the_check_finds_control_bytes() -> None:
    for bad in (
        "\x1b[2J",
        "a\x1b]0;t\x07",
        "\x9b2J",
        "\x1b]9;gapless: a\x07\x1b\\",
        "\x1b[31;777m",
    ):
        with pytest.raises(AssertionError):
            assert_harmless(f"x{bad}y")
    assert_harmless("\x1b[1;31mx\x1b[0m\x1b]52;c;eA==\x07\x1b[3;4H")
