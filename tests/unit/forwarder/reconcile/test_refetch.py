"""Bodies that retention removed are refetched or declared lost, never confused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest
from msgspec.structs import replace

from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.rate_limit import Turn
from forwarder.cloudwatch.reader import Observer, ReadReport
from forwarder.errors import UnreachableError
from forwarder.ingest.alterations import ALTERED_LOST
from forwarder.ingest.log_group import RECREATED
from forwarder.reconcile.refetch import DELETED, GONE
from forwarder.records import LogEvent
from tests.support.forwarder.fake_cloudwatch import FakeCloudWatch
from tests.support.forwarder.feed_rig import FeedRig
from tests.support.processes.gapless_processes import WAIT_MS
from wire.query import Filter

SECOND = 1_000
PATIENCE_MS = WAIT_MS
"""Time limit of a refetch that must succeed: unlike the clock of a test, it really passes."""


def retired() -> FeedRig:
    """A journal of ten events without bodies, half of them of stream a, half of b."""
    rig = FeedRig()
    for number in range(10):
        rig.cloudwatch.put("ab"[number % 2], (rig.now_ms - 10 + number, f"m{number}"))
    rig.group.ingest(rig.cloudwatch.events, "live")
    assert rig.journal.retire(before=rig.now_ms + SECOND) == 10
    assert rig.messages() == [None] * 10
    return rig


async def refetched(rig: FeedRig, *, timeout_ms: int = PATIENCE_MS) -> bool:
    return await rig.feed.refetch(rig.now_ms - 10, rig.now_ms, rig.now_ms + timeout_ms)


def lost(rig: FeedRig) -> list[tuple[int, int, str]]:
    found = rig.journal.lost(0, rig.now_ms + SECOND, Filter())
    return [(one.from_ - rig.now_ms, one.through - rig.now_ms, one.reason) for one in found]


async def test_bodies_come_back() -> None:
    rig = retired()
    assert await refetched(rig)
    assert rig.messages() == [f"m{number}" for number in range(10)]
    assert lost(rig) == []


async def test_a_range_with_all_its_bodies_needs_no_scan() -> None:
    rig = FeedRig()
    assert await refetched(rig)
    assert rig.cloudwatch.asked == []


async def test_only_what_is_asked_for_is_fetched() -> None:
    rig = retired()
    assert await rig.feed.refetch(rig.now_ms - 8, rig.now_ms - 7, rig.now_ms + PATIENCE_MS)
    assert rig.messages() == [None, None, "m2", "m3", *[None] * 6]


async def test_events_of_a_deleted_stream_are_lost() -> None:
    rig = retired()
    rig.cloudwatch.delete_stream("a")
    assert await refetched(rig)
    assert [one for one in rig.messages() if one] == ["m1", "m3", "m5", "m7", "m9"]
    assert {reason for _, _, reason in lost(rig)} == {DELETED}
    scan = rig.group.begin_scan("repair", 0, rig.now_ms, rig.now_ms)
    scan.take_page(rig.cloudwatch.events)
    assert rig.group.finish_scan(scan, rig.now_ms) is not None  # [8]: it is excused


async def test_events_missing_for_another_reason_are_lost_too() -> None:
    rig = retired()
    rig.cloudwatch.events = rig.cloudwatch.events[3:]
    assert await refetched(rig)
    assert lost(rig) == [(-10, -8, GONE)]


async def test_lost_bodies_are_declared_once_and_may_be_found_again() -> None:
    rig = retired()
    gone = rig.cloudwatch.events[:3]
    del rig.cloudwatch.events[:3]
    assert await refetched(rig)
    asked = len(rig.cloudwatch.asked)
    assert await refetched(rig)
    assert len(rig.cloudwatch.asked) == asked
    rig.cloudwatch.events[:0] = gone
    scan = rig.group.begin_scan("repair", 0, None, rig.now_ms)
    scan.take_page(rig.cloudwatch.events)
    assert lost(rig) == []


async def test_without_cloudwatch_nothing_is_declared_lost() -> None:
    rig = retired()
    rig.cloudwatch.down = UnreachableError("no way")
    assert not await refetched(rig)
    assert lost(rig) == []
    rig.cloudwatch.down = None
    assert await refetched(rig)
    assert rig.messages() == [f"m{number}" for number in range(10)]


async def test_a_scan_that_breaks_off_declares_nothing_lost() -> None:
    rig = retired()
    rig.cloudwatch.page_events = 4
    rig.cloudwatch.down, rig.cloudwatch.breaks_after = UnreachableError("no way"), 1
    assert not await refetched(rig)
    assert rig.messages() == ["m0", "m1", "m2", "m3", *[None] * 6]
    assert lost(rig) == []


async def test_a_timeout_is_reported() -> None:
    rig = retired()
    gate = rig.cloudwatch.gates[Priority.SCAN] = asyncio.Event()
    assert not await refetched(rig, timeout_ms=20)
    assert lost(rig) == []
    gate.set()
    assert await refetched(rig)


class EndsEarly(FakeCloudWatch):
    """As moto where a stream is deleted during a scan: the next token gives an empty end."""

    def __init__(self, rig: FeedRig, scans: int) -> None:
        super().__init__(rig.cloudwatch.group, rig.clock)
        self.events = rig.cloudwatch.events
        self.streams = rig.cloudwatch.streams
        self._scans = scans

    async def fetch_logs_since_timestamp(
        self,
        group: str,
        since: int,
        until: int | None = None,
        streams: Sequence[str] | str | None = None,
        *,
        pattern: str = "",
        priority: Priority = Priority.SCAN,
        turn: Turn | None = None,
        observer: Observer | None = None,
        report: ReadReport | None = None,
    ) -> AsyncGenerator[list[LogEvent], None]:
        self._scans -= 1
        async for page in super().fetch_logs_since_timestamp(
            group,
            since,
            until,
            streams,
            pattern=pattern,
            priority=priority,
            turn=turn,
            observer=observer,
            report=report,
        ):
            yield page[:2] if self._scans >= 0 else page
            if self._scans >= 0:
                return


async def test_one_scan_that_ends_early_does_not_make_anything_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = retired()
    early = EndsEarly(rig, 1)
    monkeypatch.setattr(
        rig.cloudwatch, "fetch_logs_since_timestamp", early.fetch_logs_since_timestamp
    )
    assert await refetched(rig)
    assert rig.messages() == [f"m{number}" for number in range(10)]
    assert lost(rig) == []


async def test_a_group_recreated_meanwhile_has_nothing_to_refetch() -> None:
    rig = retired()
    rig.cloudwatch.events = [
        LogEvent(one.id, one.timestamp + 1, one.ingestion_time, one.stream, "another group")
        for one in rig.cloudwatch.events
    ]
    epoch = rig.group.epoch

    def recreate(page: list[LogEvent]) -> list[LogEvent]:
        if rig.group.epoch == epoch:
            rig.group.begin_chain(RECREATED)
        return page

    rig.cloudwatch.alter = recreate
    assert await refetched(rig)
    assert rig.group.epoch != epoch
    assert lost(rig) == []
    assert None not in rig.messages()


async def test_a_body_with_another_text_is_lost_not_shown_as_the_first() -> None:
    rig = retired()
    first = rig.cloudwatch.events[3]
    rig.cloudwatch.events[3] = replace(first, message="****")
    assert await refetched(rig)
    assert rig.messages() == [f"m{number}" if number != 3 else None for number in range(10)]
    assert lost(rig) == [(-7, -7, ALTERED_LOST)]
    rig.cloudwatch.events[3] = first
    await rig.feed._scanner.scan("repair", rig.now_ms - 10, rig.now_ms, priority=Priority.SCAN)
    assert rig.messages()[3] == "m3"


async def test_inconsistent_answers_make_nothing_lost() -> None:
    rig = retired()
    original = rig.cloudwatch.events
    rig.cloudwatch.events = [
        LogEvent(one.id, one.timestamp + 1, one.ingestion_time, one.stream, "another text")
        for one in original
    ]
    assert not await refetched(rig)
    assert lost(rig) == []
    assert rig.messages() == [None] * 10
    rig.cloudwatch.events = original
    assert await refetched(rig)
    assert rig.messages() == [f"m{number}" for number in range(10)]


async def test_a_resumed_scan_makes_nothing_lost() -> None:
    rig = retired()
    rig.cloudwatch.restarts = 1
    rig.cloudwatch.alter = lambda page: page[5:]
    assert not await refetched(rig)
    assert lost(rig) == []
