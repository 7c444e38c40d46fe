from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.support.viewer import recordings
from tests.support.viewer.recordings import BEGAN_MS, Entry, encoded, event, header, incident
from tui.lines.rows import Rule, describe
from tui.replay.reading import UNUSABLE, ReplayError, open_reader
from tui.replay.recording import Recording


def read(data: bytes, slice_lines: int = 1_000) -> Recording:
    lines = data.splitlines(keepends=True)
    reader = open_reader(lines, "a.ndjson")
    assert reader is not None
    for begin in range(0, len(lines), slice_lines):
        reader.take(lines[begin : begin + slice_lines])
    return reader.finish()


def messages(recording: Recording, at_ms: int | None = None) -> list[str]:
    """The messages at a moment, counted from the beginning; None: at the end."""
    if at_ms is None:
        return [one.message for one in recording.tape.in_display_order()]
    moment = recordings.BEGAN_MS + at_ms
    recording.tape.position = 0
    move = recording.tape.step(moment, 10**9)
    return [row.message for row in move.put if not isinstance(row, Rule)]


def rules(recording: Recording, at_ms: int) -> list[str]:
    return [describe(one) for one in recording.tape.rules(recordings.BEGAN_MS + at_ms)]


@pytest.mark.parametrize("slice_lines", [1, 7, 1_000])
def test_a_record_has_its_lines_and_rules_at_their_times(slice_lines: int) -> None:
    found = read(encoded(incident()), slice_lines)
    assert messages(found) == [one["message"] for one in incident() if one["type"] == "event"]
    assert (found.began_ms, found.ended_ms) == (BEGAN_MS, BEGAN_MS + 60_000)
    assert "INFO line-19" in messages(found, 20_000)
    assert "INFO line-21" not in messages(found, 29_999)
    assert "INFO line-21" in messages(found, 30_000)
    assert "INFO line-31" not in messages(found, 44_999), "a scan found it later"
    assert "INFO line-31" in messages(found, 45_000)
    assert rules(found, 19_999) == []
    assert rules(found, 20_000) == ["offline"]
    assert rules(found, 30_500) == ["offline 10.0 s"]
    assert rules(found, 60_000) == [
        "offline 10.0 s \u00b7 10 lines recovered",
        "gap repaired \u00b7 1 line recovered",
    ]
    assert found.problems.is_truncated is False
    assert [one.state for one in found.targets[0].states] == [
        "connecting",
        "live",
        "reconnecting",
        "live",
    ]


def old_record() -> list[Entry]:
    """An incident as records were before they had arrivals and rules."""
    entries = [one for one in incident() if one["type"] != "rule"]
    for one in entries:
        for name in ("began", "arrived", "ended"):
            one.pop(name, None)
    outage = {
        "type": "outage",
        "target": 0,
        "from": BEGAN_MS + 20_000,
        "through": BEGAN_MS + 30_000,
        "code": None,
        "reason": "cut",
        "recovered": 10,
        "outcome": "resumed",
    }
    gap = {
        "type": "gap",
        "target": 0,
        "id": "g",
        "from": BEGAN_MS + 40_000,
        "through": BEGAN_MS + 41_000,
        "state": "repaired",
        "reason": "missed",
        "recovered": 1,
    }
    return [*entries[:-1], outage, gap, entries[-1]]


def test_an_old_record_is_paced_by_the_times_at_which_cloudwatch_accepted_its_lines() -> None:
    found = read(encoded(old_record()))
    assert (found.kind, found.began_ms) == ("record", BEGAN_MS)
    assert "INFO line-11" not in messages(found, 11_049)
    assert "INFO line-11" in messages(found, 11_050)
    assert "INFO line-21" not in messages(found, 29_999), "it came after the outage"
    assert "INFO line-21" in messages(found, 30_000)
    assert rules(found, 25_000) == ["offline"]
    assert "gap repaired \u00b7 1 line recovered" in rules(found, 60_000)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_record_opens_as_far_as_it_goes(share: float) -> None:
    data = encoded(incident())
    cut = data[: int(len(data) * share)]
    found = read(cut)
    whole = [json.loads(one) for one in cut.split(b"\n")[:-1]]
    assert found.problems.is_truncated
    assert found.problems.unusable == 0
    assert messages(found) == [one["message"] for one in whole if one["type"] == "event"]
    assert found.began_ms == BEGAN_MS


def test_a_record_without_its_beginning_opens_too() -> None:
    found = read(encoded(incident()[5:]))
    assert len(messages(found)) == 56
    assert found.kind == "record"


def test_unusable_lines_are_shown_where_they_stand_and_counted() -> None:
    entries = [encoded([one]) for one in incident(6)]
    entries[3:3] = [b"no JSON\n", b'{"type":"event","id":"x"}\n', b"\n"]
    found = read(b"".join(entries))
    assert found.problems.unusable == 2
    assert found.problems.first.startswith("line 4: ")
    shown = [one for one in found.tape.in_display_order() if one.stream == UNUSABLE]
    assert [one.message for one in shown] == ["no JSON", '{"type":"event","id":"x"}']
    assert messages(found)[:3] == ["ERROR line-0", "INFO line-1", "no JSON"]


