r"""CloudWatch Logs' filter patterns: parsed to a tree, compiled to a test of messages. Pure.

A pattern is one of: terms (``ERROR ?WARN -"no luck"``), a regular expression (``%4\d\d%``),
fields of a line with spaces (``[ip, ..., status=4*, bytes>1000]``), or conditions on a message that
is JSON (``{ $.user.id = 1 && $.error NOT EXISTS }``). Sources: the user guide,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html, and refusals
that people report. Where they leave it open, this module decides:

* ``!=`` and comparisons need a value: they are false for a missing property, null, true, a list.
* Text that is a number counts as one: ``{ $.status >= 400 }`` matches ``{"status": "404"}``.
* ``&&`` binds closer than ``||``, in fields as in JSON.

Matching takes time proportional to the message, whatever the pattern; parsing, to the pattern.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Final, NamedTuple

from common.patterns import PatternError, compile_pattern

REGEXES_MAX: Final = 2
"""Regular expressions in one pattern of fields or JSON."""

WILDCARDS_MAX: Final = 3
"""Selectors with a wildcard in one JSON pattern, each with one wildcard."""


class FilterPatternError(ValueError):
    """CloudWatch Logs would refuse the pattern; the message says why."""


Matches = Callable[[str], bool]


class Terms(NamedTuple):
    """Texts that a message must contain, must not contain, or contains one of."""

    wanted: tuple[str, ...]
    excluded: tuple[str, ...]
    optional: tuple[str, ...]


class Regex(NamedTuple):
    """A regular expression in AWS's restricted syntax; matches anywhere in a text."""

    text: str


class Text(NamedTuple):
    """A text, of which ``*`` at the start or end stands for anything; in the middle, for itself."""

    text: str


class Number(NamedTuple):
    """A number as it was written."""

    text: str


Value = Regex | Text | Number


class Selector(NamedTuple):
    """Steps to a property: names, indexes, and ``None`` for any element."""

    steps: tuple[str | int | None, ...]


class Compare(NamedTuple):
    """``subject`` compared with a value; in fields, the subject is the field's name."""

    subject: Selector | str
    sign: str
    value: Value


class Is(NamedTuple):
    """``IS NULL``, ``IS TRUE``, ``IS FALSE`` or ``NOT EXISTS``."""

    subject: Selector
    state: str


class Both(NamedTuple):
    """``left && right``."""

    left: Expression
    right: Expression


class Either(NamedTuple):
    """``left || right``."""

    left: Expression
    right: Expression


Expression = Compare | Is | Both | Either


class Fields(NamedTuple):
    """Conditions on the fields of a line; None for a field without one.

    ``tail`` are the fields behind an ellipsis; None without an ellipsis: then the line has exactly
    as many fields as the pattern.
    """

    head: tuple[Expression | None, ...]
    tail: tuple[Expression | None, ...] | None


class Json(NamedTuple):
    """Conditions on a message that is JSON."""

    condition: Expression


FilterPattern = Terms | Regex | Fields | Json


def parse(pattern: str) -> FilterPattern | None:
    """Parse a filter pattern; None for the empty one, which every message matches.

    Raises:
        FilterPatternError: CloudWatch Logs would refuse it.
    """
    text = pattern.strip()
    if not text:
        return None
    for start, end, parse_inside in (("{", "}", _parse_json), ("[", "]", _parse_fields)):
        if text[0] == start:
            if text[-1] != end or len(text) == 1:
                msg = f"If a filter pattern starts with '{start}' it must end with '{end}'"
                raise FilterPatternError(msg)
            return parse_inside(text[1:-1])
    if text[0] == "%":
        if len(text) == 1 or text.find("%", 1) != len(text) - 1:
            msg = "A regular expression must be between two '%', and stand alone"
            raise FilterPatternError(msg)
        return _regex(text[1:-1])
    return _parse_terms(text)


def compile_filter(pattern: FilterPattern) -> Matches:
    """Compile a pattern to a function that tests messages."""
    match pattern:
        case Terms():
            return _compile_terms(pattern)
        case Regex():
            return _compile_regex(pattern)
        case Fields():
            return _compile_fields(pattern)
        case Json(condition):
            test = _compile(condition)
            return lambda message: _test_json(test, message)


# Terms

_TERM: Final = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)+)"|([A-Za-z0-9_]+))(?:\s+|\Z)', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def _parse_terms(text: str) -> Terms:
    kinds: dict[str, list[str]] = {"": [], "-": [], "?": []}
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise _unknown_characters(text[at:].split(maxsplit=1)[0])
        sign, phrase, word = found.groups()
        kinds[sign].append(word if phrase is None else _unescape(phrase))
        at = found.end()
    return Terms(*(tuple(kinds[sign]) for sign in ("", "-", "?")))


