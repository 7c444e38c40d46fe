from __future__ import annotations

import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.patterns import Pattern, PatternError, compile_pattern
from tui.lines.text_search import END, JoinedTexts, Prefilter, prefilter_of, split_as_latin1


def searched(pattern: Pattern, texts: list[str], prefilter: Prefilter) -> list[str]:
    packed = JoinedTexts.of(texts)
    flags = prefilter.flags(packed)
    assert flags == Prefilter(pattern).flags(packed)
    return [text for text, flag in zip(texts, flags, strict=True) if flag]


def compiled(written: str, *, ignores_case: bool) -> Pattern | None:
    try:
        return compile_pattern(written, ignores_case=ignores_case)
    except PatternError:
        return None


@pytest.mark.parametrize(
    ("pattern", "literals", "is_exact"),
    [
        ("line 7", ["line 7"], True),
        ("a\\.b", ["a.b"], True),
        ('{"level":"error"', ['{"level":"error"'], True),
        ("error|warn", ["error", "warn"], True),
        ("frame 7[0-9]+ failed", ["frame 7"], False),
        (r"\d+ms", ["ms"], False),
        ("colou?r", ["colo"], False),
        ("ab+cd", ["ab"], False),
        ("a{2}bc", ["bc"], False),
        ("a{x}", ["a{x}"], True),
        ("a{,2}b", ["a{,2}b"], True),
        ("(timeout|refused) after", ["timeout", "refused"], False),
        ("(?:timeout|refused)? after", [" after"], False),
        ("(?P<what>refused)+", ["refused"], False),
        ("[]x]y]", ["y]"], False),
        (r"^error$", ["error"], False),
        ("error|", [], False),
        (".*", [], False),
        ("", [], False),
        (r"x\x41", [], False),
        (r"\pLx", [], False),
        ("[[:alpha:]]x", [], False),
        ("(?i)a b", [], False),
        ("(a|b)?|error", [], False),
    ],
)
def test_the_literals_of_a_pattern(pattern: str, literals: list[str], is_exact: bool) -> None:  # noqa: FBT001 - an example
    one = compile_pattern(pattern)
    assert prefilter_of(one) == Prefilter(one, tuple(literals), is_exact)


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
        assert searched(one, ["x", form], prefilter_of(one)) == [form]


@given(
    st.lists(st.text("abK1{é\u212a\ud800\n", max_size=4), max_size=90),
    st.lists(
        st.sampled_from([*"abkK1é.^$|+*?()[]{}\\", "\ud800", "(?:", "\\d", "[a1]", "{1}", "{,2}"]),
        max_size=6,
    ).map("".join),
    st.booleans(),
)
def test_a_prefilter_finds_what_the_pattern_alone_finds(
    texts: list[str],
    written: str,
    ignores_case: bool,  # noqa: FBT001 - drawn
) -> None:
    pattern = compiled(written, ignores_case=ignores_case)
    assume(pattern is not None)
    assert pattern is not None
    found = searched(pattern, texts, prefilter_of(pattern))
    assert found == [text for text in texts if pattern.matches(text)]


@pytest.mark.parametrize("share", [1, 3, 50])
@pytest.mark.parametrize("ignores_case", [False, True])
@pytest.mark.parametrize("other", ["", " Hit", " É", " \ud800hi", " hÍt", " H\u0130T"])
def test_matches_that_are_many_or_few(share: int, ignores_case: bool, other: str) -> None:  # noqa: FBT001 - an example
    texts = [f"n={number}" + (" hit" if number % share == 0 else other) for number in range(1_000)]
    for written in ("hit", "h.t|hit", "hit|n=77 ", r"h\wt", "hit$|^n=77 "):
        pattern = compile_pattern(written, ignores_case=ignores_case)
        expected = [text for text in texts if pattern.matches(text)]
        assert searched(pattern, texts, prefilter_of(pattern)) == expected
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
