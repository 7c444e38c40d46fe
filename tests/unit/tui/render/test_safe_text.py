from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.render.safe_text import (
    CONTROL,
    MARKS_MAX,
    MESSAGE,
    NEWLINE,
    harmless,
    harmless_lines,
    picture,
    segments,
)

# The Arabic and Kaithi number signs are of category Cf, and visible.
VISIBLE_FORMATS = frozenset(
    map(chr, [*range(0x600, 0x606), 0x6DD, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD])
)


def test_no_control_or_hidden_character_passes() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        category = unicodedata.category(char)
        if category in ("Cc", "Cs", "Zl", "Zp") or (
            category == "Cf" and char not in VISIBLE_FORMATS
        ):
            assert char not in harmless(f"a{char}b"), hex(code)


def test_characters_without_width_are_marks_on_others() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if cell_len(char) == 0 and char in harmless(f"a{char}b"):
            # Cn: newer than Python's own Unicode tables; Lo: Hangul vowels after a consonant.
            assert unicodedata.category(char) in ("Mn", "Me", "Mc", "Cn", "Lo"), hex(code)


@given(st.text())
def test_the_pieces_are_printable_and_make_up_the_harmless_text(text: str) -> None:
    pieces = segments(text)
    joined = "".join(piece for piece, _ in pieces)
    assert joined == harmless(text)
    assert "\x1b" not in joined
    assert all(piece for piece, _ in pieces)
    joined.encode("utf-8")  # no half of a surrogate pair is left


SPECIAL = (
    *"a\t\n\r\x1b[1;m:\x9b\x00",
    "\x1b[31m",
    "\u0301",
    "\u0301" * (MARKS_MAX + 1),
    "\u200d",
    "漢",
    "\ud800",
)


@given(st.lists(st.sampled_from(SPECIAL)), st.booleans())
def test_both_ways_of_writing_agree(parts: list[str], ascii_only: bool) -> None:  # noqa: FBT001
    text = "".join(parts)
    joined = "".join(piece for piece, _ in segments(text, ascii_only=ascii_only))
    assert joined == harmless(text, ascii_only=ascii_only)


@given(st.lists(st.sampled_from(SPECIAL)))
def test_lines_are_written_each_like_a_text_of_its_own(parts: list[str]) -> None:
    text = "".join(parts)
    each = [harmless(line) for line in text.replace("\r\n", "\n").split("\n")]
    assert harmless_lines(text, "\n  ") == "\n  ".join(each)


def test_writing_stops_once_the_cells_or_rows_are_full() -> None:
    text = "a\x01" * 1_000
    whole = segments(text)
    assert segments(text, cells_max=10) == whole[:12]
    assert segments("a\n" * 10, newlines_max=2) == segments("a\na\n\n")


def test_marks_count_as_one_stack_across_colours_and_joiners() -> None:
    stack = ("\u0301" * 3 + "\u200d\x1b[31m") * 4
    shown = harmless(f"e{stack}x")
    assert shown == "e" + "\u0301" * MARKS_MAX + f"\u2039+{12 - MARKS_MAX}\u203ax"


@given(st.text(alphabet=st.characters(max_codepoint=0x7E, min_codepoint=0x20)))
def test_plain_text_is_left_alone(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x1b[2J\x1b[H", "␛[2J␛[H"),
        ("a\rb", "a␍b"),
        ("\x9b31m", "\u20399B\u203a31m"),
        ("user\u202egnp.exe", "user\u2039202E\u203agnp.exe"),
        ("zero\u200bwidth", "zero\u2039200B\u203awidth"),
        ("\ud800", "\u2039D800\u203a"),
        ("\x7f", "␡"),
        ("man\u200dwoman", "manwoman"),
        ("heart\u2764\ufe0f", "heart\u2764"),
        ("a\tb", "a       b"),
        ("漢\tb", "漢      b"),
        ("one\ntwo", "one⏎two"),
        ("one\r\ntwo\r\n", "one⏎two"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_with_ascii_alone() -> None:
    assert harmless("\x1b[2J\x7f\u202e\nx", ascii_only=True) == "^[[2J^?<202E>^Jx"
    assert picture("\x00", ascii_only=True) == "^@"


def test_stacks_of_marks_are_bounded_and_never_stand_alone() -> None:
    assert harmless("e" + "\u0301" * 20).count("\u0301") == MARKS_MAX
    assert harmless("\u0301x") == "◌\u0301x"
    assert cell_len(harmless("a\n\u0301x")) == cell_len("a⏎◌x")


def test_colours_become_roles() -> None:
    text = "\x1b[1;31mred\x1b[22m thin\x1b[0m \x1b[38;5;208mdeep\x1b[39m"
    assert segments(text) == [
        ("red", "sgr:1:b"),
        (" thin", "sgr:1:"),
        (" ", MESSAGE),
        ("deep", "sgr:208:"),
    ]
    assert segments("\x1b[38;2;1;2;3ma\x1b[38:2::4:5:6mb\x1b[38:5:7mc") == [
        ("a", "sgr:#010203:"),
        ("b", "sgr:#040506:"),
        ("c", "sgr:7:"),
    ]
    assert segments("\x1b[97;4mx\x1b[mz") == [("x", "sgr:15:u"), ("z", MESSAGE)]


def test_text_cannot_be_hidden_by_colours() -> None:
    assert segments("\x1b[8mx\x1b[0;5my\x1b[30;40mz") == [("xy", MESSAGE), ("z", "sgr:0:")]
    assert segments("\x1b[48;5;1;31mx") == [("x", "sgr:1:")]  # the ground is passed over whole


@pytest.mark.parametrize("broken", ["\x1b[38mx", "\x1b[38;5mx", "\x1b[38;9;1mx", "\x1b[;;;mx"])
def test_broken_colours_leave_the_text(broken: str) -> None:
    assert harmless(broken).endswith("x")


def test_roles_of_the_signs() -> None:
    assert segments("a\x07\nb") == [
        ("a", MESSAGE),
        ("␇", CONTROL),
        ("⏎", NEWLINE),
        ("b", MESSAGE),
    ]


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert harmless("x" * 1_000_000) == "x" * 1_000_000
    assert segments("x" * 1_000_000, chars_max=10) == [("x" * 10, MESSAGE)]


@pytest.mark.parametrize("codes", [1, 3, 2000])
def test_colour_codes_do_not_count_as_characters_that_are_read(codes: int) -> None:
    text = "\x1b[1m" * codes + "abcdef" + "\x1b[31m" + "ghi"
    for chars_max in range(1, 12):
        shown = "".join(part for part, _ in segments(text, chars_max=chars_max))
        assert shown == "abcdefghi"[:chars_max]


def test_the_colour_codes_that_are_read_are_bounded() -> None:
    assert segments("\x1b[1m" * 100_000 + "abc", chars_max=3) == []
