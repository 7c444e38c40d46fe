"""Searches the messages of a whole block at once. Pure.

The messages are joined to one piece of bytes. Most regular expressions contain a literal text
that every match must have: ``5[0-9]+ error`` has `` error``. That literal is searched for at the
speed of memory, and the expression is tried only on the messages that have it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, compress
from operator import or_
from typing import Final, NamedTuple, Self

from common.patterns import Pattern

END: Final = b"\xff"
"""Terminator of each message: not a byte of UTF-8, so that no match spans two messages."""

_END_CHAR: Final = END.decode("latin-1")


class JoinedTexts(NamedTuple):
    """Messages, joined."""

    data: bytes
    """The messages in UTF-8 (lone surrogates in three-byte form), each followed by ``END``."""
    ends: Sequence[int]
    """Offset behind each message's ``END``."""
    is_ascii: bool

    @classmethod
    def of(cls, messages: Sequence[str]) -> Self:
        """Join messages."""
        if is_ascii := all(map(str.isascii, messages)):
            data = "".join([_END_CHAR.join(messages), _END_CHAR]).encode("latin-1")
            sizes = list(map(len, messages))
        else:
            parts = [message.encode("utf-8", "surrogatepass") for message in messages]
            data, sizes = END.join([*parts, b""]), list(map(len, parts))
        return cls(data if messages else b"", list(accumulate(map((1).__add__, sizes))), is_ascii)

    def one(self, at: int) -> str:
        """The message at an index."""
        return self.utf8(at).decode("utf-8", "surrogatepass")

    def utf8(self, at: int) -> bytes:
        """The message at an index in UTF-8."""
        return self.data[self.ends[at - 1] if at else 0 : self.ends[at] - 1]

    def all(self) -> list[str]:
        """All messages."""
        if self.is_ascii:
            return split_as_latin1(self.data)
        return [one.decode("utf-8", "surrogatepass") for one in self.data.split(END)[:-1]]


def split_as_latin1(data: bytes) -> list[str]:
    """Joined messages, each byte as one character: exact for ASCII, and fast."""
    return data.decode("latin-1").split(_END_CHAR)[:-1]


LITERALS_MAX: Final = 16
"""Most alternative literals of a prefilter: the block is searched once for each."""

_QUANTIFIER: Final = re.compile(r"([*?+]|\{\d+(?:,\d*)?\})\??")
_GROUP: Final = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
_CLASS: Final = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_META: Final = frozenset(".^$*+?[\\|()")

_OTHER_FORMS: Final = tuple(form.encode() for form in "\u017f\u212a")
"""Characters beyond ASCII that RE2 equates with k or s if case does not matter."""

_FEW: Final = 32
"""Matches before their density is checked."""

_DENSE: Final = 4
"""From one match in this many messages on, testing each message is faster than searching."""

_SAMPLE: Final = 16
"""Messages sampled to guess whether most contain a literal in lower case."""


class Prefilter(NamedTuple):
    """A pattern, and literals of which each of its matches contains at least one."""

    pattern: Pattern
    literals: tuple[str, ...] = ()
    """Empty if no literal is known to be required."""
    is_exact: bool = False
    """Whether every message that contains a literal matches."""

    def flags(self, texts: JoinedTexts) -> bytes:
        """One byte a message: 1 if the pattern is found in it, else 0."""
        matches, ignores_case = self.pattern.matches_utf8, self.pattern.ignores_case
        if not self.literals or (ignores_case and _has_other_forms(texts)):
            return self.pattern.flag_lines(texts.data, texts.ends)
        flags = _flag_literals(self.literals, texts, ignores_case=ignores_case)
        if self.is_exact:
            return bytes(flags)
        if flags.count(1) * _DENSE > len(flags) and not self.pattern.has_anchors:
            return self.pattern.flag_lines(texts.data, texts.ends)
        for line in list(compress(range(len(flags)), flags)):
            flags[line] = matches(texts.utf8(line))
        return bytes(flags)


def prefilter_of(pattern: Pattern) -> Prefilter:
    """The prefilter of a pattern; without literals where its syntax is beyond the parser."""
    text = re.escape(pattern.text) if pattern.is_literal else pattern.text
    parser = _LiteralParser(text, ignores_case=pattern.ignores_case)
    try:
        literals = parser.alternatives()
    except _UnsupportedSyntaxError:
        return Prefilter(pattern)
    if not literals or len(literals) > LITERALS_MAX:
        return Prefilter(pattern)
    return Prefilter(pattern, tuple(dict.fromkeys(literals)), not parser.has_more)


def _has_other_forms(texts: JoinedTexts) -> bool:
    return not texts.is_ascii and any(form in texts.data for form in _OTHER_FORMS)


