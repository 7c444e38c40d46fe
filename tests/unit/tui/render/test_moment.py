from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS
from tui.render.moment import MomentError, parse_moment

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
def test_what_is_typed(text: str, moment: int) -> None:
    assert parse_moment(text, near_ms=NEAR_MS, zone=UTC) == moment


def test_clock_times_are_those_of_the_zone_that_is_shown() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert parse_moment("13:04", near_ms=NEAR_MS, zone=berlin) == EPOCH_MS + 240_000
    assert parse_moment("2026-11-23T13:00", near_ms=0, zone=berlin) == EPOCH_MS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no time: 12:04, -5m or 2026-11-23T12:00Z"),
        ("yesterday", "'yesterday' is no time"),
        ("25:00", "'25:00' is no time"),
        ("12:4", "'12:4' is no time"),
        ("-5 minutes", "is no time"),
        ("999999999d", "more than a hundred years"),
        ("-90000d", "more than a hundred years"),
        ("1950-01-01T00:00Z", "is before 1970"),
        ("-30000d", "is before 1970"),
    ],
)
def test_what_is_none(text: str, said: str) -> None:
    with pytest.raises(MomentError, match="(?s)" + said):
        parse_moment(text, near_ms=NEAR_MS, zone=UTC)


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_a_mistake_of_one_line(text: str) -> None:
    said = ""
    try:
        moment = parse_moment(text, near_ms=NEAR_MS, zone=UTC)
    except MomentError as error:
        moment, said = None, str(error)
    assert (moment is None) == bool(said)
    assert moment is None or moment >= 0
    assert "\n" not in said
    assert len(said) < 200
