"""Groups lines by pattern: the words that they share, with ``*`` for what varies. Pure.

The method is Drain (He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree",
ICWS 2017): numbers, ids and quotations are masked, the masked text is divided into tokens, a tree
of fixed depth (kind and level, number of tokens, first token) leads to a leaf, and the line joins
the pattern there that it is most similar to. Two things differ. A word becomes ``*`` only once
``VARIANTS`` words were seen in its place, so that ``upload done`` and ``upload failed`` remain two
patterns and ``user alice left`` and ``user bob left`` become one. And lines whose masked text was
seen before are found in a table, which most are.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import eq
from typing import Any, Final

import msgspec

from common.patterns import Pattern
from common.text import without_colours
from tui.lines.blocks import PACKED_GAIN
from tui.lines.levels import level_of
from tui.lines.packed import PackedRows
from tui.lines.rows import Line
from tui.lines.structure import is_plain, structure_of
from tui.lines.view import READ_ROWS, BlockTest, invert_flags

WILDCARD: Final = "*"
"""Stands for what varies; a ``*`` of the line itself is treated alike."""

TEXT_CHARS_MAX: Final = 600
"""Characters of a line that its pattern is made of; beyond that, lines of one pattern may differ
in any way, and each takes longer than its turn."""

TOKENS_MAX: Final = 40
"""Tokens of a pattern, for the same reason."""

CUT: Final = "…"
"""Last token of a pattern that was cut off at one of these limits."""

PATTERNS_MAX: Final = 1_000
"""Patterns at a time; a longer list would not be read. Lines beyond them count as others."""

LEAF_MAX: Final = 48
"""Patterns in a leaf of the tree, all of which a line of a new form is compared with."""

FIRST_TOKENS_MAX: Final = 64
"""First tokens by which leaves are told apart, for each kind, level and number of tokens."""

VARIANTS: Final = 4
"""Different words in one place, the rest being equal, that make the place a wildcard."""

FORMS_MAX: Final = 10_000
"""Masked texts whose pattern is kept: 12 MB of the longest. Beyond that, all are forgotten."""

_KEY_CHARS_MAX: Final = 1_200
"""Longest line whose masked text is kept; longer ones are parsed each time."""

_RAW_CHARS_MAX: Final = 4 * TEXT_CHARS_MAX
"""Characters of a line in which colour codes and the end of the first line are looked for."""


# The text of a line, its masks and tokens

_VARYING: Final = re.compile(r"\d\w*+(?:[.:+-][a-f]*+\d\w*+)*+")
"""A number, and what contains one: a time, an address, an id, a size with its unit. It begins with
a digit, since Python's search is four times as fast then."""

_HEX_HEAD: Final = re.compile(r"\b[a-fA-F]{1,8}\*")
"""Letters that a hexadecimal number begins with."""

_HEX_WORD: Final = re.compile(r"\*(?:-[a-f]{4}(?!\w))+")
"""A part of a UUID without digits."""

_QUOTED: Final = re.compile(
    r"""(?<![\w\\])(?:"((?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) )?[^"]*+"(?![\w:])"""
    r"""|'[^']*+'(?!\w))"""
)
"""Text in quotation marks; the request of an access log is no value but what the line is about."""

_MONTH: Final = re.compile(
    r"(?:\*/)?\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?: +|/)\*"
)
"""Day and month, as of syslog and access logs."""

_RUN: Final = re.compile(r"(?:(?<![\w*])[-+])?\*(?:[.,:/+-]?\*)+|(?<![\w*])[-+]\*")
"""Adjacent masks, as of ``12:00:01,250``, and a mask with a sign."""


def _mask_hex(text: str) -> str:
    """Mask the letters of hexadecimal numbers whose digits are masked."""
    text = _HEX_HEAD.sub(WILDCARD, text)
    return _HEX_WORD.sub(WILDCARD, text) if "*-" in text else text


def _tokens_of_text(text: str) -> tuple[str, ...]:
    text = _mask_hex(_VARYING.sub(WILDCARD, text))
    if '"' in text or "'" in text:
        text = _QUOTED.sub(lambda one: one[0] if one[1] else WILDCARD, text)
    if WILDCARD in text:
        text = _RUN.sub(WILDCARD, _MONTH.sub(WILDCARD, text))
    tokens = text.split()
    if len(tokens) > TOKENS_MAX:
        tokens[TOKENS_MAX - 1 :] = [CUT]
    return tuple(tokens)


