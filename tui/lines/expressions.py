r"""The language of filters and searches: parses what is typed, and writes it again. Pure.

=====================  ===========================================================================
``text``               lines that contain it as it stands: ``array[0]``, ``$5.00?``, ``C:\Users``
``"text"``             the same, for a text that would mean something else, as ``"!x"``
``/regex/``            lines that match a regular expression (RE2); ``\/`` stands for a slash
``name=value``         lines with a field of this value; also ``!= > >= < <=``
``name~text``          lines whose field contains a text; ``name~/regex/``: whose field matches
``level>=warn``        lines of a level; ``stream``, ``group`` and ``origin`` likewise
``pattern="user * …"`` lines of a pattern, as the patterns panel (``P``) shows it
``!x``                 lines that do not match ``x``
=====================  ===========================================================================

**Where blanks divide.** A text is divided into terms, all of which must match, if one of its words
compares a field, or if every word is quoted, a regular expression or negated. Any other text is one
text, blanks included: ``timed out after`` is searched for as it stands.

**Comparisons are texts, too.** ``id=42`` also finds a line without such a field that contains
``id=42``. A name in quotes is always a field: ``"level">30``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from common.patterns import Pattern, PatternError
from tui.lines.levels import LEVELS, level_named
from wire.messages import Origin

EXPRESSION_CHARS_MAX: Final = 4_096
"""Characters of an expression: dividing it into terms may read each of them several times."""

Operator = Literal["=", "!=", ">", ">=", "<", "<=", "~"]
ORDERED: Final = frozenset({">", ">=", "<", "<="})

PSEUDO_FIELDS: Final = ("level", "stream", "group", "origin", "pattern")
"""Names that stand for something of the line, and not for a field of its text."""

ORIGINS: Final = frozenset(get_args(Origin))

_SHOWN_CHARS: Final = 80


class Text(msgspec.Struct, frozen=True):
    """Lines that contain a text."""

    text: str

    def __str__(self) -> str:
        return self.text if parse_or_none(self.text) == self else quoted(self.text)


class Regex(msgspec.Struct, frozen=True):
    """Lines that match a regular expression."""

    regex: str

    def __str__(self) -> str:
        return f"/{_escaped_slashes(self.regex)}/"


class Comparison(msgspec.Struct, frozen=True):
    """Lines with a field whose value passes a comparison.

    Attributes:
        name: Name of the field.
        operator: How to compare.
        value: What to compare with: a text, or for ``~`` perhaps a regular expression.
        is_regex: Whether the value is a regular expression.
        is_field: Whether a name of ``PSEUDO_FIELDS`` is a field's, since it is in quotes.
    """

    name: str
    operator: Operator
    value: str
    is_regex: bool = False
    is_field: bool = False

    @property
    def text(self) -> str:
        """The comparison as a line would contain it."""
        value = f"/{self.value}/" if self.is_regex else self.value
        return f"{self.name}{self.operator}{value}"

    @property
    def pseudo(self) -> str | None:
        """The one of ``PSEUDO_FIELDS`` that is compared; None for a field."""
        if self.is_field or self.name not in PSEUDO_FIELDS:
            return None
        is_meant = {
            "level": self.operator != "~" and level_named(self.value) is not None,
            "origin": self.operator in ("=", "!=") and self.value in ORIGINS,
            "pattern": self.operator in ("=", "!="),
        }
        return self.name if is_meant.get(self.name, True) else None

    def __str__(self) -> str:
        is_plain = _NAME.fullmatch(self.name) is not None and not self.is_field
        name = self.name if is_plain else quoted(self.name)
        if self.is_regex:
            return f"{name}{self.operator}/{_escaped_slashes(self.value)}/"
        one = f"{name}{self.operator}{self.value}"
        is_plain = '"' not in self.value and parse_or_none(one) == self
        return one if is_plain else f"{name}{self.operator}{quoted(self.value)}"


class Not(msgspec.Struct, frozen=True):
    """Lines that do not match a term."""

    term: Text | Regex | Comparison

    def __str__(self) -> str:
        one = f"!{self.term}"
        return one if parse_or_none(one) == self else f"!{_quoted_term(self.term)}"


Term = Text | Regex | Comparison | Not


class All(msgspec.Struct, frozen=True):
    """Lines that match each of two or more terms."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " ".join(map(_quoted_term, self.terms))


Expression = Term | All


def parse_expression(text: str) -> Expression:
    """What a text that was typed stands for; see the module.

    Raises:
        PatternError: It holds a regular expression that cannot be used, or a level that is none.
    """
    if len(text) > EXPRESSION_CHARS_MAX:
        msg = f"{text[:_SHOWN_CHARS]!r}… is longer than {EXPRESSION_CHARS_MAX:,} characters"
        raise PatternError(msg, is_syntax=False)
    words = list(_WORD.finditer(text))
    is_divided = any(word["name"] for word in words) or (
        bool(words) and all(map(_is_marked, words))
    )
    if is_divided:
        terms = tuple(map(_term, words))
        return terms[0] if len(terms) == 1 else All(terms)
    if _NEGATED_TEXT.match(text):
        return Not(Text(text[1:]))
    return Text(text)


def parse_or_none(text: str) -> Expression | None:
    """What a text stands for; None if it is no valid expression."""
    try:
        return parse_expression(text)
    except PatternError:
        return None


def terms_of(expression: Expression) -> tuple[Term, ...]:
    """The terms that must all match."""
    return expression.terms if isinstance(expression, All) else (expression,)


def equals(name: str, value: str, level: str | None) -> Comparison:
    """The comparison of a field with a value, ``name=value``, given the level of its line."""
    plain = Comparison(name, "=", value)
    is_level = plain.pseudo == "level" and level_named(value) == level
    return plain if is_level else msgspec.structs.replace(plain, is_field=name in PSEUDO_FIELDS)


