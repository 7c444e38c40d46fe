"""The verdict detects every change of a correct record."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from simulator.oracle.record import LedgerEvent
from simulator.oracle.verdict import Verdict, judge
from tests.support.simulator.viewer_records import accepted, faithful, mark, record, shown

SCANNED_MS = 1_000
STREAMS = ("job/main/a", "job/main/b")

ledgers = st.lists(
    st.builds(
        accepted,
        st.integers(0, 20),
        st.text(min_size=1, max_size=3),
        st.sampled_from(STREAMS),
        accepted_ms=st.integers(0, 100),
    ),
    min_size=2,
    max_size=30,
)
ranks = st.integers(0, 10**6)

FAULTS = ("lost", "undeclared", "duplicated", "misordered", "unexpected", "altered", "marks_lied")


def findings(verdict: Verdict) -> dict[str, int]:
    return {name: getattr(verdict, name) for name in FAULTS if getattr(verdict, name)}


def judged(events: list[LedgerEvent], lines: list[dict[str, Any]]) -> Verdict:
    return judge(events, record([*lines, mark(0, 20, SCANNED_MS)]))


@given(ledgers)
def test_a_correct_record_is_clean(events: list[LedgerEvent]) -> None:
    verdict = judged(events, faithful(events))
    assert findings(verdict) == {}
    assert verdict.clean


@given(ledgers, st.sets(ranks, min_size=1, max_size=5))
def test_dropped_events_are_lost_and_the_mark_lied(
    events: list[LedgerEvent], drawn: set[int]
) -> None:
    lines = faithful(events)
    places = {rank % len(lines) for rank in drawn}
    kept = [line for place, line in enumerate(lines) if place not in places]
    verdict = judged(events, kept)
    count = len(places)
    assert findings(verdict) == {"lost": count, "undeclared": count, "marks_lied": 1}
    assert not verdict.clean


@given(ledgers, ranks)
def test_a_repeated_event_is_duplicated(events: list[LedgerEvent], rank: int) -> None:
    lines = faithful(events)
    place = rank % len(lines)
    doubled = [*lines[:place], lines[place], *lines[place:]]
    assert findings(judged(events, doubled)) == {"duplicated": 1}


@given(ledgers, ranks)
def test_swapped_neighbours_are_misordered(events: list[LedgerEvent], rank: int) -> None:
    lines = faithful(events)
    place = rank % (len(lines) - 1)
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    assert findings(judged(events, lines)) == {"misordered": 1}


@given(ledgers, ranks, st.sampled_from(["message", "timestamp", "log_stream"]))
def test_an_altered_event_is_found(events: list[LedgerEvent], rank: int, field: str) -> None:
    lines = faithful(events)
    place = rank % len(lines)
    changed = {
        "message": lines[place]["message"] + "!!!!",
        "timestamp": lines[place]["timestamp"] + 1_000,
        "log_stream": "job/main/elsewhere",
    }[field]
    lines[place] = {**lines[place], field: changed}
    lines.sort(key=lambda line: (line["timestamp"], int(line["id"])))
    assert findings(judged(events, lines)) == {"altered": 1, "marks_lied": 1}


@given(ledgers, st.integers(0, 20))
def test_an_invented_event_is_unexpected(events: list[LedgerEvent], timestamp: int) -> None:
    lines = [*faithful(events), shown(accepted(timestamp, "never written", "no/stream"), 10**6)]
    lines.sort(key=lambda line: (line["timestamp"], int(line["id"])))
    assert findings(judged(events, lines)) == {"unexpected": 1}


@given(ledgers)
def test_showing_nothing_never_passes(events: list[LedgerEvent]) -> None:
    assert not judge(events, record([])).clean
    assert not judge(events, record([], targets=[{"since": 10**9}])).clean
    assert not judge(events, record([], targets=[{"streams": ["no/stream"]}])).honest
