"""Formats numbers, durations, times and sparklines for people, and parses a time they type. Pure.

As in lnav, a typed time is relative to the current line: ``-5m`` is before it, ``12:04`` on its
day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_BARS: Final = " ▁▂▃▄▅▆▇█"
_BARS_ASCII: Final = " .:-=+*#@"
_YEAR_MAX_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, which is as far as ``datetime`` goes."""


def number(value: int) -> str:
    """A number with thousands separators: ``1,284``."""
    return f"{value:,}"


def plural(value: int, noun: str) -> str:
    """A number with its noun: ``1 line``, ``1,284 lines``."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def duration(ms: int) -> str:
    """A duration in about six characters: ``0.4 s``, ``12 s``, ``3m12s``, ``2d05h``."""
    if ms < 0:
        return f"-{duration(-ms)}"
    if ms < 10 * SECOND:
        return f"{ms / 1000:.1f} s"
    if ms < MINUTE:
        return f"{ms // 1000} s"
    if ms < HOUR:
        return f"{ms // MINUTE}m{ms % MINUTE // SECOND:02d}s"
    if ms < DAY:
        return f"{ms // HOUR}h{ms % HOUR // MINUTE:02d}m"
    hours = f"{ms % DAY // HOUR:02d}h" if ms < 100 * DAY else ""
    return f"{ms // DAY}d{hours}"


def whole_duration(ms: int) -> str:
    """A duration without tenths of a second, which would flicker."""
    return duration(ms // 1_000 * 1_000).replace(".0 s", " s")


def moment(ms: int, zone: tzinfo = UTC) -> datetime | None:
    """A time in ms since the Unix epoch as a datetime; None beyond the year 9999."""
    if not 0 <= ms <= _YEAR_MAX_MS:
        return None
    try:
        return datetime.fromtimestamp(ms / 1000, zone)
    except (OverflowError, ValueError):  # a zone that shifts it over the edge
        return None


def clock(ms: int, zone: tzinfo = UTC, *, millis: bool = False) -> str:
    """A clock time: ``12:04:31``, ``12:04:31.123``; beyond the year 9999 the ms themselves."""
    text = _second(ms // SECOND, zone)
    if text is None:
        return f"{ms} ms"
    return f"{text}.{ms % SECOND:03d}" if millis else text


@lru_cache(4_096)
def _second(second: int, zone: tzinfo) -> str | None:
    found = moment(second * SECOND, zone)
    return None if found is None else f"{found.hour:02d}:{found.minute:02d}:{found.second:02d}"


def date(ms: int, zone: tzinfo = UTC) -> str:
    """A date: ``2026-11-23``; empty beyond the year 9999."""
    found = moment(ms, zone)
    return "" if found is None else f"{found.year:04d}-{found.month:02d}-{found.day:02d}"


def stamp(ms: int, zone: tzinfo = UTC) -> str:
    """Date and time: ``2026-11-23 12:04:31.123``."""
    return f"{date(ms, zone)} {clock(ms, zone, millis=True)}".lstrip()


def zone_name(zone: tzinfo, at_ms: int) -> str:
    """What people call a zone at a time: ``UTC``, ``CET``; its offset where it has no such name."""
    found = moment(at_ms, zone)
    name = None if found is None else found.tzname()
    return name or "UTC"


def span(from_ms: int, through_ms: int, zone: tzinfo = UTC) -> str:
    """A time range: ``12:01:10 to 12:01:14``, with dates if it spans two days."""
    if date(from_ms, zone) != date(through_ms, zone):
        return f"{stamp(from_ms, zone)[:19]} to {stamp(through_ms, zone)[:19]}"
    low, high = clock(from_ms, zone), clock(through_ms, zone)
    return low if low == high else f"{low} to {high}"


def bar(value: int, top: int, *, ascii_only: bool = False) -> str:
    """One cell of a bar chart, full at ``top`` and blank at 0."""
    bars = _BARS_ASCII if ascii_only else _BARS
    return bars[-(-min(value, top) * (len(bars) - 1) // top)] if value > 0 and top > 0 else " "


def sparkline(values: Sequence[int], cells: int, *, ascii_only: bool = False) -> str:
    """The last ``cells`` values as bars, scaled to the highest; 0 is a blank."""
    shown = list(values)[-cells:]
    top = max(shown, default=0)
    return "".join(bar(value, top, ascii_only=ascii_only) for value in shown).rjust(cells)


MOMENT_FORMS: Final = "12:04, -5m or 2026-11-23T12:00Z"

_UNITS_MS: Final = (86_400_000, 3_600_000, 60_000, 1_000)
_SHIFT: Final = re.compile(
    r"([+-]?)(?=[0-9])(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?",
    re.ASCII,
)
_CLOCK: Final = re.compile(
    r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,3}))?)?", re.ASCII
)
_SHIFT_MS_MAX: Final = 36_600 * 86_400_000
"""A hundred years: a larger number is a typing error."""


class MomentError(ValueError):
    """A text that is not a time; the message names the accepted forms."""


def parse_moment(text: str, *, near_ms: int, zone: tzinfo) -> int:
    """Parse a time that the user typed; ms since the Unix epoch.

    Args:
        text: ``12:04[:31[.5]]``, ``-5m``, ``+1h30m`` (without a sign: back), or ISO 8601.
        near_ms: Time of the current line.
        zone: Zone of clock times, and of ISO 8601 without an offset.

    Raises:
        MomentError: The text has none of these forms, or is before 1970.
    """
    text = text.strip()
    shift, clock = _SHIFT.fullmatch(text), _CLOCK.fullmatch(text)
    try:
        if shift is not None:
            at_ms = near_ms + _shift_ms(shift)
        elif clock is not None:
            at_ms = _clock_ms(clock, near_ms, zone)
        else:
            at = datetime.fromisoformat(text)
            at_ms = _millis(at if at.tzinfo is not None else at.replace(tzinfo=zone))
    except (ValueError, OverflowError) as error:
        if isinstance(error, MomentError):
            raise
        msg = f"{text[:24]!r} is not a time: use {MOMENT_FORMS}"
        raise MomentError(msg) from error
    if at_ms < 0:
        msg = f"{text[:24]!r} is before 1970"
        raise MomentError(msg)
    return at_ms


def _shift_ms(found: re.Match[str]) -> int:
    sign, *numbers = found.groups()
    total = sum(
        int(number) * unit_ms
        for number, unit_ms in zip(numbers, _UNITS_MS, strict=True)
        if number is not None
    )
    if total > _SHIFT_MS_MAX:
        msg = f"{found[0][:24]!r} is more than a hundred years"
        raise MomentError(msg)
    return total if sign == "+" else -total


def _clock_ms(found: re.Match[str], near_ms: int, zone: tzinfo) -> int:
    hour, minute, second = (int(one or 0) for one in found.groups()[:3])
    micros = int((found[4] or "").ljust(6, "0"))
    day = datetime.fromtimestamp(near_ms / 1000, zone)
    return _millis(day.replace(hour=hour, minute=minute, second=second, microsecond=micros))


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)