def test_entries_of_later_versions_are_counted_and_duplicates_left_out() -> None:
    entries = [header(), event(1, 0), event(1, 0), {"type": "weather", "rain": True}]
    found = read(encoded([*entries, recordings.ending(1_000)]))
    assert (found.problems.unknown, found.problems.unusable) == (1, 0)
    assert (found.tape.duplicates, messages(found)) == (1, ["INFO line-1"])


def test_a_line_is_confirmed_until_its_target_is_rebased() -> None:
    connection = {
        "type": "connection",
        "target": 0,
        "at": BEGAN_MS + 5_000,
        "outcome": "rebased",
        "epoch": "b",
    }
    entries = [header(), event(1, 0, confirmed=False), event(2, 6_000), connection]
    found = read(encoded([*entries, recordings.ending(10_000)]))
    counts = [found.tape.count("unconfirmed", 0, BEGAN_MS + at) for at in (4_999, 5_000)]
    assert counts == [0, 1]
    assert len(messages(found)) == 2


def test_a_line_that_does_not_say_whether_it_is_confirmed_is_shown_as_confirmed() -> None:
    line = event(1, 0)
    del line["confirmed"]
    found = read(encoded([header(), line, recordings.ending(1_000)]))
    assert (found.tape.count("unconfirmed", 0, BEGAN_MS + 900), len(messages(found))) == (0, 1)


def test_evicted_lines_are_named() -> None:
    entry = {"type": "evicted", "count": 7, "from": BEGAN_MS, "through": BEGAN_MS + 10}
    found = read(encoded([header(), event(1, 100), entry, recordings.ending(1_000)]))
    assert found.problems.evicted == 7
    assert rules(found, 1_000) == ["7 lines not in memory: the record does not contain them"]


def test_half_a_surrogate_pair_is_read_as_the_viewer_wrote_it() -> None:
    found = read(encoded([header(), event(1, 0, message="\ud800")]))
    assert messages(found) == ["\ud800"]


def test_a_record_of_a_later_version_is_refused_with_the_remedy() -> None:
    with pytest.raises(ReplayError, match="version 2: install a later gapless"):
        open_reader([encoded([header(version=2)])], "a")


LOG: Sequence[bytes] = (
    b"starting up\n",
    b'{"ts": 1700000000, "msg": "one", "logger": "db"}\n',
    b"Traceback: none of this is JSON\n",
    b'{"ts": 1700000002.5, "msg": "two"}\n',
    b'{"msg": "without a time"}\n',
)


def test_a_log_keeps_the_lines_without_a_time_beside_the_one_before() -> None:
    found = read(b"".join(LOG))
    assert found.kind == "log"
    assert sorted(messages(found)) == sorted(one.decode().rstrip() for one in LOG)
    assert found.problems.unusable == 3
    assert found.problems.first == "line 1: it is not a JSON object"
    order = messages(found)
    assert order.index(LOG[2].decode().rstrip()) < order.index(LOG[3].decode().rstrip())
    assert (found.began_ms, found.ended_ms) == (1_700_000_000_000, 1_700_000_002_500)
    streams = {one.stream for one in found.tape.in_display_order()}
    assert streams == {"db", "a.ndjson", UNUSABLE}


def test_log_groups_of_printed_events_are_targets() -> None:
    lines = [
        {"id": str(at), "timestamp": at, "log_stream": "s", "message": "m", "log_group": group}
        for at, group in ((1, "/a"), (2, "/b"), (3, "/a"))
    ]
    found = read(encoded(lines))
    assert [one.group for one in found.targets] == ["/a", "/b"]
    assert [one.target for one in found.tape.in_display_order()] == [0, 1, 0]


def test_nothing_usable_is_no_log() -> None:
    assert open_reader([b"hello\n", b"\n", b"{}\n"], "a") is None


HOSTILE: Sequence[Entry] = (
    {"type": "event", "target": 300},
    {"type": "event", "timestamp": -1},
    {"type": "event", "timestamp": 10**30},
    {"type": "event", "id": "-5"},
    {"type": "event", "id": "9" * 60},
    {"type": "event", "message": 5},
    {"type": "event", "seq": "x"},
    {"type": "event", "arrived": -5},
    {"type": "rule", "at": "x"},
    {"type": "rule", "kind": "storm"},
    {"type": "state", "at": BEGAN_MS, "state": "sleeping"},
    {"type": "mark"},
    {"type": "status", "ends": 5},
    {"type": "gap", "from": None, "through": None},
    {"type": "record", "version": 1, "targets": 5},
)


@pytest.mark.parametrize("entry", HOSTILE, ids=[str(one)[:40] for one in HOSTILE])
def test_a_malformed_entry_costs_only_itself(entry: Entry) -> None:
    base = event(9, 500) if entry["type"] == "event" else {}
    bad = base | entry
    found = read(encoded([header(), event(1, 0), bad, event(2, 1_000), recordings.ending(2_000)]))
    assert found.problems.unusable == 1
    shown = [one for one in messages(found) if one.startswith("INFO")]
    assert shown == ["INFO line-1", "INFO line-2"]
