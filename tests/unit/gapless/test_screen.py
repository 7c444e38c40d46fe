from __future__ import annotations

import pytest
from textual.drivers.linux_driver import LinuxDriver

from gapless.screen import ClearingDriver, ScreenApp
from tests.support.fake_engine import FakeEngine


async def test_the_filters_of_the_command_line_are_chips_on_screen() -> None:
    app = ScreenApp(FakeEngine(), title="t", include=["a+"], exclude=["b"], level="warn")
    async with app.run_test() as pilot:
        await pilot.pause()
        filters = app._finding.filters
        assert [(one.text, one.excludes) for one in filters.chips] == [("a+", False), ("b", True)]
        assert filters.minimum == "warn"
    assert app.fault is None
    assert not app.return_code


class Broken(ScreenApp):
    """Meets a fault as soon as it is on screen."""

    def on_ready(self) -> None:
        msg = "the screen is broken"
        raise RuntimeError(msg)


async def test_a_fault_of_the_screen_is_handed_on_and_ends_it() -> None:
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
