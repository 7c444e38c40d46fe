"""A replay shows the same at a moment, whichever way it came there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_timeline import small_blocks
from tests.support.viewer.server_messages import line
from tui.lines.rows import TARGET_BITS, Line, Row, Rule, rule_key
from tui.lines.timeline import Timeline
from tui.lines.view import MatchingRows
from tui.replay.tape import Tape

MOMENT_MAX = 40

line_steps = st.tuples(st.integers(0, MOMENT_MAX), st.integers(0, 60)).map(
    lambda drawn: (drawn[0], line(drawn[1] << TARGET_BITS, seq=drawn[1]))
)


def _rule(number: int, state: str) -> Rule:
    return Rule(
        key=rule_key(0, number),
        kind="gap",
        target=0,
        from_ms=0,
        through_ms=None,
        state=state,
    )


rule_steps = st.tuples(
    st.integers(0, MOMENT_MAX), st.builds(_rule, st.integers(0, 5), st.sampled_from("abc"))
)
tapes = st.lists(st.one_of(line_steps, rule_steps), max_size=80)
moments = st.lists(st.integers(-1, MOMENT_MAX + 1), min_size=1, max_size=12)


def expected(steps: list[tuple[int, Row]], at_ms: int) -> list[Row]:
    """The rows of a moment: the last version of each that had come by then."""
    shown: dict[int, Row] = {}
    for came_ms, row in sorted(steps, key=lambda one: one[0]):
        if came_ms <= at_ms and not (isinstance(row, Line) and row.key in shown):
            shown[row.key] = row
    return [shown[key] for key in sorted(shown)]


def go(tape: Tape, timeline: Timeline, rows: MatchingRows, at_ms: int, steps: int) -> None:
    while not tape.is_at(at_ms):
        move = tape.step(at_ms, steps)
        change = timeline.remove_many(move.taken)
        rows.apply(change)
        rows.apply(timeline.add_many(move.put))


@given(tapes, moments, st.integers(1, 9))
def test_a_moment_is_the_same_whichever_way_it_is_reached(
    steps: list[tuple[int, Row]], seeks: list[int], slice_steps: int
) -> None:
    with small_blocks():
        tape, timeline = Tape(steps), Timeline(1_000)
        matching = MatchingRows(timeline, lambda one: one.seq % 2 == 0, rules=True)
        for at_ms in seeks:
            go(tape, timeline, matching, at_ms, slice_steps)
            rows = expected(steps, at_ms)
            assert list(timeline.iterate()) == rows
            assert timeline.lines == sum(isinstance(row, Line) for row in rows)
            assert [timeline.row(at) for at in range(len(timeline))] == rows
            passing = [row.key for row in rows if isinstance(row, Rule) or row.seq % 2 == 0]
            assert list(matching.keys) == passing
            assert tape.count("all", 0, at_ms) == timeline.lines


@given(tapes, st.integers(0, MOMENT_MAX))
def test_stepping_to_a_moment_equals_a_jump(steps: list[tuple[int, Row]], at_ms: int) -> None:
    with small_blocks():
        stepped, jumped = Timeline(1_000), Timeline(1_000)
        tape = Tape(steps)
        ignored = MatchingRows(stepped, lambda _: False, rules=False)
        for moment in range(at_ms + 1):
            go(tape, stepped, ignored, moment, 3)
        go(Tape(steps), jumped, MatchingRows(jumped, lambda _: False, rules=False), at_ms, 1_000)
        assert list(stepped.iterate()) == list(jumped.iterate())
