from __future__ import annotations

import pytest

from common.text import (
    escape_unprintable,
    format_size,
    replace_unprintable,
    table,
    unique_keys,
    without_colours,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 世 text", "plain é 世 text"),
        ("a\nb\r\n", r"a\nb\r\n"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("\u2028\u202e\x85", r"\u2028\u202e\x85"),
        ("\ud800", r"\ud800"),
    ],
)
def test_nothing_moves_a_cursor_or_ends_a_line(text: str, shown: str) -> None:
    assert escape_unprintable(text) == shown


def test_columns_are_aligned_and_nothing_trails() -> None:
    text = table(("NAME", "N"), [("a", "1"), ("longer", "200")], frozenset({1}))
    assert text.splitlines() == ["NAME      N", "a         1", "longer  200"]
    assert table(("A", "B"), [("x", "")], frozenset()).splitlines() == ["A  B", "x"]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2 << 60, "2048.0 PiB")],
)
def test_sizes(count: int | None, expected: str) -> None:
    assert format_size(count) == expected


def test_unprintable_characters_of_a_name_are_replaced() -> None:
    assert replace_unprintable("a\x1b[31mb") == "a\N{REPLACEMENT CHARACTER}[31mb"


def test_a_key_that_stands_twice_is_named() -> None:
    assert unique_keys([("a", 1), ("b", 1)]) == {"a": 1, "b": 1}
    with pytest.raises(ValueError, match="the key 'b' stands twice in one object") as caught:
        unique_keys([("a", 1), ("b", 1), ("c", 1), ("b", 1)])
    with pytest.raises(ValueError, match="stands twice") as caught:
        unique_keys([("\n\ud800" * 9_000, 1)] * 2)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1_000


def test_colour_codes_are_removed_and_nothing_else() -> None:
    assert without_colours("\x1b[31ma\x1b[0mb\x1b[2Kc\x1b") == "ab\x1b[2Kc\x1b"
