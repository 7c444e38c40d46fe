"""A log group that follows its owner's journal and status."""

from __future__ import annotations

from forwarder.cluster.entries import BeginChain, Over, append_of
from forwarder.cluster.log import NO_DIGEST
from forwarder.cluster.status import Report, Status
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.followed import FollowedGroup
from forwarder.journal.tables import compute_digests
from forwarder.records import (
    AlteredEvent,
    ExecutionEnd,
    GapRecord,
    LogEvent,
    Reset,
    ScanDone,
    TextsChanged,
)
from tests.support.forwarder.log_events import event
from tests.support.forwarder.memory_journal import MemoryJournal

RULE = Lifecycle.pattern("(?P<FAILED>failed)")
GAP = GapRecord("g", 1, 2, "suspected", "why", 0)
TEXT = AlteredEvent(1, "1", 5, "job/1", "other", 5)


def followed(*known: LogEvent) -> FollowedGroup:
    journal = MemoryJournal("/g")
    if known:
        journal.append(known, "live")
    return FollowedGroup(journal, allowance_ms=2_000, lifecycle=RULE)


def add(group: FollowedGroup, *events: LogEvent) -> None:
    """Apply events to the view's journal and note the change, as following does."""
    first = group.head_seq + 1
    group.journal.append(events, "live")
    group.note([append_of(first, events, compute_digests(events), "live")])


def status(*proved: ScanDone, gaps: tuple[GapRecord, ...] = (), **also: object) -> Status:
    altered = also.get("altered", ())
    assert isinstance(altered, tuple)
    report = Report(proved=proved, altered=altered, allowance_ms=3_000)
    return Status(NO_DIGEST, 1, ((0, 100),), gaps, report)


def test_new_events_are_counted_and_end_nothing_by_themselves() -> None:
    group = followed(event(1))
    add(group, event(2, message="it failed"))
    [summary] = group.executions.summaries(0)
    assert (summary.count, summary.status) == (2, "RUNNING")
    assert group.counts.events["live"] == 1


def test_the_owner_says_which_executions_have_ended() -> None:
    group = followed(event(1))
    group.note([Over(b"1", "FAILED", RULE.rule.encode())])
    [end] = group.take_notices()
    assert isinstance(end, ExecutionEnd)
    assert (end.execution, end.status, end.head_seq) == ("1", "FAILED", 1)
    assert group.executions.end_of("1") == end
    add(group, event(2))
    assert group.executions.end_of("1") is None


def test_ends_by_another_rule_are_not_shown() -> None:
    group = followed(event(1))
    group.note([Over(b"1", "FAILED", b"pattern:another"), Over(b"2", "FAILED", RULE.rule.encode())])
    assert group.take_notices() == []


def test_a_new_chain_forgets_what_was_known() -> None:
    group = followed(event(1))
    group.adopt(status(ScanDone(0, 100, 50, 1)), [])
    group.take_notices()
    assert group.complete_through(0) == 100
    group.journal.begin_chain()
    group.note([BeginChain("e2")])
    [reset] = group.take_notices()
    assert isinstance(reset, Reset)
    assert group.complete_through(0) is None
    assert group.executions.summaries(0) == []


def test_a_scan_is_a_mark_once_however_it_is_cut_later() -> None:
    group = followed(event(1))
    first = ScanDone(0, 100, 50, 1)
    group.adopt(status(first), [])
    assert group.take_notices() == [first]
    second = ScanDone(90, 120, 60, 1)
    group.adopt(status(ScanDone(0, 89, 50, 1), second), [])
    assert group.take_notices() == [second]
    assert group.complete_through(0) == 120
    assert group.allowance_ms == 3_000


def test_gaps_come_before_marks_and_go_as_repaired() -> None:
    group = followed(event(1))
    done = ScanDone(0, 100, 50, 1)
    group.adopt(status(done, gaps=(GAP,)), [])
    assert group.take_notices() == [GAP, done]
    group.adopt(status(done), [GAP])
    [repaired] = group.take_notices()
    assert isinstance(repaired, GapRecord)
    assert (repaired.id, repaired.state) == ("g", "repaired")


def test_altered_texts_follow_the_owner() -> None:
    group = followed(event(1))
    group.adopt(status(altered=(TEXT,)), [])
    group.adopt(status(altered=(TEXT,)), [])
    assert group.take_notices() == [TextsChanged((TEXT,))]
    assert group.alterations.texts() == [TEXT]
    group.adopt(status(), [])
    [changed] = group.take_notices()
    assert isinstance(changed, TextsChanged)
    assert [one.message for one in changed.events] == [None]
    assert group.alterations.texts() == []