FormKey = str | tuple[str, object]
"""A whole line, masked; or the masked message of a JSON object, and what tells its level."""


class _Message(msgspec.Struct):
    """The fields of a JSON object that may hold its message; msgspec skips all others but one."""

    message: Any = None
    msg: Any = None
    at_message: Any = msgspec.field(default=None, name="@message")
    at_m: Any = msgspec.field(default=None, name="@m")
    short_message: Any = None
    message_capital: Any = msgspec.field(default=None, name="Message")
    message_upper: Any = msgspec.field(default=None, name="MESSAGE")
    event: Any = None
    body: Any = None
    body_capital: Any = msgspec.field(default=None, name="Body")
    at_mt: Any = msgspec.field(default=None, name="@mt")
    template: Any = msgspec.field(default=None, name="MessageTemplate")
    text: Any = None
    log: Any = None
    level: Any = None


_MESSAGE_FIELDS: Final = _Message.__struct_fields__[:-1]
_decode: Final = msgspec.json.Decoder(_Message).decode


def _read_json(text: str) -> tuple[str, object] | None:
    """The message of a JSON object and its ``level``, ten times as fast as parsing it.

    None: only parsing it tells. The message may have a structure of its own.
    """
    try:
        fields = _decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    for name in _MESSAGE_FIELDS:
        found = getattr(fields, name)
        if isinstance(found, str):
            is_usable = found and "\x1b" not in found
            return (found, fields.level) if is_usable else None
    return None


def _behind_level(masked: str) -> str:
    """What follows the word ``level`` in a masked text: with a mask, if it is a number."""
    end = masked.rfind("evel") + len("evel")
    return masked[end : end + _LEVEL_CHARS]


_LEVEL_CHARS: Final = 12
"""Characters in which a level follows its name, with ``_name`` and ``": "`` between."""


def _json_key(message: str) -> FormKey | None:
    """A key that JSON objects of one pattern and level share."""
    found = _read_json(message)
    if found is None:
        return None
    text, level = found
    masked = _VARYING.sub(WILDCARD, _first_line(text))
    in_text = text.count("evel")
    has_level = level.__class__ in (str, int)
    is_told = (
        message.count("evel") == in_text + has_level
        and (has_level or not in_text or WILDCARD not in _behind_level(masked))
        and not ("everity" in message or "lvl" in message)
        and not ('"@l"' in message or '"short_message"' in message or '"PRIORITY"' in message)
    )
    return masked, level if is_told else (level_of(message),)


_MASKED_LEVEL: Final = re.compile(r"^\W*<\*|(?:level|severity|lvl)\w*\W{0,4}\*", re.IGNORECASE)


def has_masked_level(text: str) -> bool:
    """Whether a masked text may have a level that is a number, so that its lines may differ."""
    return _MASKED_LEVEL.search(text) is not None


def key_of(message: str) -> FormKey | None:
    """A key that lines of one pattern and level share; None: only parsing the line tells."""
    if message[:1] == "{":
        return _json_key(message)
    if len(message) <= _KEY_CHARS_MAX and "\x1b" not in message:
        return _VARYING.sub(WILDCARD, message)
    return None


def without_hex(key: FormKey) -> FormKey:
    """A key with hexadecimal numbers masked whole, which takes longer; more lines share it."""
    return _mask_hex(key) if isinstance(key, str) else (_mask_hex(key[0]), key[1])


def text_of(message: str) -> tuple[str, bool]:
    """The text that the pattern of a line is made of, and whether the line is structured.

    It is the first line of the message, of a structured line of its message for people; without
    one, of its fields.
    """
    if message[:1] == "{" and (read := _read_json(message)) is not None and is_plain(read[0]):
        return _first_line(read[0]), True
    found = structure_of(message, again=False)
    if found is None:
        return _first_line(without_colours(message[:_RAW_CHARS_MAX])), False
    if found.message:
        return _first_line(found.message), True
    fields = " ".join(f"{name}={value}" for name, value in found.row_fields())
    return _first_line(fields), True


