"""Whole scans of a log group, for tests of what they prove."""

from __future__ import annotations

from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.scan import ScanKind
from forwarder.records import LogEvent, ScanDone
from tests.support.log_events import NOW_MS


def scanned(
    group: LogGroup,
    returned: list[LogEvent],
    now_ms: int,
    from_: int = NOW_MS,
    through: int | None = None,
    kind: ScanKind = "repair",
) -> ScanDone | None:
    """A scan that returned these events and no more, and what it proves."""
    scan = group.begin_scan(kind, from_, through, now_ms)
    scan.page(returned)
    return group.finish_scan(scan, now_ms)
