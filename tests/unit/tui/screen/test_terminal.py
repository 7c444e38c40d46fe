from __future__ import annotations

import gc
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tui.screen import terminal


def test_glyphs() -> None:
    assert not terminal.is_ascii_only({"TERM": "xterm-256color"}, "utf-8")
    assert terminal.is_ascii_only({"TERM": "xterm-256color"}, "iso-8859-1")
    assert terminal.is_ascii_only({"TERM": "linux"}, "utf-8")
    assert terminal.is_ascii_only({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, "utf-8")
    assert terminal.is_ascii_only({"LANG": "POSIX"}, "utf-8")
    assert not terminal.is_ascii_only({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, "utf-8")


@pytest.mark.parametrize(
    ("value", "light"), [("0;15", True), ("0;default;15", True), ("15;0", False), ("", False)]
)
def test_the_ground(value: str, light: bool) -> None:  # noqa: FBT001 - what is expected
    assert terminal.is_light({"COLORFGBG": value}) is light


def test_zones() -> None:
    assert terminal.local_zone({"TZ": "Europe/Berlin"}) == ZoneInfo("Europe/Berlin")
    assert terminal.local_zone({"TZ": ":Asia/Tokyo"}) == ZoneInfo("Asia/Tokyo")
    fallback = terminal.local_zone({"TZ": "../../etc/passwd"})
    assert isinstance(datetime(2026, 1, 1, tzinfo=UTC).astimezone(fallback).utcoffset(), timedelta)


def test_the_collector_is_calmed() -> None:
    before = gc.get_threshold()
    try:
        gc.disable()
        terminal.calm_collector()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() > before
    finally:
        gc.enable()
        gc.unfreeze()
        gc.set_threshold(*before)
