from __future__ import annotations

from datetime import UTC, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS
from tui.render import units
from tui.render.units import MomentError, parse_moment
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
def test_every_timestamp_of_the_wire_can_be_formatted(ms: int) -> None:
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


NEAR_MS = EPOCH_MS + 31_250
"""2026-11-23 12:00:31.250 UTC."""


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("12:04", EPOCH_MS + 240_000),
        (" 12:04:05 ", EPOCH_MS + 245_000),
        ("12:04:05.5", EPOCH_MS + 245_500),
        ("12:04:05,123", EPOCH_MS + 245_123),
        ("0:00", EPOCH_MS - 12 * 3_600_000),
        ("-5m", NEAR_MS - 300_000),
        ("5m", NEAR_MS - 300_000),
        ("+1h30m", NEAR_MS + 5_400_000),
        ("-2d1h20m5s", NEAR_MS - 2 * 86_400_000 - 4_805_000),
        ("2026-11-23T12:00Z", EPOCH_MS),
        ("2026-11-23T14:00:00.250+02:00", EPOCH_MS + 250),
        ("2026-11-23 12:00", EPOCH_MS),
        ("2026-11-22", EPOCH_MS - 36 * 3_600_000),
    ],
)
def test_typed_search_texts(text: str, moment: int) -> None:
    assert parse_moment(text, near_ms=NEAR_MS, zone=UTC) == moment


def test_clock_times_are_those_of_the_zone_that_is_shown() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert parse_moment("13:04", near_ms=NEAR_MS, zone=berlin) == EPOCH_MS + 240_000
    assert parse_moment("2026-11-23T13:00", near_ms=0, zone=berlin) == EPOCH_MS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a time: use 12:04, -5m or 2026-11-23T12:00Z"),
        ("yesterday", "'yesterday' is not a time"),
        ("25:00", "'25:00' is not a time"),
        ("12:4", "'12:4' is not a time"),
        ("-5 minutes", "is not a time"),
        ("999999999d", "more than a hundred years"),
        ("-90000d", "more than a hundred years"),
        ("1950-01-01T00:00Z", "is before 1970"),
        ("-30000d", "is before 1970"),
    ],
)
def test_texts_that_are_not_times(text: str, said: str) -> None:
    with pytest.raises(MomentError, match="(?s)" + said):
        parse_moment(text, near_ms=NEAR_MS, zone=UTC)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_one_line_error(text: str) -> None:
    said = ""
    try:
        moment = parse_moment(text, near_ms=NEAR_MS, zone=UTC)
    except MomentError as error:
        moment, said = None, str(error)
    assert (moment is None) == bool(said)
    assert moment is None or moment >= 0
    assert "\n" not in said
    assert len(said) < 200
