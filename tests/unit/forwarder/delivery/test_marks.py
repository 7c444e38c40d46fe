"""tests.unit.forwarder.delivery.test_marks."""

from __future__ import annotations

from itertools import pairwise

from forwarder.delivery.backfill import Opening
from forwarder.delivery.frames import Slices
from forwarder.delivery.lanes import Lanes
from forwarder.delivery.marks import PENDING_MAX, PROVED_MAX, Marks, Progress, Proofs, Proved
from forwarder.ingest.log_group import LogGroup
from forwarder.records import ExecutionEnd, ScanDone
from tests.support.session_client import NOW, event, events, log_group, scan
from wire.messages import Events, Mark, Repair, Verify
from wire.order import Interval, first_key, key_of
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


def progress_of(group: LogGroup, **query: object) -> tuple[Progress, Lanes]:
    asked = TailQuery(since=SINCE, **query)  # type: ignore[arg-type] # the query's own fields
    opening = Opening(asked, group.journal, NOW)
    lanes = Lanes(opening, Slices(group.journal), group.head_seq)
    return Progress(group, opening, lanes), lanes


def test_nothing_may_be_spoken_of_before_anything_is_held() -> None:
    progress, _ = progress_of(log_group(events(range(1, 4), lambda n: NOW - n)))
    assert progress.news() is None
    low, high = progress.clip(0, NOW)
    assert low > high >= 0
    low, high = progress.clip(0, 0)
    assert low > high >= 0


def test_until_done_within_held_and_then_from_since() -> None:
    group = log_group(events(range(1, 1_001), lambda n: NOW - n))
    scan(group, SINCE, None, [], at=NOW)
    progress, lanes = progress_of(group)
    lanes.look_ahead(group.head_seq)
    assert lanes.next() is not None
    said = progress.slice_end()
    assert said is not None
    assert (said.held, said.total, said.done) == (f"{NOW - 500}:500..", 1_000, False)
    assert progress.clip(0, NOW) == (NOW - 499, NOW)
    while not progress.is_done:
        lanes.next()
        progress.slice_end()
        progress.news()
    assert progress.clip(0, NOW) == (SINCE, NOW)


def test_a_slice_is_closed_once() -> None:
    group = log_group(events(range(1, 4), lambda n: NOW - n))
    progress, lanes = progress_of(group)
    lanes.next()
    assert progress.slice_end() is not None
    assert progress.slice_end() is None


def test_who_resumes_may_be_spoken_to_of_what_it_holds() -> None:
    group = log_group(events(range(1, 1_001), lambda n: NOW - n))
    held = Interval(key_of(NOW - 500, "7"), None)
    progress, _ = progress_of(group, epoch=group.epoch, after=1_000, held=held)
    assert progress.clip(0, NOW) == (NOW - 499, NOW)
    assert progress.held == held


def test_without_held_a_cursor_has_all_of_the_past_at_once() -> None:
    group = log_group()
    progress, _ = progress_of(group, epoch=group.epoch, after=0)
    said = progress.news()
    assert said is not None
    assert (said.held, said.done) == (str(Interval(first_key(SINCE), None)), True)
    assert progress.news() is None


def test_what_must_be_fetched_is_wanted_until_it_is_covered() -> None:
    group = log_group()
    progress, _ = progress_of(group, history="oldest")
    assert progress.wants_backfill == (SINCE, "oldest")
    scan(group, NOW - 5_000, None, [], at=NOW - 500)
    assert progress.wants_backfill == (SINCE, "oldest")
    scan(group, SINCE, NOW - 5_000, [], at=NOW, kind="backfill")
    assert str(progress.wants_backfill) == "None"


def anything(_from: int, _through: int) -> bool:
    return True


def done(from_: int, through: int, head: int = 0) -> ScanDone:
    return ScanDone(from_, through, through + 2_000, head)


def test_a_scan_is_found_once_the_viewer_has_reached_its_head() -> None:
    marks = Marks()
    marks.add(done(1, 2, head=5))
    assert marks.find(4, anything) is None
    found = marks.find(5, anything)
    assert found == done(1, 2, head=5)
    marks.told(found)
    assert len(marks) == 0


def test_a_range_that_may_not_be_spoken_of_waits_and_holds_up_no_other() -> None:
    marks = Marks()
    marks.add(done(1, 100))
    marks.add(done(50, 102))
    assert marks.find(0, lambda from_, _: from_ >= 50) == done(50, 102)
    assert marks.find(0, anything) == done(1, 100)


def test_a_later_scan_of_the_same_takes_the_place_of_the_one_before_but_not_of_the_oldest() -> None:
    marks = Marks()
    for through in (100, 200, 300):
        marks.add(done(1, through, head=through))
    assert len(marks) == 2
    assert marks.find(100, anything) == done(1, 100, head=100)
    assert marks.find(200, anything) == done(1, 100, head=100)
    marks.told(done(1, 100, head=100))
    assert marks.find(300, anything) == done(1, 300, head=300)


def test_what_waits_is_bounded_and_keeps_oldest_and_newest() -> None:
    marks = Marks()
    last = 10 * PENDING_MAX
    for at in range(last):
        marks.add(done(at, at + 3, head=at))
    assert len(marks) == PENDING_MAX
    assert marks.find(0, anything) == done(0, 3, head=0)
    newest = done(last - 1, last + 2, head=last - 1)
    assert marks.find(last, lambda from_, _: from_ == last - 1) == newest


def test_proved_time_is_told_by_the_scan_that_was_there_last() -> None:
    proved = Proved()
    proved.add(done(1, 100))
    proved.add(done(40, 60))
    proved.add(done(90, 200))
    assert [(one.from_, one.through) for one in proved.pieces] == [
        (1, 39),
        (61, 89),
        (40, 60),
        (90, 200),
    ]
    proved.add(done(0, 300))
    assert proved.pieces == [done(0, 300)]
    proved.clear()
    assert proved.pieces == []


def test_proved_pieces_are_bounded_and_the_newest_kept() -> None:
    proved = Proved()
    for at in range(0, 10_000, 10):
        proved.add(done(at, at + 5))
    assert len(proved.pieces) == PROVED_MAX
    assert proved.pieces[-1] == done(9_990, 9_995)
    assert proved.pieces[0] == done(10_000 - 10 * PROVED_MAX, 10_005 - 10 * PROVED_MAX)


def test_slivers_that_scans_leave_behind_as_time_goes_on_are_joined() -> None:
    proved = Proved()
    span = 1_000_000
    proved.add(done(0, span, head=1))
    for at in range(1, 3 * PROVED_MAX):
        proved.add(ScanDone(at * 30, span + at * 30, span + at, at))
    assert len(proved.pieces) == PROVED_MAX
    pieces = sorted(proved.pieces, key=lambda one: one.from_)
    assert pieces[0].from_ == 0
    assert all(low.through + 1 == high.from_ for low, high in pairwise(pieces))
    # Each says what the oldest of its scans says, to who has what the last of them had brought.
    assert all(one.head_seq * 30 + 30 >= one.through for one in pieces[:-1])
    assert pieces[0].scanned_at == span + 1


def test_nothing_is_proved_between_pieces_that_do_not_adjoin() -> None:
    proved = Proved()
    for at in range(0, 4 * PROVED_MAX, 4):
        proved.add(done(at, at + 2))
    proved.add(done(10 * PROVED_MAX, 10 * PROVED_MAX))
    assert all(one.through - one.from_ <= 2 for one in proved.pieces)
