from __future__ import annotations

from typing import Any

import pytest

from simulator.acceptance import NewEvent, PutBatch, accepted_part
from simulator.cloudwatch.parameters import AwsRefusal
from simulator.cloudwatch.putting import Accepted, accept

NOW = 1_800_000_000_000
DAY = 24 * 3_600_000
HOUR = 3_600_000


def events(*offsets_ms: int) -> list[dict[str, Any]]:
    return [{"timestamp": NOW + offset, "message": f"m{offset}"} for offset in offsets_ms]


def pairs(*offsets_ms: int) -> list[tuple[int, str]]:
    return [(NOW + offset, f"m{offset}") for offset in offsets_ms]


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
    assert accept(events(*offsets), NOW, None) == Accepted(pairs(*offsets)[taken], rejected)
    # The simulator's own writer reads the indexes in the same way.
    batch = PutBatch("s", tuple(NewEvent("s", *pair) for pair in pairs(*offsets)))
    kept = accepted_part(batch, rejected)
    assert [(one.timestamp, one.message) for one in kept] == pairs(*offsets)[taken]


def test_what_retention_has_taken_is_rejected() -> None:
    offsets = (-15 * DAY, -2 * DAY, -DAY, 0)
    assert accept(events(*offsets), NOW, DAY) == Accepted(
        pairs(-DAY, 0), {"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2}
    )
    assert accept(events(-15 * DAY, 0), NOW, 30 * DAY).rejected == {"tooOldLogEventEndIndex": 1}


def refused(given: list[Any]) -> tuple[str, str]:
    with pytest.raises(AwsRefusal) as caught:
        accept(given, NOW, None)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (events(0, -1), "chronological order"),
        (events(-DAY, 1), "24 hours"),
        (events(-DAY - HOUR, 2 * HOUR), "24 hours"),
        ([{"timestamp": NOW, "message": ""}], "length greater than or equal to 1"),
        ([{"timestamp": -1, "message": "m"}], "value greater than or equal to 0"),
        ([{"timestamp": NOW, "message": "x" * 1_048_577}], "Log event too large"),
        ([{"timestamp": NOW, "message": "x" * 1_048_551}], "Upload too large: 1048577 bytes"),
        ([{"timestamp": NOW, "message": "é" * 262_144}] * 2, "Upload too large"),
        ([{"timestamp": NOW, "message": "x" * 1_023}] * 1_000, "Upload too large"),
    ],
)
def test_a_batch_that_breaks_a_rule_is_refused_whole(given: list[Any], words: str) -> None:
    code, message = refused(given)
    assert code == "InvalidParameterException"
    assert words in message


def test_batches_at_the_bounds_are_taken() -> None:
    assert accept([{"timestamp": NOW, "message": "x" * 1_048_550}], NOW, None).events
    assert accept([{"timestamp": NOW, "message": "x" * 1_022}] * 1_000, NOW, None).events
    assert len(accept(events(-DAY, 0), NOW, None).events) == 2


@pytest.mark.parametrize(
    "given",
    [
        [None],
        [{}],
        [["timestamp"]],
        [{"timestamp": NOW}],
        [{"timestamp": "1", "message": "m"}],
        [{"timestamp": NOW, "message": 1}],
        [{"timestamp": True, "message": "m"}],
        [{"timestamp": 1.5, "message": "m"}],
    ],
)
def test_what_no_model_allows_is_refused(given: list[Any]) -> None:
    assert refused(given)[0] == "SerializationException"
