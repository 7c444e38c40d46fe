from __future__ import annotations

import json
import re
from random import Random

import pytest

from simulator.workload.lines import LIFECYCLE_PATTERN, Outcome, first_words, last_words, message


def written(seed: int, count: int = 2_000) -> list[str]:
    rng = Random(seed)
    return [message(number, number / count, rng) for number in range(count)]


def test_everything_that_logs_hold_is_there() -> None:
    lines = written(1)
    for level in ("DEBUG", "INFO ", "WARN ", "ERROR"):
        assert any(line.startswith(level) for line in lines)
    assert any(line.count("\n") > 3 and "Traceback" in line for line in lines)
    assert any(not line.isascii() for line in lines)
    assert any("%" in line for line in lines)
    parsed = [json.loads(line) for line in lines if line.startswith("{")]
    assert {one["level"] for one in parsed} == {"debug", "info", "warn", "error"}


def test_every_message_has_a_character() -> None:
    assert all(written(2))


def test_the_same_seed_writes_the_same() -> None:
    assert written(3, 50) == written(3, 50)
    assert written(3, 50) != written(4, 50)


@pytest.mark.parametrize("outcome", ["SUCCEEDED", "FAILED", "STOPPED"])
def test_the_pattern_tells_how_an_execution_ended(outcome: Outcome) -> None:
    found = re.search(LIFECYCLE_PATTERN, last_words(outcome, 12_345))
    assert found is not None
    assert [name for name, text in found.groupdict().items() if text] == [outcome]


def test_nothing_else_looks_like_last_words() -> None:
    lines = [*written(5), first_words("abc", Random(1))]
    assert not any(re.search(LIFECYCLE_PATTERN, line) for line in lines)
