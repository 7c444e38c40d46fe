from __future__ import annotations

import json
from typing import Any

from gapless.rehearsal.lives import joined
from gapless.rehearsal.outcome import newest_marks


def event(number: int, message: str = "m") -> dict[str, Any]:
    return {
        "id": f"{number:056d}",
        "timestamp": number,
        "log_stream": "s/1",
        "message": message,
        "seq": number,
    }


def printed(*events: dict[str, Any], torn: str = "") -> bytes:
    return ("".join(json.dumps(one) + "\n" for one in events) + torn).encode()


def record(*events: dict[str, Any]) -> bytes:
    mark = {"type": "mark", "equal": True, "through": 5, "count": 1, "digest": "x"}
    lines = [
        {"type": "record", "version": 1},
        *({"type": "event", **one} for one in events),
        mark,
        {"type": "status"},
    ]
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in lines)


def numbers(found: bytes) -> list[int]:
    lines = [json.loads(line) for line in found.splitlines()]
    assert lines[0]["type"] == "record"
    assert lines[-1]["type"] == "status"
    return [one["timestamp"] for one in lines if one["type"] == "event"]


def test_one_life_is_its_record() -> None:
    assert joined(record(event(1)), []) == record(event(1))


def test_what_earlier_lives_printed_was_shown_as_well() -> None:
    found = joined(record(event(5), event(7)), [printed(event(6), event(1)), printed(event(2))])
    assert numbers(found) == [1, 2, 5, 6, 7]
    assert newest_marks(found) == newest_marks(record(event(5)))


def test_what_two_lives_show_is_no_duplicate() -> None:
    found = joined(record(event(5)), [printed(event(4), event(5)), printed(event(4))])
    assert numbers(found) == [4, 5]


def test_what_one_life_shows_twice_is() -> None:
    assert numbers(joined(record(event(5), event(5)), [printed()])) == [5, 5]
    assert numbers(joined(record(), [printed(event(4), event(4))])) == [4, 4]


def test_lives_that_contradict_are_both_shown() -> None:
    assert numbers(joined(record(event(5)), [printed(event(5, "another"))])) == [5, 5]


def test_the_order_of_the_record_is_kept_wrong_or_not() -> None:
    assert numbers(joined(record(event(7), event(5)), [printed(event(1))])) == [1, 7, 5]


def test_the_line_in_which_a_life_was_killed_does_not_count() -> None:
    assert numbers(joined(record(), [printed(event(1), torn='{"id": "00')])) == [1]
