from __future__ import annotations

from forwarder.ingest.suspects import PENDING_MAX, SCANS_MIN, Suspects, why_withheld
from forwarder.records import Row


def _row(timestamp: int, stream: str = "s", ingested: int | None = 5) -> Row:
    return Row(1, str(timestamp), timestamp, ingested, stream, "m", "live", 0)


def test_what_some_scans_in_a_row_lack_is_to_be_declared() -> None:
    one = Suspects()
    for number in range(1, SCANS_MIN):
        assert one.lacked([_row(10), _row(20 + number)]) is None
    assert one.lacked([_row(15)]) == (10, 20 + SCANS_MIN - 1)


def test_a_scan_that_lacks_nothing_begins_the_count_anew() -> None:
    one = Suspects()
    for _ in range(SCANS_MIN):
        one.lacked([_row(10)])
    one.returned_all(11, 99)
    assert one.lacked([_row(10)]) == (10, 10)
    one.returned_all(0, 99)
    assert one.lacked([_row(10)]) is None


def test_ranges_that_do_not_touch_are_counted_apart_and_bounded() -> None:
    one = Suspects()
    for number in range(2 * PENDING_MAX):
        assert one.lacked([_row(number)]) is None
    assert len(one._pending) == PENDING_MAX


def test_streams_are_told_once() -> None:
    one = Suspects()
    one.lacked([_row(1, "a"), _row(2, "b")])
    assert one.take_streams() == {"a", "b"}
    assert one.take_streams() == set()


def test_what_was_ingested_before_its_place_was_made_was_of_another() -> None:
    one = Suspects()
    one.lacked([_row(1, "a", 100), _row(2, "a", 50), _row(3, "b", None)])
    assert one.lacks_older(51, "a")
    assert not one.lacks_older(50, "a")
    assert not one.lacks_older(99, "b")
    assert one.lacks_older(51)
    one.is_deleted("a")
    assert not one.lacks_older(51)
    assert not one.lacks_older(51, "a")


def test_the_reason_names_a_stream() -> None:
    assert "log stream job/1)" in why_withheld([_row(1, "job/1")])
