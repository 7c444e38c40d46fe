from __future__ import annotations

import pytest

from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line
from tests.support.screen import Screen, running
from tui.client.status import GapStatus

GAP = GapStatus(0, "g1", EPOCH_MS, EPOCH_MS + 4_000, "repairing", "", 0)


def written(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects what is written to the terminal directly."""
    out: list[str] = []
    monkeypatch.setattr(screen.app._driver, "write", out.append)
    return out


async def news(screen: Screen) -> None:
    screen.engine.add([make_line(900, "ERROR \x1b[2J;boom\x07"), make_line(901, "INFO fine")])
    screen.engine.set(gaps=(GAP,))
    await screen.settle()


async def test_none_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(FakeEngine()) as screen:
        out = written(screen, monkeypatch)
        await news(screen)
        assert "".join(out) == ""


async def test_a_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(FakeEngine()) as screen:
        await screen.press("B")
        assert "notifications (gap, error, job end): bell" in screen.lines[-2]
        out = written(screen, monkeypatch)
        await news(screen)
        assert out.count("\a") == 2
        await screen.settle()
        assert out.count("\a") == 2


async def test_a_notification_chosen_in_the_palette(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(FakeEngine()) as screen:
        await screen.press("ctrl+p", *"notifications osc 9")
        await screen.press("enter")
        out = written(screen, monkeypatch)
        await news(screen)
        assert sorted(text for text in out if text.startswith("\x1b]9;")) == [
            "\x1b]9;gapless: ERROR ␛[2J,boom␇\x1b\\",
            "\x1b]9;gapless: gap 12:00:00 to 12:00:04 repairing\x1b\\",
        ]


async def test_the_key_cycles_through_all_modes() -> None:
    async with running(FakeEngine()) as screen:
        await screen.press("B", "B", "B", "B")
        assert "job end): off" in screen.lines[-2]
        assert screen.app._notify_mode == "off"
