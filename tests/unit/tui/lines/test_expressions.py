"""What is typed into search, filters and ``--grep`` stands for what it says."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.patterns import PatternError
from tui.lines.expressions import (
    EXPRESSION_CHARS_MAX,
    All,
    Comparison,
    Expression,
    Not,
    Regex,
    Term,
    Text,
    complete,
    parse_expression,
    parse_or_none,
    smart_case,
)


@pytest.mark.parametrize(
    "text",
    [
        "ERROR request", "array[0]", "$5.00?", "C:\\Users", "[ERROR]", "a > b", "x = 1", "/var/log",
        '"level":"error"', 'he said "hi"', "!", "!!!", "!= 3", " blank ", "rm /var/log/ failed",
        "https://h/p?a=1&b=2", "?a=1", "12:04=x", "", "  ", "~/.bashrc", "a=", "/open", '"open',
    ],
)  # fmt: skip
def test_a_text_stands_for_itself(text: str) -> None:
    assert parse_expression(text) == Text(text)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ('"a b"', Text("a b")),
        ('"!x"', Text("!x")),
        ('"a \\"b\\" \\\\ C:\\U"', Text('a "b" \\ C:\\U')),
        ("/time(out)?/", Regex("time(out)?")),
        ("/a b/", Regex("a b")),
        (r"/a\/b\d/", Regex(r"a/b\d")),
        ("/var/log/", Regex("var/log")),
        ("user.id=12", Comparison("user.id", "=", "12")),
        ("status!=200", Comparison("status", "!=", "200")),
        ("amount>500", Comparison("amount", ">", "500")),
        ("amount>=5", Comparison("amount", ">=", "5")),
        ("amount<5", Comparison("amount", "<", "5")),
        ("amount<=5", Comparison("amount", "<=", "5")),
        ("user.name~/an+a b/", Comparison("user.name", "~", "an+a b", is_regex=True)),
        ("user.name~ann", Comparison("user.name", "~", "ann")),
        ("path=/api/", Comparison("path", "=", "/api/")),
        ('msg="cache miss"', Comparison("msg", "=", "cache miss")),
        ('"Max Memory Used">70', Comparison("Max Memory Used", ">", "70")),
        ('"level">30', Comparison("level", ">", "30", is_field=True)),
        ("level>=warn", Comparison("level", ">=", "warn")),
        ("@l=Error", Comparison("@l", "=", "Error")),
        ("items[0].id=5", Comparison("items[0].id", "=", "5")),
        ("größe=3", Comparison("größe", "=", "3")),
        ("!x", Not(Text("x"))),
        ("!connection refused", Not(Text("connection refused"))),
        ("!/a|b/", Not(Regex("a|b"))),
        ("!status=200", Not(Comparison("status", "=", "200"))),
        ('!"a b"', Not(Text("a b"))),
        ("!a !b", All((Not(Text("a")), Not(Text("b"))))),
        ('"a b" !c', All((Text("a b"), Not(Text("c"))))),
        ("/a/ /b/", All((Regex("a"), Regex("b")))),
        ("timeout level>=warn", All((Text("timeout"), Comparison("level", ">=", "warn")))),
        ('a=1 "b c" !d', All((Comparison("a", "=", "1"), Text("b c"), Not(Text("d"))))),
    ],
)  # fmt: skip
def test_expressions(text: str, expression: Expression) -> None:
    assert parse_expression(text) == expression
    assert parse_expression(str(expression)) == expression


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/(/", r"'\(' is not a regular expression: missing \)"),
        ("/(?=x)y/", "look-around is not supported"),
        ("a~/(/", "is not a regular expression"),
        ("a~/x", r"'/x' is not closed: write a~/regex/, or quote the text"),
        ("level>=loud", "'loud' is not one of trace, debug, info, warn, error, fatal"),
        ("a=1 !/[/", "is not a regular expression"),
        ("x" * (EXPRESSION_CHARS_MAX + 1), "is longer than 4,096 characters"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, why: str) -> None:
    with pytest.raises(PatternError, match=why) as raised:
        parse_expression(text)
    assert "\n" not in str(raised.value)
    assert parse_or_none(text) is None


@pytest.mark.parametrize(
    ("text", "is_regex", "ignores"),
    [
        ("upper", False, True), ("Upper", False, False), ("münchen", False, True),
        ("MÜNCHEN", False, False), (r"\S+ \D", True, True), (r"\pL+\p{Lu}", True, True),
        (r"\S+A", True, False), (r"C:\Users", False, False),
    ],
)  # fmt: skip
def test_smart_case(text: str, *, is_regex: bool, ignores: bool) -> None:
    assert smart_case(text, is_regex=is_regex) is ignores


TYPED = st.text(
    st.sampled_from('ab=!<>~/"\\ .[]019lev') | st.characters(max_codepoint=0x2FF), max_size=24
)
VALUES = st.text(st.sampled_from('ab12=!~/"\\ .é'), min_size=1, max_size=8)
NAMES = st.from_regex(r"[a-z][a-z0-9._-]{0,6}", fullmatch=True) | VALUES
COMPARISONS = st.builds(
    Comparison,
    NAMES,
    st.sampled_from(["=", "!=", ">", ">=", "<", "<=", "~"]),
    VALUES,
)
POSITIVE = st.builds(Text, VALUES) | st.builds(Regex, st.just("a/b|c d")) | COMPARISONS
TERMS: st.SearchStrategy[Term] = POSITIVE | st.builds(Not, POSITIVE)
EXPRESSIONS: st.SearchStrategy[Expression] = TERMS | st.builds(
    All, st.lists(TERMS, min_size=2, max_size=4).map(tuple)
)


@given(TYPED)
@example('a="')
@example("!!a=1")
@example('"" ""')
def test_whatever_is_typed_is_read_and_written_to_the_same(text: str) -> None:
    expression = parse_or_none(text)
    if expression is not None:
        assert parse_expression(str(expression)) == expression


@given(EXPRESSIONS)
def test_what_is_written_is_read_to_the_same(expression: Expression) -> None:
    assert parse_expression(str(expression)) == expression


SEEN = {
    "user.id": [], "status": ["200", "404"], "user.name": ["ann", "bob b"], "x y": ["1"],
    "level": ["warn", "error"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("st", "status="), ("user.", "user.id="), ("user.n", "user.name="), ("!st", "!status="),
        ("timeout st", "timeout status="), ("status=", "status=200"), ("status=4", "status=404"),
        ("status!=4", "status!=404"), ("status=404", None), ("user.name=b", None), ("", None),
        ("zz", None), ("x", None), ('"st', None), ("st ", None), ("level=e", "level=error"),
        ("user.id=", None), ("a=1 level=w", "a=1 level=warn"), ("/st", None),
    ],
)  # fmt: skip
def test_completion(text: str, completed: str | None) -> None:
    assert complete(text, SEEN) == completed


@given(TYPED)
def test_a_completed_text_begins_with_what_was_typed(text: str) -> None:
    completed = complete(text, SEEN)
    assert completed is None or (completed.startswith(text) and completed != text)