def smart_case(text: str, *, is_regex: bool = False) -> bool:
    r"""Whether case is ignored, as in less -i and lnav: there is no upper-case letter in it.

    In a regular expression, the letters of ``\S`` and the like do not count.
    """
    return not any(char.isupper() for char in (_ESCAPE.sub("", text) if is_regex else text))


def pattern_of(text: str, *, is_regex: bool) -> Pattern:
    """A pattern for a text as it stands, or for a regular expression, with smart case.

    Raises:
        PatternError: It is a regular expression that cannot be used.
    """
    ignores_case = smart_case(text, is_regex=is_regex)
    return Pattern(text, ignores_case=ignores_case, is_literal=not is_regex)


def quoted(text: str) -> str:
    """A text in quotation marks, as an expression holds it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_REGEX: Final = r"/(?:[^/\\]|\\.|/(?!\s|$))+/"
_NAME: Final = re.compile(r"[^\W\d][\w.@/$-]*(?:\[\d{1,9}\][\w.@/$-]*)*|[@$][\w.@/$-]+")
_OPERATOR: Final = r"!=|>=|<=|=|>|<|~"
_NEGATION: Final = r"(?:!(?![\s!=]))"
_END: Final = r"(?=\s|\Z)"
_WORD: Final = re.compile(
    rf"(?<!\S)(?P<negation>{_NEGATION}?)"
    rf"(?:(?P<quoted>{_QUOTED}){_END}"
    rf"|(?P<regex>{_REGEX}){_END}"
    rf"|(?P<name>{_QUOTED}|{_NAME.pattern})(?P<operator>{_OPERATOR})"
    rf"(?:(?P<value_quoted>{_QUOTED}){_END}|(?<=~)(?P<value_regex>{_REGEX}){_END}|(?P<value>\S+))"
    r"|(?P<bare>\S+))",
    re.DOTALL,
)
_ESCAPED_CHAR: Final = re.compile(r"\\(.)", re.DOTALL)
_SLASH: Final = re.compile(r"\\.|/", re.DOTALL)
_NEGATED_TEXT: Final = re.compile(rf"{_NEGATION}.", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:[pP](?:\{[^}]*\}|.)|.)", re.DOTALL)


def _is_marked(word: re.Match[str]) -> bool:
    return bool(word["negation"] or word["quoted"] or word["regex"])


def _term(word: re.Match[str]) -> Term:
    term: Text | Regex | Comparison
    if word["name"]:
        term = _comparison(word)
    elif word["quoted"]:
        term = Text(_unquoted(word["quoted"]))
    elif word["regex"]:
        term = Regex(_usable(_without_slashes(word["regex"])))
    else:
        term = Text(word["bare"])
    return Not(term) if word["negation"] else term


def _comparison(word: re.Match[str]) -> Comparison:
    is_quoted = word["name"].startswith('"')
    name = _unquoted(word["name"]) if is_quoted else word["name"]
    is_field = is_quoted and name in PSEUDO_FIELDS
    operator: Operator = word["operator"]  # type: ignore[assignment]  # the expression has no others
    value, is_regex = word["value"], False
    if word["value_quoted"]:
        value = _unquoted(word["value_quoted"])
    elif word["value_regex"]:
        value, is_regex = _usable(_without_slashes(word["value_regex"])), True
    elif operator == "~" and value.startswith("/"):
        msg = f"{value[:_SHOWN_CHARS]!r} is not closed: write {name}~/regex/, or quote the text"
        raise PatternError(msg, is_syntax=True)
    if name == "level" and not is_field and operator in ORDERED and level_named(value) is None:
        msg = f'{value[:_SHOWN_CHARS]!r} is not one of {", ".join(LEVELS)}; "level" is a field'
        raise PatternError(msg, is_syntax=True)
    return Comparison(name, operator, value, is_regex, is_field)


def _usable(regex: str) -> str:
    """A regular expression that can be compiled."""
    pattern_of(regex, is_regex=True)
    return regex


def _unquoted(text: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", text[1:-1])


def _without_slashes(text: str) -> str:
    return _ESCAPED_CHAR.sub(lambda one: "/" if one[1] == "/" else one[0], text[1:-1])


def _escaped_slashes(regex: str) -> str:
    return _SLASH.sub(lambda one: r"\/" if one[0] == "/" else one[0], regex)


def _quoted_term(term: Term) -> str:
    """A term that stays one among others."""
    if isinstance(term, Not):
        return f"!{_quoted_term(term.term)}"
    return quoted(term.text) if isinstance(term, Text) else str(term)


# Completion

_UNFINISHED: Final = re.compile(
    rf"(?:^|\s){_NEGATION}?(?P<name>{_NAME.pattern})(?:(?P<operator>!?=)(?P<value>[^\s\"]*))?$"
)


def complete(text: str, fields: Mapping[str, Sequence[str]]) -> str | None:
    """A text that is being typed, with its last name or value completed; None: no proposal.

    Args:
        text: What was typed so far.
        fields: Names of fields, the most usual first, each with its values if these are few.
    """
    found = _UNFINISHED.search(text)
    if found is None or text.count('"') % 2:
        return None
    name, value = found["name"], found["value"]
    if value is None:
        names = (one for one in fields if one.startswith(name) and _NAME.fullmatch(one))
        proposed = next(names, None)
        return None if proposed is None else f"{text}{proposed[len(name) :]}="
    values = (one for one in fields.get(name, ()) if one.startswith(value) and one != value)
    proposed = next((one for one in values if one and not _NEEDS_QUOTES.search(one)), None)
    return None if proposed is None else text + proposed[len(value) :]


_NEEDS_QUOTES: Final = re.compile(r"[\s\"]")
