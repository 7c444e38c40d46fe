"""Durations (``90s 10m 2h 3d 1w 2d1h20m``) and times: parsing and formatting.

Times are ms since the Unix epoch. Pure: the present is an argument; only the time zones are the
machine's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final

from common.text import NOTHING

_UNITS_MS: Final[dict[str, int]] = {
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
}
_DURATION: Final = re.compile(
    r"(?=[0-9])(?:([0-9]{1,9})w)?(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?"
    r"(?:([0-9]{1,9})s)?",
    re.ASCII,
)
_AGO: Final = re.compile(
    r"([0-9]{1,9}|an?) *(weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)"
    r"(?: ago)?",
    re.ASCII,
)
"""As in ``2 days ago``, ``an hour ago``, ``15min ago``."""
_EPOCH: Final = re.compile(r"[0-9]{9,13}(?:\.[0-9]{1,9})?", re.ASCII)
"""Seconds since the epoch (from 1973 on, with a fraction if need be), or milliseconds."""
_EPOCH_S_MAX: Final = 100_000_000_000
"""A larger number is milliseconds: as seconds it would be after the year 5000."""
_DAYS: Final = {"today": 0, "yesterday": 1}
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)
_DURATION_MS_MAX: Final = 36_600 * 86_400_000
"""A hundred years: a larger number was mistyped."""

DURATION_FORMS: Final = "90s, 10m, 2h, 3d, 1w or 2d1h20m"
TIME_FORMS: Final = (
    f"{DURATION_FORMS} (ago), '2 days ago', yesterday, 12:04, ISO 8601 as 2026-11-23T12:04Z, or "
    "seconds or milliseconds since 1970"
)


class TimeFormatError(ValueError):
    """The text is not a duration or time; the message lists the accepted forms."""


def parse_duration(text: str) -> int:
    """Parse a duration; return ms.

    Raises:
        TimeFormatError: not of the form ``90s 10m 2h 3d 1w 2d1h20m``.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        msg = f"{text[:40]!r} is not a duration: write {DURATION_FORMS}"
        raise TimeFormatError(msg)
    total = sum(
        int(number) * unit_ms
        for number, unit_ms in zip(found.groups(), _UNITS_MS.values(), strict=True)
        if number is not None
    )
    if total > _DURATION_MS_MAX:
        msg = f"{text[:40]!r} is longer than a hundred years"
        raise TimeFormatError(msg)
    return total


def parse_time(text: str, now_ms: int, zone: tzinfo | None = None) -> int:
    """Parse a time; return ms since the Unix epoch.

    A duration is counted back from ``now_ms``, with or without a minus sign or ``ago``; ``today``
    and ``yesterday`` begin at midnight; ``12:04`` is the latest such time that is not in the
    future; ISO 8601 without an offset is in ``zone`` (None: the machine's).

    Raises:
        TimeFormatError: none of these forms, or before 1970.
    """
    text = text.strip()
    back_ms = _time_back(text)
    if back_ms is not None:
        return _checked(now_ms - back_ms, text)
    if _EPOCH.fullmatch(text) is not None:
        number = float(text)
        return round(number * 1000) if number < _EPOCH_S_MAX else int(number)
    clock = _CLOCK.fullmatch(text)
    try:
        if clock is not None:
            return _checked(_clock_time(clock, now_ms, zone), text)
        if text.lower() in _DAYS:
            return _checked(_midnight(now_ms, _DAYS[text.lower()], zone), text)
        return _checked(_millis(datetime.fromisoformat(text), zone), text)
    except (ValueError, OverflowError) as error:
        if isinstance(error, TimeFormatError):
            raise
        msg = f"{text[:40]!r} is not a time: write {TIME_FORMS}"
        raise TimeFormatError(msg) from error


UTC_NAMES: Final = ("utc", "z", "gmt", "etc/utc")
LOCAL: Final = "local"
_SIMILAR_NAMES: Final = 3
_ZONE_CHARS_MAX: Final = 80


