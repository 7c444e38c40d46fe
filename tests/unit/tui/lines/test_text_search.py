from __future__ import annotations

import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.patterns import Pattern, PatternError, compile_pattern
from tui.lines.text_search import END, JoinedTexts, flag_matches, split_as_latin1


def searched(pattern: Pattern, texts: list[str]) -> list[str]:
    packed = JoinedTexts.of(texts)
    flags = flag_matches(pattern, packed)
    assert flags == pattern.flag_lines(packed.data, packed.ends)
    return [text for text, flag in zip(texts, flags, strict=True) if flag]


def compiled(written: str, *, ignores_case: bool) -> Pattern | None:
    try:
        return compile_pattern(written, ignores_case=ignores_case)
    except PatternError:
        return None


def test_letters_with_more_forms_than_two() -> None:
    pattern = compile_pattern("[a-z]", ignores_case=True)
    forms = [
        char
        for char in map(chr, range(0x80, sys.maxunicode + 1))
        if not 0xD800 <= ord(char) < 0xE000 and pattern.matches(char)
    ]
    assert forms == list("\u017f\u212a")
    for form in forms:
        one = next(
            found
            for plain in "ks"
            if (found := compile_pattern(plain, ignores_case=True)).matches(form)
        )
        assert searched(one, ["x", form]) == [form]


@given(
    st.lists(st.text("abK1{é\u212a\ud800\n", max_size=4), max_size=90),
    st.lists(
        st.sampled_from([*"abkK1é.^$|+*?()[]{}\\", "\ud800", "(?:", "\\d", "[a1]", "{1}", "{,2}"]),
        max_size=6,
    ).map("".join),
    st.booleans(),
)
def test_joined_texts_have_the_matches_that_each_has_alone(
    texts: list[str],
    written: str,
    ignores_case: bool,  # noqa: FBT001 - drawn
) -> None:
    pattern = compiled(written, ignores_case=ignores_case)
    assume(pattern is not None)
    assert pattern is not None
    found = searched(pattern, texts)
    assert found == [text for text in texts if pattern.matches(text)]


@pytest.mark.parametrize("share", [1, 3, 50])
@pytest.mark.parametrize("ignores_case", [False, True])
@pytest.mark.parametrize("other", ["", " Hit", " É", " \ud800hi", " hÍt", " H\u0130T"])
def test_matches_that_are_many_or_few(share: int, ignores_case: bool, other: str) -> None:  # noqa: FBT001 - an example
    texts = [f"n={number}" + (" hit" if number % share == 0 else other) for number in range(1_000)]
    for written in ("hit", "h.t|hit", "hit|n=77 ", r"h\wt", "hit$|^n=77 "):
        pattern = compile_pattern(written, ignores_case=ignores_case)
        expected = [text for text in texts if pattern.matches(text)]
        assert searched(pattern, texts) == expected
        assert len(expected) >= 1_000 // share


any_text = st.text(st.characters(), max_size=8)  # lone surrogates among them
ascii_text = st.text(st.characters(max_codepoint=0x7F), max_size=8)


@given(st.lists(any_text | ascii_text, max_size=8) | st.lists(ascii_text, max_size=8))
def test_messages_come_back_together_and_one_by_one(messages: list[str]) -> None:
    texts = JoinedTexts.of(messages)
    assert texts.all() == messages
    assert [texts.one(at) for at in range(len(messages))] == messages
    assert texts.is_ascii == all(message.isascii() for message in messages)


@given(st.lists(any_text, min_size=1, max_size=8))
def test_ends_are_the_offsets_behind_each_message(messages: list[str]) -> None:
    texts = JoinedTexts.of(messages)
    ends = [at + 1 for at in range(len(texts.data)) if texts.data[at : at + 1] == END]
    assert list(texts.ends) == ends


@given(st.lists(any_text, max_size=8))
def test_split_as_latin1_keeps_each_byte(messages: list[str]) -> None:
    parts = split_as_latin1(JoinedTexts.of(messages).data)
    assert [part.encode("latin-1").decode("utf-8", "surrogatepass") for part in parts] == messages


@given(
    st.lists(st.sampled_from(["a=1", "xx a= y", "A=2 a=3", "A=", "b", "", "a=\n"]), max_size=200),
    st.sampled_from(["a=1", "xx a= y"]),
    st.integers(0, 200),
    st.sampled_from(["a=", "A=", "=", "A=2"]),
    st.booleans(),
)
def test_texts_in_most_or_all_lines_are_found_in_each(
    texts: list[str],
    usual: str,
    repeats: int,
    written: str,
    ignores_case: bool,  # noqa: FBT001 - drawn
) -> None:
    pattern = compile_pattern(written, ignores_case=ignores_case)
    texts = [usual] * repeats + texts
    assert searched(pattern, texts) == [text for text in texts if pattern.matches(text)]
