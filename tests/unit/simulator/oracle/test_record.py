from __future__ import annotations

import json

import pytest

from simulator.errors import SimulatorError
from simulator.oracle.record import read_record
from tests.support.simulator.viewer_records import HEADER, accepted, mark, record, shown

EVENT = shown(accepted(10), 1)
TWICE = '{"type":"gap","from":1,"through":2,"state":"suspected","state":"repaired"}'


def test_unknown_lines_and_blank_lines_are_ignored() -> None:
    lines = record([EVENT, {"type": "status", "state": "live"}, {"type": "new"}])
    read = read_record([*lines, "", b"\n"])
    assert len(read.shown) == 1


def test_targets_may_be_names_alone() -> None:
    read = read_record(record([], targets=["ws://127.0.0.1:1/v1/tail"]))
    assert read.requests("any", 0, "any")


def test_a_filter_pattern_selects_what_was_requested() -> None:
    targets = [{"name": "g", "since": 5, "filter": {"streams": ["a"], "pattern": "ERROR"}}]
    read = read_record(record([mark(0, 9, 9)], targets=targets))
    assert read.requests("a", 5, "an ERROR")
    assert not read.requests("a", 4, "an ERROR")
    assert not read.requests("b", 5, "an ERROR")
    assert not read.requests("a", 5, "fine")
    [claim] = read.claims
    assert read.covers(claim, "a", "an ERROR")
    assert not read.covers(claim, "a", "fine")


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([], "empty"),
        (["{"], "line 1"),
        (["[]"], "line 1"),
        ([json.dumps({"type": "record"})], "line 1 .*missing required field `version`"),
        ([json.dumps(EVENT)], "line 1 .*must begin with"),
        (['{"type": "status"}'], "line 1 .*must begin with"),
        ([json.dumps({**HEADER, "version": 2})], "must begin with"),
        ([json.dumps({**HEADER, "targets": [{"since": "x"}]})], "line 1"),
        ([json.dumps({**HEADER, "targets": [{"filter": {"streams": "x"}}]})], "line 1"),
        ([json.dumps({**HEADER, "targets": [{"filter": {"pattern": 7}}]})], "line 1"),
        ([json.dumps({**HEADER, "targets": [{"filter": {"pattern": "err:"}}]})], "line 1 .*'err:'"),
        (record([{"seq": 1}]), "line 2 .*missing required field `type`"),
        (record([{**EVENT, "id": 1}]), r"line 2 .*Expected `str`, got `int` - at `\$\.id`"),
        (record([{**EVENT, "id": "x"}]), "not a decimal number"),
        (
            record([{**EVENT, "timestamp": "1"}]),
            r"line 2 .*Expected `int`, got `str` - at `\$\.timestamp`",
        ),
        (record([EVENT, {"type": "event"}]), "line 3"),
        (record([{**mark(0, 1, 2), "from": "x"}]), "line 2"),
        (
            record([{"type": "gap", "state": "suspected", "from": 1}]),
            "line 2 .*missing required field `through`",
        ),
        (["[" * 100_000], "line 1"),
        ([*record([]), TWICE], "line 2 .*the key 'state' stands twice"),
        ([*record([]), TWICE.replace("gap", "weather")], "line 2 .*the key 'state' stands twice"),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(lines: list[str], what: str) -> None:
    with pytest.raises(SimulatorError, match=what) as caught:
        read_record(lines)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("shape", [b"%s", b" %s \r\n", b"\t%s\n"])
@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"event","id":"7","timestamp":1,"log_stream":"a","message":"m","seq":1}',
        b'{ "type": "event", "id":"7", "timestamp":1, "log_stream":"a" ,"message":"m","seq":1}',
        b'{"seq":1,"type":"event","\\u0069d":"7","timestamp":1,"log_stream":"a","message":"m"}',
        b'{"type":"event","id":"7","timestamp":1,"log_stream":"a","message":"m","x":1e400}',
    ],
)
def test_a_line_may_be_written_in_any_way(line: bytes, shape: bytes) -> None:
    header = b'{"type":"record","version":1}'
    for text in (shape % line, (shape % line).decode()):
        (shown,) = read_record([header, text]).shown
        assert (shown.id, shown.timestamp, shown.stream, shown.message) == ("7", 1, "a", "m")
    twice = shape % line.replace(b'"log_stream":', b'"log_stream":"a","log_stream":', 1)
    for text in (twice, twice.decode()):
        with pytest.raises(SimulatorError, match=r"line 2 .* the key 'log_stream' stands twice"):
            read_record([header, text])


@pytest.mark.parametrize("message", ["\\ud800", "\\u00e4 \\ud83d\\ude00", "ä"])
def test_a_message_may_have_any_character(message: str) -> None:
    fields = f'"type":"event","id":"7","timestamp":1,"log_stream":"a","message":"{message}"'
    (shown,) = read_record(['{"type":"record","version":1}', f"{{{fields}}}"]).shown
    assert shown.message == json.loads(f'"{message}"')
