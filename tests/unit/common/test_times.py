from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.times import (
    TimeFormatError,
    format_local,
    iso,
    iso_range,
    iso_second,
    local_zone,
    parse_duration,
    parse_time,
    parse_zone,
)

NOW_MS = 1_795_435_200_000
"""2026-11-23T12:00:00Z."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90_000),
        ("10m", 600_000),
        ("2h", 7_200_000),
        ("3d", 259_200_000),
        ("2d1h20m", 177_600_000),
        ("1w", 604_800_000),
        ("1w1d", 691_200_000),
        ("0s", 0),
        (" 5m ", 300_000),
    ],
)
def test_durations(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "10", "m", "1h2d", "1m1m", "-5m", "1.5h", "\N{ARABIC-INDIC DIGIT ONE}m", "5 m", "9" * 30],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(TimeFormatError, match="is not a duration"):
        parse_duration(text)


def test_a_duration_of_centuries_is_refused() -> None:
    with pytest.raises(TimeFormatError, match="hundred years"):
        parse_duration("99999d")


@given(st.integers(0, 36_500 * 86_400))
def test_a_formatted_duration_is_parsed_to_the_same_value(seconds: int) -> None:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = zip((*divmod(hours, 24), minutes, rest), "dhms", strict=True)
    text = "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
    assert parse_duration(text) == seconds * 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", NOW_MS - 600_000),
        ("12:00", NOW_MS),
        ("11:59:30", NOW_MS - 30_000),
        ("12:01", NOW_MS + 60_000 - 86_400_000),
        ("2026-11-23T12:00Z", NOW_MS),
        ("2026-11-23T12:00:00.250+00:00", NOW_MS + 250),
        ("2026-11-23T14:00+02:00", NOW_MS),
        ("2026-11-23T12:00", NOW_MS),
        ("2026-11-23", NOW_MS - 12 * 3_600_000),
        ("-5m", NOW_MS - 300_000),
        ("10m ago", NOW_MS - 600_000),
        ("1w", NOW_MS - 7 * 86_400_000),
        ("2 days ago", NOW_MS - 2 * 86_400_000),
        ("2 Days", NOW_MS - 2 * 86_400_000),
        ("an hour ago", NOW_MS - 3_600_000),
        ("a minute ago", NOW_MS - 60_000),
        ("15min", NOW_MS - 15 * 60_000),
        ("30 secs ago", NOW_MS - 30_000),
        ("2 hrs", NOW_MS - 2 * 3_600_000),
        ("today", NOW_MS - 12 * 3_600_000),
        ("Yesterday", NOW_MS - 36 * 3_600_000),
        (str(NOW_MS), NOW_MS),
        (str(NOW_MS // 1000), NOW_MS),
        (f"{NOW_MS // 1000}.250", NOW_MS + 250),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert parse_time(text, NOW_MS, UTC) == expected


def test_days_begin_at_midnight_of_the_zone() -> None:
    east = timezone(timedelta(hours=13))
    assert parse_time("today", NOW_MS, east) == NOW_MS - 3_600_000
    assert parse_time("yesterday", NOW_MS, east) == NOW_MS - 25 * 3_600_000


def test_a_time_without_offset_is_in_the_zone() -> None:
    east = timezone(timedelta(hours=2))
    assert parse_time("2026-11-23T14:00", NOW_MS, east) == NOW_MS
    assert parse_time("14:00", NOW_MS, east) == NOW_MS


def test_without_a_zone_it_is_the_machine_s_own() -> None:
    local = datetime.fromtimestamp(NOW_MS / 1000).isoformat()  # noqa: DTZ006 - that is the point
    assert parse_time(local, NOW_MS) == NOW_MS


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "25:00", "12:60", "2026-13-01", "12:0", "600", "--5m", "2 months ago", "a",
     "ago", "1 2", "17954352000000", "1795435200x", "-yesterday", "2 mr ago"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(TimeFormatError, match="is not a time"):
        parse_time(text, NOW_MS, UTC)


def test_times_before_1970_are_refused() -> None:
    with pytest.raises(TimeFormatError, match="before 1970"):
        parse_time("1969-12-31T00:00Z", NOW_MS, UTC)
    with pytest.raises(TimeFormatError, match="before 1970"):
        parse_time("36000d", NOW_MS, UTC)


def test_times_are_written_as_iso_8601_in_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_795_434_271_123) == "2026-11-23T11:44:31.123Z"
    assert iso(253_402_300_799_999) == "9999-12-31T23:59:59.999Z"
    assert iso(253_402_300_800_000) == "+253402300800000"
    assert iso_range(0, 1) == "1970-01-01T00:00:00.000Z..1970-01-01T00:00:00.001Z"


def test_local_times() -> None:
    assert format_local(None) == "-"
    assert format_local(1_795_435_200_999, UTC) == "2026-11-23 12:00:00"


def test_the_machines_zone() -> None:
    assert local_zone({"TZ": "Europe/Berlin"}) == ZoneInfo("Europe/Berlin")
    assert local_zone({"TZ": ":Asia/Tokyo"}) == ZoneInfo("Asia/Tokyo")
    fallback = local_zone({"TZ": "../../etc/passwd"})
    assert isinstance(datetime(2026, 1, 1, tzinfo=UTC).astimezone(fallback).utcoffset(), timedelta)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("utc", UTC),
        ("UTC", UTC),
        ("Etc/UTC", UTC),
        (" Europe/Berlin ", ZoneInfo("Europe/Berlin")),
        ("America/Argentina/Buenos_Aires", ZoneInfo("America/Argentina/Buenos_Aires")),
        ("local", ZoneInfo("Asia/Tokyo")),
    ],
)
def test_zones(text: str, zone: tzinfo) -> None:
    assert parse_zone(text, {"TZ": "Asia/Tokyo"}) == zone


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Europe/Berln", "'Europe/Berln' is no time zone: did you mean Europe/Berlin"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("america/new york", "did you mean America/New_York"),
        ("../etc/passwd", "write utc, local or Area/City"),
        ("", "write utc, local or Area/City"),
        ("\0", "write utc, local or Area/City"),
        ("Europe", "is no time zone"),
    ],
)
def test_a_misspelt_zone(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_zone(text)


def test_without_a_database_of_zones_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    with pytest.raises(ValueError, match="install its package tzdata, or use utc"):
        parse_zone("Europe/Nowhere")


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (UTC, "2026-11-23T11:44:31.123Z"),
        (ZoneInfo("Europe/Berlin"), "2026-11-23T12:44:31.123+01:00"),
        (ZoneInfo("America/St_Johns"), "2026-11-23T08:14:31.123-03:30"),
    ],
)
def test_times_in_a_zone(zone: tzinfo, text: str) -> None:
    assert iso(1_795_434_271_123, zone) == text
    assert iso_second(1_795_434_271_123, zone) == text[:19]


def test_a_time_that_a_zone_cannot_show() -> None:
    assert iso(253_402_300_799_000, ZoneInfo("Asia/Tokyo")).startswith("9999-12-31T23:59:59")
    assert iso(253_402_300_800_000, ZoneInfo("Asia/Tokyo")) == "+253402300800000"
    assert iso_second(253_402_300_800_000) == "+253402300800000"
