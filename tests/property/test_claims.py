"""The verdict detects exactly the false marks, for any events and scan times."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from hypothesis import assume, given
from hypothesis import strategies as st

from simulator.oracle.record import LedgerEvent
from simulator.oracle.verdict import judge
from tests.support.simulator.viewer_records import accepted, mark, record, shown

events_drawn = st.lists(
    st.builds(
        lambda timestamp, message, late_ms: accepted(
            timestamp, message, visible_ms=timestamp + late_ms
        ),
        st.integers(0, 50),
        st.sampled_from("abc"),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=25,
)
scans_drawn = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12
)


class Output(NamedTuple):
    """A forwarder's output: events by seq, and marks."""

    seqs: dict[int, int]
    """Seq of each event, by its index."""
    marks: list[dict[str, Any]]


def forward(
    events: list[LedgerEvent], scans: list[tuple[int, int, int]], forgotten: int | None = None
) -> Output:
    """Mark every scan; all but the last one omit ``forgotten``."""
    seqs: dict[int, int] = {}
    marks: list[dict[str, Any]] = []
    for begun, first, length in sorted(scans):
        for place, event in enumerate(events):
            is_returned = first <= event.timestamp <= first + length and event.visible_ms <= begun
            if is_returned and place != forgotten:
                seqs.setdefault(place, len(seqs) + 1)
        through = min(first + length, begun)
        if first <= through:
            marks.append(mark(first, through, begun, seq=len(seqs)))
    for place in range(len(events)):
        seqs.setdefault(place, len(seqs) + 1)
    return Output(seqs, marks)


def lied(events: list[LedgerEvent], output: Output) -> int:
    lines = [shown(event, place, seq=output.seqs[place]) for place, event in enumerate(events)]
    Random(1).shuffle(lines)
    return judge(events, record([*lines, *output.marks])).marks_lied


@given(events_drawn, scans_drawn)
def test_correct_marks_are_accepted(
    events: list[LedgerEvent], scans: list[tuple[int, int, int]]
) -> None:
    assert lied(events, forward(events, scans)) == 0


@given(events_drawn, scans_drawn, st.integers(0, 100))
def test_marks_that_omit_an_event_are_detected(
    events: list[LedgerEvent], scans: list[tuple[int, int, int]], drawn: int
) -> None:
    place = drawn % len(events)
    event = events[place]
    alone = [one for one in events if one.identity == event.identity] == [event]
    output = forward(events, scans, place)
    false = [
        one
        for one in output.marks
        if one["from"] <= event.timestamp <= one["through"]
        and event.visible_ms <= one["scanned_at"]
    ]
    assume(alone and false)
    assert lied(events, output) == len(false)
