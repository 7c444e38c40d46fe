from __future__ import annotations

import json
import time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.lines import patterns
from tui.lines.patterns import (
    CUT,
    TOKENS_MAX,
    WILDCARD,
    LinePattern,
    PatternMatcher,
    PatternTree,
    fits,
    key_of,
    text_of,
    tokens_of,
    without_hex,
)
from tui.lines.structure import structure_of

REQUEST: Final = "8f5e4d3c-beef-4000-8000-aaaaaaaaaaa1"


def masked(message: str) -> str:
    tokens, _ = tokens_of(message)
    return " ".join(tokens)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("took 12 ms", "took * ms"),
        ("took 12ms, 3.5MB, -4", "took *, *, *"),
        ("2026-11-23T12:04:31.250Z started", "* started"),
        ("2026-11-23 12:04:31,250 - app - started", "* * - app - started"),
        ("Nov 23 12:04:31 ip-10-0-1-7 sshd[312]: closed", "* * ip-* sshd[*]: closed"),
        (
            '10.1.2.3 [23/Nov/2026:12:04:31 +0000] "GET /a HTTP/1.1" 200',
            '* [* *] "GET /a HTTP/*" *',
        ),
        (f"request {REQUEST} done", "request * done"),
        ("commit deadbeef1 and 0x7ffe", "commit * and *"),
        ("from [::1]:443 to 10.0.0.1:80", "from [::*]:* to *"),
        ('open "my file.txt" failed', "open * failed"),
        ("group 'billing' left, it's 5 o'clock", "group * left, it's * o'clock"),
        ('{"a": "b", "n": 1}', "a=b n=*"),
        ("12:04:31:ERROR:refused", "*:ERROR:refused"),
        ("\x1b[31mERROR\x1b[0m worker-3 failed", "ERROR worker-* failed"),
        ("failed: 7\nTraceback (most recent call last):\n  File", "failed: *"),
        ("[ERROR] KeyError: 7\rTraceback (most recent call last):\r", "[ERROR] KeyError: *"),
        ('{"level": 30, "msg": "upload 7 done"}', "upload * done"),
        ('{"log": "{\\"msg\\": \\"slow 7\\"}"}', "slow *"),
        ('level=info msg="cache miss 7" key=a', "cache miss *"),
        (f"2026-11-30T08:00:00.000Z\t{REQUEST}\tINFO\tpaid 7", "paid *"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_masks(message: str, expected: str) -> None:
    assert masked(message) == expected


def test_long_lines_are_cut_at_a_word() -> None:
    for number in (1, 1_000_000):
        *tokens, last = tokens_of(f"{number} " + "word " * 1_000)[0]
        assert len(tokens) == TOKENS_MAX - 1
        assert set(tokens) == {WILDCARD, "word"}
        assert last == CUT
    assert masked("x" * 10_000) == CUT


texts = st.lists(
    st.sampled_from(
        ["upload", "7", "a=1", "{", '"x"', "failed:", "ERROR", "\n", "'", "é", "\t", "\x1b[1m"]
    ),
    max_size=6,
).map(" ".join)


@given(texts, st.sampled_from(["msg", "message", "log", "event", "@m"]), st.booleans())
def test_the_message_of_json_is_the_one_that_rows_show(
    text: str,
    name: str,
    has_more: bool,  # noqa: FBT001
) -> None:
    more = {"user": {"msg": "x"}, "n": 1} if has_more else {}
    line = json.dumps({**more, name: text})
    structure = structure_of(line)
    if structure is not None and structure.message:
        first = structure.message.lstrip().partition("\n")[0]
        assert text_of(line) == (first, True)


@given(texts)
def test_lines_of_one_key_have_the_same_tokens(text: str) -> None:
    key = key_of(text)
    if key is not None:
        other = text.replace("7", "1234")
        assert key_of(other) == key
        assert tokens_of(other) == tokens_of(text)


def test_hexadecimal_numbers_share_a_key() -> None:
    one, other = (key_of(f"id {number} gone") for number in ("ab12", "fedc9"))
    assert one is not None
    assert other is not None
    assert one != other
    assert without_hex(one) == without_hex(other) == "id * gone"
    line = json.dumps({"msg": "id ab1", "level": 30})
    assert (key := key_of(line)) is not None
    assert without_hex(key) == ("id *", 30)


def found(tree: PatternTree, *messages: str, kind: object = None) -> list[LinePattern | None]:
    return [tree.find(kind, tokens_of(message)[0])[0] for message in messages]


def test_a_few_words_in_one_place_remain_patterns_of_their_own() -> None:
    tree = PatternTree()
    found(tree, "upload 1 of b done", "upload 2 of b failed", "upload 3 of b done")
    assert sorted(one.text for one in tree) == ["upload * of b done", "upload * of b failed"]


def test_many_words_in_one_place_are_a_wildcard() -> None:
    tree = PatternTree()
    ways = [f"user {name} logged in" for name in ("ann", "bob", "cy", "di", "eve")]
    before = found(tree, *ways)
    assert [one.text for one in tree] == ["user * logged in"]
    assert {one.current for one in before if one is not None} == set(tree)
    assert len(tree) == 1


def test_a_merged_pattern_takes_over_all_that_it_includes() -> None:
    tree = PatternTree()
    lines = found(tree, *(f"user {name} left" for name in ("ann", "bob", "cy")))
    for at, one in enumerate(lines):
        assert one is not None
        one.add("info", at, at + 1)
        one.stretch(at, at + 10)
    (merged,) = found(tree, "user di left")
    assert merged is not None
    assert (merged.count, merged.levels["info"], merged.buckets) == (6, 6, {0: 1, 1: 2, 2: 3})
    assert (merged.first_ms, merged.last_ms) == (0, 12)


def test_kinds_first_words_and_lengths_are_kept_apart() -> None:
    tree = PatternTree()
    found(tree, "started a b", "stopped a b", "started a b c")
    found(tree, "started a b", kind="error")
    assert len(tree) == 4


def test_there_is_a_bound_on_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "PATTERNS_MAX", 3)
    tree = PatternTree()
    assert None not in found(tree, "a b", "c d e", "f")
    assert found(tree, "g h i j k", "a b")[0] is None
    assert len(tree) == 3


