from __future__ import annotations

from forwarder.delivery.frames import Slices
from forwarder.delivery.lanes import Lanes
from forwarder.delivery.marks import Proofs
from forwarder.delivery.opening import Opening
from forwarder.delivery.progress import Progress
from forwarder.ingest.log_group import LogGroup
from forwarder.records import ExecutionEnd, ScanDone
from tests.support.session_client import NOW, event, events, log_group
from wire.messages import Events, Mark, Repair, Verify
from wire.query import Filter, TailQuery

SINCE = NOW - 100_000


class Parts:
    """The proofs of a viewer that has resumed at the head, with all of the past."""

    def __init__(self, group: LogGroup, wanted: Filter | None = None) -> None:
        query = TailQuery(
            since=SINCE, epoch=group.epoch, after=group.head_seq, filter=wanted or Filter()
        )
        self.group = group
        opening = Opening(query, group.journal, NOW)
        self.lanes = Lanes(opening, Slices(group.journal), group.head_seq)
        self.progress = Progress(group, opening, self.lanes)
        self.progress.news()
        self.proofs = Proofs(group, opening, self.lanes, self.progress)

    def read(self) -> None:
        self.lanes.look_ahead(self.group.head_seq)
        self.lanes.next()


def five() -> LogGroup:
    return log_group(events(range(1, 6), lambda n: NOW - n))


def test_a_mark_describes_the_point_at_which_it_is_sent() -> None:
    parts = Parts(five())
    parts.group.ingest([event(9, NOW - 3)], "live")
    parts.proofs.marks.add(ScanDone(SINCE - 50, NOW, NOW + 5, 6))
    assert parts.proofs.mark() is None
    parts.read()
    mark = parts.proofs.mark()
    assert isinstance(mark, Mark)
    assert (mark.from_, mark.through, mark.seq, mark.count) == (SINCE, NOW, 6, 6)
    assert parts.proofs.mark() is None


def test_the_cursor_goes_before_a_mark_where_the_filter_left_it_behind() -> None:
    parts = Parts(five(), Filter(streams=("app/one",)))
    parts.group.ingest([event(9, NOW, stream="app/two")], "live")
    parts.proofs.marks.add(ScanDone(SINCE, NOW, NOW + 5, 6))
    parts.lanes.look_ahead(6)
    frame = parts.proofs.mark()
    assert isinstance(frame, Events)
    assert (frame.seq, frame.items) == (6, [])
    assert isinstance(parts.proofs.mark(), Mark)


def test_a_scan_of_before_since_is_none() -> None:
    parts = Parts(five())
    parts.proofs.marks.add(ScanDone(0, SINCE - 1, NOW, 0))
    assert parts.proofs.mark() is None


def test_answers_come_in_the_order_of_the_questions() -> None:
    parts = Parts(five())
    parts.proofs.asked.extend([Repair(NOW - 2, NOW), Verify(NOW - 1, NOW)])
    assert parts.proofs.answer() is None
    while (answer := parts.proofs.answer()) is None:
        parts.read()
    assert (answer.from_, answer.through, answer.count) == (NOW - 2, NOW, 2)
    answer = parts.proofs.answer()
    assert answer is not None
    assert (answer.from_, answer.count) == (NOW - 1, 1)
    assert parts.proofs.answer() is None


def test_an_end_that_late_news_has_overtaken_is_not_told() -> None:
    parts = Parts(five(), Filter(executions=("one",)))
    parts.proofs.ended(ExecutionEnd("one", "FAILED", NOW - 5, NOW - 1, 5))
    assert parts.proofs.end() is None
    assert parts.proofs._ends == {}


def test_what_was_proved_of_another_journal_is_forgotten() -> None:
    parts = Parts(five())
    parts.proofs.marks.add(ScanDone(SINCE, NOW, NOW, 0))
    parts.proofs.forget()
    assert parts.proofs.mark() is None
