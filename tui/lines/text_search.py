"""What a regular expression can't do without, and where it is found in many messages at once.

Most of what people search for has a text in it that each match must have, too: ``5[0-9]+ error``
has `` error``. It is looked for in a whole block at the speed of memory, and the expression is
tried only on the messages that have it. Pure.

Messages of very many lines as one piece of bytes, which is searched at the speed of memory.

Pure.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, compress
from operator import or_
from typing import Final, NamedTuple, Self

END: Final = b"\xff"
"""Behind each message: a byte that UTF-8 never has, so that nothing is found across two of them."""

_END_CHAR: Final = END.decode("latin-1")


class JoinedTexts(NamedTuple):
    """Some messages, one behind the other."""

    data: bytes
    """Each in UTF-8, lone surrogates in their three-byte form, with ``END`` behind it."""
    ends: Sequence[int]
    """Where each of them is over, ``END`` included."""
    is_ascii: bool
    """Whether each byte of them is a character."""

    @classmethod
    def of(cls, messages: Sequence[str]) -> Self:
        """Put messages one behind the other."""
        if is_ascii := all(map(str.isascii, messages)):
            data = "".join([_END_CHAR.join(messages), _END_CHAR]).encode("latin-1")
            sizes = list(map(len, messages))
        else:
            parts = [message.encode("utf-8", "surrogatepass") for message in messages]
            data, sizes = END.join([*parts, b""]), list(map(len, parts))
        return cls(data if messages else b"", list(accumulate(map((1).__add__, sizes))), is_ascii)

    def one(self, at: int) -> str:
        """The message at a place."""
        begin = self.ends[at - 1] if at else 0
        return self.data[begin : self.ends[at] - 1].decode("utf-8", "surrogatepass")

    def all(self) -> list[str]:
        """The messages, one by one."""
        if self.is_ascii:
            return byte_by_byte(self.data)
        return [one.decode("utf-8", "surrogatepass") for one in self.data.split(END)[:-1]]


def byte_by_byte(data: bytes) -> list[str]:
    """Messages that stand one behind the other, with a character for each byte of them."""
    return data.decode("latin-1").split(_END_CHAR)[:-1]


TEXTS_MAX: Final = 16
"""Texts of which one must be there; the block is gone over for each."""

_QUANTIFIER: Final = re.compile(r"([*?+]|\{(?:\d+(?:,\d*)?|,\d*)\})[?+]?")
_GROUP: Final = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
_CLASS: Final = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_META: Final = frozenset(".^$*+?[\\|()")

_OTHER_FORMS: Final = tuple(form.encode() for form in "\u0130\u0131\u017f\u212a")
"""What ``re.IGNORECASE`` takes for an i, a k or an s, beyond ASCII."""

_FEW: Final = 32
"""Hits before it is asked whether they are so many that each message is better looked at."""

_DENSE: Final = 4
"""One message in so many is that."""

_PROBED: Final = 16
"""Messages that are asked whether most have a text as it is: then upper case is no matter."""


class Prefilter(NamedTuple):
    """What is known of a pattern's matches."""

    pattern: re.Pattern[str]
    texts: tuple[str, ...] = ()
    """Each match has one of these in it; empty: nothing is known."""
    is_all: bool = False
    """Whatever has one of them in it matches."""


def prefilter_of(pattern: re.Pattern[str]) -> Prefilter:
    """What every message has that a pattern is found in."""
    if pattern.flags & re.VERBOSE:
        return Prefilter(pattern)
    reader = _Reader(pattern.pattern, ignores_case=bool(pattern.flags & re.IGNORECASE))
    try:
        texts = reader.alternatives()
    except _UnknownError:
        return Prefilter(pattern)
    if not texts or len(texts) > TEXTS_MAX:
        return Prefilter(pattern)
    return Prefilter(pattern, tuple(dict.fromkeys(texts)), not reader.is_more)


def matching(hint: Prefilter, texts: JoinedTexts) -> bytes:
    """Which messages a pattern is found in.

    Args:
        hint: of the pattern.
        texts: the messages.

    Returns:
        A byte for each message: 1 where it matches, else 0.

    """
    search, ignores_case = hint.pattern.search, bool(hint.pattern.flags & re.IGNORECASE)
    if not hint.texts or (ignores_case and _has_other_forms(texts)):
        return bytes([search(message) is not None for message in texts.all()])
    flags = _having(hint.texts, texts, ignores_case=ignores_case)
    if hint.is_all:
        return bytes(flags)
    if flags.count(1) * _DENSE > len(flags):
        pairs = zip(flags, texts.all(), strict=True)
        return bytes([flag and search(message) is not None for flag, message in pairs])
    for line in list(compress(range(len(flags)), flags)):
        flags[line] = search(texts.one(line)) is not None
    return bytes(flags)


