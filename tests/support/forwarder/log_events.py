"""Creates log events and epoch names for tests of the forwarder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from forwarder.records import LogEvent

NOW_MS = 1_700_000_000_000
GROUP = "/jobs/nightly"


def event(number: int, timestamp: int = NOW_MS, stream: str = "job/1", **also: object) -> LogEvent:
    """One event whose id is its number; ``also`` may set ``message`` and ``ingestion_time``."""
    message = also.get("message", f"line {number}")
    ingestion_time = also.get("ingestion_time", timestamp + 300)
    assert isinstance(message, str)
    assert ingestion_time is None or isinstance(ingestion_time, int)
    return LogEvent(str(number), timestamp, ingestion_time, stream, message)


def events(
    numbers: Iterable[int], from_ms: int = NOW_MS, step_ms: int = 10, stream: str = "job/1"
) -> list[LogEvent]:
    """One event per number, ``step_ms`` apart."""
    return [
        event(number, from_ms + index * step_ms, stream) for index, number in enumerate(numbers)
    ]


def epochs(name: str = "epoch") -> Iterator[str]:
    """Distinct epoch names."""
    return (f"{name}-{number}" for number in count(1))
