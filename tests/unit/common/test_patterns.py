from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.concurrency import in_thread
from common.patterns import SPANS_MAX, Pattern, PatternError, compile_pattern

MB = 1 << 20
ERRORS = ("error " * MB)[:MB]

HOSTILE = [
    ("error.*timeout", ERRORS),
    (r"(\w+) failed", ERRORS),
    (r"(\w+) failed", "a" * MB),
    ("(a+)+b", "a" * 40),
    ("(a+)+b", "a" * MB),
    ("(a|a)*$b?c", "a" * MB),
    (r"\d+ms", "1" * MB),
    (r"\s+$x", " " * MB),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE)
def test_patterns_that_keep_re_busy_for_ever(text: str, message: str) -> None:
    pattern = compile_pattern(text)
    assert not pattern.matches(message)
    assert pattern.groups_in(message) is None
    assert pattern.spans(message) == []
    data = message.encode() + b"\xff"
    assert pattern.flag_lines(data * 2, [len(data), 2 * len(data)]) == b"\0\0"
    end = {"error.*timeout": "timeout", r"(\w+) failed": "a failed", "(a+)+b": "ab"}.get(text)
    assert end is None or pattern.matches(message + end)


async def test_the_event_loop_goes_on_while_a_thread_searches() -> None:
    pattern, message = compile_pattern("error.*timeout"), ERRORS.encode() * 64
    turns = 0
    for _ in range(20):  # on a busy machine it may be the loop that gets no processor
        searching = asyncio.create_task(in_thread(lambda: pattern.matches_utf8(message)))
        turns = 0
        while not searching.done():
            await asyncio.sleep(0)
            turns += 1
        assert not await searching
        if turns > 100:
            break
    assert turns > 100


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(?=x)y", "look-around is not supported"),
        ("(?<!x)y", "look-around is not supported"),
        (r"(a)\1", "back references are not supported"),
        ("(?P<a>x)(?P=a)", "back references are not supported"),
        ("(?>a+)b", r"\(\?> is not supported"),
        ("(?x)a b", r"\(\?x is not supported"),
        ("(.{0,500}x){30}", "it repeats something over 1,000 times"),
        (r"\pL{1000}" * 50, "it is too large"),
    ],
)
def test_what_is_lacking_is_rejected_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(PatternError, match=f"cannot be used: {why}$") as caught:
        compile_pattern(text)
    assert not caught.value.is_syntax
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["(", "a[b", "*a", "c++", "x\\", "a)", r"\Z", "[z-a]", "(?P<a"])
def test_what_is_no_expression_is_rejected_unless_it_is_literal(text: str) -> None:
    with pytest.raises(PatternError, match="is not a regular expression: ") as caught:
        compile_pattern(text)
    assert caught.value.is_syntax
    typed = Pattern(text, ignores_case=True, is_literal=True)
    assert typed.literal == text
    assert typed.matches(f"x{text}y")
    assert not typed.matches("other")
    assert typed.spans(f"x{text}y") == [(1, 1 + len(text))]


def test_text_that_is_not_unicode_is_rejected() -> None:
    with pytest.raises(PatternError, match="is not valid Unicode"):
        compile_pattern("\ud800")


@pytest.mark.parametrize(
    ("text", "message", "groups"),
    [
        ("(?P<A>done)|(?P<B>failed)", "it failed, not done", {"B"}),
        ("(?P<A>done)|(?P<B>failed)", "neither", None),
        ("over(?P<A> with errors)?", "over", set()),
        ("over(?P<A> with errors)?", "over with errors", {"A"}),
        ("(?P<A>a)(?:b|(?P<B>c))", "ac", {"A", "B"}),
        ("(?P<A>over)$", "over\n", {"A"}),
    ],
)
def test_the_groups_of_the_first_match(text: str, message: str, groups: set[str] | None) -> None:
    assert compile_pattern(text).groups_in(message) == groups


_PIECES = [*"ab é.^$|+*?()[]\n", r"\w", r"\s", r"\b", "[^a]", "a{2}", "(?P<n>", "(?i)"]


@given(
    st.lists(st.sampled_from(_PIECES), max_size=6).map("".join),
    st.lists(st.text("abA é\n", max_size=6), min_size=1, max_size=8),
)
def test_it_finds_what_re_finds(text: str, messages: list[str]) -> None:
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of sets in sets
            reference, pattern = re.compile(text, re.ASCII), compile_pattern(text)
    except (re.error, PatternError):
        return
    found = [reference.search(message) is not None for message in messages]
    assert [pattern.matches(message) for message in messages] == found
    lines = [message.encode() + b"\xff" for message in messages]
    ends = [sum(map(len, lines[: at + 1])) for at in range(len(lines))]
    assert list(pattern.flag_lines(b"".join(lines), ends)) == found
    for message in messages:
        expected = [one.span() for one in reference.finditer(message) if one.end() > one.start()]
        assert pattern.spans(message) == expected or pattern.has_anchors or r"\b" in text


def test_the_spans_of_one_text_are_bounded() -> None:
    assert len(compile_pattern("a").spans("a" * 5_000)) == SPANS_MAX
    assert compile_pattern("é").spans("xéyé") == [(1, 2), (3, 4)]


def test_the_engine_is_loaded_by_the_first_pattern() -> None:
    code = (
        "import sys, gapless.cli, gapless.options, tui.lines.filters, forwarder.ingest.executions\n"
        "assert 're2' not in sys.modules\n"
        "gapless.options.EXPRESSION.convert('/a/', None, None)\n"
        "assert 're2' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
