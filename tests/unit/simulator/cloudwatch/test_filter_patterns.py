"""CloudWatch's filter patterns: a table of patterns and messages, and what is refused."""

from __future__ import annotations

import json

import pytest

from simulator.cloudwatch.filter_patterns import (
    FilterPatternError,
    compile_filter,
    parse,
    split_fields,
)


def matches(pattern: str, message: str) -> bool:
    parsed = parse(pattern)
    return parsed is None or compile_filter(parsed)(message)


def check(pattern: str, hits: list[str], misses: list[str]) -> None:
    found = {message: matches(pattern, message) for message in (*hits, *misses)}
    assert found == {**dict.fromkeys(hits, True), **dict.fromkeys(misses, False)}


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("", ["", "anything"], []),
        ("  ", ["anything"], []),
        ("ERROR", ["[ERROR] x", "ERRORCODE: -1"], ["an error here", ""]),
        ("ERROR disk", ["disk: ERROR", "ERROR disk"], ["ERROR", "disk"]),
        ("  ERROR \t disk  ", ["disk: ERROR"], ["ERROR"]),
        ('"disk full"', ["the disk full"], ["full disk", "disk  full"]),
        ('"[ERROR]"', ["[ERROR] x"], ["ERROR"]),
        ('"disk full" ERROR', ["ERROR disk full"], ["disk full", "ERROR disk"]),
        (r'"say \"x\""', ['they say "x"'], ["they say x"]),
        (r'"C:\\temp"', [r"in C:\temp"], ["in C:temp"]),
        ('"Größe"', ["Größe 3"], ["Grösse"]),
        ("?ERROR ?WARN", ["WARN", "ERROR", "ERROR WARN"], ["INFO", ""]),
        ('?"disk full" ?WARN', ["disk full", "WARN"], ["disk"]),
        ("ERROR -timeout", ["ERROR"], ["ERROR timeout", "timeout"]),
        ("-timeout", ["ERROR", ""], ["timeout"]),
        ('-"no luck" -bad', ["luck"], ["no luck", "bad luck"]),
        # AWS ignores ?term beside other terms.
        ("ERROR ?WARN", ["ERROR", "ERROR WARN"], ["WARN"]),
        ("?WARN -INFO", ["WARN", "ERROR"], ["WARN INFO"]),
        ("a_b", ["x a_b y"], ["a b"]),
    ],
)
def test_terms(pattern: str, hits: list[str], misses: list[str]) -> None:
    check(pattern, hits, misses)


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("%AUTHORIZED%", ["UNAUTHORIZED", "AUTHORIZED x"], ["authorized"]),
        ("%^[hc]at%", ["hat", "cat x"], ["a hat", "bat"]),
        ("%[hc]at$%", ["a hat", "hat\n"], ["hats"]),
        ("%colou?r%", ["color", "colour"], ["colouur"]),
        ("%^a{3,5}$%", ["aaa", "aaaaa"], ["aa", "aaaaaa"]),
        ("%^a{2}$%", ["aa"], ["aaa"]),
        ("%gray|grey%", ["gray", "grey"], ["gry"]),
        (r"%10\.10\.0\.1%", ["from 10.10.0.1 to"], ["10a10.0.1"]),
        ("%ab+c%", ["abbc"], ["ac"]),
        ("%ab*c%", ["ac", "abbc"], ["adc"]),
        (r"%\d\D\s\S\w\W%", ["1a x_-"], ["11 x_-"]),
        (r"%^[\d:]+$%", ["12:04"], ["12.04"]),
        (r"%\x28x\x29%", ["f(x)"], ["fx"]),
        ("%[^0-9]x%", ["ax"], ["1x"]),
        (r"%a\{b%", ["a{b"], ["ab"]),
        ("%k=v;a,b@c/d#e_f-g%", ["k=v;a,b@c/d#e_f-g"], ["k=v"]),
    ],
)
def test_regular_expressions(pattern: str, hits: list[str], misses: list[str]) -> None:
    check(pattern, hits, misses)


