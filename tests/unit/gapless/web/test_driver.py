from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest
from textual.drivers import web_driver

from gapless.viewing.screen import ScreenApp
from gapless.web.driver import PRELUDE, BrowserDriver
from tests.support.fake_engine import FakeEngine


class NoKeys:
    """Standard input that nothing comes from; a test's own is often no pipe."""

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    monkeypatch.setattr(BrowserDriver, "has_begun", False)
    monkeypatch.setattr(BrowserDriver, "window", None)
    monkeypatch.setattr(web_driver, "InputReader", NoKeys)
    reading, writing = os.pipe()
    yield reading, writing
    for one in (reading, writing):
        try:
            os.close(one)
        except OSError:
            continue  # the test closed it


def made(writing: int) -> BrowserDriver:
    driver = BrowserDriver(ScreenApp(FakeEngine(), title="t"))
    driver.fileno = writing
    return driver


def read(reading: int) -> bytes:
    return os.read(reading, 65_536)


async def test_it_begins_once_however_many_screens_there_are(pipe: tuple[int, int]) -> None:
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


async def test_a_browser_that_has_gone_ends_it_once(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    caught: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: caught.append((pid, number)))
    os.close(reading)
    driver = made(writing)
    driver.write("a")
    driver.write("b")
    assert caught == [(os.getpid(), signal.SIGHUP)]