def test_a_full_leaf_merges_what_is_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "LEAF_MAX", 2)
    tree = PatternTree()
    found(tree, "a b c d", "a x y z")
    assert found(tree, "a n m o") == [None]
    (merged,) = found(tree, "a b c e")
    assert merged is not None
    assert merged.text == "a b c *"
    assert len(tree) == 2


def test_first_words_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "FIRST_TOKENS_MAX", 2)
    tree = PatternTree()
    found(tree, *(f"{name} went out" for name in ("ann", "bob", "cy", "di", "eve", "fay")))
    assert sorted(one.text for one in tree) == ["* went out", "ann went out", "bob went out"]


words = st.lists(st.sampled_from(["a", "b", "c", "7", "d=x"]), max_size=5)


@given(st.lists(words, max_size=40))
def test_a_line_fits_the_pattern_that_was_found_for_it(lines: list[list[str]]) -> None:
    tree = PatternTree()
    given = [tokens_of(" ".join(line))[0] for line in lines]
    pairs = [(tokens, tree.find(None, tokens)[0]) for tokens in given]
    texts = [one.text for one in tree]
    assert len(set(texts)) == len(texts) == len(tree)
    for tokens, pattern in pairs:
        assert pattern is not None
        assert pattern.current in set(tree)
        assert fits(pattern.current.tokens, tokens)
        assert PatternMatcher(pattern.current.text).matches(" ".join(tokens).replace("*", "7"))


@pytest.mark.parametrize("unit", ["'a ", '"a ', "a1.", "-", "a-", "*", "7-abcd", "\n", "{", "a=1 "])
def test_hostile_lines_take_linear_time(unit: str) -> None:
    def taken(size: int) -> float:
        line = (unit * size)[:size]
        began = time.process_time()
        for _ in range(3):
            tokens_of(line)
            key_of(line)
        return time.process_time() - began

    taken(1_000)
    assert len(tokens_of(unit * 100_000)[0]) <= TOKENS_MAX
