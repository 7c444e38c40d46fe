"""Tests lines against expressions, one by one and whole packed blocks at once. Pure.

A comparison reads the fields of a line's structure, and parsing that takes 12 µs. Of a block, only
the lines that contain the field's name are parsed; most JSON objects by a decoder that reads one
field in a quarter of a microsecond. What it cannot decide with certainty is parsed as a whole.
"""

from __future__ import annotations

import json
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import compress, repeat
from typing import Any, Final

from common.patterns import Pattern, PatternError
from common.text import without_colours
from tui.lines.expressions import (
    ORDERED,
    ORIGINS,
    All,
    Comparison,
    Expression,
    Not,
    Regex,
    Text,
    pattern_of,
    smart_case,
    terms_of,
)
from tui.lines.levels import LEVELS, level_named, level_of
from tui.lines.packed import PackedRows
from tui.lines.patterns import PatternTest
from tui.lines.rows import Line
from tui.lines.structure import (
    ADDED_NAMES,
    MESSAGE_NAMES,
    JsonField,
    Scalar,
    Structure,
    field_text,
    flag_plain_utf8,
    is_plain,
    structure_of,
)
from tui.lines.text_search import END, JoinedTexts, flag_matches
from tui.lines.view import (
    READ_ROWS,
    AllTests,
    BlockTest,
    NotTest,
    TextTest,
    invert_flags,
)

GroupName = Callable[[int], str]
"""The log group of a target, by the target's number; empty if unknown."""


def test_of(expression: Expression, group_name: GroupName) -> BlockTest:
    """The test of lines that an expression stands for."""
    if isinstance(expression, All):
        tests = [test_of(term, group_name) for term in terms_of(expression)]
        return AllTests(*sorted(tests, key=lambda one: -one.slice_rows))
    if isinstance(expression, Not):
        return NotTest(test_of(expression.term, group_name))
    if isinstance(expression, Comparison):
        return _comparison_test(expression, group_name)
    is_regex = isinstance(expression, Regex)
    text = expression.regex if isinstance(expression, Regex) else expression.text
    return TextTest(pattern_of(text, is_regex=is_regex))


def _comparison_test(comparison: Comparison, group_name: GroupName) -> BlockTest:
    match comparison.pseudo:
        case "level":
            return _LevelTest(comparison)
        case "stream":
            return _StreamTest(comparison)
        case "group":
            return _GroupTest(comparison, group_name)
        case "origin":
            return _OriginTest(comparison)
        case "pattern":
            return PatternTest(comparison.value, negates=comparison.operator == "!=")
        case _:
            return FieldTest(comparison)


def highlight_of(expression: Expression) -> Pattern | None:
    """What to highlight in lines that match: texts, and fields as rows show them; None: nothing."""
    parts = [part for term in terms_of(expression) if (part := _shown_part(term))]
    if not parts:
        return None
    if len(parts) == 1 and isinstance(only := terms_of(expression)[0], Text):
        return pattern_of(only.text, is_regex=False)
    try:
        return Pattern("|".join(parts), ignores_case=False)
    except PatternError:
        return None  # each of them is small enough, and all together are too large


def _shown_part(term: Expression) -> str:
    """A regular expression for what a term finds in a row."""
    if isinstance(term, Text):
        return _with_case(re.escape(term.text), smart_case(term.text)) if term.text else ""
    if isinstance(term, Regex):
        return _with_case(term.regex, smart_case(term.regex, is_regex=True))
    if isinstance(term, Comparison) and term.pseudo is None:
        name = re.escape(term.name)
        field = rf'\b{name}=(?:"(?:[^"\\]|\\.)*"|\S*)|{re.escape(term.text)}'
        return _with_case(field, smart_case(term.name))
    return ""


def _with_case(regex: str, ignores_case: bool) -> str:  # noqa: FBT001 - a private helper
    return f"(?i:{regex})" if ignores_case else f"(?:{regex})"


