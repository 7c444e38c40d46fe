from __future__ import annotations

import asyncio
import os
import signal

import psutil
import pytest

from gapless.web import tab as module
from gapless.web.asking import Focused, Pinged, Resized, Typed
from gapless.web.tab import Tab

NOBODY = "ws://127.0.0.1:1/v1/tail"
VIEWER = ["tab", "--websocket", NOBODY, "--group", "/g", "--control", "http://127.0.0.1:1"]
VIEWER += ["--since", "0"]
WAIT_S = 240


class Screen:
    """Keeps what a tab draws."""

    def __init__(self) -> None:
        self.drawn = b""
        self._more = asyncio.Event()

    async def send(self, data: bytes) -> None:
        self.drawn += data
        self._more.set()

    async def wait(self, text: bytes) -> None:
        async with asyncio.timeout(WAIT_S):
            while text not in self.drawn:
                self._more.clear()
                await self._more.wait()


def process_of(tab: Tab) -> psutil.Process:
    assert tab._process is not None
    return psutil.Process(tab._process.pid)


async def test_a_viewer_draws_takes_keys_and_ends_with_its_tab(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "END_S", WAIT_S)
    screen = Screen()
    tab = Tab(VIEWER, screen.send)
    await tab.show(90, 25)
    process = process_of(tab)
    assert os.getsid(process.pid) == process.pid
    await screen.wait(b"RECONNECTING")
    assert await tab.tell(Resized(120, 33)) is None
    assert await tab.tell(Focused(is_in=True)) is None
    assert await tab.tell(Pinged("7")) == "7"
    await tab.tell(Typed(b"?"))
    await screen.wait(b"Look closer")
    await tab.end()
    assert tab._process is not None
    assert tab._process.returncode == 0
    await tab.ended()


async def test_q_ends_the_viewer() -> None:
    screen = Screen()
    tab = Tab(VIEWER, screen.send)
    await tab.show(80, 24)
    await screen.wait(b"RECONNECTING")
    await tab.tell(Typed(b"q"))
    async with asyncio.timeout(WAIT_S):
        await tab.ended()
    await tab.end()
    await tab.end()


async def test_a_viewer_that_does_nothing_any_more_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen()
    tab = Tab(VIEWER, screen.send)
    await tab.show(80, 24)
    await screen.wait(b"RECONNECTING")
    monkeypatch.setattr(module, "END_S", 0.2)
    process_of(tab).suspend()
    while tab._process is not None and tab._process.returncode is None:
        await tab.end()
    assert tab._process is not None
    assert tab._process.returncode == -signal.SIGKILL


async def test_a_viewer_that_cannot_begin_ends(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    tab = Tab(["tab", "--nothing-of-the-sort"], screen.send)
    await tab.show(80, 24)
    async with asyncio.timeout(WAIT_S):
        await tab.ended()
    await tab.end()
    assert screen.drawn == b""
    assert "gapless: No such option" in capsys.readouterr().out


async def test_what_was_never_shown_has_nothing_to_end() -> None:
    tab = Tab(VIEWER, Screen().send)
    await tab.ended()
    await tab.end()
    assert tab._process is None


def test_the_viewer_is_told_of_the_browser_not_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLORFGBG", "0;15")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("GAPLESS_LEVEL", "error")
    told = module._environment(100, 30)
    assert (told["COLUMNS"], told["ROWS"], told["TERM"]) == ("100", "30", "xterm-256color")
    assert told["NO_COLOR"] == "1"
    assert not {"COLORFGBG", "GAPLESS_LEVEL"} & set(told)
