from __future__ import annotations

from gapless.screen import ScreenApp
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