APACHE = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /a.html HTTP/1.0" {} {}'
OK, FAILED, GONE = APACHE.format(200, 1534), APACHE.format(500, 99), APACHE.format(404, 1e3)


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("[ip, user, name, at, request, status, bytes]", [OK, FAILED], ["a b", OK + " x"]),
        ("[ip, user, name, at, request, status, bytes > 1000]", [OK], [FAILED, GONE]),
        ("[ip, user, name, at, request, status, bytes>=1000]", [OK, GONE], [FAILED]),
        ("[..., status=4*, bytes]", [GONE], [OK, FAILED, "404"]),
        ("[ip, ..., status=200, bytes]", [OK], [GONE]),
        ("[ip = 127.0.0.*, ...]", [OK, "127.0.0.1"], ["10.0.0.1 x"]),
        ("[ip=127.0.0.1, …, bytes]", [OK], ["10.0.0.1 x"]),
        ("[..., request=*.html*, status_code=4*,]", [GONE], [OK]),
        ("[..., request=*html*, status_code=4* && status_code < 404, bytes]", [], [GONE, OK]),
        ("[..., s = 403 || s = 404, b]", [GONE], [OK]),
        ("[..., s=4*&&s!=403, b < 1e4]", [GONE], [OK]),
        ("[..., (s = 403 || s = 404) && s != 404, b]", [], [GONE, OK]),
        ('[..., request="GET *", s, b]', [OK], ['x "PUT /a" 1 2']),
        (r"[ip=%127\.0\.0\.[1-9]%, ...]", [OK], ["127.0.0.0"]),
        ("[ip!=%127%, ...]", ["10.0.0.1"], [OK]),
        ("[w1=ERROR, w2]", ["ERROR message"], ["ERROR WARN message", "ERROR", "WARN message"]),
        ("[w1=ERROR || w1=WARN, w2]", ["ERROR x", "WARN x"], ["INFO x"]),
        ("[w1!=ERROR && w1!=WARN, w2]", ["INFO x"], ["ERROR x"]),
        ("[a != 5]", ["6", "x"], ["5", "5.0", "+5"]),
        ("[a = 5]", ["5", "5.0", "05", "5e0"], ["x", "5x"]),
        ("[a <= -1.5]", ["-1.5", "-2"], ["-1", "x"]),
        ('[a = "5"]', ["5"], ["5.0"]),
        ('[timestamp=*Z, request_id="*-*", event]', ["1Z a-b x"], ["1Z ab x", "1 a-b x"]),
        ("[a=x*y]", ["x*y"], ["xay"]),
        ("[a=*]", ["x"], ["x y"]),
        ("[...]", ["", "a", "a b"], []),
        ("[a, ..., b]", ["x y", "x y z"], ["x"]),
    ],
)  # fmt: skip
def test_fields(pattern: str, hits: list[str], misses: list[str]) -> None:
    check(pattern, hits, misses)


def test_the_fields_of_a_line() -> None:
    assert split_fields(OK)[3:6] == ["10/Oct/2000:13:25:15 -0700", "GET /a.html HTTP/1.0", "200"]
    assert split_fields(' a  "b c"d [e f ') == ["a", "b c", "d", "[e", "f"]
    assert split_fields(r'"a \" b" "open [x] y') == [r"a \" b", '"open', "x", "y"]


EVENT = json.dumps(
    {
        "eventType": "UpdateTrail",
        "sourceIPAddress": "111.111.111.111",
        "latency": 500,
        "ratio": -0.5e-3,
        "code": "404",
        "arrayKey": ["value", "another value"],
        "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
        "SomeObject": None,
        "ThisFlag": True,
        "Other": False,
        "cluster.name": "c",
        "user": {"id": 1, "email": "John@example.com"},
        "coordinates": [[0, 1], [4, 5]],
    }
)


