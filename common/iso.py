"""Times as ISO 8601 in UTC, for output that other programs read. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_YEAR_MAX_S: Final = 253_402_300_799
"""The last second of the year 9999, which is as far as ``datetime`` goes."""


def iso(timestamp: int) -> str:
    """``2026-11-23T12:04:31.123Z``; a time in ms beyond the year 9999 as ``+MILLISECONDS``."""
    seconds, millis = divmod(timestamp, 1000)
    if not 0 <= seconds <= _YEAR_MAX_S:
        return f"+{timestamp}"
    return f"{_second(seconds)}.{millis:03d}Z"


def iso_range(from_ms: int, through_ms: int) -> str:
    """Both ends, with two dots between."""
    return f"{iso(from_ms)}..{iso(through_ms)}"


@lru_cache(1024)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