def _first_line(text: str) -> str:
    text = text[:_RAW_CHARS_MAX].lstrip().partition("\n")[0].partition("\r")[0]
    if len(text) <= TEXT_CHARS_MAX:
        return text
    whole, _, _ = text[:TEXT_CHARS_MAX].rpartition(" ")
    return f"{whole} {CUT}"  # a part of a word would differ with the length of what precedes


def tokens_of(message: str) -> tuple[tuple[str, ...], bool]:
    """The tokens of a line, masked, and whether the line is structured."""
    text, is_structured = text_of(message)
    return _tokens_of_text(text), is_structured


def fits(pattern: Sequence[str], tokens: Sequence[str]) -> bool:
    """Whether tokens fit a pattern: each is equal, or in the place of a wildcard."""
    return len(pattern) == len(tokens) and all(
        one in (WILDCARD, other) for one, other in zip(pattern, tokens, strict=True)
    )


class PatternMatcher:
    """Tells whether lines fit a pattern that is written as text."""

    def __init__(self, text: str) -> None:
        self._tokens = tuple(text.split())
        self._verdicts: dict[FormKey, bool] = {}
        words = (one for token in self._tokens for one in _WORD.findall(token))
        self.word = max(words, key=len, default="")
        r"""A text that each line contains as it is shown, unless it has ``\u``; may be empty."""

    def matches(self, message: str) -> bool:
        """Whether a line fits the pattern."""
        key = key_of(message)
        found = None if key is None else self._verdicts.get(key)
        if found is None:
            tokens, _ = tokens_of(message)
            found = fits(self._tokens, tokens)
            if key is not None:
                if len(self._verdicts) >= FORMS_MAX:
                    self._verdicts.clear()
                self._verdicts[key] = found
        return found


_WORD: Final = re.compile(r"[A-Za-z0-9]+")


class PatternTest(BlockTest):
    """Passes lines that fit a pattern which is written as text, or all others."""

    slice_rows = READ_ROWS // PACKED_GAIN

    def __init__(self, text: str, *, negates: bool) -> None:
        self._matcher = PatternMatcher(text)
        self._negates = negates
        self._word: Pattern | None = None
        if self._matcher.word:
            self._word = Pattern(self._matcher.word, ignores_case=False, is_literal=True)

    def __call__(self, line: Line) -> bool:
        """Whether a line passes."""
        return self._matcher.matches(line.message) is not self._negates

    def flags(self, block: PackedRows) -> bytes:
        """One byte a line: 1 if it passes, else 0."""
        texts = block.texts()
        candidates = b"\1" * len(texts.ends)
        if self._word is not None and b"\\u" not in texts.data:
            candidates = block.flags_of_pattern(self._word)
        flags = bytearray(len(candidates))
        if 1 in candidates:
            matches, messages = self._matcher.matches, texts.all()
            for at, is_candidate in enumerate(candidates):
                flags[at] = is_candidate and matches(messages[at])
        return invert_flags(bytes(flags)) if self._negates else bytes(flags)


# Patterns and the tree that leads to them


class LinePattern:
    """One pattern, and the lines that have it.

    Attributes:
        tokens: Its tokens.
        wildcards: Number of tokens that stand for anything.
        count: Number of lines.
        levels: Number of lines of each level; None: lines without one.
        buckets: Number of lines by ``timestamp // step_ms``.
        first_ms: Time of the first line, ms since the Unix epoch.
        last_ms: Time of the last line.
    """

    __slots__ = (
        "_merged", "buckets", "count", "first_ms", "last_ms", "levels", "tokens", "wildcards",
    )  # fmt: skip

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self.tokens = tokens
        self.wildcards = tokens.count(WILDCARD)
        self.count = 0
        self.levels: Counter[str | None] = Counter()
        self.buckets: Counter[int] = Counter()
        self.first_ms = sys.maxsize
        self.last_ms = -1
        self._merged: LinePattern | None = None

    @property
    def text(self) -> str:
        """The pattern as text."""
        return " ".join(self.tokens)

    @property
    def current(self) -> LinePattern:
        """The pattern that this one was merged into, or itself."""
        found = self
        while found._merged is not None:
            found = found._merged
        return found

    def add(self, level: str | None, bucket: int, count: int) -> None:
        """Count lines of a level in a bucket."""
        self.count += count
        self.levels[level] += count
        self.buckets[bucket] += count

    def stretch(self, first_ms: int, last_ms: int) -> None:
        """Include the times of lines."""
        self.first_ms = min(self.first_ms, first_ms)
        self.last_ms = max(self.last_ms, last_ms)

    def take_over(self, other: LinePattern) -> None:
        """Merge another pattern into this one, which stands for its lines from now on."""
        self.count += other.count
        self.levels += other.levels
        self.buckets += other.buckets
        self.stretch(other.first_ms, other.last_ms)
        other._merged = self


