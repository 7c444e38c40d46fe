"""Runs complete scans of a log group, and changes its gaps."""

from __future__ import annotations

from msgspec.structs import replace

from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.scan import ScanKind
from forwarder.records import GapRecord, LogEvent, ScanDone
from tests.support.forwarder.log_events import NOW_MS
from wire.messages import GapState


def run_scan(
    group: LogGroup,
    returned: list[LogEvent],
    now_ms: int,
    from_: int = NOW_MS,
    through: int | None = None,
    kind: ScanKind = "repair",
) -> ScanDone | None:
    """Run a complete scan that returns these events; returns the range that it marks."""
    scan = group.begin_scan(kind, from_, through, now_ms)
    scan.take_page(returned)
    return group.finish_scan(scan, now_ms)


def change_gap(group: LogGroup, gap_id: str, state: GapState) -> GapRecord:
    """Set the state of a declared gap, as scans do, and notify viewers."""
    [gap] = [one for one in group.journal.gaps() if one.id == gap_id]
    return group._gaps._put(replace(gap, state=state))
