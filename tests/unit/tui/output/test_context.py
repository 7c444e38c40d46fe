from __future__ import annotations

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_engine import make_line
from tui.lines.rows import Line
from tui.output.context import ContextFilter, ContextLine
from tui.output.ordering import PrintedLine


def taken(texts: list[str], before: int, after: int, parts: int = 1) -> list[ContextLine]:
    one = ContextFilter(
        before,
        after,
        is_shown=lambda line: "hidden" not in line.message,
        matches=lambda line: "match" in line.message,
    )
    lines = [PrintedLine(make_line(at, text), is_late=False) for at, text in enumerate(texts)]
    found: list[ContextLine] = []
    for at in range(parts):
        found += one.take(lines[at::parts] if parts == 1 else lines[at : at + 1])
    return found


def message(one: ContextLine) -> str:
    line: Line = one.printed.line
    return line.message


def test_lines_before_and_after() -> None:
    texts = ["a", "b", "match 1", "c", "d", "e", "match 2", "match 3", "f"]
    found = taken(texts, 1, 1)
    assert [message(one) for one in found] == [
        "b", "match 1", "c", "e", "match 2", "match 3", "f",
    ]  # fmt: skip
    assert [message(one) for one in found if one.follows_gap] == ["e"]
    assert [message(one) for one in found if one.is_match] == ["match 1", "match 2", "match 3"]


def test_hidden_lines_are_no_context() -> None:
    found = taken(["a", "hidden", "match", "hidden", "b", "c"], 1, 1)
    assert [message(one) for one in found] == ["a", "match", "b"]


def test_adjacent_groups_have_no_gap_between_them() -> None:
    found = taken(["match", "a", "b", "match"], 1, 1)
    assert [one.follows_gap for one in found] == [False] * 4
    found = taken(["match", "a", "match"], 0, 0)
    assert [one.follows_gap for one in found] == [False, True]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["match", "other"]), min_size=1, max_size=40),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_it_is_what_grep_prints(words: list[str], before: int, after: int) -> None:
    texts = [f"{word} {at}" for at, word in enumerate(words)]
    lines: list[str] = []
    for one in taken(texts, before, after, parts=len(texts)):
        lines += ["--"] if one.follows_gap and (before or after) else []
        lines.append(message(one))
    done = subprocess.run(
        ["grep", f"-B{before}", f"-A{after}", "match"],
        input="".join(f"{text}\n" for text in texts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert lines == done.stdout.splitlines()
