"""tests.unit.simulator.cloudwatch.test_putting."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from simulator.acceptance import NewEvent, PutBatch, accepted_part
from simulator.cloudwatch.parameters import AwsRefusal
from simulator.cloudwatch.putting import Accepted, accept
from tests.support.simulator.stored_logs import NOW, StoredLogs

PUT_AT = 1_800_000_000_000
DAY = 24 * 3_600_000
HOUR = 3_600_000


def events(*offsets_ms: int) -> list[dict[str, Any]]:
    return [{"timestamp": PUT_AT + offset, "message": f"m{offset}"} for offset in offsets_ms]


def pairs(*offsets_ms: int) -> list[tuple[int, str]]:
    return [(PUT_AT + offset, f"m{offset}") for offset in offsets_ms]


@pytest.mark.parametrize(
    ("offsets", "taken", "rejected"),
    [
        ((-5, 0, 0, 7), slice(0, 4), {}),
        ((-14 * DAY, -14 * DAY + HOUR), slice(0, 2), {}),
        ((-14 * DAY - 1,), slice(0, 0), {"tooOldLogEventEndIndex": 1}),
        ((-16 * DAY, -15 * DAY, 0), slice(2, 3), {"tooOldLogEventEndIndex": 2}),
        ((0, 2 * HOUR), slice(0, 2), {}),
        ((0, 2 * HOUR + 1, 3 * HOUR), slice(0, 1), {"tooNewLogEventStartIndex": 1}),
        (
            (-15 * DAY, 0, 3 * HOUR),
            slice(1, 2),
            {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2},
        ),
        (
            (-15 * DAY, 3 * HOUR),
            slice(1, 1),
            {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 1},
        ),
    ],
)
def test_too_old_and_too_new_events_are_rejected_and_the_rest_is_taken(
    offsets: tuple[int, ...], taken: slice, rejected: dict[str, int]
) -> None:
    assert accept(events(*offsets), PUT_AT, None) == Accepted(pairs(*offsets)[taken], rejected)
    # The simulator's own writer reads the indexes in the same way.
    batch = PutBatch("s", tuple(NewEvent("s", *pair) for pair in pairs(*offsets)))
    kept = accepted_part(batch, rejected)
    assert [(one.timestamp, one.message) for one in kept] == pairs(*offsets)[taken]


def test_what_retention_has_taken_is_rejected() -> None:
    offsets = (-15 * DAY, -2 * DAY, -DAY, 0)
    assert accept(events(*offsets), PUT_AT, DAY) == Accepted(
        pairs(-DAY, 0), {"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2}
    )
    assert accept(events(-15 * DAY, 0), PUT_AT, 30 * DAY).rejected == {"tooOldLogEventEndIndex": 1}


def refused(given: list[Any]) -> tuple[str, str]:
    with pytest.raises(AwsRefusal) as caught:
        accept(given, PUT_AT, None)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (events(0, -1), "chronological order"),
        (events(-DAY, 1), "24 hours"),
        (events(-DAY - HOUR, 2 * HOUR), "24 hours"),
        ([{"timestamp": PUT_AT, "message": ""}], "length greater than or equal to 1"),
        ([{"timestamp": -1, "message": "m"}], "value greater than or equal to 0"),
        ([{"timestamp": PUT_AT, "message": "x" * 1_048_577}], "Log event too large"),
        ([{"timestamp": PUT_AT, "message": "x" * 1_048_551}], "Upload too large: 1048577 bytes"),
        ([{"timestamp": PUT_AT, "message": "é" * 262_144}] * 2, "Upload too large"),
        ([{"timestamp": PUT_AT, "message": "x" * 1_023}] * 1_000, "Upload too large"),
    ],
)
def test_a_batch_that_breaks_a_rule_is_refused_whole(given: list[Any], words: str) -> None:
    code, message = refused(given)
    assert code == "InvalidParameterException"
    assert words in message


def test_batches_at_the_bounds_are_taken() -> None:
    assert accept([{"timestamp": PUT_AT, "message": "x" * 1_048_550}], PUT_AT, None).events
    assert accept([{"timestamp": PUT_AT, "message": "x" * 1_022}] * 1_000, PUT_AT, None).events
    assert len(accept(events(-DAY, 0), PUT_AT, None).events) == 2


@pytest.mark.parametrize(
    "given",
    [
        [None],
        [{}],
        [["timestamp"]],
        [{"timestamp": PUT_AT}],
        [{"timestamp": "1", "message": "m"}],
        [{"timestamp": PUT_AT, "message": 1}],
        [{"timestamp": True, "message": "m"}],
        [{"timestamp": 1.5, "message": "m"}],
    ],
)
def test_what_no_model_allows_is_refused(given: list[Any]) -> None:
    assert refused(given)[0] == "SerializationException"


@pytest.fixture
def stored() -> StoredLogs:
    return StoredLogs("a", "b")


def test_the_rest_is_stored_where_some_is_rejected(stored: StoredLogs) -> None:
    answer = stored.put("a", (-15 * DAY, "old"), (0, "fine"), (3 * 3_600_000, "new"))
    assert answer["rejectedLogEventsInfo"] == {
        "tooOldLogEventEndIndex": 1,
        "tooNewLogEventStartIndex": 2,
    }
    assert len(answer["nextSequenceToken"]) == 56
    assert stored.messages() == ["fine"]


def test_a_refused_batch_stores_nothing(stored: StoredLogs) -> None:
    events = [{"timestamp": NOW, "message": "m"}, {"timestamp": NOW - 1, "message": "m"}]
    code, message = stored.refused("PutLogEvents", logStreamName="a", logEvents=events)
    assert (code, "chronological" in message) == ("InvalidParameterException", True)
    assert stored.messages() == []


def test_what_is_not_there_is_said(stored: StoredLogs) -> None:
    events = [{"timestamp": NOW, "message": "m"}]
    assert stored.refused("PutLogEvents", logStreamName="none", logEvents=events) == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )
    assert stored.refused(
        "PutLogEvents", logGroupName="/none", logStreamName="a", logEvents=events
    ) == ("ResourceNotFoundException", "The specified log group does not exist.")


def test_lone_surrogates_are_kept(stored: StoredLogs) -> None:
    stored.put("a", (0, "\ud83d and \U0001f600"))
    assert stored.messages() == ["\ud83d and \U0001f600"]


def test_threads_write_and_read_at_once(stored: StoredLogs) -> None:
    seen: list[int] = []

    def write(stream: str) -> None:
        for number in range(100):
            stored.put(stream, *((number, f"{stream}{number}.{part}") for part in range(10)))

    def read() -> None:
        while len(seen) < 1 or seen[-1] < 2_000:
            seen.append(len(stored.messages()))

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == sorted(seen)
    messages = stored.messages()
    assert len(messages) == len(set(messages)) == 2_000
