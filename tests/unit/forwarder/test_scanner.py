"""One scan through the door: whole, broken off, or given up."""

from __future__ import annotations

import asyncio

import pytest

from forwarder.errors import EventError, Unreachable
from forwarder.records import Row
from forwarder.scanner import CHUNK_EVENTS, Scanner
from forwarder.turns import Priority
from tests.support.feeding import Rig


class Ears:
    """What a scanner says."""

    def __init__(self, rig: Rig) -> None:
        self.progress: list[int] = []
        self.late: list[Row] = []
        self.scanner = Scanner(
            rig.group,
            rig.cloudwatch,
            clock=rig.clock,
            on_progress=lambda: self.progress.append(rig.group.head_seq),
            on_late=self.late.extend,
        )


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_whole_scan_covers_its_range(rig: Rig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", (rig.now_ms - 5_000, "a"), (rig.now_ms - 4_000, "b"))
    count = await ears.scanner.scan(
        "repair", rig.now_ms - 5_000, rig.now_ms - 4_000, priority=Priority.SCAN
    )
    assert count == 2
    assert rig.group.coverage.ranges == [(rig.now_ms - 5_000, rig.now_ms - 4_000)]
    assert ears.progress == [2, 2]  # once for what is new, once for the mark


async def test_a_large_page_goes_in_by_chunks(rig: Rig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", *((rig.now_ms, f"{number}") for number in range(2_500)))
    assert await ears.scanner.scan("live", rig.now_ms, None, priority=Priority.POLL) == 2_500
    assert ears.progress == [CHUNK_EVENTS, 2 * CHUNK_EVENTS, 2_500, 2_500]


async def test_one_that_breaks_off_keeps_what_it_found_and_covers_nothing(rig: Rig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", (rig.now_ms, "a"), (rig.now_ms, "b"))
    rig.cloudwatch.page_events = 1
    rig.cloudwatch.down, rig.cloudwatch.breaks_after = Unreachable("no way"), 1
    with pytest.raises(Unreachable):
        await ears.scanner.scan("live", rig.now_ms, None, priority=Priority.POLL)
    assert rig.messages() == ["a"]
    assert rig.group.coverage.ranges == []


async def test_one_that_nobody_wants_any_more_covers_nothing(rig: Rig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", (rig.now_ms, "a"))
    wanted = [True, False]
    count = await ears.scanner.scan(
        "backfill",
        rig.now_ms,
        rig.now_ms,
        priority=Priority.PAST,
        is_wanted=lambda: wanted.pop(0),
    )
    assert count is None
    assert rig.messages() == ["a"]
    assert rig.group.coverage.ranges == []


async def test_one_that_is_cancelled_covers_nothing(rig: Rig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.gates[Priority.SCAN] = asyncio.Event()
    scan = asyncio.create_task(ears.scanner.scan("repair", 0, rig.now_ms, priority=Priority.SCAN))
    await asyncio.sleep(0)
    scan.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scan
    assert rig.group.coverage.ranges == []


async def test_an_event_without_a_place_is_an_error(rig: Rig) -> None:
    ears = Ears(rig)
    rig.cloudwatch.put("s", (-1, "before time began"))
    with pytest.raises(EventError):
        await ears.scanner.scan("live", -5, None, priority=Priority.POLL)
    assert rig.group.coverage.ranges == []


async def test_late_news_is_told(rig: Rig) -> None:
    ears = Ears(rig)
    await ears.scanner.scan("live", rig.now_ms - 60_000, None, priority=Priority.POLL)
    rig.cloudwatch.put("s", (rig.now_ms - 30_000, "late"))
    await ears.scanner.scan("repair", rig.now_ms - 60_000, rig.now_ms, priority=Priority.SCAN)
    assert [row.message for row in ears.late] == ["late"]