def parse_zone(text: str, environ: Mapping[str, str] = os.environ) -> tzinfo:
    """Return the time zone that ``utc``, ``local`` or ``Area/City`` names.

    The zones are those of the system's database. Python's own, the package tzdata, is only needed
    on Windows, where gapless does not run: it needs a POSIX terminal. A container may lack the
    database, and then the error names the package.

    Raises:
        ValueError: There is no such zone; the message has similar names.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - seldom needed

    name = text.strip()
    if name.lower() in UTC_NAMES:
        return UTC
    if name.lower() == LOCAL:
        return local_zone(environ)
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        msg = f"{text[:_ZONE_CHARS_MAX]!r} is no time zone: {_zone_hint(name)}"
        raise ValueError(msg) from None


def _zone_hint(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - for an error alone
    from zoneinfo import available_timezones  # noqa: PLC0415 - likewise

    known = sorted(available_timezones())
    if not known:
        return "this system has no database of zones; install its package tzdata, or use utc"
    wanted = name.replace(" ", "_").casefold()
    names = {one.casefold(): one for one in known}
    cities = {one.casefold().rpartition("/")[2]: one for one in known if "/" in one}
    found = [names[one] for one in get_close_matches(wanted, names, _SIMILAR_NAMES, 0.8)]
    found += [cities[one] for one in get_close_matches(wanted, cities, _SIMILAR_NAMES, 0.8)]
    similar = " or ".join(list(dict.fromkeys(found))[:_SIMILAR_NAMES])
    return f"did you mean {similar}?" if similar else "write utc, local or Area/City"


def local_zone(environ: Mapping[str, str] = os.environ) -> tzinfo:
    """The machine's time zone, by name if that can be found, so that it knows summer time."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - seldom needed

    name = environ.get("TZ", "").lstrip(":")
    if not name:
        target = str(Path("/etc/localtime").resolve())
        name = target.partition("/zoneinfo/")[2]
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return datetime.now(UTC).astimezone().tzinfo or UTC


def _time_back(text: str) -> int | None:
    """How far a text goes back, ms: ``10m``, ``-10m``, ``2 days ago``; None: another form."""
    text = text.removeprefix("-").lower()
    if _DURATION.fullmatch(text.removesuffix(" ago")) is not None:
        return parse_duration(text.removesuffix(" ago"))
    found = _AGO.fullmatch(text)
    if found is None:
        return None
    number = 1 if found[1].startswith("a") else int(found[1])
    return parse_duration(f"{number}{found[2][0]}")


def _midnight(now_ms: int, days_back: int, zone: tzinfo | None) -> int:
    day = datetime.fromtimestamp(now_ms / 1000, zone) - timedelta(days=days_back)
    return _millis(day.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None), zone)


def _clock_time(clock: re.Match[str], now_ms: int, zone: tzinfo | None) -> int:
    hour, minute, second = (int(one or 0) for one in clock.groups())
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    at = now.replace(hour=hour, minute=minute, second=second, microsecond=0, tzinfo=None)
    at_ms = _millis(at, zone)
    return at_ms if at_ms <= now_ms else _millis(at - timedelta(days=1), zone)


def _millis(moment: datetime, zone: tzinfo | None) -> int:
    if moment.tzinfo is None and zone is not None:
        moment = moment.replace(tzinfo=zone)
    return round(moment.timestamp() * 1000)


def _checked(moment_ms: int, text: str) -> int:
    if moment_ms < 0:
        msg = f"{text[:40]!r} is before 1970"
        raise TimeFormatError(msg)
    return moment_ms


_YEAR_MAX_S: Final = 253_402_300_799
"""The last second of the year 9999, the last that ``datetime`` can represent."""


def iso(timestamp: int, zone: tzinfo = UTC) -> str:
    """Format as ``2026-11-23T12:04:31.123Z``; beyond the year 9999 as ``+MILLISECONDS``.

    In another zone than UTC, its offset stands in place of the Z.
    """
    seconds, millis = divmod(timestamp, 1000)
    if not 0 <= seconds <= _YEAR_MAX_S:
        return f"+{timestamp}"
    if zone is UTC:
        return f"{_second(seconds)}.{millis:03d}Z"
    text = _second_in(seconds, zone)
    return f"{text[:_SECOND_CHARS]}.{millis:03d}{text[_SECOND_CHARS:]}"


def iso_second(timestamp: int, zone: tzinfo = UTC) -> str:
    """Format as ``2026-11-23T12:04:31``, the time of a zone without its offset."""
    seconds = timestamp // 1000
    if not 0 <= seconds <= _YEAR_MAX_S:
        return f"+{timestamp}"
    return _second(seconds) if zone is UTC else _second_in(seconds, zone)[:_SECOND_CHARS]


def format_local(time_ms: int | None, zone: tzinfo | None = None) -> str:
    """Format to the second in ``zone`` (None: the machine's): ``2026-11-23 12:04:31``."""
    if time_ms is None:
        return NOTHING
    at = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
    return at.strftime("%Y-%m-%d %H:%M:%S")


def iso_range(from_ms: int, through_ms: int) -> str:
    """Format a range as its two ends with two dots between."""
    return f"{iso(from_ms)}..{iso(through_ms)}"


_SECOND_CHARS: Final = len("2026-11-23T12:04:31")


@lru_cache(1024)
def _second_in(seconds: int, zone: tzinfo) -> str:
    try:
        return datetime.fromtimestamp(seconds, zone).isoformat(timespec="seconds")
    except (OverflowError, ValueError):  # the zone shifts it beyond the year 9999
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


@lru_cache(1024)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
