"""One scan: complete, broken off, or cancelled."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

import pytest

from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.reader import WRONG_FIELDS
from forwarder.errors import ScanInconclusiveError, UnreachableError
from forwarder.reconcile.scanner import CHUNK_EVENTS, GroupSettings, Scanner
from forwarder.records import Row, UnreadableEvent
from tests.support.forwarder.feed_rig import FeedRig


class Ears:
    """What a scanner says."""

    def __init__(self, rig: FeedRig) -> None:
        self.progress: list[int] = []
        self.late: list[Row] = []
        self.scanner = Scanner(
            rig.group,
            rig.cloudwatch,
            GroupSettings(rig.group, rig.cloudwatch, clock=rig.clock, on_progress=rig._progress),
            clock=rig.clock,
            on_progress=lambda: self.progress.append(rig.group.head_seq),
            on_late=self.late.extend,
        )


@pytest.fixture
def rig() -> FeedRig:
    return FeedRig()


async def test_a_complete_scan_covers_its_range(rig: FeedRig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", (rig.now_ms - 5_000, "a"), (rig.now_ms - 4_000, "b"))
    count = await ears.scanner.scan(
        "repair", rig.now_ms - 5_000, rig.now_ms - 4_000, priority=Priority.SCAN
    )
    assert count == 2
    assert rig.group.coverage.ranges == [(rig.now_ms - 5_000, rig.now_ms - 4_000)]
    assert ears.progress == [2, 2]  # once for the new events, once for the mark


async def test_a_large_page_goes_in_by_chunks(rig: FeedRig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", *((rig.now_ms, f"{number}") for number in range(2_500)))
    assert await ears.scanner.scan("live", rig.now_ms, None, priority=Priority.POLL) == 2_500
    assert ears.progress == [CHUNK_EVENTS, 2 * CHUNK_EVENTS, 2_500, 2_500]


async def test_a_scan_that_breaks_off_keeps_its_events_and_covers_nothing(rig: FeedRig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", (rig.now_ms, "a"), (rig.now_ms, "b"))
    rig.cloudwatch.page_events = 1
    rig.cloudwatch.down, rig.cloudwatch.breaks_after = UnreachableError("no way"), 1
    with pytest.raises(UnreachableError):
        await ears.scanner.scan("live", rig.now_ms, None, priority=Priority.POLL)
    assert rig.messages() == ["a"]
    assert rig.group.coverage.ranges == []


async def test_a_scan_that_is_not_needed_any_more_covers_nothing(rig: FeedRig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", (rig.now_ms, "a"))
    wanted = [True, False]
    count = await ears.scanner.scan(
        "backfill",
        rig.now_ms,
        rig.now_ms,
        priority=Priority.BACKFILL,
        is_needed=lambda: wanted.pop(0),
    )
    assert count is None
    assert rig.messages() == ["a"]
    assert rig.group.coverage.ranges == []


async def test_a_cancelled_scan_covers_nothing(rig: FeedRig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.gates[Priority.SCAN] = asyncio.Event()
    scan = asyncio.create_task(ears.scanner.scan("repair", 0, rig.now_ms, priority=Priority.SCAN))
    await asyncio.sleep(0)
    scan.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scan
    assert rig.group.coverage.ranges == []


async def test_an_event_that_the_protocol_cannot_express_leaves_the_rest(
    rig: FeedRig, caplog: pytest.LogCaptureFixture
) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", (rig.now_ms - 9_000, "a"), (1 << 60, "after time has ended"))
    rig.cloudwatch.unreadable = [UnreadableEvent("null", rig.now_ms - 8_000, WRONG_FIELDS)]
    for _ in range(2):
        await ears.scanner.scan("live", rig.now_ms - 10_000, None, priority=Priority.POLL)
    assert rig.messages() == ["a"]
    assert len(rig.group.coverage.ranges) == 1
    assert rig.group.complete_through(rig.now_ms - 10_000) is not None
    found = {(gap.from_ - rig.now_ms, gap.state) for gap in rig.group.journal.gaps()}
    assert found == {(-8_000, "unrecoverable"), (0, "unrecoverable")}
    assert rig.group.counts.unreadable == 4
    assert len([one for one in caplog.records if "can't be shown" in one.message]) == 1


async def test_a_scan_that_was_resumed_by_time_marks_nothing(rig: FeedRig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", (rig.now_ms - 5_000, "a"))
    rig.cloudwatch.restarts = 1
    from_, through = rig.now_ms - 5_000, rig.now_ms - 4_000
    assert await ears.scanner.scan("repair", from_, through, priority=Priority.SCAN) == 1
    assert rig.messages() == ["a"]
    assert rig.group.complete_through(from_) is None
    with pytest.raises(ScanInconclusiveError):
        await ears.scanner.scan("repair", from_, through, priority=Priority.SCAN, must_prove=True)
    rig.cloudwatch.restarts = 0
    await ears.scanner.scan("repair", from_, through, priority=Priority.SCAN, must_prove=True)
    assert rig.group.complete_through(from_) == through


async def test_late_events_are_reported(rig: FeedRig) -> None:
    ears = Ears(rig)
    await ears.scanner.scan("live", rig.now_ms - 60_000, None, priority=Priority.POLL)
    rig.cloudwatch.put("s", (rig.now_ms - 30_000, "late"))
    await ears.scanner.scan("repair", rig.now_ms - 60_000, rig.now_ms, priority=Priority.SCAN)
    assert [row.message for row in ears.late] == ["late"]


def _date(rig: FeedRig, ahead_ms: int) -> None:
    """An answer tells that the clock is so far ahead."""
    date = formatdate((rig.now_ms - ahead_ms) // 1000, usegmt=True)
    at_ms = rig.timer()
    rig.cloudwatch.skew.server.observe(date, asked_at_ms=at_ms, at_ms=at_ms, wall_ms=rig.now_ms)


async def test_a_scan_proves_nothing_of_what_is_still_to_come_for_cloudwatch(rig: FeedRig) -> None:
    scanner = Scanner(
        rig.group,
        rig.cloudwatch,
        GroupSettings(rig.group, rig.cloudwatch, clock=rig.clock, on_progress=rig._progress),
        clock=rig.clock,
        timer=rig.timer,
        on_progress=rig._progress,
        on_late=lambda _: None,
    )
    gate = rig.cloudwatch.gates[Priority.POLL] = asyncio.Event()
    begun_ms = rig.now_ms - 300_000
    scan = asyncio.create_task(scanner.scan("live", begun_ms, None, priority=Priority.POLL))
    await asyncio.sleep(0)
    _date(rig, 60_000)  # the first answer, after the scan has begun
    gate.set()
    await scan
    assert rig.group.coverage.ranges == [(begun_ms, rig.now_ms - 60_000 + 1_000)]
    [mark] = rig.marks()
    assert mark.scanned_at == rig.now_ms - 60_000 + 1_000
    assert mark.through == mark.scanned_at - rig.group.allowance_ms


async def test_a_scan_of_a_time_that_is_still_to_come_proves_nothing_at_all(rig: FeedRig) -> None:
    ears = Ears(rig)
    ears.scanner._timer = rig.timer
    rig.cloudwatch.put("s", (rig.now_ms, "ahead"))
    _date(rig, 60_000)
    assert await ears.scanner.scan("live", rig.now_ms, None, priority=Priority.POLL) == 1
    assert rig.messages() == ["ahead"]
    assert rig.group.coverage.ranges == []