def seen_fields(lines: Iterable[Line]) -> dict[str, list[str]]:
    """Names of the fields of some lines, the most usual first; with their values if these are few.

    ``PSEUDO_FIELDS`` are among them.
    """
    counts: Counter[str] = Counter()
    values: dict[str, dict[str, None]] = {}
    streams: dict[str, None] = {}
    for line in lines:
        streams[line.stream] = None
        structure = structure_of(line.message)
        for name, value in () if structure is None else structure.fields:
            counts[name] += 1
            seen = values.setdefault(name, {})
            if len(seen) <= _FEW_VALUES:
                seen[field_text(value)[:_VALUE_CHARS_MAX]] = None
    found = {
        name: list(values[name]) if len(values[name]) <= _FEW_VALUES else []
        for name, _ in counts.most_common(_NAMES_MAX)
    }
    own = {"level": list(LEVELS), "stream": list(streams), "origin": sorted(ORIGINS), "group": []}
    return found | own


_FEW_VALUES: Final = 20
"""Different values up to which a field's values are proposed."""
_NAMES_MAX: Final = 500
_VALUE_CHARS_MAX: Final = 80


# Values

_NUMBER: Final = re.compile(
    r"([-+]?\d{1,60}(?:\.\d{1,60})?(?:[eE][-+]?\d{1,3})?)\s?([a-zA-Zµμ%]{0,3})", re.ASCII
)
_UNITS: Final[dict[str, tuple[str, float]]] = {
    "ns": ("s", 1e-9), "us": ("s", 1e-6), "µs": ("s", 1e-6), "μs": ("s", 1e-6),
    "ms": ("s", 1e-3), "s": ("s", 1), "sec": ("s", 1), "m": ("s", 60), "min": ("s", 60),
    "h": ("s", 3_600), "d": ("s", 86_400), "%": ("%", 1),
    "b": ("B", 1), "kb": ("B", 1e3), "mb": ("B", 1e6), "gb": ("B", 1e9), "tb": ("B", 1e12),
    "kib": ("B", 1 << 10), "mib": ("B", 1 << 20), "gib": ("B", 1 << 30), "tib": ("B", 1 << 40),
}  # fmt: skip
"""Units behind a number, in lower case: what they measure, and how much of it."""

_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
"""``!=`` asks whether no value is equal, of a field that occurs several times."""


def number_in(value: Scalar) -> tuple[int | float, str] | None:
    """The number that a value is, and its unit in lower case; None if it is none."""
    if isinstance(value, bool) or value is None:
        return None
    if not isinstance(value, str):
        return value, ""
    found = _NUMBER.fullmatch(value.strip())
    if found is None:
        return None
    unit = found[2].lower()
    if unit and unit not in _UNITS:
        return None
    digits = found[1]
    return (int(digits) if digits.lstrip("+-").isdigit() else float(digits)), unit


class ValueTest:
    """Compares values with what was typed: numbers if that is a number, texts otherwise."""

    def __init__(self, comparison: Comparison) -> None:
        value = comparison.value
        self.number = None if comparison.operator == "~" else number_in(value)
        self._pattern = (
            pattern_of(value, is_regex=comparison.is_regex) if comparison.operator == "~" else None
        )
        self._ignores_case = smart_case(value)
        self._value = self._folded(value)
        self._compare: Callable[[Any, Any], bool] = _COMPARE.get(comparison.operator, operator.eq)
        self._is_ordered = comparison.operator in ORDERED
        self._negates = comparison.operator == "!="

    def passes_any(self, values: Iterable[Scalar]) -> bool:
        """Whether one of a field's values passes; for ``!=``: whether all differ."""
        return any(map(self._holds, values)) is not self._negates

    def flag_each(self, values: Sequence[Scalar]) -> Iterable[bool]:
        """Whether each of the values passes, as the only one of its field."""
        kinds = set(map(type, values))
        if self.number is not None and not self.number[1] and kinds <= {int, float}:
            found = map(self._compare, values, repeat(self.number[0]))
            return map(operator.not_, found) if self._negates else found
        if kinds == {str}:  # true and 1 would be equal
            passing = {value: self.passes_any((value,)) for value in set(values)}
            return map(passing.__getitem__, values)
        return [self.passes_any((value,)) for value in values]

    def _holds(self, value: Scalar) -> bool:
        if self.number is not None and (value.__class__ is int or value.__class__ is float):
            if not self.number[1]:
                return self._compare(value, self.number[0])
            return False
        text = without_colours(field_text(value))
        if self._pattern is not None:
            return self._pattern.matches(text)
        if self.number is not None:
            found = number_in(text if isinstance(value, str) else value)
            if found is not None and (holds := self._compare_numbers(found)) is not None:
                return holds
            if self._is_ordered:
                return False
        return self._compare(self._folded(text), self._value)

    def _compare_numbers(self, found: tuple[int | float, str]) -> bool | None:
        """Compare a number with the one that was typed; None if they measure different things."""
        assert self.number is not None, "the caller checked it"
        (number, unit), (typed, typed_unit) = found, self.number
        if not typed_unit or unit == typed_unit:
            return self._compare(number, typed)
        if not unit or _UNITS[unit][0] != _UNITS[typed_unit][0]:
            return None
        return self._compare(number * _UNITS[unit][1], typed * _UNITS[typed_unit][1])

    def _folded(self, text: str) -> str:
        return text.lower() if self._ignores_case else text


