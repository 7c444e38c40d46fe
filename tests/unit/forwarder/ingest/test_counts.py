from __future__ import annotations

from forwarder.ingest.log_group import GroupCounts
from tests.support.forwarder.session_client import NOW, event, log_group, scan


def test_scans_are_counted_by_how_they_ended() -> None:
    counts = GroupCounts()
    counts.add_scan("live", 0.5, is_whole=True)
    counts.add_scan("live", 0.25, is_whole=False)
    assert counts.scans == {("live", True): 1, ("live", False): 1}
    assert counts.scan_s == {"live": 0.75}


def test_events_are_counted_by_origin_and_novelty() -> None:
    group = log_group()
    scan(group, 0, NOW, [event(1, 5), event(2, 6)], at=NOW + 60_000)
    assert group.counts.events == {"live": 2}
    scan(group, 0, NOW, [event(1, 5), event(2, 6), event(3, 7)], at=NOW + 60_000, kind="repair")
    assert group.counts.events == {"live": 2, "repair": 1}
    assert group.counts.duplicates == 2
    assert group.counts.late == 1
    group.ingest([event(4, NOW * 2)], "backfill")
    assert group.counts.events["backfill"] == 1