@pytest.mark.parametrize(
    ("condition", "is_true"),
    [
        ('$.eventType = "UpdateTrail"', True),
        ("$.eventType = UpdateTrail", True),
        ("$.eventType != UpdateTrail", False),
        ("$.eventType = Update*", True),
        ('$.eventType = "*Trail"', True),
        ("$.eventType = *ateTr*", True),
        ("$.eventType = Up*Trail", False),
        ("$.eventType = %^Up[a-z]+T%", True),
        ("$.eventType != %Trail%", False),
        ("$.eventType=updatetrail", False),
        ("$.sourceIPAddress != 123.123.*", True),
        ("$.arrayKey[0] = value", True),
        ("$.arrayKey[2] = value", False),
        ("$.arrayKey[*] = another*", True),
        ("$.arrayKey = value", False),
        ("$.arrayKey != value", False),
        ("$.eventType[0] = U", False),
        ("$.objectList[1].id = 2", True),
        ("$.objectList[*].id = 2", True),
        ("$.objectList[*].id = 3", False),
        ("$.user.* = 1", True),
        ("$.coordinates[1][0] = 4", True),
        ("$.latency >= 500", True),
        ("$.latency > 500", False),
        ("$.latency < 10e3", True),
        ("$.latency <= 10E-3", False),
        ("$.latency = +500.0", True),
        ("$.latency = *", True),
        ('$.latency = "500"', True),
        ('$.latency = "500.0"', False),
        ("$.latency = %^5%", True),
        ("$.ratio = -0.0005", True),
        ("$.ratio < .1", True),
        ("$.code >= 400", True),
        ("$.code = 4*", True),
        ("$.eventType > 1", False),
        ("$.eventType != 1", True),
        ("$.SomeObject IS NULL", True),
        ("$.ThisFlag IS NULL", False),
        ("$.Missing IS NULL", False),
        ("$.ThisFlag IS TRUE", True),
        ("$.ThisFlag IS FALSE", False),
        ("$.Other IS FALSE", True),
        ("$.latency IS TRUE", False),
        ("$.Missing NOT EXISTS", True),
        ("$.user.name NOT EXISTS", True),
        ("$.SomeObject NOT EXISTS", False),
        ("$.Missing != x", False),
        ("$.SomeObject != x", False),
        ("$.['cluster.name'] = c", True),
        ("$['cluster.name'] = c", True),
        ("$.user['id'] = 1", True),
        ('($.user.id = 1) && ($.user.email = "John@example.com")', True),
        ("$.user.id = 2 && $.latency = 1 || $.arrayKey[0] = value", True),
        ("$.arrayKey[0] = value || $.user.id = 2 && $.latency = 1", True),
        ("($.arrayKey[0] = value || $.user.id = 2) && $.latency = 1", False),
        ("$.latency=500&&($.user.id=2||$.ThisFlag IS TRUE)", True),
    ],
)
def test_json(condition: str, is_true: bool) -> None:  # noqa: FBT001
    assert matches(f"{{ {condition} }}", EVENT) is is_true
    assert matches(f"{{{condition}}}", f" {EVENT}\n") is is_true


@pytest.mark.parametrize(
    "message",
    ["", "x", '{"a": 1} x', 'INFO {"a": 1}', '"a"', "7", '{"a": NaN}', "[" * 100_000, '{"a":'],
)
def test_no_json_pattern_matches_what_is_not_json(message: str) -> None:
    check("{ $.b NOT EXISTS || $.a = * }", ['{"a": 1}', "{}", "[]"], [message])


def test_an_array_is_json_too() -> None:
    check("{ $[0].a = 1 }", ['[{"a": 1}]'], ['{"0": {"a": 1}}'])


def test_numbers_are_compared_exactly_and_of_any_size() -> None:
    check("{ $.a = 9007199254740993 }", ['{"a": 9007199254740993}'], ['{"a": 9007199254740992}'])
    check("{ $.a > 1e400 }", ['{"a": 1e401}'], ['{"a": 1e400}', f'{{"a": 1e{"9" * 30}}}'])
    check("{ $.a > 0 }", [f'{{"a": {"9" * 5_000}}}'], [])


