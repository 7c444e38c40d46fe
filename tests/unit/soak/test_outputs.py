from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.soak.outputs import (
    Life,
    Printed,
    digest,
    is_hostile_match,
    judge_output,
    other_texts,
    read_json,
    read_text,
    text_digest,
)
from tui.lines.filters import output_filter
from tui.lines.rows import Line, line_key

EVENTS = [("s/1", 1_000 + number, f"line {number}") for number in range(6)]
ALL = Counter(map(digest, EVENTS))


def printed(*numbers: int, age_s: float = 0.0) -> list[Printed]:
    return [Printed(digest(EVENTS[one]), str(one), (EVENTS[one][1], one), age_s) for one in numbers]


def life(*numbers: int, killed: bool = False, announces: bool = False, age_s: float = 0) -> Life:
    return Life(printed(*numbers, age_s=age_s), killed, announces)


def wrong(*lives: Life, expected: Counter[bytes] = ALL) -> list[str]:
    return judge_output(expected, ALL, lives).findings()


def test_lives_that_print_each_line_once() -> None:
    assert wrong(life(0, 1, 2), life(3, 4, 5)) == []
    assert wrong(life(0, 1, 2, 3, 4, 5)) == []
    assert wrong(life(), life(0, 1, 2, 3, 4, 5)) == []


def test_a_line_that_no_life_prints_is_lost() -> None:
    assert wrong(life(0, 1), life(3, 4, 5)) == ["1 lost"]
    assert wrong(life(0, 1), life(5), expected=Counter(map(digest, EVENTS[:2]))) == []


def test_a_line_twice_in_one_life_is_duplicated() -> None:
    assert wrong(life(0, 1, 2, 3, 4, 5, 5, killed=True)) == ["1 duplicated"]


def test_the_last_lines_before_a_kill_may_be_repeated() -> None:
    verdict = judge_output(ALL, ALL, [life(0, 1, 2, 3, killed=True, age_s=1.5), life(3, 4, 5)])
    assert (verdict.findings(), verdict.repeated, verdict.oldest_repeat_s) == ([], 1, 1.5)
    # So may those that a life printed which was killed before it could save anything.
    assert wrong(life(0, 1, 2, 3, killed=True), life(killed=True), life(3, 4, 5)) == []
    # Or which ended by itself, since it could not connect.
    assert wrong(life(0, 1, 2, 3, killed=True), life(), life(3, 4, 5)) == []


@pytest.mark.parametrize(
    "first",
    [life(0, 1, 2, 3), life(0, 1, 2, 3, killed=True, age_s=200)],
    ids=["ended in order", "long before the kill"],
)
def test_nothing_else_may_be_repeated(first: Life) -> None:
    assert wrong(first, life(3, 4, 5)) == ["1 duplicated"]


def test_a_life_may_not_repeat_what_an_orderly_end_has_saved() -> None:
    lives = (life(0, 1, killed=True), life(2, 3), life(1, 4, 5))
    assert wrong(*lives) == ["1 duplicated"]


def test_an_announced_new_journal_may_repeat_everything() -> None:
    assert wrong(life(0, 1, 2, 3), life(0, 1, 2, 3, 4, 5, announces=True)) == []
    assert wrong(life(0, 1, 2, 3, announces=True), life(0, 1, 2, 3, 4, 5)) == []


def test_order_holds_within_a_life_except_for_late_lines() -> None:
    assert wrong(life(0, 2, 1, 3, 4, 5)) == ["1 misordered"]
    late = [one._replace(place=None) if one.id == "1" else one for one in printed(0, 2, 1, 3, 4, 5)]
    assert wrong(Life(late, was_killed=False)) == []
    assert wrong(life(3, 4, 5), life(0, 1, 2)) == []


def test_an_invented_line_and_one_under_two_ids() -> None:
    strange = Printed(digest(("s/1", 1, "never written")), "77")
    again = printed(5)[0]._replace(id="99")
    every = printed(0, 1, 2, 3, 4, 5)
    assert wrong(Life([*every, strange], was_killed=False)) == ["1 unexpected"]
    assert wrong(Life([*every, again], was_killed=True)) == ["1 duplicated"]