def _has_other_forms(texts: JoinedTexts) -> bool:
    return not texts.is_ascii and any(form in texts.data for form in _OTHER_FORMS)


def _having(wanted: tuple[str, ...], texts: JoinedTexts, *, ignores_case: bool) -> bytearray:
    """A flag for each message: whether it has one of some texts in it."""
    data = texts.data
    needles = [one.encode("utf-8", "surrogatepass") for one in wanted]
    if ignores_case:
        needles = [needle.lower() for needle in needles]
        if len(needles) == 1 and _is_in_most(needles[0], texts):
            return bytearray(_in_each_case(needles[0], data))
        data = data.lower()
    flags = bytearray(len(texts.ends))
    for needle in needles:
        _spot(needle, data, texts, flags)
    return flags


def _is_in_most(needle: bytes, texts: JoinedTexts) -> bool:
    """A guess from the first few messages."""
    first = texts.ends[:_PROBED]
    return bool(first) and texts.data.count(needle, 0, first[-1]) * 2 > len(first)


def _in_each_case(needle: bytes, data: bytes) -> list[bool]:
    """Whether each message has an ASCII text in it, in whichever case; most have it as it is."""
    text = needle.decode("ascii")
    return [text in one or text in one.lower() for one in byte_by_byte(data)]


def _spot(needle: bytes, data: bytes, texts: JoinedTexts, flags: bytearray) -> None:
    """Set the flag of each message that has a text in it."""
    ends, hits, line = texts.ends, 0, 0
    at = data.find(needle)
    while at >= 0:
        line = bisect_right(ends, at, line)
        flags[line] = 1
        hits += 1
        if hits > _FEW and hits * _DENSE > line:
            text, rest = needle.decode("latin-1"), byte_by_byte(data[ends[line] :])
            found = [text in one for one in rest]
            flags[line + 1 :] = bytes(map(or_, flags[line + 1 :], found))
            return
        at = data.find(needle, ends[line])


class _UnknownError(Exception):
    """Something that is not read here."""


class _Reader:
    """Reads a regular expression that is known to be one."""

    def __init__(self, pattern: str, *, ignores_case: bool) -> None:
        self._pattern = pattern
        self._ignores_case = ignores_case
        self._at = 0
        self.is_more = False
        """Whether there is more to the expression than texts."""

    def alternatives(self) -> list[str]:
        """Up to the end, or the end of a group: texts of which one must be there, or none."""
        found: list[str] = []
        is_known = True
        while True:
            texts = self._sequence()
            is_known = is_known and bool(texts)
            found += texts
            if self._peek() != "|":
                return found if is_known else []
            self._at += 1

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _sequence(self) -> list[str]:
        """One alternative: the texts that say most."""
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
                self.is_more = True
            if not is_char or quantifier:
                kept = piece[0] if is_char and quantifier == "+" else ""
                choices.append([run + kept] if run + kept else [])
                run = ""
            else:
                run += piece[0]
            if not is_char and quantifier in ("", "+"):
                choices.append(piece)
        choices.append([run] if run else [])
        return max(choices, key=lambda texts: min(map(len, texts), default=0))

    def _literal(self, char: str) -> list[str]:
        """A character that stands for itself; nothing where it stands for something else."""
        self._at += 1
        if char == "\\":
            char = self._peek()
            self._at += 1
            if char.isdigit() or char in "xuUN":
                raise _UnknownError  # what follows belongs to it
            if char.isalpha():
                return []
        elif char in _META:
            return []
        return [] if self._ignores_case and not char.isascii() else [char]

    def _group(self) -> list[str]:
        found = _GROUP.match(self._pattern, self._at)
        if found is None:
            raise _UnknownError  # it may be about flags, or about what must not be there
        self._at = found.end()
        texts = self.alternatives()
        self._at += 1
        return texts

    def _skip(self, what: re.Pattern[str]) -> None:
        found = what.match(self._pattern, self._at)
        if found is None:
            raise _UnknownError
        self._at = found.end()

    def _quantifier(self) -> str:
        """What says how often: ``+`` for once at least, ``*`` where it may be left out."""
        found = _QUANTIFIER.match(self._pattern, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return "+" if found[1] == "+" else "*"