def _flag_literals(
    literals: tuple[str, ...], texts: JoinedTexts, *, ignores_case: bool
) -> bytearray:
    """One byte a message: 1 if it contains one of the literals."""
    data = texts.data
    needles = [one.encode("utf-8", "surrogatepass") for one in literals]
    if ignores_case:
        needles = [needle.lower() for needle in needles]
        if len(needles) == 1 and _is_in_most(needles[0], texts):
            return bytearray(_flag_any_case(needles[0], data))
        data = data.lower()
    flags = bytearray(len(texts.ends))
    for needle in needles:
        _flag_occurrences(needle, data, texts, flags)
    return flags


def _is_in_most(needle: bytes, texts: JoinedTexts) -> bool:
    """Whether more than half of the first messages contain a literal as it is."""
    first = texts.ends[:_SAMPLE]
    return bool(first) and texts.data.count(needle, 0, first[-1]) * 2 > len(first)


def _flag_any_case(needle: bytes, data: bytes) -> list[bool]:
    """Whether each message contains an ASCII literal in any case; fast if most have it as it is."""
    text = needle.decode("ascii")
    return [text in one or text in one.lower() for one in split_as_latin1(data)]


def _flag_occurrences(needle: bytes, data: bytes, texts: JoinedTexts, flags: bytearray) -> None:
    """Set the flag of each message that contains a literal."""
    ends, matches, line = texts.ends, 0, 0
    at = data.find(needle)
    while at >= 0:
        line = bisect_right(ends, at, line)
        flags[line] = 1
        matches += 1
        if matches > _FEW and matches * _DENSE > line:
            text, rest = needle.decode("latin-1"), split_as_latin1(data[ends[line] :])
            found = [text in one for one in rest]
            flags[line + 1 :] = bytes(map(or_, flags[line + 1 :], found))
            return
        at = data.find(needle, ends[line])


class _UnsupportedSyntaxError(Exception):
    """The pattern has a construct whose required literals the parser cannot determine."""


class _LiteralParser:
    """Finds the required literals of a valid regular expression."""

    def __init__(self, pattern: str, *, ignores_case: bool) -> None:
        self._pattern = pattern
        self._ignores_case = ignores_case
        self._at = 0
        self.has_more = False
        """Whether the expression is more than its literals."""

    def alternatives(self) -> list[str]:
        """Parse to the end, or to the end of a group: literals of which one is required."""
        found: list[str] = []
        is_known = True
        while True:
            literals = self._sequence()
            is_known = is_known and bool(literals)
            found += literals
            if self._peek() != "|":
                return found if is_known else []
            self._at += 1

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _sequence(self) -> list[str]:
        """Parse one alternative: of its required literals, the most selective ones."""
        choices: list[list[str]] = []
        run = ""
        while (char := self._peek()) and char not in "|)":
            piece = [] if char in "([" else self._literal(char)
            if char == "(":
                piece = self._group()
            elif char == "[":
                self._skip(_CLASS)
            is_char = char not in "([" and bool(piece)
            quantifier = self._quantifier()
            if quantifier or not is_char:
                self.has_more = True
            if not is_char or quantifier:
                kept = piece[0] if is_char and quantifier == "+" else ""
                choices.append([run + kept] if run + kept else [])
                run = ""
            else:
                run += piece[0]
            if not is_char and quantifier in ("", "+"):
                choices.append(piece)
        choices.append([run] if run else [])
        return max(choices, key=lambda literals: min(map(len, literals), default=0))

    def _literal(self, char: str) -> list[str]:
        """Parse one character: itself, or nothing where it is special."""
        self._at += 1
        if char == "\\":
            char = self._peek()
            self._at += 1
            if char.isdigit() or char in "xpPQ":
                raise _UnsupportedSyntaxError  # the characters that follow belong to the escape
            if char.isalpha():
                return []
        elif char in _META:
            return []
        return [] if self._ignores_case and not char.isascii() else [char]

    def _group(self) -> list[str]:
        found = _GROUP.match(self._pattern, self._at)
        if found is None:
            raise _UnsupportedSyntaxError  # it may set flags, or be a negative lookahead
        self._at = found.end()
        literals = self.alternatives()
        self._at += 1
        return literals

    def _skip(self, construct: re.Pattern[str]) -> None:
        found = construct.match(self._pattern, self._at)
        if found is None or "[:" in found[0]:  # ``[[:alpha:]]`` ends later
            raise _UnsupportedSyntaxError
        self._at = found.end()

    def _quantifier(self) -> str:
        """Parse a quantifier: ``+`` for at least once, ``*`` for optional, empty for none."""
        found = _QUANTIFIER.match(self._pattern, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return "+" if found[1] == "+" else "*"
