from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator

import pytest
from textual.drivers.linux_driver import LinuxDriver

from gapless.viewing.screen import ClearingDriver, ScreenApp
from tests.support.fake_engine import FakeEngine


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    # A driver sets handlers, which are not to outlive its test.
    numbers = signal.SIGTSTP, signal.SIGCONT
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


async def test_the_filters_of_the_command_line_are_chips_on_screen() -> None:
    app = ScreenApp(FakeEngine(), title="t", include=["a+"], exclude=["b"], level="warn")
    async with app.run_test() as pilot:
        filters = app._search.filters
        while not filters.chips:
            await pilot.pause()
        assert [(one.text, one.excludes) for one in filters.chips] == [("a+", False), ("b", True)]
        assert filters.minimum_level == "warn"
    assert app.fault is None
    assert not app.return_code


class Broken(ScreenApp):
    """Meets a fault as soon as it is on screen."""

    def on_ready(self) -> None:
        msg = "the screen is broken"
        raise RuntimeError(msg)


async def test_an_exception_of_the_screen_is_kept_and_ends_it() -> None:
    app = Broken(FakeEngine(), title="t")
    await app.run_async(headless=True, size=(80, 24))
    assert str(app.fault) == "the screen is broken"
    assert app.return_code == 1


async def test_its_own_screen_is_cleared_before_it_is_left_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []
    for name, does in (("start", "shown"), ("stop", "left")):
        monkeypatch.setattr(
            LinuxDriver, f"{name}_application_mode", lambda _self, does=does: written.append(does)
        )
    app = ScreenApp(FakeEngine(), title="t")
    assert app.get_driver_class() is ClearingDriver
    driver = ClearingDriver(app)
    monkeypatch.setattr(driver, "write", written.append)
    driver.start_application_mode()
    driver.stop_application_mode()
    driver.stop_application_mode()
    assert written == ["shown", "\x1b[0m\x1b[2J", "left", "left"]


class Terminal(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, *, is_one: bool) -> None:
        super().__init__()
        self._is_one = is_one

    def isatty(self) -> bool:
        return self._is_one


@pytest.mark.parametrize(("is_terminal", "name"), [(True, "__stderr__"), (False, "__stdout__")])
async def test_it_draws_on_stdout_where_stderr_is_a_file(
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,  # noqa: FBT001 - the table's column
    name: str,
) -> None:
    monkeypatch.setattr(sys, "__stderr__", Terminal(is_one=is_terminal))
    monkeypatch.setattr(sys, "__stdout__", Terminal(is_one=True))
    driver = ClearingDriver(ScreenApp(FakeEngine(), title="t"))
    assert driver._file is getattr(sys, name)
