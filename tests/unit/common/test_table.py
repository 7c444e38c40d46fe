from __future__ import annotations

from datetime import UTC

import pytest

from common.table import harmless, moment, size, table


def test_columns_are_aligned_and_nothing_trails() -> None:
    text = table(("NAME", "N"), [("a", "1"), ("longer", "200")], frozenset({1}))
    assert text.splitlines() == ["NAME      N", "a         1", "longer  200"]
    assert table(("A", "B"), [("x", "")], frozenset()).splitlines() == ["A  B", "x"]


def test_moments() -> None:
    assert moment(None) == "-"
    assert moment(1_795_435_200_999, UTC) == "2026-11-23 12:00:00"


@pytest.mark.parametrize(
    ("count", "expected"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2 << 60, "2048.0 PiB")],
)
def test_sizes(count: int | None, expected: str) -> None:
    assert size(count) == expected


def test_a_name_can_t_command_the_terminal() -> None:
    assert harmless("a\x1b[31mb") == "a\N{REPLACEMENT CHARACTER}[31mb"
