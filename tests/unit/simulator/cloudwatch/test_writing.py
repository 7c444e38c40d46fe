from __future__ import annotations

import threading

import pytest

from tests.support.stored_logs import NOW, StoredLogs

DAY = 24 * 3_600_000


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