def _compile_terms(terms: Terms) -> Matches:
    wanted, excluded, optional = terms
    if optional and not wanted and not excluded:
        return lambda message: any(term in message for term in optional)
    # AWS ignores ?term beside other terms.
    return lambda message: (
        all(term in message for term in wanted) and not any(term in message for term in excluded)
    )


def _unescape(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _unknown_characters(term: str) -> FilterPatternError:
    return FilterPatternError(f"Invalid character(s) in term '{term}'")


# Regular expressions

_REGEX_TOKEN: Final = re.compile(
    r"[A-Za-z0-9:_#=@/;,\-^$?{}|*+.]|\\[dDsSwW]|\\x[0-9A-Fa-f]{2}|\\[:_#=@/;,\-^$?\[\]{}|\\*+.]"
    r"|\[\^?(?:[A-Za-z0-9:_#=@/;,\-^$?{}|*+.]|\\[dDsSwW]|\\x[0-9A-Fa-f]{2}"
    r"|\\[:_#=@/;,\-^$?\[\]{}|\\*+.])+\]"
)
_BRACES: Final = re.compile(r"\{(?![0-9]+(?:,[0-9]*)?\})")
_IN_CLASS_OR_ESCAPED: Final = re.compile(r"\\.|\[\^?(?:[^\]\\]|\\.)+\]")


def _regex(text: str) -> Regex:
    at = 0
    while at < len(text) and (found := _REGEX_TOKEN.match(text, at)) is not None:
        at = found.end()
    # RE2 would read a brace that begins no repetition as itself.
    if not text or at < len(text) or _BRACES.search(_IN_CLASS_OR_ESCAPED.sub("", text)):
        shown = f"%{text}%"
        raise _unknown_characters(shown)
    try:
        compile_pattern(text)
    except PatternError as error:
        msg = f"Invalid regular expression '{text}'"
        raise FilterPatternError(msg) from error
    return Regex(text)


def _compile_regex(regex: Regex) -> Matches:
    return compile_pattern(regex.text).matches


# Conditions

_NAME: Final = "[A-Za-z0-9_-]+"
_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_STEP: Final = re.compile(
    rf"""\.(?P<name>{_NAME}|\*)|\.?\['(?P<quoted>[^']+)'\]|\[(?P<index>[0-9]{{1,9}}|\*)\]"""
)
_TOKEN: Final = re.compile(
    rf"""\s*(?:
    (?P<selector>\$(?:\.(?:{_NAME}|\*)|\.?\['[^']+'\]|\[(?:[0-9]{{1,9}}|\*)\])+)
    |(?P<string>{_STRING})
    |%(?P<regex>[^%]*)%
    |(?P<sign>&&|\|\||!=|>=|<=|[=<>(),])
    |(?P<word>[A-Za-z0-9_.*+:/@\#$?-]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.*+-]+")
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_BINDING: Final = {"(": 0, "||": 1, "&&": 2}


class _Token(NamedTuple):
    kind: str
    text: str


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        one = _TOKEN.match(text, at)
        if one is None or one.lastgroup is None:
            raise _unknown_characters(text[at:].split(maxsplit=1)[0])
        found.append(_Token(one.lastgroup, one[one.lastgroup]))
        at = one.end()
    if sum(one.kind == "regex" for one in found) > REGEXES_MAX:
        msg = f"A filter pattern can have at most {REGEXES_MAX} regular expressions"
        raise FilterPatternError(msg)
    return found


def _parse_expression(
    tokens: Sequence[_Token], parse_test: Callable[[Sequence[_Token]], tuple[Expression, int]]
) -> Expression:
    """Parse tests, joined by ``&&`` and ``||``, with parentheses.

    With a stack of its own: a pattern has room for more parentheses than Python for calls.
    ``parse_test`` parses the test at the start, and says how many tokens it took.
    """
    done: list[Expression] = []
    waiting: list[str] = []

    def reduce(binding: int) -> None:
        while waiting and _BINDING[waiting[-1]] >= binding:
            right, left = done.pop(), done.pop()
            done.append((Both if waiting.pop() == "&&" else Either)(left, right))

    at, wants_test = 0, True
    while at < len(tokens):
        kind, text = tokens[at]
        taken = 1
        if wants_test and (kind, text) == ("sign", "("):
            waiting.append(text)
        elif wants_test:
            test, taken = parse_test(tokens[at : at + 3])
            done.append(test)
            wants_test = False
        elif kind == "sign" and text in ("&&", "||"):
            reduce(_BINDING[text])
            waiting.append(text)
            wants_test = True
        elif (kind, text) == ("sign", ")") and "(" in waiting:
            reduce(1)
            waiting.pop()
        else:
            raise _unexpected(text)
        at += taken
    if not wants_test:
        reduce(1)
    if wants_test or waiting:
        msg = "A condition is incomplete"
        raise FilterPatternError(msg)
    return done.pop()


def _unexpected(text: str) -> FilterPatternError:
    return FilterPatternError(f"Unexpected '{text}'")


def _parse_comparison(
    tokens: Sequence[_Token], subject: Selector | str, *, plain: re.Pattern[str] | None = None
) -> Compare:
    """Parse subject, sign and value. ``plain`` is what a value without quotes may consist of."""
    if len(tokens) < 3:  # noqa: PLR2004 - subject, sign and value
        msg = "A condition is incomplete"
        raise FilterPatternError(msg)
    _, (kind, sign), (value_kind, text) = tokens
    if kind != "sign" or sign not in _COMPARISONS:
        raise _unexpected(sign)
    value = _value(value_kind, text, plain)
    if sign not in ("=", "!=") and not isinstance(value, Number):
        msg = f"'{sign}' needs a number, not '{text}'"
        raise FilterPatternError(msg)
    return Compare(subject, sign, value)


def _value(kind: str, text: str, plain: re.Pattern[str] | None) -> Value:
    match kind:
        case "string":
            return Text(_unescape(text[1:-1]))
        case "regex":
            return _regex(text)
        case "word":
            if _NUMBER.fullmatch(text):
                return Number(text)
            if plain is None or plain.fullmatch(text):
                return Text(text)
            raise _unknown_characters(text)
    raise _unexpected(text)


ValueTest = Callable[[str], bool]


def _compile_value(sign: str, value: Value) -> ValueTest:
    """A test of a text or a number; numbers come as they were written."""
    match value:
        case Number(text):
            compare, limit = _COMPARISONS[sign], Decimal(text)

            def test_number(text: str) -> bool:
                number = _number(text)
                return sign == "!=" if number is None else compare(number, limit)

            return test_number
        case Text(text):
            test = _compile_text(text)
        case Regex():
            test = _compile_regex(value)
    return test if sign == "=" else lambda text: not test(text)


def _compile_text(text: str) -> ValueTest:
    if text == "*":
        return lambda _: True
    starts, ends = text.startswith("*"), text.endswith("*")
    inner = text[starts : len(text) - ends]
    if starts and ends:
        return lambda other: inner in other
    if starts:
        return lambda other: other.endswith(inner)
    if ends:
        return lambda other: other.startswith(inner)
    return lambda other: other == inner


def _number(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        return None


Test = Callable[[Any], bool]


def _compile(expression: Expression) -> Test:
    match expression:
        case Both(left, right):
            first, second = _compile(left), _compile(right)
            return lambda subject: first(subject) and second(subject)
        case Either(left, right):
            first, second = _compile(left), _compile(right)
            return lambda subject: first(subject) or second(subject)
        case Compare(Selector(steps), sign, value):
            test = _compile_value(sign, value)
            return lambda root: any(
                isinstance(node, str) and test(node) for node in _select(steps, root)
            )
        case Compare(_, sign, value):
            return _compile_value(sign, value)
        case Is(Selector(steps), "EXISTS"):
            return lambda root: next(_select(steps, root), _Missing) is _Missing
        case Is(Selector(steps), state):
            wanted = _STATES[state]
            return lambda root: any(node is wanted for node in _select(steps, root))


# JSON

_STATES: Final[dict[str, bool | None]] = {"NULL": None, "TRUE": True, "FALSE": False}


class _Missing:
    """Stands for a property that does not exist."""


class _Written(str):
    """A number as it was written, so that it is compared exactly and as text."""

    __slots__ = ()


def _parse_json(text: str) -> Json:
    tokens = _tokens(text)
    selectors = [_selector(one.text) for one in tokens if one.kind == "selector"]
    wild = [one.steps.count(None) for one in selectors]
    if max(wild, default=0) > 1 or sum(wild) > WILDCARDS_MAX:
        msg = f"A selector can have one wildcard, a filter pattern {WILDCARDS_MAX}"
        raise FilterPatternError(msg)
    return Json(_parse_expression(tokens, _parse_json_test))


def _parse_json_test(tokens: Sequence[_Token]) -> tuple[Expression, int]:
    kind, text = tokens[0]
    if kind != "selector":
        raise _unexpected(text)
    selector = _selector(text)
    words = tuple(one.text for one in tokens[1:])
    if words[:1] == ("IS",) and words[1:] and words[1] in _STATES:
        return Is(selector, words[1]), 3
    if words == ("NOT", "EXISTS"):
        return Is(selector, "EXISTS"), 3
    return _parse_comparison(tokens, selector, plain=_PLAIN), 3


def _selector(text: str) -> Selector:
    steps: list[str | int | None] = []
    for step in _STEP.finditer(text):
        name = step["name"] or step["quoted"]
        if step["quoted"] is None and "*" in (name, step["index"]):
            steps.append(None)
        else:
            steps.append(int(step["index"]) if name is None else name)
    return Selector(tuple(steps))


def _select(steps: Sequence[str | int | None], root: Any) -> Iterator[Any]:  # noqa: ANN401 - JSON
    """The nodes that a selector leads to: at most one without a wildcard."""
    node = root
    for number, step in enumerate(steps):
        if step is None:
            members = node.values() if isinstance(node, dict) else node
            if isinstance(members, list) or isinstance(node, dict):
                for member in members:
                    yield from _select(steps[number + 1 :], member)
            return
        if isinstance(step, str):
            node = node.get(step, _Missing) if isinstance(node, dict) else _Missing
        else:
            has_it = isinstance(node, list) and step < len(node)
            node = node[step] if has_it else _Missing
        if node is _Missing:
            return
    yield node


def _reject(constant: str) -> None:
    raise ValueError(constant)


_DECODE: Final = partial(
    json.loads, parse_int=_Written, parse_float=_Written, parse_constant=_reject
)


def _test_json(test: Test, message: str) -> bool:
    if message.lstrip()[:1] not in ("{", "["):
        return False
    try:
        root = _DECODE(message)
    except (ValueError, RecursionError):
        return False
    return test(root)


# Fields

_ELLIPSIS: Final = "..."


def _parse_fields(text: str) -> Fields:
    groups: list[list[_Token]] = [[]]
    for token in _tokens(text.replace("\N{HORIZONTAL ELLIPSIS}", _ELLIPSIS)):
        if token == ("sign", ","):
            groups.append([])
        else:
            groups[-1].append(token)
    if groups == [[]]:
        msg = "No fields are named"
        raise FilterPatternError(msg)
    gaps = [number for number, one in enumerate(groups) if one == [("word", _ELLIPSIS)]]
    if len(gaps) > 1:
        msg = f"A filter pattern can have one '{_ELLIPSIS}'"
        raise FilterPatternError(msg)
    if not gaps:
        return Fields(tuple(map(_parse_field, groups)), None)
    head, tail = groups[: gaps[0]], groups[gaps[0] + 1 :]
    return Fields(tuple(map(_parse_field, head)), tuple(map(_parse_field, tail)))


def _parse_field(tokens: Sequence[_Token]) -> Expression | None:
    names = [one.text for one in tokens if one.kind == "word" and _NAME_ONLY.fullmatch(one.text)]
    if not tokens or (len(tokens) == 1 and names):
        return None
    if not names:
        raise _unexpected(tokens[0].text)
    return _parse_expression(tokens, partial(_parse_field_test, names[0]))


_NAME_ONLY: Final = re.compile(_NAME)


def _parse_field_test(name: str, tokens: Sequence[_Token]) -> tuple[Expression, int]:
    if tokens[0] != ("word", name):
        raise _unexpected(tokens[0].text)
    return _parse_comparison(tokens, name), 3


def _compile_fields(pattern: Fields) -> Matches:
    head, tail = pattern.head, pattern.tail or ()
    tests = [(number, _compile(one)) for number, one in enumerate(head) if one is not None]
    tests += [
        (number - len(tail), _compile(one)) for number, one in enumerate(tail) if one is not None
    ]
    count, is_exact = len(head) + len(tail), pattern.tail is None

    def matches(message: str) -> bool:
        fields = split_fields(message)
        if len(fields) < count or (is_exact and len(fields) > count):
            return False
        return all(test(fields[number]) for number, test in tests)

    return matches


_WORD: Final = re.compile(r"\s*(\S+)")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BRACKETED: Final = re.compile(r"\[([^\]]*)\]")


def split_fields(message: str) -> list[str]:
    """Fields of a line: separated by spaces; ``[...]`` and ``"..."`` are one field each."""
    fields: list[str] = []
    at = 0
    # An opening one without its closing one is searched for only once, so that time stays linear.
    enclosed = {"[": _BRACKETED, '"': _QUOTED}
    while (word := _WORD.match(message, at)) is not None:
        start = word.start(1)
        if (whole := enclosed.get(message[start])) is not None:
            found = whole.match(message, start)
            if found is not None:
                fields.append(found[1])
                at = found.end()
                continue
            del enclosed[message[start]]
        fields.append(word[1])
        at = word.end()
    return fields
