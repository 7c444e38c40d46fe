"""A moment as the reader types it: ``12:04``, ``-5m``, ``2026-11-23T12:00Z``. Pure.

As in lnav, what is relative counts from the line that is read, and a clock time is of its day.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import Final

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
"""A hundred years: beyond it a number was mistyped."""


class MomentError(ValueError):
    """A text that is no moment; it says which forms there are."""


def parse_moment(text: str, *, near_ms: int, zone: tzinfo) -> int:
    """A moment in ms since the Unix epoch.

    Args:
        text: ``12:04[:31[.5]]``, ``-5m``, ``+1h30m`` (without a sign it is back), ISO 8601.
        near_ms: the time of the line that is read.
        zone: of clock times, and of ISO 8601 without an offset.

    Raises:
        MomentError: none of these forms, or before 1970.

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
        msg = f"{text[:24]!r} is no time: {MOMENT_FORMS}"
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