def test_only_a_kill_may_leave_half_a_line() -> None:
    every = printed(0, 1, 2, 3, 4, 5)
    assert wrong(Life(every, was_killed=False, is_torn=True)) == ["1 torn"]
    assert wrong(Life(every, was_killed=True, is_torn=True)) == []


def test_json_output_is_read_up_to_its_last_whole_line() -> None:
    fields = [
        {"id": "7", "timestamp": 5, "log_stream": "s", "message": "a\u2028b"},
        {"id": "8", "timestamp": 4, "log_stream": "s", "message": "late", "late": True},
    ]
    data = "".join(json.dumps(one) + "\n" for one in fields).encode() + b'{"id": "9'
    found = list(read_json(data, [3.0, 1.0].__getitem__, is_strict=True))
    assert found == [
        Printed(digest(("s", 5, "a\u2028b")), "7", (5, 7), 3.0),
        Printed(digest(("s", 4, "late")), "8", None, 1.0),
    ]
    assert list(read_json(b'{"id"', lambda _: 0.0, is_strict=True)) == []


def test_text_output_is_judged_by_its_lines_with_further_ones_indented() -> None:
    events = [
        ("s/1", 1_000, "one\ntwo\nthree"),
        ("s/1", 1_001, "\x1b[31mred\x1b[0m"),
        EVENTS[0],
    ]
    accepted = Counter(map(text_digest, events))
    text = (
        "1970-01-01T00:00:01.000Z s/1 one\n    two\n    three\n"
        "1970-01-01T00:00:01.001Z s/1 red\n"
        "1970-01-01T00:00:01.000Z s/1 line 0\n"
    )
    found = list(read_text(text.encode()))
    assert len(found) == 3
    assert judge_output(accepted, accepted, [Life(found, was_killed=False)]).findings() == []
    twice = [Life(found, was_killed=False), Life(found[-1:], was_killed=False)]
    assert judge_output(accepted, accepted, twice).findings() == ["1 duplicated"]
    killed = judge_output(accepted, accepted, [Life(found, was_killed=True), twice[1]])
    assert (killed.findings(), killed.repeated) == ([], 1)


@pytest.mark.parametrize(
    ("message", "matches"),
    [
        ("aaab", True),
        ("AB", True),
        ("an ERR\x1b[31mOR: Timeout", True),
        ("a" * 1_000_000, False),
        ("error: the timeout", True),
        ("timeout, then error", False),
        ("an error\nand a timeout", False),
        ("timeout error timeout", True),
        ("nothing\nerror timeout\n", True),
    ],
)
def test_the_hostile_pattern_without_backtracking(message: str, *, matches: bool) -> None:
    assert is_hostile_match(message) is matches
    pattern = output_filter(("/(a+)+b|error.*timeout/",))
    line = Line(line_key(0, "0", 0), 1, None, "s", message, "live")
    assert pattern.passes(line) is matches


def test_an_altered_event_counts_with_either_text() -> None:
    masked = [(stream, timestamp, "line *") for stream, timestamp, _ in EVENTS[:2]]
    ledger = [(one, "line *") for one in EVENTS[:2]] + [(one, None) for one in EVENTS[2:]]
    others = other_texts(ledger, digest)
    lines = printed(0, 1, 2, 3, 4, 5)
    lines[0] = lines[0]._replace(what=digest(masked[0]))
    assert judge_output(ALL, ALL, [Life(lines, was_killed=False)], others).findings() == []
    invented = lines[2]._replace(what=digest(masked[1]), id="9", place=None)
    verdict = judge_output(ALL, ALL, [Life([*lines, invented], was_killed=False)], others)
    assert verdict.findings() == ["1 duplicated"]
    assert judge_output(ALL, ALL, [Life(lines, was_killed=False)]).findings() == [
        "1 lost",
        "1 unexpected",
    ]
    unknown = [Life([*lines[1:], lines[0]._replace(what=digest(("s", 1, "line *")))], False)]  # noqa: FBT003
    assert "1 unexpected" in judge_output(ALL, ALL, unknown, others).findings()
