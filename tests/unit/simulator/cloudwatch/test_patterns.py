from __future__ import annotations

import pytest

from simulator.cloudwatch.parameters import AwsRefusal
from simulator.cloudwatch.patterns import matcher


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR disk", "disk: ERROR", True),
        ("ERROR disk", "ERROR", False),
        ('"disk full"', "the disk full", True),
        ('"disk full"', "full disk", False),
        (r'"say \"x\""', 'they say "x"', True),
        ("?ERROR ?WARN", "WARN", True),
        ("?ERROR ?WARN", "INFO", False),
        ("ERROR -timeout", "ERROR timeout", False),
        ("ERROR -timeout", "ERROR", True),
        ("ERROR ?WARN", "ERROR", True),
        ('-"no luck"', "luck", True),
    ],
)
def test_terms(pattern: str, message: str, matches: bool) -> None:  # noqa: FBT001
    found = matcher(pattern)
    assert found is not None
    assert found(message) is matches


@pytest.mark.parametrize("pattern", ["", "  "])
def test_the_empty_pattern_matches_everything(pattern: str) -> None:
    assert matcher(pattern) is None


@pytest.mark.parametrize("pattern", ["{ $.a = 1 }", "[a, b]", "%x%", '"open'])
def test_other_patterns_are_refused_rather_than_misread(pattern: str) -> None:
    with pytest.raises(AwsRefusal, match="Invalid filter pattern"):
        matcher(pattern)
