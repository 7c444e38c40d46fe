"""Random filter patterns: printed, parsed again, and compared with a naive evaluator; fuzzing."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from simulator.cloudwatch.filter_patterns import (
    Both,
    Compare,
    Either,
    Expression,
    Fields,
    FilterPattern,
    FilterPatternError,
    Is,
    Json,
    Number,
    Regex,
    Selector,
    Terms,
    Text,
    Value,
    compile_filter,
    parse,
)

WORDS = ("a", "b", "ab", "ba", "a b", "5", "5.0", "50", "-1e1", '"', "\\", "é", "", "[a]")
SIGNS = ("=", "!=", "<", ">", "<=", ">=")
REGEXES = ("a", "^a", "b$", "a|5", "[ab]+", "^$", r"\d", "a.b")

words = st.sampled_from(WORDS)
phrases = st.sampled_from([word for word in WORDS if word])
numbers = st.sampled_from(("5", "+5.0", "50", "-10", "0.5e1", "1e2")).map(Number)
texts = st.builds(
    lambda start, word, end: Text(start + word + end),
    *(st.sampled_from(("", "*")), words, st.sampled_from(("", "*"))),
)
regexes = st.sampled_from(REGEXES).map(Regex)
terms = st.builds(Terms, *(st.lists(phrases, max_size=2).map(tuple) for _ in range(3))).filter(any)


def comparisons(subjects: st.SearchStrategy[Any]) -> st.SearchStrategy[Compare]:
    return st.one_of(
        st.builds(Compare, subjects, st.sampled_from(SIGNS), numbers),
        st.builds(Compare, subjects, st.sampled_from(("=", "!=")), texts),
        st.builds(Compare, subjects, st.sampled_from(("=", "!=")), regexes),
    )


def expressions(tests: st.SearchStrategy[Any]) -> st.SearchStrategy[Expression]:
    return st.recursive(
        tests, lambda inner: st.builds(Both, inner, inner) | st.builds(Either, inner, inner)
    )


steps = st.one_of(st.sampled_from(("a", "b", "a.b")), st.integers(0, 2), st.none())
selectors = (
    st.lists(steps, min_size=1, max_size=3)
    .filter(lambda found: found.count(None) <= 1)
    .map(lambda found: Selector(tuple(found)))
)
states = st.builds(Is, selectors, st.sampled_from(("NULL", "TRUE", "FALSE", "EXISTS")))
conditions = expressions(comparisons(selectors) | states).map(Json)
named = st.none() | expressions(comparisons(st.just("name")))
several = st.lists(named, max_size=3).map(tuple)
fields = st.builds(Fields, several, st.none() | several).filter(
    lambda one: one.tail is not None or one.head
)
patterns: st.SearchStrategy[FilterPattern] = st.one_of(terms, regexes, conditions, fields)

scalars = st.none() | st.booleans() | words | st.sampled_from((5, 50, -10, 5.0, 0.5))
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("a", "b", "a.b")), inner, max_size=3)
    ),
)
lines = st.lists(st.sampled_from(("a", "b", "ab", "5", "50", "-1e1", "[a b]", '"a b"'))).map(
    " ".join
)
messages = documents.map(json.dumps) | lines | st.text(max_size=20)


# A printer


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def printed_value(value: Value) -> str:
    match value:
        case Text(text):
            return quoted(text)
        case Number(text):
            return text
        case Regex(text):
            return f"%{text}%"


def printed_selector(selector: Selector) -> str:
    text = "$"
    for step in selector.steps:
        match step:
            case None:
                text += "[*]"
            case int():
                text += f"[{step}]"
            case _:
                text += f"['{step}']" if "." in step else f".{step}"
    return text


def printed_expression(expression: Expression) -> str:
    match expression:
        case Both(left, right):
            return f"({printed_expression(left)}) && ({printed_expression(right)})"
        case Either(left, right):
            return f"({printed_expression(left)})||({printed_expression(right)})"
        case Compare(subject, sign, value):
            name = subject if isinstance(subject, str) else printed_selector(subject)
            return f"{name} {sign} {printed_value(value)}"
        case Is(subject, "EXISTS"):
            return f"{printed_selector(subject)} NOT EXISTS"
        case Is(subject, state):
            return f"{printed_selector(subject)} IS {state}"


def printed_field(field: Expression | None) -> str:
    return "name" if field is None else printed_expression(field)


def printed(pattern: FilterPattern) -> str:
    match pattern:
        case Terms(wanted, excluded, optional):
            signed = (("", wanted), ("-", excluded), ("?", optional))
            return " ".join(sign + quoted(word) for sign, kind in signed for word in kind)
        case Regex(text):
            return f"%{text}%"
        case Json(condition):
            return f"{{{printed_expression(condition)}}}"
        case Fields(head, tail):
            shown = [*map(printed_field, head)]
            if tail is not None:
                shown += ["...", *map(printed_field, tail)]
            return f"[{', '.join(shown)}]"


def within_limits(pattern: FilterPattern) -> bool:
    text = printed(pattern)
    return text.count("%") <= 4 and text.count("[*]") <= 3


# A naive evaluator


def has_value(text: str, sign: str, value: Value) -> bool:
    match value:
        case Regex(regex):
            found = re.search(regex, text) is not None
        case Text(wanted):
            inner = re.escape(wanted.removeprefix("*").removesuffix("*"))
            start = ".*" if wanted.startswith("*") else ""
            end = ".*" if wanted != "*" and wanted.endswith("*") else ""
            found = re.fullmatch(start + inner + end, text, re.DOTALL) is not None
        case Number(wanted):
            try:
                number = Fraction(text)
            except ValueError:
                return sign == "!="
            limit = Fraction(wanted)
            order = (number > limit) - (number < limit)
            return order in {"<": (-1,), ">": (1,), "<=": (-1, 0), ">=": (0, 1)}.get(
                sign, (0,) if sign == "=" else (-1, 1)
            )
    return found is (sign == "=")


def nodes(found: list[Any], selector: Selector) -> list[Any]:
    for step in selector.steps:
        if step is None:
            inner = [list(one.values()) if isinstance(one, dict) else one for one in found]
            found = [node for one in inner if isinstance(one, list) for node in one]
        elif isinstance(step, int):
            found = [one[step] for one in found if isinstance(one, list) and step < len(one)]
        else:
            found = [one[step] for one in found if isinstance(one, dict) and step in one]
    return found


def holds(expression: Expression, subject: Any) -> bool:  # noqa: ANN401 - JSON, or a field
    match expression:
        case Both(left, right):
            return holds(left, subject) and holds(right, subject)
        case Either(left, right):
            return holds(left, subject) or holds(right, subject)
        case Is(selector, "EXISTS"):
            return not nodes([subject], selector)
        case Is(selector, state):
            wanted = {"NULL": None, "TRUE": True, "FALSE": False}[state]
            return any(node is wanted for node in nodes([subject], selector))
        case Compare(Selector() as selector, sign, value):
            found = [one for one in nodes([subject], selector) if one not in (None, True, False)]
            shown = [one if isinstance(one, str) else json.dumps(one) for one in found]
            values = [text for one, text in zip(found, shown, strict=True) if is_value(one)]
            return any(has_value(text, sign, value) for text in values)
        case Compare(_, sign, value):
            return has_value(subject, sign, value)


def is_value(node: object) -> bool:
    return isinstance(node, str | int | float) and not isinstance(node, bool)


def split(line: str) -> list[str]:
    found = re.findall(r'\[([^\]]*)\]|"([^"]*)"|(\S+)', line)
    return ["".join(one) for one in found]


def has_terms(terms: Terms, message: str) -> bool:
    if terms.optional and not terms.wanted + terms.excluded:
        return any(word in message for word in terms.optional)
    missing = [word for word in terms.wanted if word not in message]
    return not missing and not [word for word in terms.excluded if word in message]


def has_fields(pattern: Fields, message: str) -> bool:
    line, head, tail = split(message), pattern.head, pattern.tail or ()
    count = len(head) + len(tail)
    if len(line) < count or (pattern.tail is None and len(line) > count):
        return False
    pairs = zip((*head, *tail), line[: len(head)] + line[len(line) - len(tail) :], strict=True)
    return all(one is None or holds(one, text) for one, text in pairs)


def naive(pattern: FilterPattern, message: str) -> bool:
    match pattern:
        case Terms():
            return has_terms(pattern, message)
        case Regex(text):
            return re.search(text, message) is not None
        case Fields():
            return has_fields(pattern, message)
        case Json(condition):
            try:
                root = json.loads(message)
            except ValueError:
                return False
            return isinstance(root, dict | list) and holds(condition, root)


@given(patterns.filter(within_limits))
def test_a_printed_pattern_is_parsed_to_what_it_was(pattern: FilterPattern) -> None:
    assert parse(printed(pattern)) == pattern


@given(patterns.filter(within_limits), documents.map(json.dumps) | lines)
def test_patterns_match_as_a_naive_evaluator_says(pattern: FilterPattern, message: str) -> None:
    assert compile_filter(pattern)(message) is naive(pattern, message)


ALPHABET = [*"ab5 *.,;:%?-!=<>&|()[]{}$'\"\\^+\t\n_é", "...", " IS ", " NOT EXISTS", "NULL", "$.a"]
soup = st.lists(st.sampled_from(ALPHABET), max_size=60).map("".join)
enclosed = st.builds(
    lambda ends, text: ends[0] + text + ends[1], st.sampled_from(("[]", "{}", "%%", '""')), soup
)


@given(soup | enclosed | st.text(max_size=80), messages)
@example("{" + "(" * 1022, "{}")
@example("[" + "a=1||" * 203 + "a=1]", "1")
@example("?" * 1024, "?")
def test_any_text_is_a_pattern_or_refused(pattern: str, message: str) -> None:
    try:
        parsed = parse(pattern)
    except FilterPatternError as error:
        assert str(error)  # noqa: PT017 - most texts are none
        return
    if parsed is not None:
        assert compile_filter(parsed)(message) in {True, False}
