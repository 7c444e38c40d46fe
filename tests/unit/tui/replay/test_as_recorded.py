"""The status of a moment is the one that the recorded screen showed."""

from __future__ import annotations

import pytest

from tests.support.viewer.recordings import (
    BEGAN_MS,
    Entry,
    encoded,
    ending,
    event,
    header,
    rule,
    state,
    verified,
)
from tui.client.status import Status
from tui.lines.timeline import Timeline
from tui.replay.as_recorded import status_at
from tui.replay.reading import open_reader
from tui.replay.recording import Recording


def read(*entries: Entry) -> Recording:
    lines = encoded([header(), *entries, ending(60_000)]).splitlines(keepends=True)
    reader = open_reader(lines, "a.ndjson")
    assert reader is not None
    reader.take(lines)
    return reader.finish()


def at(recording: Recording, at_ms: int) -> Status:
    """The status at a moment, counted from the beginning."""
    timeline = Timeline()
    recording.tape.position = 0
    timeline.add_many(recording.tape.step(BEGAN_MS + at_ms, 10**9).put)
    return status_at(recording, timeline, BEGAN_MS + at_ms)


def entry(kind: str, at_ms: int, **fields: object) -> Entry:
    return {"type": kind, "target": 0, "at": BEGAN_MS + at_ms, **fields}


CONNECTED = [
    state(0, "connecting"),
    entry("connection", 100, outcome="fresh", epoch="e"),
    state(200, "live"),
]


def test_a_target_without_new_lines_was_quiet() -> None:
    found = read(event(1, 1_000), *CONNECTED)
    assert [at(found, one).state for one in (1_100, 11_100, 11_101)] == ["live", "live", "quiet"]


def test_a_target_was_connecting_before_its_first_state() -> None:
    found = read(event(1, 100), state(1, "connecting"), state(200, "live"))
    assert [at(found, one).state for one in (0, 1, 200)] == ["connecting", "connecting", "live"]
    assert at(read(event(1, 1_000)), 500).state == "ended", "a record without states"


def test_rules_are_no_provisional_lines() -> None:
    lines = [event(number, number * 1_000) for number in range(1, 6)]
    offline = rule(3_500, "offline", 1)
    found = read(*lines, offline, *CONNECTED, verified(2_000, 1_000))
    assert at(found, 5_500).provisional == 4
    assert at(found, 1_500).provisional == 1, "nothing was verified yet"


def test_a_late_line_is_not_counted_before_it_came() -> None:
    late = event(2, 1_500, late=True, late_ms=900, arrived=BEGAN_MS + 4_000)
    lines = [event(1, 1_000), late, event(3, 2_000), event(4, 3_000)]
    found = read(*lines, *CONNECTED, verified(2_500, 2_000))
    assert [at(found, one).provisional for one in (2_400, 3_500, 4_500)] == [2, 1, 1]


def test_each_target_has_its_own_provisional_lines() -> None:
    lines = [event(number, number * 1_000, target=number % 2) for number in range(1, 7)]
    other = verified(5_000, 5_000) | {"target": 1}
    found = read(*lines, *CONNECTED, verified(5_000, 2_000), other)
    assert at(found, 6_500).provisional == 2, "those of 4 and 6 s"


def test_words_beside_the_state_change_with_it() -> None:
    found = read(
        *CONNECTED,
        state(2_000, "reconnecting", "the connection broke"),
        entry("detail", 2_000, detail="the connection broke"),
        entry("detail", 3_000, detail="connection refused"),
        entry("detail", 4_000, detail=""),
        state(4_000, "live"),
    )
    details = [at(found, one).targets[0].detail for one in (1_000, 2_500, 3_500, 4_500)]
    assert details == ["", "the connection broke", "connection refused", ""]


def test_lines_that_were_altered_only_for_a_while_were_altered() -> None:
    found = read(
        event(1, 1_000),
        *CONNECTED,
        entry("altered_lines", 2_000, count=3),
        entry("altered_lines", 3_000, count=0),
    )
    assert [at(found, one).altered for one in (1_500, 2_500, 3_500)] == [0, 3, 0]


def test_records_of_earlier_versions_have_less() -> None:
    altered = {"type": "altered", "target": 0, "id": "1", "timestamp": BEGAN_MS, "message": "y"}
    found = read(*CONNECTED, altered, state(2_000, "reconnecting", "cut"))
    assert (at(found, 3_000).altered, at(found, 3_000).targets[0].detail) == (1, "cut")


@pytest.mark.parametrize("arrived", [True, False])
def test_lines_that_were_sent_again_were_there_before(arrived: bool) -> None:  # noqa: FBT001
    entries = [event(one, one * 1_000, origin="backfill") for one in (-5, 1, 2)]
    entries = [
        {**one, "id": str(10**55 + index), "seq": index} for index, one in enumerate(entries)
    ]
    for one in entries[0 if arrived else 1 :]:
        one.pop("arrived")
    found = read(*entries, *CONNECTED, entry("connection", 5_000, outcome="rebased", epoch="f"))
    shown = [at(found, one).lines for one in (500, 1_500, 2_500, 6_000)]
    assert shown == [1, 2, 3, 3]

    def origins(at_ms: int) -> list[str]:
        timeline = Timeline()
        found.tape.position = 0
        timeline.add_many(found.tape.step(BEGAN_MS + at_ms, 10**9).put)
        return [row.origin for row in timeline.iterate()]  # type: ignore[union-attr]  # lines alone

    assert origins(2_500) == ["backfill", "live", "live"]
    assert origins(6_000) == ["backfill"] * 3


def test_how_late_a_line_was_is_kept() -> None:
    found = read(event(1, 1_000, late=True, late_ms=59_000, ingestion_time=None))
    (line,) = found.tape.in_display_order()
    assert line.late_ms == 59_000