# Fields

_INDEXED: Final = re.compile(r"(.*?)((?:\[\d{1,9}\]).*)", re.DOTALL)
_STEP: Final = re.compile(r"\[(\d{1,9})\]|\.?([^.\[\]]+)")
_ALIASES: Final = ("message", "msg")
"""Names under which the message of any structured line is found."""


class FieldName:
    """The name of a field as typed, which finds the field's values in a structure."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ignores_case = smart_case(name)
        indexed = _INDEXED.fullmatch(name)
        self.base = indexed[1] if indexed else name
        """The name up to the first index of a list."""
        self._steps = indexed[2] if indexed else ""
        folded = name.lower()
        self.may_be_message = folded in _ALIASES or folded in {
            one.lower() for one in (*MESSAGE_NAMES, "log")
        }

    def values(self, structure: Structure) -> list[Scalar]:
        """The field's values; none if there is no such field."""
        found = [value for name, value in structure.fields if self.is_named(name, self.name)]
        if found:
            return found
        if self.may_be_message and structure.message:
            is_named = self.is_named(structure.message_name, self.name)
            if is_named or self.name.lower() in _ALIASES:
                return [structure.message]
        if self._steps:
            lists = [value for name, value in structure.fields if self.is_named(name, self.base)]
            return [one for text in lists if isinstance(text, str) for one in self._walk(text)]
        return []

    def is_named(self, name: str, typed: str) -> bool:
        """Whether a field's name is the typed one; in lower case, case does not matter."""
        if name == typed:
            return True
        return self.ignores_case and name.isascii() == typed.isascii() and name.lower() == typed

    def _walk(self, text: str) -> list[Scalar]:
        """The value in a list, which fields hold as JSON."""
        try:
            found: object = json.loads(text)
        except (ValueError, RecursionError):
            return []
        for step in _STEP.finditer(self._steps):
            if step[1] and isinstance(found, list) and int(step[1]) < len(found):
                found = found[int(step[1])]
            elif step[2] and isinstance(found, dict) and step[2] in found:
                found = found[step[2]]
            else:
                return []
        if found is None or isinstance(found, str | int | float | bool):
            return [found]
        return [json.dumps(found, ensure_ascii=False, separators=(",", ":"))]


