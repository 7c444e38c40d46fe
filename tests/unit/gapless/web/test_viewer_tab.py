from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator

import psutil
import pytest
from textual.drivers import web_driver

from gapless.viewing.screen import ScreenApp
from gapless.web import viewer_tab as module
from gapless.web.viewer_tab import (
    PRELUDE,
    BrowserDriver,
    Focused,
    Pinged,
    Resized,
    Tab,
    TabMessage,
    Typed,
    is_of_this_machine,
    is_our_page,
    is_secret,
    parse_message,
    window_size,
)
from tests.support.fake_engine import FakeEngine

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
    assert await tab.handle(Resized(120, 33)) is None
    assert await tab.handle(Focused(is_in=True)) is None
    assert await tab.handle(Pinged("7")) == "7"
    await tab.handle(Typed(b"?"))
    await screen.wait(b"View, select, save")
    await tab.end()
    assert tab._process is not None
    assert tab._process.returncode == 0
    await tab.ended()


async def test_q_ends_the_viewer() -> None:
    screen = Screen()
    tab = Tab(VIEWER, screen.send)
    await tab.show(80, 24)
    await screen.wait(b"RECONNECTING")
    await tab.handle(Typed(b"q"))
    async with asyncio.timeout(WAIT_S):
        await tab.ended()
    await tab.end()
    await tab.end()


async def test_a_hanging_viewer_is_ended(
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


async def test_a_viewer_that_was_never_started_has_nothing_to_end() -> None:
    tab = Tab(VIEWER, Screen().send)
    await tab.ended()
    await tab.end()
    assert tab._process is None


def test_the_viewers_environment_describes_the_browser(
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


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "127.0.0.1"])
def test_names_of_this_machine_may_be_asked_for(host: str) -> None:
    assert is_of_this_machine(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "0.0.0.0:1",
        "[::1",
        "evil.example@127.0.0.1",
        "localhost:1; script-src *",
    ],
)
def test_other_host_names_are_refused(host: str | None) -> None:
    assert not is_of_this_machine(host)


def test_only_the_page_itself_opens_a_websocket() -> None:
    host = "127.0.0.1:8000"
    assert is_our_page("http://127.0.0.1:8000", host)
    assert is_our_page(None, host)
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9", "https://127.0.0.1:8000"):
        assert not is_our_page(origin, host)
    assert not is_our_page("http://127.0.0.1:8000", None)


def test_the_secret_is_the_whole_secret() -> None:
    assert is_secret("abc", "abc")
    for wrong in ("", "ab", "abcd", "ABC", "ä", "\udc80"):
        assert not is_secret(wrong, "abc")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (["stdin", "\x1b[A"], Typed(b"\x1b[A")),
        (["stdin", "é"], Typed("é".encode())),
        (["resize", {"width": 120, "height": 40}], Resized(120, 40)),
        (["resize", {"width": 10**9, "height": -5}], Resized(1_000, 1)),
        (["resize", {"width": "wide", "height": None}], Resized(80, 24)),
        (["focus"], Focused(is_in=True)),
        (["blur"], Focused(is_in=False)),
        (["ping", "17"], Pinged("17")),
    ],
)
def test_messages_of_the_page_are_parsed(said: object, meant: TabMessage) -> None:
    assert parse_message(json.dumps(said)) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "7", "null", "[" * 100_000, '"\\ud800"', "[\udc80]", '["what", 1]'),
        *('["stdin"]', '["stdin", 7]', '["resize", 7]', '["resize", {"width": 1}]', '["ping"]'),
    ],
)
def test_other_messages_are_ignored(text: str) -> None:
    assert parse_message(text) is None


def test_a_window_has_bounds() -> None:
    assert window_size("120", "40") == (120, 40)
    assert window_size(None, "") == (80, 24)
    assert window_size("9" * 5_000, "1e3") == (80, 24)
    assert window_size("5000", "5000") == (1_000, 500)


class NoKeys:
    """Standard input that nothing comes from; a test's own is often no pipe."""

    def close(self) -> None:
        """Nothing to close."""


class LastKeys:
    """Standard input of which a read still lasts for a moment when the screen ends."""

    def __init__(self) -> None:
        self.is_done = threading.Event()

    def close(self) -> None:
        """Let the running read take its time."""
        threading.Timer(0.2, self.is_done.set).start()

    def __iter__(self) -> Iterator[bytes]:
        self.is_done.wait(WAIT_S)
        yield b""


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    monkeypatch.setattr(BrowserDriver, "has_begun", False)
    monkeypatch.setattr(BrowserDriver, "window", None)
    monkeypatch.setattr(web_driver, "InputReader", NoKeys)
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def made(writing: int) -> BrowserDriver:
    driver = BrowserDriver(ScreenApp(FakeEngine(), title="t"))
    driver.fileno = writing
    return driver


def read(reading: int) -> bytes:
    return os.read(reading, 65_536)


async def test_the_prelude_is_sent_once_for_all_screens(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    for _ in range(2):
        driver = made(writing)
        driver._write(PRELUDE)
        driver.write("frame")
    assert read(reading) == PRELUDE + 2 * b"D\0\0\0\x05frame"


async def test_the_end_of_a_screen_is_not_the_end_of_the_tab(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    driver = made(writing)
    driver.stop_application_mode()
    driver.write_meta({"type": "open_url"})
    kind, body = (data := read(reading))[:1], data[5:]
    assert kind == b"M"
    assert json.loads(body) == {"type": "open_url"}


async def test_the_thread_of_a_screen_reads_no_key_of_the_next(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_driver, "InputReader", LastKeys)
    driver = made(pipe[1])
    driver._key_thread.start()
    driver.stop_application_mode()
    assert not driver._key_thread.is_alive()


async def test_the_next_screen_has_the_size_of_the_last(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("ROWS", "30")
    driver = made(pipe[1])
    assert driver._size == (100, 30)
    monkeypatch.setattr(driver._app, "post_message", lambda _message: True)
    driver.on_meta("resize", {"width": 71, "height": 19})
    assert made(pipe[1])._size == (71, 19)


async def test_a_closed_browser_ends_it_once(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    caught: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: caught.append((pid, number)))
    os.dup2(writing, reading)  # closes the reading end, and leaves its number to nobody else
    driver = made(writing)
    driver.write("a")
    driver.write("b")
    assert caught == [(os.getpid(), signal.SIGHUP)]
