r"""Regular expressions that a person or a setting supplies, matched in linear time.

``re`` backtracks: ``error.*timeout`` on one line of 1 MB, or ``(a+)+b`` on 30 characters, keeps it
busy for minutes, and nothing can interrupt it. RE2 reads each byte once and compiles within
a bound of memory. It lacks look-around and back references. ``\w \d \s \b`` know ASCII alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import islice
from typing import Any, Final

SPANS_MAX: Final = 1_000
"""Most matches found in one text: the search for each of them may read the rest of the text."""

_SHOWN_CHARS: Final = 80
_COMPILED_MAX: Final = 64

_SPECIAL: Final = frozenset("\\^$.|?*+()[]{}")
_ANCHOR: Final = re.compile(r"\^|\$|\\[AzC]")
"""What refers to a message's start or end, and what matches any byte."""
_NEGATED_CLASS: Final = re.compile(r"(?<!\\)\[\^")

_LACKING: Final = (
    (re.compile(r"invalid perl operator: \(\?<?[=!]"), "look-around is not supported"),
    (re.compile(r"invalid perl operator: \(\?P$"), "back references are not supported"),
    (re.compile(r"invalid escape sequence: \\[1-9]"), "back references are not supported"),
    (re.compile(r"invalid perl operator: (.*)"), "{} is not supported"),
    (re.compile(r"invalid repetition size"), "it repeats something over 1,000 times"),
    (re.compile(r"pattern too large"), "it is too large"),
)
"""RE2's messages for expressions that are valid elsewhere, and the reasons that users are shown."""


class PatternError(ValueError):
    """A text is no regular expression that can be used; the message says which, and why.

    Attributes:
        is_syntax: Whether it is not a regular expression at all.
    """

    def __init__(self, message: str, *, is_syntax: bool) -> None:
        super().__init__(message)
        self.is_syntax = is_syntax


class Pattern:
    r"""A compiled regular expression. It keeps no state: threads may share it.

    Differences from ``re``, apart from what is lacking: classes are ASCII, ``\z`` stands for
    ``\Z``, and the dotless i equals no other letter.
    """

    def __init__(self, text: str, *, ignores_case: bool, is_literal: bool = False) -> None:
        self.text = text
        self.ignores_case = ignores_case
        self.literal = text if is_literal or _SPECIAL.isdisjoint(text) else None
        """The text if it stands for itself; None if it is more."""
        self._folded = "" if self.literal is None or not text.isascii() else text
        if ignores_case:
            self._folded = self._folded.lower()
        self.has_anchors = self.literal is None and bool(
            _ANCHOR.search(_NEGATED_CLASS.sub("", text))
        )
        """Whether it may refer to the start or end of a message. Never false where it does."""
        options = {"ignores_case": ignores_case, "is_literal": is_literal}
        self._plain = _compile(text, captures=False, **options)
        self._find = self._plain.search
        self._capturing = _compile(text, captures=True, **options)
        self.groups: frozenset[str] = frozenset(
            name.decode() for name in self._capturing.groupindex
        )
        """Names of its named groups."""

    def matches(self, message: str) -> bool:
        """Whether it matches somewhere in a message."""
        if self._folded and message.isascii():
            return self._folded in (message.lower() if self.ignores_case else message)
        return self.matches_utf8(message.encode("utf-8", "surrogatepass"))

    def matches_utf8(self, message: bytes) -> bool:
        """Whether it matches somewhere in a message in UTF-8; lone surrogates match nothing."""
        if self._find(message) is not None:
            return True
        # RE2's ``$`` is not before a newline at the end, where log messages often have one.
        return message.endswith(b"\n") and self._find(message[:-1]) is not None

    def is_in(self, data: bytes) -> bool:
        """Whether a literal is anywhere in joined text: the fastest way to find that it is not."""
        return self._find(data) is not None

    def find(self, data: bytes, at: int) -> int:
        """Offset of the next match in joined text, -1 without one; not of a text with anchors.

        Each match costs 2 µs, so this is for what few lines contain.
        """
        found = self._find(data, at)
        return -1 if found is None else int(found.start())

    def flag_lines(self, data: bytes, ends: Sequence[int]) -> bytes:
        """Whether it matches in each line of joined text: one byte a line, 1 or 0.

        Args:
            data: Lines in UTF-8, each followed by a byte 0xFF, which nothing matches.
            ends: Offset behind the 0xFF of each line.
        """
        if self.has_anchors:
            return bytes(map(self.matches_utf8, data.split(b"\xff")[:-1]))
        flags, find, line, at = bytearray(len(ends)), self._find, 0, 0
        while at < len(data) and (found := find(data, at)) is not None:
            line = bisect_right(ends, found.start(), line)
            if line == len(ends):
                break
            flags[line] = 1
            at = ends[line]
        return bytes(flags)

    def groups_in(self, message: str) -> frozenset[str] | None:
        """Names of the groups that took part in the first match; None: no match."""
        data = message.encode("utf-8", "surrogatepass")
        if not self.matches_utf8(data):
            return None
        found = self._capturing.search(data) or self._capturing.search(data.removesuffix(b"\n"))
        assert found is not None, "it matches"
        return frozenset(name for name in self.groups if found.group(name.encode()) is not None)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end of the first ``SPANS_MAX`` matches that are not empty."""
        data = text.encode("utf-8", "surrogatepass")
        found = islice(self._plain.finditer(data), SPANS_MAX)
        spans = [one.span() for one in found if one.end() > one.start()]
        if len(data) == len(text):
            return spans
        at = chars = 0
        in_chars = []
        for low, high in spans:
            start = chars + _char_count(data[at:low])
            at, chars = high, start + _char_count(data[low:high])
            in_chars.append((start, chars))
        return in_chars


@lru_cache(_COMPILED_MAX)
def compile_pattern(text: str, *, ignores_case: bool = False) -> Pattern:
    """Compile a regular expression; takes less than a millisecond, and some memory at most.

    Raises:
        PatternError: It is not a regular expression, or needs what RE2 lacks.
    """
    return Pattern(text, ignores_case=ignores_case)


def _char_count(data: bytes) -> int:
    return len(data.decode("utf-8", "surrogatepass"))


@cache
def _engine() -> Any:  # noqa: ANN401 - RE2 has no types
    """The module of RE2."""
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - 30 ms that --help need not wait for

    return re2


def _compile(text: str, *, captures: bool, ignores_case: bool, is_literal: bool) -> Any:  # noqa: ANN401
    engine = _engine()
    options = engine.Options()
    options.log_errors = False  # it would print to the terminal
    options.never_capture = not captures
    options.case_sensitive = not ignores_case
    options.literal = is_literal
    compile_: Callable[..., Any] = engine.compile
    try:
        return compile_(text.encode(), options)
    except UnicodeEncodeError as error:
        msg = f"{text[:_SHOWN_CHARS]!r} is not valid Unicode: write it in UTF-8"
        raise PatternError(msg, is_syntax=False) from error
    except engine.error as error:
        raise _explained(text, error) from error


def _explained(text: str, error: Exception) -> PatternError:
    [reason] = error.args
    reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    shown = repr(text[:_SHOWN_CHARS])
    for lacking, why in _LACKING:
        if found := lacking.match(reason):
            return PatternError(
                f"{shown} cannot be used: {why.format(*found.groups())}", is_syntax=False
            )
    return PatternError(f"{shown} is not a regular expression: {reason}", is_syntax=True)