class FieldTest(BlockTest):
    """Passes lines with a field that passes a comparison.

    A line without such a field passes if it contains the comparison as a text.
    """

    slice_rows = READ_ROWS

    def __init__(self, comparison: Comparison) -> None:
        self._name = FieldName(comparison.name)
        self._value = ValueTest(comparison)
        self._text = pattern_of(comparison.text, is_regex=False)
        self._hints = _Hints(self._name, comparison, self._value)
        self._read = _reader(self._name)

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        message = line.message
        raw = message.encode("utf-8", "surrogatepass")
        if b"\\u" not in raw:
            shown = without_colours(message) if b"\x1b" in raw else message
            if not all(pattern.matches(shown) for pattern in self._hints.patterns):
                return False
        values = None if self._read is None else self._read(raw, raw.lower())
        return self._value.passes_any(values) if values else self._matches(message)

    def flags(self, block: PackedRows) -> bytes:
        """One byte a line: 1 if it passes, else 0."""
        texts = block.texts()
        data, flags = texts.data, bytearray(len(texts.ends))
        has_colours, has_escapes = block.has_colours, b"\\" in data and b"\\u" in data
        if not (has_colours or has_escapes or self._hints.are_in(texts)):
            return bytes(flags)
        lines = data.split(END)
        lines.pop()
        others, doubtful = list(range(len(lines))), list[int]()
        if self._read is not None:
            numbers, values, doubtful, others = self._read.values_of(lines)
            for at in compress(numbers, self._value.flag_each(values)):
                flags[at] = 1
        left: list[int] = []
        if has_colours or has_escapes:
            left = [at for at in (*others, *doubtful) if _is_shown_differently(lines[at])]
            others = [at for at in others if not _is_shown_differently(lines[at])]
            doubtful = [at for at in doubtful if not _is_shown_differently(lines[at])]
        left += self._hints.numbers_of(lines, doubtful)
        left += self._flag_plain(lines, others, flags, is_ascii=texts.is_ascii)
        for at in left:
            flags[at] = self._passes_alone(lines[at])
        return bytes(flags)

    def _flag_plain(
        self,
        lines: Sequence[bytes],
        left: list[int],
        flags: bytearray,
        *,
        is_ascii: bool,
    ) -> list[int]:
        """Set the flags of lines without a structure; the numbers of those that may have one."""
        rest = [lines[at] for at in left]
        data = END.join(rest)
        if not self._hints.is_name_in(data):
            return []
        are_plain = flag_plain_utf8(rest, is_ascii=is_ascii)
        if self._text.is_in(data):
            texts = JoinedTexts.of_utf8(list(compress(rest, are_plain)))
            for at in compress(compress(left, are_plain), flag_matches(self._text, texts)):
                flags[at] = 1
        if all(are_plain):
            return []
        return self._hints.numbers_of(lines, list(compress(left, map(operator.not_, are_plain))))

    def _passes_alone(self, raw: bytes) -> bool:
        """Whether a line passes that nothing is known about."""
        values = None if self._read is None else self._read(raw, raw.lower())
        if values:
            return self._value.passes_any(values)
        return self._matches(raw.decode("utf-8", "surrogatepass"))

    def _matches(self, message: str) -> bool:
        structure = None if is_plain(message) else structure_of(message, again=False)
        values = [] if structure is None else self._name.values(structure)
        if values:
            return self._value.passes_any(values)
        return self._text.matches(without_colours(message))


def _is_shown_differently(raw: bytes) -> bool:
    """Whether a line may hold something that its bytes do not spell."""
    return b"\x1b" in raw or b"\\u" in raw


_PLAIN_NAME: Final = re.compile(r"[\w@$ -]+", re.ASCII)
"""Part of a name that JSON writes as it is, or else with ``\\u``."""
_PLAIN_VALUE: Final = re.compile(r"[\w .:@-]+", re.ASCII)
_PLAIN_PART: Final = re.compile(r"(?=.*[A-DF-Za-df-z])[\w @]+", re.ASCII)
"""A part of a value that is not a part of a number, whose digits may be written differently."""


class _Hints:
    r"""Texts that a line must contain, as shown, to pass a comparison, unless it has ``\u``."""

    def __init__(self, name: FieldName, comparison: Comparison, value: ValueTest) -> None:
        self.patterns: list[Pattern] = []
        self._name: Pattern | None = None
        """The name as that of a field: what follows it in JSON, in JSON within a text, in logfmt,
        in Lambda's lines, or in the comparison as a text."""
        last = name.base.rpartition(".")[2]
        is_added = any(name.is_named(one, name.base) for one in ADDED_NAMES)
        if _PLAIN_NAME.fullmatch(last) and not is_added and not name.may_be_message:
            self._add(last, ignores_case=name.ignores_case)
            following = re.escape(comparison.operator[0])
            self._name = Pattern(
                rf'{re.escape(last)}(?:["\\=:]|{following})', ignores_case=name.ignores_case
            )
        text = comparison.value
        is_plain_value = (comparison.operator == "=" and _PLAIN_VALUE.fullmatch(text)) or (
            comparison.operator == "~" and not comparison.is_regex and _PLAIN_PART.fullmatch(text)
        )
        if is_plain_value and value.number is None and text == text.strip():
            self._add(text, ignores_case=smart_case(text))

    def _add(self, text: str, *, ignores_case: bool) -> None:
        self.patterns.append(Pattern(text, ignores_case=ignores_case, is_literal=True))

    def are_in(self, texts: JoinedTexts) -> bool:
        """Whether each of them is somewhere in the texts."""
        return all(pattern.is_in(texts.data) for pattern in self.patterns)

    def is_name_in(self, data: bytes) -> bool:
        """Whether the field or the text may be somewhere in joined lines, as they are shown."""
        return self._name is None or self._name.is_in(data)

    def numbers_of(self, lines: Sequence[bytes], numbers: list[int]) -> list[int]:
        """Those numbers whose lines, as they are shown, may have the field or the text."""
        if self._name is None or not numbers:
            return numbers
        texts = JoinedTexts.of_utf8([lines[at] for at in numbers])
        return list(compress(numbers, self._name.flag_lines(texts.data, texts.ends)))


