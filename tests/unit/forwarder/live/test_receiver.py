"""Storing a live path's events, and proving or refuting them by scans."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

import pytest

from forwarder.cluster.log import Fenced
from forwarder.config import ALLOWANCE_MS
from forwarder.errors import JournalError, JournalFullError
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.live_check import CHANCE_MS, OTHER_IDS, PHANTOM_MS, SETTLING_MS, SUSPECT_MS
from forwarder.ingest.log_group import UNLIKE_SCANS, LogGroup
from forwarder.live.decoding import LiveBatch
from forwarder.live.receiver import (
    HINT_EVERY_MS,
    RELIED_POLL_MS,
    ROW_AGE_MAX_MS,
    ROW_AHEAD_MAX_MS,
    LiveReceiver,
    LiveState,
)
from forwarder.records import (
    ExecutionEnd,
    GapRecord,
    KnownRow,
    LiveSource,
    LogEvent,
    Reset,
    ScanDone,
)
from tests.support.forwarder.fake_cloudwatch import Clock
from tests.support.forwarder.log_events import GROUP, NOW_MS, event
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.scans import run_scan
from wire.messages import Origin

OURS = LiveSource("1", ("f",))


def live(one: LogEvent) -> LogEvent:
    """As the live path has it."""
    return LogEvent(one.id, one.timestamp, None, one.stream, one.message)


class Rig:
    """A log group with an receiver that is read and, from ``agree`` on, relied on."""

    def __init__(self, journal: MemoryJournal | None = None) -> None:
        self.clock = Clock(NOW_MS)
        self.group = LogGroup(
            journal or MemoryJournal(GROUP), lifecycle=Lifecycle.pattern("DONE (?P<SUCCEEDED>ok)")
        )
        self.hints = 0
        self.paces: list[int | None] = []
        self.delays: list[int] = []
        self.receiver = LiveReceiver(self.group, self, clock=self.clock, on_progress=lambda: None)
        self.receiver.attach("kinesis:s")
        self.receiver.note_read(0)

    # PollControl

    def poll_now(self) -> None:
        self.hints += 1

    def set_poll_interval(self, poll_ms: int | None) -> None:
        self.paces.append(poll_ms)

    def report_live_delay(self, delay_ms: int) -> None:
        self.delays.append(delay_ms)

    # What a test does

    def state(self) -> LiveState:
        return self.receiver.status.state

    async def take(self, *events: LogEvent, source: LiveSource = OURS) -> None:
        arrived_ms = self.clock()
        brought = [live(one) for one in events]
        await self.receiver.receive(LiveBatch(GROUP, source, brought, arrived_ms=arrived_ms))

    def poll(self, *returned: LogEvent) -> ScanDone | None:
        return run_scan(self.group, list(returned), self.clock(), NOW_MS - 5_000, kind="live")

    async def agree(self) -> list[LogEvent]:
        """Three events come both ways; the live path is relied on from then on."""
        first = [event(number, NOW_MS) for number in (1, 2, 3)]
        await self.take(*first)
        self.poll(*first)
        self.clock.now_ms += SETTLING_MS
        self.receiver.note_read(0)
        return first

    def rows(self) -> dict[str, str]:
        return {row.id: row.origin for row in self.group.journal.read_after(0, 999)}


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_records_are_hints_until_ids_are_known_to_be_the_same(rig: Rig) -> None:
    assert rig.state() == "hints"
    await rig.take(event(1))
    assert rig.rows() == {}
    assert rig.hints >= 1
    first = await rig.agree()
    assert rig.state() == "live"
    assert rig.paces[-1] == RELIED_POLL_MS
    at = rig.clock()
    await rig.take(*first, event(4, at), event(4, at), event(5, at))
    assert list(rig.rows()) == ["1", "2", "3", "4", "5"]
    assert rig.rows()["5"] == "live"
    assert rig.receiver.counts.rows == 2


@pytest.mark.parametrize(
    "failure", [JournalFullError("no room"), Fenced("another forwarder has taken over")]
)
async def test_an_event_that_can_not_be_stored_is_left_to_a_poll(failure: JournalError) -> None:
    class Journal(MemoryJournal):
        is_broken = False

        def append(self, events: Sequence[LogEvent], origin: Origin) -> int:
            if self.is_broken:
                raise failure
            return super().append(events, origin)

    journal = Journal(GROUP)
    rig = Rig(journal)
    await rig.agree()
    rig.clock.now_ms += HINT_EVERY_MS
    journal.is_broken, hints = True, rig.hints
    # The path is that of other log groups too; the feed's own poll meets the error.
    await rig.take(event(4, rig.clock()))
    assert rig.hints == hints + 1
    assert "4" not in rig.rows()
    journal.is_broken = False
    rig.poll(event(4, rig.clock()))
    assert "4" in rig.rows()


async def test_a_record_that_is_received_as_its_log_group_is_removed_needs_no_journal() -> None:
    class Journal(MemoryJournal):
        is_closed = False

        def find(self, ids: Collection[str]) -> dict[str, KnownRow]:
            if self.is_closed:
                msg = "it is closed"
                raise JournalError(msg)
            return super().find(ids)

    journal = Journal(GROUP)
    rig = Rig(journal)
    await rig.agree()
    # Its messages are matched in a thread.
    receiving = asyncio.create_task(rig.take(event(4, rig.clock())))
    await asyncio.sleep(0)
    rig.receiver.end()
    journal.is_closed = True
    await receiving
    journal.is_closed = False
    assert sorted(rig.rows()) == ["1", "2", "3"]


async def test_thousands_of_hints_cause_few_polls(rig: Rig) -> None:
    before = rig.hints
    for number in range(100):
        await rig.take(event(number + 1))
    assert rig.hints <= before + 1
    rig.clock.now_ms += HINT_EVERY_MS
    await rig.take(event(200))
    assert rig.hints <= before + 2


async def test_events_with_other_ids_are_never_stored(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = [event(number + 500, message=f"line {number}") for number in (1, 2, 3)]
    await rig.take(event(1), event(2), event(3))
    rig.clock.now_ms += 60_000
    with caplog.at_level(logging.INFO):
        rig.poll(*theirs)
        rig.receiver.note_read(0)
    assert rig.state() == "hints"
    assert rig.receiver.status.why == OTHER_IDS
    await rig.take(event(4), event(5))
    assert sorted(rig.rows()) == ["501", "502", "503"]


async def test_the_live_path_can_neither_reset_the_journal_nor_change_a_row(rig: Rig) -> None:
    await rig.agree()
    epoch = rig.group.epoch
    at = rig.clock()
    await rig.take(event(1, at), event(2, NOW_MS, "elsewhere"), event(3, NOW_MS, message="other"))
    assert rig.group.epoch == epoch
    rows = rig.group.journal.read_after(0, 999)
    assert [(row.timestamp, row.stream, row.message) for row in rows] == [
        (NOW_MS, "job/1", f"line {number}") for number in (1, 2, 3)
    ]
    assert rig.receiver.counts.conflicts == 2


async def test_the_live_path_does_not_restore_removed_bodies(rig: Rig) -> None:
    first = await rig.agree()
    rig.group.journal.retire(before=NOW_MS + 1)
    await rig.take(*first)
    assert [row.message for row in rig.group.journal.read_after(0, 999)] == [None] * 3


async def test_events_of_another_time_wait_for_a_scan(rig: Rig) -> None:
    await rig.agree()
    hints = rig.hints
    now = rig.clock()
    rig.clock.now_ms += HINT_EVERY_MS
    await rig.take(event(8, now - ROW_AGE_MAX_MS), event(9, now + ROW_AHEAD_MAX_MS + 60_000))
    assert sorted(rig.rows()) == ["1", "2", "3"]
    assert rig.hints == hints + 1


async def test_events_from_before_the_log_group_was_created_wait_for_a_scan(rig: Rig) -> None:
    # A lagging subscription still delivers them after the log group was deleted and recreated.
    await rig.agree()
    created = rig.clock()
    rig.group.learn_settings(None, created)
    await rig.take(event(8, created - 1), event(9, created))
    assert sorted(rig.rows()) == ["1", "2", "3", "9"]
    rig.poll(event(8, created - 1), event(9, created))
    assert sorted(rig.rows()) == ["1", "2", "3", "8", "9"]


async def test_a_mark_ends_before_a_row_that_is_not_visible_yet(rig: Rig) -> None:
    first = await rig.agree()
    at = rig.clock()
    await rig.take(event(4, at), event(5, at + 5))
    rig.clock.now_ms += ALLOWANCE_MS + 1_000
    done = rig.poll(*first)
    assert done is not None
    assert done.through == at - 1
    done = rig.poll(*first, event(4, at))
    assert done is not None
    assert done.through == at + 4
    done = rig.poll(*first, event(4, at), event(5, at + 5))
    assert done is not None
    assert done.through == rig.clock() - ALLOWANCE_MS


async def test_a_row_that_was_returned_once_must_be_returned_again(rig: Rig) -> None:
    first = await rig.agree()
    at = rig.clock()
    await rig.take(event(4, at))
    rig.clock.now_ms += ALLOWANCE_MS + 1_000
    assert rig.poll(*first, event(4, at)) is not None
    assert rig.poll(*first) is None


async def test_rows_that_no_scan_ever_returns_end_the_chain(rig: Rig) -> None:
    first = await rig.agree()
    at = rig.clock()
    await rig.take(event(4, at))
    epoch = rig.group.epoch
    rig.clock.now_ms += PHANTOM_MS
    rig.group.take_notices()
    assert rig.poll(*first) is None
    (reset,) = [one for one in rig.group.take_notices() if isinstance(one, Reset)]
    assert reset.reason.startswith(UNLIKE_SCANS)
    assert rig.group.epoch != epoch
    rig.receiver.note_read(0)
    assert rig.state() == "hints"
    await rig.take(event(6, rig.clock()))
    assert rig.rows() == {}
    done = rig.poll(*first)
    assert done is not None


async def test_rows_of_a_deleted_log_stream_delay_no_mark(rig: Rig) -> None:
    first = await rig.agree()
    at = rig.clock()
    await rig.take(event(4, at, "gone"))
    rig.clock.now_ms += SUSPECT_MS
    rig.poll(*first)
    assert rig.group.take_suspect_streams() == {"gone"}
    assert rig.group.lacks_older(at + 1, "gone")  # recreated: this row is its predecessor's
    assert not rig.group.lacks_older(at, "gone")
    rig.group.mark_stream_deleted("gone")
    done = rig.poll(*first)
    assert done is not None
    assert done.through > at


async def test_an_execution_does_not_end_on_last_words_that_no_scan_returned(rig: Rig) -> None:
    first = await rig.agree()
    at = rig.clock()
    last = event(4, at, "job/1", message="DONE ok")
    await rig.take(last)

    def ends(returned: Sequence[LogEvent]) -> list[str]:
        for _ in range(3):
            rig.clock.now_ms += ALLOWANCE_MS + 1
            rig.poll(*returned)
        notices = rig.group.take_notices()
        return [one.execution for one in notices if isinstance(one, ExecutionEnd)]

    assert ends(first) == []
    assert ends([*first, last]) == ["1"]


async def test_rows_of_an_earlier_process_are_watched_as_well(rig: Rig) -> None:
    first = await rig.agree()
    at = rig.clock()
    await rig.take(event(4, at))
    assert isinstance(rig.group.journal, MemoryJournal)
    rig.group.journal.begin_epoch()
    again = Rig(rig.group.journal)
    again.clock.now_ms = rig.clock() + 10_000
    assert again.poll(*first) is None
    assert again.poll(*first) is None
    assert again.poll(*first, event(4, at)) is not None
    assert again.poll(*first) is None
    again.clock.now_ms += PHANTOM_MS
    again.poll(*first)
    assert again.group.head_seq == 0


async def test_rows_of_a_recreated_log_stream_are_known_by_their_arrival(
    rig: Rig,
) -> None:
    first = await rig.agree()
    at = rig.clock()
    await rig.take(event(4, at, "again"))
    rig.clock.now_ms += ALLOWANCE_MS
    rig.poll(*first, event(4, at, "again"))
    rig.poll(*first)
    assert rig.group.take_suspect_streams() == {"again"}
    assert rig.group.lacks_older(at + 1, "again")
    assert not rig.group.lacks_older(at, "again")


async def test_missed_events_are_repaired_and_counted_and_polls_speed_up(rig: Rig) -> None:
    first = await rig.agree()
    at = rig.clock()
    rig.clock.now_ms += CHANCE_MS
    missed = LogEvent("4", at, at, "job/1", "missed")
    rig.receiver.note_read(0)
    rig.poll(*first, missed)
    assert rig.rows()["4"] == "repair"
    assert [one.recovered for one in rig.group.take_notices() if isinstance(one, GapRecord)] == [1]
    rig.receiver.note_read(0)
    rig.clock.now_ms += CHANCE_MS
    rig.receiver.note_read(0)
    assert rig.state() == "late"
    assert rig.paces[-1] is None
    assert rig.delays
    assert rig.group.punctuality.repaired_count == 1
    assert rig.group.punctuality.missed_count == 1
    at = rig.clock()
    rig.clock.now_ms += CHANCE_MS
    rig.poll(*first, missed, LogEvent("5", at, at, "job/1", "found"))
    assert rig.rows()["5"] == "live"  # polls are the live path now


async def test_an_event_that_a_poll_finds_in_time_is_no_repair(rig: Rig) -> None:
    first = await rig.agree()
    at = rig.clock()
    rig.clock.now_ms += CHANCE_MS - 1
    rig.receiver.note_read(0)
    rig.poll(*first, LogEvent("4", at, at, "job/1", "m"))
    assert rig.rows()["4"] == "live"


async def test_each_change_of_state_is_logged_once(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.agree()
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            rig.receiver.note_failure("no Kinesis")
        assert rig.state() == "down"
        assert rig.receiver.status.why == "no Kinesis"
        assert rig.paces[-1] is None
        for _ in range(5):
            rig.receiver.note_read(0)
    assert rig.state() == "live"
    told = [record.getMessage() for record in caplog.records]
    assert [line for line in told if "polling meanwhile" in line] == [
        f"{GROUP}: no Kinesis (polling meanwhile)"
    ]
    assert sum("live path kinesis:s: live" in line for line in told) == 1


async def test_a_path_that_is_not_read_any_more_is_late(rig: Rig) -> None:
    await rig.agree()
    rig.clock.now_ms += 60_000
    rig.receiver.update_state()
    assert rig.state() == "late"
    rig.receiver.detach("the filter is gone")
    assert rig.state() == "poll"
    assert rig.paces[-1] is None
