"""Expressions match lines as they are shown, one by one and in packed blocks alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.patterns import PatternError
from tests.support.fake_engine import make_line
from tui.lines.expressions import parse_expression, quoted
from tui.lines.matching import highlight_of, seen_fields
from tui.lines.matching import test_of as make_test
from tui.lines.packed import PackedRows
from tui.lines.patterns import tokens_of
from tui.lines.rows import Line

REQUEST: Final = "8f5e4d3c-0000-4000-8000-000000000001"
RED, BOLD, OFF = "\x1b[31m", "\x1b[1m", "\x1b[0m"
GROUPS: Final = ("/ecs/web", "/aws/lambda/pay")
LAMBDA: Final = f"2026-11-30T08:00:00.000Z\t{REQUEST}\tINFO\t"
PAID: Final = LAMBDA + '{"msg": "paid", "amount": 12.5, "user": {"id": 12, "name": "Ann"}}'
FIRELENS: Final = (
    '{"log": "{\\"level\\": \\"warn\\", \\"msg\\": \\"slow\\", \\"ms\\": 900}", "c": "web"}'
)
LOGFMT: Final = 'level=info msg="cache miss" key=user:12 took=31ms'
REPORT: Final = (
    f"REPORT RequestId: {REQUEST}\tDuration: 102.25 ms\tBilled Duration: 103 ms\t"
    "Memory Size: 128 MB\tMax Memory Used: 71 MB\tInit Duration: 211.02 ms\t"
)
COLOURED: Final = f"{RED}ERROR{OFF} request {BOLD}id{OFF}=42 failed"


def finds(typed: str, *lines: Line) -> list[bool]:
    """Which lines match, tested one by one and packed."""
    test = make_test(parse_expression(typed), GROUPS.__getitem__)
    found = [test(one) for one in lines]
    packed = PackedRows([one.key for one in lines], lines)
    assert list(map(bool, test.flags(packed))) == found
    packed.compress()
    assert list(map(bool, test.flags(packed))) == found
    return found


@pytest.mark.parametrize(
    ("message", "typed", "expected"),
    [
        # As texts
        (COLOURED, "id=42", True),
        (COLOURED, "ERROR request", True),
        (COLOURED, "request id=42 failed", True),
        (COLOURED, "/ERROR request id=\\d+/", True),
        (f"{RED}no{OFF}ise", "noise", True),
        (f"{RED}a{OFF}", "[31m", False),
        ("value of array[0] is 5", "array[0]", True),
        ("costs $5.00?", "$5.00?", True),
        ("costs $5x00", "$5.00?", False),
        ("C:\\Users\\me", "C:\\Users", True),
        ("a[ERROR]b", "[ERROR]", True),
        ("an E in it", "[ERROR]", False),
        ("f(x)*2^n|m", "(x)*2^n|", True),
        ("Upper", "upper", True),
        ("upper", "Upper", False),
        ("MÜNCHEN", "münchen", True),
        ("münchen", "MÜNCHEN", False),
        ("Straße", "STRASSE", False),
        ("ПРИВЕТ мир", "привет МИР", False),
        ("ПРИВЕТ мир", "привет мир", True),
        ("a && b", "a && b", True),
        ("timed  out", "timed out", False),
        ("100% of {x}", "100% of {x}", True),
        ("^start$", "^start$", True),
        ("a+b=c", "a+b=c", True),
        ("x /tmp/a b", "/tmp/a", True),
        ("order 12 failed", "/order \\d+/", True),
        ("order x failed", "/order \\d+/", False),
        ("anything", "!nothing", True),
        ("connection refused", "!connection refused", False),
        ("connection was refused", "!connection refused", True),
        ("both a and b", '"a and" /b$/', True),
        ("both a and b", '"a and" !/b$/', False),
        # As fields
        (PAID, "amount=12.5", True),
        (PAID, "amount=12.50", True),
        (PAID, "amount>12", True),
        (PAID, "amount<=12.4", False),
        (PAID, "user.id=12", True),
        (PAID, "user.id=1", False),
        (PAID, "user.id!=13", True),
        (PAID, "user.id!=12", False),
        (PAID, "nothing!=12", False),
        (PAID, "!nothing=12", True),
        (PAID, "user.name=ann", True),
        (PAID, "user.name=ANN", False),
        (PAID, "USER.name=Ann", False),
        (PAID, "user.name~/^A.n$/", True),
        (PAID, "user.name~n", True),
        (PAID, "user.name~/^n/", False),
        (PAID, f"requestId={REQUEST}", True),
        (PAID, "requestid~8f5e4d3c", True),
        (PAID, "msg=paid", True),
        (PAID, "message=paid", True),
        (PAID, "msg~/^pa/ amount>10 !user.id=13", True),
        (PAID, "msg~/^pa/ amount>13", False),
        (FIRELENS, "ms=900", True),
        (FIRELENS, "ms>1000", False),
        (FIRELENS, "level=warn c=web", True),
        (LOGFMT, "key=user:12", True),
        (LOGFMT, "took=31ms", True),
        (LOGFMT, "took=31", True),
        (LOGFMT, "took>9", True),
        (LOGFMT, "took>9ms", True),
        (LOGFMT, "took>0.03s", True),
        (LOGFMT, "took>0.04s", False),
        (LOGFMT, "took>1MB", False),
        (LOGFMT, 'msg="cache miss"', True),
        (LOGFMT, LOGFMT, True),
        (REPORT, "duration>100", True),
        (REPORT, "Duration=102.25", True),
        (REPORT, '"max memory used"<=71', True),
        (REPORT, '"Billed Duration">103', False),
        ('{"a": 1, "a": 2}', "a=1", True),
        ('{"a": 1, "a": 2}', "a=2", True),
        ('{"a": 1, "a": 2}', "a!=2", False),
        ('{"a": 1, "a": 2}', "a!=3", True),
        ('{"user": {"id": 1}, "user": {"x": 2}}', "user.id=1", True),
        ('{"user.id": 1}', "user.id=1", True),
        ('{"Status": 200}', "status=200", True),
        ('{"sTaTus": 200}', "status=200", True),
        ('{"status": 200}', "Status=200", False),
        ('{"ok": true, "n": null}', "ok=true n=null", True),
        ('{"tags": ["a", "b"], "o": [{"id": 7}]}', "tags[1]=b o[0].id=7", True),
        ('{"tags": ["a", "b"]}', "tags[2]=b", False),
        ('{"v": "12abc"}', "v=12", False),
        ('{"v": "abc"}', "v>5", False),
        ('{"v": "2026-11-30"}', "v>=2026-11", True),
        ('{"name": "\\u0041nn"}', "name=Ann", True),
        ('{"n\\u0061me": "x"}', "name=x", True),
        ('{"v": NaN}', "v=NaN", True),
        ('{"v": 1e999}', "v>5", True),
        ('{"v": 12345678901234567890123}', "v=12345678901234567890123", True),
        ('{"level": "x"}', '"level"=x', True),
        ('{"stream": "stdout"}', '"stream"=stdout', True),
        ('{"stream": "stdout"}', "stream=stdout", False),
        # A comparison is a text, too, where there is no such field
        ("plain id=42 line", "id=42", True),
        ("plain id=7 line", "id=42", False),
        ("plain a>500 line", "a>500", True),
        ("std::vector<int> x", "vector<int>", True),
        ("id=421 x=1", "id=42", False),
        ('{"msg": "saw id=42"}', "id=42", True),
        ('{"msg": "saw id=42", "id": 7}', "id=42", False),
        ('{"msg": "a=1 id=42"}', "id=42", True),
        # Of the line
        ("ERROR x", "level>=warn", True),
        ("INFO x", "level>=warn", False),
        ("no level", "level<warn", True),
        ("no level", "level=info", False),
        ("WARN x", "level!=warn", False),
        ("ERROR x", "level!=warn", True),
        ('{"level": "warning"}', "level=warn", True),
        ("ERROR x", "level=error x", True),
        ("set level>=warn now", "level>=warn", True),
        ("x", "stream=web/app/7c1e09", True),
        ("x", "stream=web", False),
        ("x", "stream~WEB", False),
        ("x", "stream~/^web/", True),
        ("x", "group=/ecs/web", True),
        ("x", "group=web", True),
        ("x", "group=pay", False),
        ("x", "group!=pay", True),
        ("x", "group~ecs", True),
        ("x", "origin=live", True),
        ("x", "origin!=live", False),
        ("x", "origin=elsewhere", False),
    ],
)  # fmt: skip
def test_what_is_typed_finds_lines(message: str, typed: str, *, expected: bool) -> None:
    assert finds(typed, make_line(1, message)) == [expected]


KEYS: Final = ["a", "A", "b", "a.b", "msg", "log", "host", "ä", "x y", "requestId", "level"]
SCALARS: Final = st.sampled_from(
    [1, 2, 12, -1, 1.0, 1.5, True, False, None, "1", "2ms", "x", "X", "x y", "é", "a=1 b=2", "",
     '{"a": 1}', '{"b": {"a": 2}}', "a=1", "REPORT RequestId: 1\ta: 2", f"{RED}x{OFF}"]
)  # fmt: skip
OBJECTS: Final = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=2),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=6,
)


@st.composite
def messages(draw: st.DrawFn) -> str:
    pairs = draw(st.lists(st.tuples(st.sampled_from(KEYS), OBJECTS), max_size=4))
    is_ascii = draw(st.booleans())
    parts = (f"{json.dumps(key)}: {json.dumps(one, ensure_ascii=is_ascii)}" for key, one in pairs)
    logfmt = " ".join(f"{key}={one}" for key, one in pairs if not isinstance(one, dict | list))
    body = draw(st.sampled_from(["{" + ", ".join(parts) + "}", logfmt, "a=1 plain text A"]))
    before = draw(
        st.sampled_from(["", "", "", LAMBDA, "Nov 30 08:00:00 h a[7]: ", "x ", f"{RED}ERROR{OFF} ",
                         "REPORT ", " ", "é "])
    )  # fmt: skip
    at = draw(st.integers(0, len(body)))
    cut = draw(st.sampled_from(["", "", "", RED, "\\", "\n"]))
    return before + body[:at] + cut + body[at:] + draw(st.sampled_from(["", "\n", OFF, " }"]))


NAMES: Final = st.sampled_from([*KEYS[:8], '"x y"', "a[0]", "a.b.a", "b.a", "requestid", "stream"])
TYPED: Final = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "!"]),
    NAMES,
    st.sampled_from(["=", "=", "!=", ">", "<=", "~"]),
    st.sampled_from(["1", "2", "1.0", "2ms", "x", "X", '"x y"', "true", "null", "é", "warn"]),
) | st.sampled_from(["plain", "A", "é", "/a.*x/", "level>=error", "a=1 x", "a~/^x$/", "!b~/1/"])


def agree(typed: str, texts: Sequence[str]) -> None:
    finds(typed, *(make_line(number, text) for number, text in enumerate(texts)))


@settings(max_examples=400)
@given(TYPED, st.lists(messages(), min_size=1, max_size=5))
@example("a=1", ['{"a": 1, "b": {"a": 2}}', '{"A": 1}', "a=1", ""])
@example("b.a=2", ['{"B": {"a": 2}}', '{"b": {"A": 2}}', '{"b.a": 2}', '{"b": {"b.a": 2}}'])
@example("a=1", ['{"a": 1}\n{"a": 2}', '{"a": 2}', '{"a": 1}'])
@example("a=1", ['{"b": [{}', '{"a": 1}', '{"b": 1}]}', '{"a": 1}\n', "{a=1}"])
@example("a=1", ['{"a": 1, "b": "x a=2"}', '{"a": 1, "b": "a: 2"}', '{"a": 1, "xa": 1}'])
@example("a=1", ['{"a": 1, "msg": "b=1 a=2"}', '{"a": 2, "msg": "b=1 a=1"}', "b=1 a=1"])
@example("a>0", ['{"a": true}', '{"a": 1}', '{"a": [1]}', '{"a": null}', '{"a": "1"}', "a>0"])
@example("a=x", ['{"a": "x", "b": "\\u0061=1"}', '{"\\u0061": "x"}', f"{RED}a{OFF}=x b=1"])
def test_a_block_is_tested_as_its_lines_are(typed: str, texts: list[str]) -> None:
    agree(typed, texts)


@given(st.text(max_size=12), st.lists(st.text(max_size=12), min_size=1, max_size=4))
def test_any_text_finds_itself(typed: str, texts: list[str]) -> None:
    try:
        parse_expression(typed)
    except PatternError:
        return
    agree(typed, [*texts, f"a {typed} b"])


@given(st.text("ab =>~.1[]", min_size=1, max_size=10))
def test_a_text_without_marks_is_found_in_a_plain_line(typed: str) -> None:
    assert finds(typed, make_line(1, f"- {typed} -")) == [True]


@pytest.mark.parametrize(
    ("typed", "shown", "marked"),
    [
        ("a.b", "xa.bx", ["a.b"]),
        ("upper", "an UPPER", ["UPPER"]),
        ("/[0-9]+/", "a 12 b 3", ["12", "3"]),
        ("user.id=12", "paid  user.id=12 x=1", ["user.id=12"]),
        ("amount>5", 'paid  amount=12 b="x y"', ["amount=12"]),
        ('msg~x b="x y"', 'paid  amount=12 b="x y"', ['b="x y"']),
        ('"two words" (X) a=1', "two words (X) a=1", ["two words", "(X)", "a=1"]),
        ("!x", "x", []),
        ("level>=warn", "WARN level>=warn", []),
        ("", "x", []),
    ],
)
def test_what_is_highlighted(typed: str, shown: str, marked: list[str]) -> None:
    pattern = highlight_of(parse_expression(typed))
    spans: list[Any] = [] if pattern is None else pattern.spans(shown)
    assert [shown[low:high] for low, high in spans] == marked


def test_fields_that_were_seen() -> None:
    lines = [make_line(n, f'{{"n":{n},"status":{200 + n % 2}}}', stream="web") for n in range(30)]
    found = seen_fields([*lines, make_line(40, "plain"), make_line(41, '{"rare":"x"}')])
    assert found["status"] == ["200", "201"]
    assert found["n"] == [], "too many to be proposed"
    assert list(found)[:3] == ["n", "status", "rare"]
    assert found["level"][3] == "warn"
    assert "web" in found["stream"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ('pattern="upload * done"', [True, True, False, True, False, False]),
        ('pattern!="upload * done"', [False, False, True, False, True, True]),
        ('pattern="* request *=* failed"', [False] * 6),
        ("pattern=REPORT", [False, False, False, False, True, False]),
        ('pattern="*"', [False, False, False, False, True, False]),
        ('pattern="ERROR request id=* failed"', [False, False, False, False, False, True]),
    ],
)
def test_a_pattern(typed: str, expected: list[bool]) -> None:
    messages = [
        "upload 1 done",
        '{"msg": "upload 22 \\u0064one"}',
        "upload 1 failed",
        "\x1b[1mupl\x1b[0moad 7 done",
        REPORT,
        COLOURED,
    ]
    assert finds(typed, *(make_line(at, one) for at, one in enumerate(messages))) == expected


@given(st.lists(st.sampled_from(["upload", "7", "done", "*", '"a"', "é", "{", "}"])))
def test_a_line_matches_its_own_pattern(words: list[str]) -> None:
    line = make_line(0, " ".join(words))
    tokens, _ = tokens_of(line.message)
    expression = parse_expression(f"pattern={quoted(' '.join(tokens))}")
    assert parse_expression(str(expression)) == expression
    assert finds(str(expression), line) == [True]


PUBLIC: Final = [
    (
        (
            "\x1b[2m2026-11-30T08:00:00Z\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2mapp::db"
            "\x1b[0m\x1b[2m:\x1b[0m connected"
        ),
        "app::db: connected",
        True,
    ),
    ("\x1b[36mGET\x1b[0m /v1/jobs?id=7&x=%20 \x1b[32m200\x1b[0m", "/v1/jobs?id=7&x=%20 200", True),
    ("at com.example.App$Inner.lambda$0(App.java:7)", "App$Inner.lambda$0(App.java:7)", True),
    ("java.lang.NullPointerException: null", "nullpointerexception", True),
    ("java.lang.nullpointerexception: null", "NullPointerException", False),
    ("s3://bucket/key+with+plus (copy).txt", "key+with+plus (copy)", True),
    ("arn:aws:lambda:eu-west-1:1:function:f:*", "function:f:*", True),
    ('{"a":{"b":[1,2]}}', '{"b":[1,2]}', True),
    ("^start and end$", "^start", True),
    ("start", "^start", False),
    ("a|b", "a|b", True),
    ("a", "a|b", False),
    ("C:\\Windows\\System32\\drivers", "\\System32\\", True),
    ("Straße 12", "STRASSE", False),
    ("Straße 12", "straße", True),
    ("ΣΊΣΥΦΟΣ", "σίσυφος", True),
    ("注文 41 ok", "注文", True),
    ("100% of 5 GB (done)", "100% of", True),
    ("a\tb", "a\tb", True),
    ("user@example.com <x>", "<x>", True),
    ("8f5e4d3c-0000", "8F5E", False),
    ("!important", '"!important"', True),
    ("why? because", "why?", True),
    ("[2026-11-30T08:00:00Z] \x1b[1;31mE\x1b[0mRROR", "ERROR", True),
]
"""Lines as common programs and loggers write them."""


@pytest.mark.parametrize(("message", "typed", "is_found"), PUBLIC)
def test_what_is_typed_finds_what_is_seen(
    message: str,
    typed: str,
    is_found: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    test = make_test(parse_expression(typed), lambda _target: "")
    assert test(make_line(1, message)) is is_found