_LeafKey = tuple[object, int, str]


class PatternTree:
    """All patterns, and the tree through which the pattern of a line is found."""

    def __init__(self) -> None:
        self._leaves: dict[_LeafKey, list[LinePattern]] = {}
        self._firsts: Counter[tuple[object, int]] = Counter()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[LinePattern]:
        for leaf in self._leaves.values():
            yield from leaf

    def find(self, kind: object, tokens: tuple[str, ...]) -> tuple[LinePattern | None, int]:
        """Find or make the pattern of a line; None if there are too many patterns.

        Args:
            kind: Lines of different kinds are never of one pattern.
            tokens: The line's tokens.

        Returns:
            The pattern, and the number of patterns that the line was compared with.
        """
        leaf, size = self._leaf(kind, tokens), len(tokens)
        others = [size - sum(map(eq, pattern.tokens, tokens)) for pattern in leaf]
        fitting = [
            pattern
            for pattern, count in zip(leaf, others, strict=True)
            if count <= pattern.wildcards and fits(pattern.tokens, tokens)
        ]
        if fitting:
            return min(fitting, key=lambda one: one.wildcards), len(leaf)
        near: dict[tuple[int, ...], list[LinePattern]] = {}
        for pattern, count in zip(leaf, others, strict=True):
            words_max = (size - pattern.wildcards) // 2
            if count - pattern.wildcards <= words_max:
                places = _differing(pattern.tokens, tokens)
                if len(places) <= words_max:  # at least half of its words are equal
                    near.setdefault(places, []).append(pattern)
        is_full = len(leaf) >= LEAF_MAX or self._size >= PATTERNS_MAX
        variants = max(near.items(), key=lambda one: (len(one[1]), -len(one[0])), default=None)
        if variants is not None and (is_full or len(variants[1]) >= VARIANTS - 1):
            return self._merge(leaf, variants[1], tokens), len(leaf)
        if is_full:
            return None, len(leaf)
        leaf.append(LinePattern(tokens))
        self._size += 1
        return leaf[-1], len(leaf)

    def _leaf(self, kind: object, tokens: tuple[str, ...]) -> list[LinePattern]:
        first = tokens[0] if tokens and WILDCARD not in tokens[0] else WILDCARD
        found = self._leaves.get((kind, len(tokens), first))
        if found is None and first != WILDCARD:
            self._firsts[kind, len(tokens)] += 1
            if self._firsts[kind, len(tokens)] > FIRST_TOKENS_MAX:
                first = WILDCARD
        return self._leaves.setdefault((kind, len(tokens), first), []) if found is None else found

    def _merge(
        self, leaf: list[LinePattern], variants: list[LinePattern], tokens: tuple[str, ...]
    ) -> LinePattern:
        """Merge variants, and all that the pattern made of them includes, into one pattern."""
        columns = zip(tokens, *(one.tokens for one in variants), strict=True)
        merged = LinePattern(tuple(one[0] if len(set(one)) == 1 else WILDCARD for one in columns))
        rest: list[LinePattern] = []
        for one in leaf:
            if fits(merged.tokens, one.tokens):
                merged.take_over(one)
            else:
                rest.append(one)
        self._size += len(rest) + 1 - len(leaf)
        leaf[:] = [*rest, merged]
        return merged


def _differing(pattern: Sequence[str], tokens: Sequence[str]) -> tuple[int, ...]:
    """The places at which tokens do not fit a pattern."""
    pairs = enumerate(zip(pattern, tokens, strict=True))
    return tuple(at for at, (one, other) in pairs if one not in (other, WILDCARD))
