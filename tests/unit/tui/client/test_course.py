from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.support.fake_engine import EPOCH_MS, make_line
from tests.support.viewer.server_messages import line
from tui.client.course import SECONDS_MAX, Course
from tui.lines.rows import Line


def accepted(number: int, at_ms: int, **fields: Any) -> Line:  # noqa: ANN401 - any field of a line
    return msgspec.structs.replace(make_line(number, "x", **fields), ingestion_time=at_ms)


def entries(course: Course, kind: str) -> list[dict[str, Any]]:
    written = [msgspec.to_builtins(one) for one in course.entries()]
    return [one for one in written if one["type"] == kind]


def test_lines_are_counted_by_second() -> None:
    course = Course(2)
    course.count_lines([accepted(1, EPOCH_MS - 50_000, origin="backfill")], EPOCH_MS + 100)
    course.count_lines(
        [accepted(2, EPOCH_MS + 300), accepted(3, EPOCH_MS + 700, late_ms=9)], EPOCH_MS + 900
    )
    course.count_lines([accepted(4, EPOCH_MS + 1_000, origin="repair")], EPOCH_MS + 5_500)
    assert entries(course, "second") == [
        {
            "type": "second",
            "target": 2,
            "at": EPOCH_MS,
            "lines": 3,
            "late": 1,
            "repaired": 0,
            "lag": 600,
        },
        {
            "type": "second",
            "target": 2,
            "at": EPOCH_MS + 5_000,
            "lines": 1,
            "late": 0,
            "repaired": 1,
            "lag": 4_500,
        },
    ]


def test_arrivals_are_known_after_numbers_began_anew() -> None:
    course = Course(2)
    old = accepted(7, EPOCH_MS)
    new = msgspec.structs.replace(accepted(3, EPOCH_MS), era=1)
    course.count_lines([old], EPOCH_MS + 10)
    course.count_lines([new], EPOCH_MS + 20)
    assert (course.arrived_ms(old), course.arrived_ms(new)) == (EPOCH_MS + 10, EPOCH_MS + 20)
    assert course.arrived_ms(msgspec.structs.replace(old, era=1)) is None


def test_changes_of_words_and_of_altered_lines_are_noted() -> None:
    course = Course(2)
    for at_ms, detail, lines in [(1, "", 0), (2, "refused", 0), (3, "refused", 4), (4, "", 0)]:
        course.note_detail(detail, at_ms)
        course.note_altered(lines, at_ms)
    assert [(one["at"], one["detail"]) for one in entries(course, "detail")] == [
        (2, "refused"),
        (4, ""),
    ]
    assert [(one["at"], one["count"]) for one in entries(course, "altered_lines")] == [
        (3, 4),
        (4, 0),
    ]


def test_history_has_no_lag_but_a_line_beside_it_has() -> None:
    course = Course(2)
    course.count_lines([], EPOCH_MS)
    course.count_lines([accepted(1, EPOCH_MS - 9_000), accepted(2, EPOCH_MS + 50)], EPOCH_MS + 250)
    assert entries(course, "second")[0]["lag"] == 200


def test_the_live_path_names_no_time_of_acceptance() -> None:
    course = Course(2)
    course.count_lines([], EPOCH_MS)
    course.note_verified(EPOCH_MS + 150, EPOCH_MS + 500)
    pushed = [
        msgspec.structs.replace(make_line(number, "x"), ingestion_time=None) for number in (1, 2)
    ]
    assert [line.timestamp - EPOCH_MS for line in pushed] == [100, 200]
    course.count_lines(pushed, EPOCH_MS + 900)
    assert entries(course, "second")[0]["lag"] == 700


def test_the_newest_seconds_are_kept() -> None:
    course = Course(2)
    for second in range(SECONDS_MAX + 5):
        course.count_lines([accepted(second, EPOCH_MS)], EPOCH_MS + second * 1_000)
    found = entries(course, "second")
    assert len(found) == SECONDS_MAX
    assert found[0]["at"] == EPOCH_MS + 5_000


def test_only_changes_are_noted() -> None:
    course = Course(2)
    for at_ms, through in ((1, None), (2, 10), (3, 10), (4, 20), (5, None)):
        course.note_verified(through, at_ms)
    assert [(one["at"], one["through"]) for one in entries(course, "verified")] == [
        (1, None),
        (2, 10),
        (4, 20),
        (5, None),
    ]
    for at_ms, state in ((1, "ok"), (2, "throttled"), (3, "throttled"), (4, "ok")):
        course.note_upstream(state, "why", at_ms)
    assert [(one["at"], one["state"]) for one in entries(course, "upstream")] == [
        (2, "throttled"),
        (4, "ok"),
    ]


def test_the_arrival_of_a_line_is_known_by_its_seq_while_seqs_ascend() -> None:
    course = Course(2)
    course.count_lines([line(1, seq=11), line(2, seq=13)], 1_000)
    course.count_lines([line(3, seq=20)], 2_000)
    course.count_lines([line(4, seq=5)], 3_000)
    found = {seq: course.arrived_ms(line(9, seq=seq)) for seq in (5, 11, 13, 14, 20, 21)}
    assert found == {5: None, 11: 1_000, 13: 1_000, 14: None, 20: 2_000, 21: None}


def test_arrivals_are_bounded_and_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.client.course.ARRIVALS_MAX", 10)
    course = Course(2)
    for seq in range(1, 101):
        course.count_lines([line(1, seq=seq)], seq)
    kept = [seq for seq in range(1, 101) if course.arrived_ms(line(1, seq=seq)) == seq]
    assert 10 <= len(kept) < 20
    assert kept == list(range(101 - len(kept), 101))
