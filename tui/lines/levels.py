"""The level of a log line, found in its text: JSON fields, ``level=warn``, ``[ERROR]``. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
"""Least first."""

CHARS_MAX: Final = 400
"""How far into a message its level is looked for; JSON loggers may write it late."""

_TEXT_CHARS: Final = 160
"""How far a bare word counts: beyond, ERROR is more likely part of a sentence."""

_NAMES: Final = {
    "trace": "trace", "trc": "trace", "verbose": "trace", "finest": "trace", "finer": "trace",
    "debug": "debug", "dbg": "debug", "fine": "debug",
    "info": "info", "inf": "info", "information": "info", "notice": "info", "log": "info",
    "warn": "warn", "warning": "warn", "wrn": "warn",
    "error": "error", "err": "error", "severe": "error",
    "fatal": "fatal", "critical": "fatal", "crit": "fatal", "panic": "fatal", "alert": "fatal",
    "emerg": "fatal", "emergency": "fatal",
}  # fmt: skip
_NUMBERS: Final = {"10": "trace", "20": "debug", "30": "info", "40": "warn", "50": "error",
                   "60": "fatal"}  # fmt: skip
"""What pino and bunyan write."""

_FIELD: Final = re.compile(
    r"""["']?(?:log\.)?(?:level|severity|lvl|levelname|loglevel)["']?\s*[=:]\s*["']?(\w+)""",
    re.IGNORECASE | re.ASCII,
)
_BRACKETS: Final = re.compile(r"[\[<(]\s*([A-Za-z]{3,11})\s*[\])>:]", re.ASCII)
_WORD: Final = re.compile(
    r"(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|SEVERE|FATAL|CRIT(?:ICAL)?|PANIC|EMERG)\b"
)
"""What is before it is looked at afterwards: beginning with ``\\b`` takes three times as long."""
_GLOG: Final = re.compile(r"([IWEF])\d{4} \d\d:\d\d:")
_GLOG_LETTERS: Final = {"I": "info", "W": "warn", "E": "error", "F": "fatal"}
_TRACEBACK: Final = ("Traceback (most recent call last)", "Exception in thread", "panic: ")


def level_of(message: str) -> str | None:
    """The level that a message gives itself, or None where it gives none."""
    return _level_in_head(message[:CHARS_MAX])


@lru_cache(16_384)
def _level_in_head(head: str) -> str | None:
    lower = head.lower()
    # Most lines have no such field, which this tells in a tenth of the time.
    if "level" in lower or "severity" in lower or "lvl" in lower:
        field = _FIELD.search(head)
        name = field[1].lower() if field is not None else ""
        found = _NAMES.get(name) or _NUMBERS.get(name)
        if found is not None:
            return found
    return _level_in_text(head[:_TEXT_CHARS])


def _level_in_text(text: str) -> str | None:
    for bracketed in _BRACKETS.finditer(text):
        found = _NAMES.get(bracketed[1].lower())
        if found is not None:
            return found
    for word in _WORD.finditer(text):
        before = text[word.start() - 1] if word.start() else " "
        if not (before.isalnum() or before == "_"):
            return _NAMES[word[1].lower()]
    letter = _GLOG.match(text)
    if letter is not None:
        return _GLOG_LETTERS[letter[1]]
    return "error" if text.startswith(_TRACEBACK) else None


def at_least(level: str | None, minimum: str) -> bool:
    """Whether a level is ``minimum`` or above; a line without one counts as INFO."""
    return LEVELS.index(level or "info") >= LEVELS.index(minimum)
