"""A wall clock that is set while a log group is being read."""

from __future__ import annotations

import pytest

from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.records import LiveSource
from tests.support.forwarder.feed_rig import GROUP, FeedRig
from tests.support.forwarder.log_events import NOW_MS, event
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.scans import run_scan

HOUR = 3_600_000
OURS = LiveSource("1", ("all",))


@pytest.mark.parametrize("by_ms", [HOUR, -HOUR])
async def test_rows_of_the_live_path_that_are_not_visible_yet_are_no_phantoms_by_it(
    by_ms: int,
) -> None:
    rig = FeedRig()
    async with rig.run():
        epoch = rig.group.epoch
        row = event(77, rig.now_ms, ingestion_time=None)
        taken = rig.group.ingest([row], "live")
        rig.group.agreement._sources.clear()
        rig.group.agreement.add_hints(OURS, [], rig.now_ms)
        rig.group.agreement.add_rows(OURS, [row], taken.head_seq, rig.now_ms, None)
        await rig.pass_ms(1_000)
        rig.set_clock(by_ms)
        await rig.pass_ms(1_000)
        await rig.pass_ms(1_000)
        assert rig.group.epoch == epoch
        rig.set_clock(-by_ms)
        rig.cloudwatch.events.append(row)
        await rig.pass_ms(10_000)
        assert rig.group.agreement.returned_count == 1


def test_two_scans_are_not_apart_by_it() -> None:
    group = LogGroup(MemoryJournal(GROUP), lifecycle=Lifecycle.pattern("the end"))
    end = event(1, message="the end")
    run_scan(group, [end], NOW_MS + 10_000)
    run_scan(group, [end], NOW_MS + 10_500)
    group.shift_clock(HOUR, NOW_MS + HOUR + 11_000)
    run_scan(group, [end], NOW_MS + HOUR + 11_000)
    assert group.executions.end_of("1") is None
    run_scan(group, [end], NOW_MS + HOUR + 14_000)
    assert group.executions.end_of("1") is not None