def _reader(name: FieldName) -> JsonField | None:
    """A reader for fields that are named in JSON as they are typed; None for other names."""
    parts = name.name.split(".")
    is_added = any(name.is_named(one, name.name) for one in ADDED_NAMES)
    if is_added or name.may_be_message or not all(map(_PLAIN_NAME.fullmatch, parts)):
        return None
    if len(parts) > _PARTS_MAX:
        return None
    return JsonField(name.name, ignores_case=name.ignores_case)


_PARTS_MAX: Final = 8


# What a line has beside its fields


class _LevelTest(BlockTest):
    """Passes lines of some levels; ``level>=warn``. In order, a line without a level is INFO."""

    slice_rows = READ_ROWS

    def __init__(self, comparison: Comparison) -> None:
        level = level_named(comparison.value)
        assert level is not None, "the parser checked it"
        self._number = LEVELS.index(level)
        self._operator = comparison.operator
        self._text = pattern_of(comparison.text, is_regex=False)

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        level = level_of(line.message)
        if self._passes(level):
            return True
        return level is None and self._text.matches(without_colours(line.message))

    def flags(self, block: PackedRows) -> bytes:
        """One byte a line: 1 if it passes, else 0."""
        found = block.flags_of_levels(self._passes)
        as_text = block.flags_of_pattern(self._text)
        if 1 not in as_text:
            return found
        flags = bytearray(found)
        for at in compress(range(len(flags)), as_text):
            flags[at] = flags[at] or block.level(at) is None
        return bytes(flags)

    def _passes(self, level: str | None) -> bool:
        if level is None and self._operator not in ORDERED:
            return False
        number = LEVELS.index(level or "info")
        return _COMPARE[self._operator](number, self._number) is not (self._operator == "!=")


class _StreamTest(BlockTest):
    """Passes lines of some log streams."""

    def __init__(self, comparison: Comparison) -> None:
        self._value = ValueTest(comparison)

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        return self._passes(line.stream)

    def flags(self, block: PackedRows) -> bytes:
        """One byte a line: 1 if it passes, else 0."""
        return block.flags_of_stream_names(self._passes)

    def _passes(self, name: str) -> bool:
        return self._value.passes_any((name,))


class _OriginTest(BlockTest):
    """Passes lines that came live, by a backfill, or by a repair."""

    slice_rows = READ_ROWS

    def __init__(self, comparison: Comparison) -> None:
        self._origin = comparison.value
        self._negates = comparison.operator == "!="

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        return (line.origin == self._origin) is not self._negates

    def flags(self, block: PackedRows) -> bytes:
        """One byte a line: 1 if it passes, else 0."""
        found = block.flags_of_origin(self._origin)
        return invert_flags(found) if self._negates else found


class _GroupTest(BlockTest):
    """Passes lines of some log groups, named whole or by the last parts of their names."""

    def __init__(self, comparison: Comparison, group_name: GroupName) -> None:
        self._value = ValueTest(comparison)
        self._takes_parts = comparison.operator in ("=", "!=")
        self._group_name = group_name
        self._verdicts: dict[int, bool] = {}
        """Whether lines of a target pass, once its log group is known."""

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        return self._passes(line.target)

    def flags(self, block: PackedRows) -> bytes:
        """One byte a line: 1 if it passes, else 0."""
        return block.keys.flags_of_targets(self._passes)

    def _passes(self, target: int) -> bool:
        found = self._verdicts.get(target)
        if found is None:
            name = self._group_name(target)
            found = self._value.passes_any(_forms(name, self._takes_parts))
            if name:
                self._verdicts[target] = found
        return found


def _forms(name: str, takes_parts: bool) -> Sequence[str]:  # noqa: FBT001 - a private helper
    """A log group's name, and its last parts: ``/ecs/web/a``, ``ecs/web/a``, ``web/a``, ``a``."""
    if not takes_parts:
        return (name,)
    parts = name.split("/")
    return [name, *("/".join(parts[at:]) for at in range(1, len(parts)))]
