from __future__ import annotations

from datetime import timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS
from tui.render import units
from wire.limits import TIMESTAMP_MAX


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0.0 s"),
        (820, "0.8 s"),
        (9_999, "10.0 s"),
        (10_200, "10 s"),
        (192_000, "3m12s"),
        (3_840_000, "1h04m"),
        (2 * 86_400_000 + 5 * 3_600_000, "2d05h"),
        (-1_500, "-1.5 s"),
    ],
)
def test_durations(ms: int, text: str) -> None:
    assert units.duration(ms) == text


def test_counts() -> None:
    assert units.number(1_284) == "1,284"
    assert units.plural(1, "line") == "1 line"
    assert units.plural(0, "line") == "0 lines"


def test_clocks() -> None:
    assert units.clock(EPOCH_MS + 61_234) == "12:01:01"
    assert units.clock(EPOCH_MS + 61_234, millis=True) == "12:01:01.234"
    assert units.clock(EPOCH_MS, ZoneInfo("America/New_York")) == "07:00:00"
    assert units.stamp(EPOCH_MS + 7) == "2026-11-23 12:00:00.007"


@given(st.integers(min_value=0, max_value=TIMESTAMP_MAX))
def test_no_timestamp_of_the_wire_is_too_much(ms: int) -> None:
    for zone in (timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))):
        assert units.clock(ms, zone, millis=True)
        assert units.stamp(ms, zone)
        assert units.span(0, ms, zone)


def test_spans() -> None:
    assert units.span(EPOCH_MS, EPOCH_MS + 4_000) == "12:00:00 to 12:00:04"
    assert units.span(EPOCH_MS, EPOCH_MS + 400) == "12:00:00"
    across = units.span(EPOCH_MS, EPOCH_MS + 86_400_000)
    assert across == "2026-11-23 12:00:00 to 2026-11-24 12:00:00"


def test_bars() -> None:
    assert units.bar(0, 8) == units.bar(3, 0) == " "
    assert units.bar(1, 100) == "▁"
    assert units.bar(8, 8) == units.bar(9, 8) == "█"
    assert units.bar(4, 8, ascii_only=True) == "="


def test_sparklines() -> None:
    assert units.sparkline([0, 1, 4, 8], 4) == " ▁▄█"
    assert units.sparkline([5], 4) == "   █"
    assert units.sparkline([0, 0], 3) == "   "
    assert units.sparkline([0, 1, 8], 3, ascii_only=True) == " .@"
    assert units.sparkline(range(100), 10).strip() != ""
