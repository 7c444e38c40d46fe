from __future__ import annotations

from itertools import pairwise

from forwarder.delivery.marks import MARKED_PIECES_MAX, PENDING_MAX, MarkedTime, PendingMarks
from forwarder.records import ScanDone


def anything(_from: int, _through: int) -> bool:
    return True


def done(from_: int, through: int, head: int = 0) -> ScanDone:
    return ScanDone(from_, through, through + 2_000, head)


def test_a_scan_is_found_once_the_viewer_has_reached_its_head() -> None:
    marks = PendingMarks()
    marks.add(done(1, 2, head=5))
    assert marks.find(4, anything) is None
    found = marks.find(5, anything)
    assert found == done(1, 2, head=5)
    marks.remove(found)
    assert len(marks) == 0


def test_a_range_that_may_not_be_marked_waits_and_delays_no_other() -> None:
    marks = PendingMarks()
    marks.add(done(1, 100))
    marks.add(done(50, 102))
    assert marks.find(0, lambda from_, _: from_ >= 50) == done(50, 102)
    assert marks.find(0, anything) == done(1, 100)


def test_a_later_scan_of_the_same_range_replaces_the_previous_one_but_not_the_oldest() -> None:
    marks = PendingMarks()
    for through in (100, 200, 300):
        marks.add(done(1, through, head=through))
    assert len(marks) == 2
    assert marks.find(100, anything) == done(1, 100, head=100)
    assert marks.find(200, anything) == done(1, 100, head=100)
    marks.remove(done(1, 100, head=100))
    assert marks.find(300, anything) == done(1, 300, head=300)


def test_pending_scans_are_bounded_and_keep_oldest_and_newest() -> None:
    marks = PendingMarks()
    last = 10 * PENDING_MAX
    for at in range(last):
        marks.add(done(at, at + 3, head=at))
    assert len(marks) == PENDING_MAX
    assert marks.find(0, anything) == done(0, 3, head=0)
    newest = done(last - 1, last + 2, head=last - 1)
    assert marks.find(last, lambda from_, _: from_ == last - 1) == newest


def test_marked_time_belongs_to_the_latest_scan() -> None:
    marked = MarkedTime()
    marked.add(done(1, 100))
    marked.add(done(40, 60))
    marked.add(done(90, 200))
    assert [(one.from_, one.through) for one in marked.pieces] == [
        (1, 39),
        (61, 89),
        (40, 60),
        (90, 200),
    ]
    marked.add(done(0, 300))
    assert marked.pieces == [done(0, 300)]
    marked.clear()
    assert marked.pieces == []


def test_marked_pieces_are_bounded_and_the_newest_kept() -> None:
    marked = MarkedTime()
    for at in range(0, 10_000, 10):
        marked.add(done(at, at + 5))
    assert len(marked.pieces) == MARKED_PIECES_MAX
    assert marked.pieces[-1] == done(9_990, 9_995)
    assert marked.pieces[0] == done(
        10_000 - 10 * MARKED_PIECES_MAX, 10_005 - 10 * MARKED_PIECES_MAX
    )


def test_slivers_that_moving_scans_leave_behind_are_joined() -> None:
    marked = MarkedTime()
    span = 1_000_000
    marked.add(done(0, span, head=1))
    for at in range(1, 3 * MARKED_PIECES_MAX):
        marked.add(ScanDone(at * 30, span + at * 30, span + at, at))
    assert len(marked.pieces) == MARKED_PIECES_MAX
    pieces = sorted(marked.pieces, key=lambda one: one.from_)
    assert pieces[0].from_ == 0
    assert all(low.through + 1 == high.from_ for low, high in pairwise(pieces))
    # A joined piece has the earliest scan time and the latest head of its scans.
    assert all(one.head_seq * 30 + 30 >= one.through for one in pieces[:-1])
    assert pieces[0].scanned_at == span + 1


def test_nothing_is_marked_between_pieces_that_do_not_adjoin() -> None:
    marked = MarkedTime()
    for at in range(0, 4 * MARKED_PIECES_MAX, 4):
        marked.add(done(at, at + 2))
    marked.add(done(10 * MARKED_PIECES_MAX, 10 * MARKED_PIECES_MAX))
    assert all(one.through - one.from_ <= 2 for one in marked.pieces)