@pytest.mark.parametrize(
    "pattern",
    [
        *("err:", "foo-bar", "foo.bar", "Größe", "ERROR*", "-", "?", "--x", "(x)", '"open', '""'),
        *('a"b"', '"a""b"', "“x”", "ERROR %x%", "%a% %b%", "a,b", "a]", "a}"),
        *("%", "%%", "%x", "%a b%", "%(a)%", "%a!%", "%é%", "%[%", "%a]%", "%*a%", "%a{x}%"),
        *(r"%\b%", r"%\p%", r"%\x2%", r"%\%", "%a{5000}%", "%a**%", "%[z-a]%", "%[[:alpha:]]%"),
        *("%a{%", "{", "{}", "{ }", "{ $.a }", "{ $.a = }", "{ = 1 }", "{ a = 1 }", "{ $ = 1 }"),
        *("{ $.a = 1", "{ $.a > x }", '{ $.a > "1" }', "{ $.a >= 4* }", "{ $.a < %1% }"),
        "{ $.a == 1 }",
        *("{ $.a = 1 && }", "{ ($.a = 1 }", "{ $.a = 1) }", "{ $.a = 1 $.b = 1 }", "{ () }"),
        *("{ $.a IS NOTHING }", "{ $.a is null }", "{ $.a EXISTS }", "{ $.a NOT NULL }"),
        *("{ $.a = x@y }", "{ $.a = x/y }", "{ $.a = 'x' }", "{ $.a = é }", "{ $.a = (1) }"),
        *("{ $.a[x] = 1 }", "{ $..a = 1 }", "{ $.[a] = 1 }", "{ $.a. = 1 }", "{ ! $.a = 1 }"),
        *("{ $.a[*].b[*] = 1 }", "{ $.a = 1 } x", "{ $.a = %x% || $.b = %y% || $.c = %z% }"),
        "{ $.a[*]=1 || $.a[*]=2 || $.a[*]=3 || $.a[*]=4 }",
        *("[", "[]", "[a", "[a b]", "[a = ]", "[= 1]", "[a > x]", "[a = 1 b = 1]", "[..., a, ...]"),
        *("[a = 1 && b = 2]", "[a = 1 &&]", "[a=%x%, b=%y%, c=%z%]", "[(a = 1]", "[a, b] c"),
        "[a!b]",
    ],
)  # fmt: skip
def test_what_the_language_does_not_know_is_refused(pattern: str) -> None:
    with pytest.raises(FilterPatternError):
        parse(pattern)


def test_refusals_say_what_is_wrong() -> None:
    for pattern, reason in {
        "ok err: ok": r"^Invalid character\(s\) in term 'err:'$",
        "{ $.a = 1": r"^If a filter pattern starts with '{' it must end with '}'$",
        "{ $.a > x }": r"^'>' needs a number, not 'x'$",
        "[a=%x%, b=%y%, c=%z%]": "at most 2 regular expressions",
    }.items():
        with pytest.raises(FilterPatternError, match=reason):
            parse(pattern)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[a, ...]", "[ " * 500_000),
        ("[a, ...]", '"\\ ' * 300_000),
        ("[a, ...]", '" ' * 500_001),
        ("[a = 1]", "1" * 1_000_000 + "x"),
        ("[a = 1]", "1" * 1_000_000),
        ("%a*a*a*a*b%", "a" * 1_000_000),
        ("%[a-z]+[a-z]+[a-z]+=%", "a" * 1_000_000),
        ("{ $.a = 1 }", '{"a": ' * 150_000),
        ("{ $.a[*] = 1 }", json.dumps({"a": ["x"] * 200_000})),
        ("{ $.a = 1 }", f'{{"a": {"1" * 1_000_000}}}'),
        ('"aaaaaaaaab"', "a" * 1_000_000),
    ],
)
def test_a_hostile_message_takes_linear_time(pattern: str, message: str) -> None:
    """A matcher that took quadratic time would run for hours here."""
    assert matches(pattern, message) in {True, False}


def test_the_longest_patterns_are_no_trouble() -> None:
    deep = "{" + "(" * 400 + "$.a=1" + ")" * 400 + "}"
    nested = "{" + "$.a=1&&(" * 90 + "$.a=1" + ")" * 90 + "}"
    chain = "[" + "||".join(["a=1"] * 200) + "]"
    assert matches(deep, '{"a": 1}')
    assert matches(nested, '{"a": 1}')
    assert matches(chain, "1")
    assert not matches(chain, "2")
