"""Finds the level of a log line: a field of its structure, or else a word in its text. Pure.

A level field counts wherever it stands in a JSON object, and takes precedence over words in the
message. Colour codes are ignored. The forms are those of common loggers: pino, bunyan, zap,
zerolog, logrus, log15, slog, Logback, java.util.logging, Serilog, .NET, Monolog, GELF, syslog,
klog, MongoDB, PostgreSQL, nginx, Apache, Redis, Rust's tracing, Elixir.
"""

from __future__ import annotations

import re
from functools import lru_cache
from string import ascii_letters, digits
from typing import Any, Final

import msgspec

from common.patterns import Pattern
from common.text import without_colours

LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
"""Levels in ascending order."""

HEAD_CHARS: Final = 400
"""Characters of a message that are searched for words and for ``level=``."""

JSON_CHARS_MAX: Final = 1 << 18
"""A larger JSON object is searched like text: reading it would take milliseconds."""

_TEXT_CHARS: Final = 160
"""Characters searched for a bare level word: further on, ERROR is probably part of a sentence."""

_DEPTH_MAX: Final = 3
"""Levels of nesting: an object of FireLens that holds the text of another, and its message."""

_NAMES: Final = {
    "trace": "trace", "trc": "trace", "trce": "trace", "trac": "trace", "verbose": "trace",
    "vrb": "trace", "finest": "trace", "finer": "trace", "silly": "trace",
    "debug": "debug", "dbg": "debug", "debu": "debug", "dbug": "debug", "fine": "debug",
    "debug1": "debug", "debug2": "debug", "debug3": "debug", "debug4": "debug", "debug5": "debug",
    "info": "info", "inf": "info", "information": "info", "informational": "info",
    "notice": "info", "note": "info", "log": "info", "config": "info", "default": "info",
    "warn": "warn", "warning": "warn", "wrn": "warn",
    "error": "error", "err": "error", "erro": "error", "eror": "error", "fail": "error",
    "severe": "error",
    "fatal": "fatal", "fata": "fatal", "ftl": "fatal", "critical": "fatal", "crit": "fatal",
    "panic": "fatal", "pani": "fatal", "pnc": "fatal", "dpanic": "fatal", "alert": "fatal",
    "emerg": "fatal", "emergency": "fatal",
}  # fmt: skip
_LETTERS: Final = {"T": "trace", "V": "trace", "D": "debug", "I": "info", "N": "info",
                   "W": "warn", "E": "error", "F": "fatal", "C": "fatal"}  # fmt: skip
"""Single letters, as of MongoDB (``"s": "E"``), Ruby and klog."""

_NUMBERS: Final = {
    "10": "trace", "20": "debug", "30": "info", "40": "warn", "50": "error", "60": "fatal",
    "100": "debug", "200": "info", "250": "info", "300": "warn", "400": "error", "500": "fatal",
    "550": "fatal", "600": "fatal",
}  # fmt: skip
"""Numeric levels of pino and bunyan, and of Monolog."""

_SYSLOG: Final = ("fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug")
"""Severities of syslog (RFC 5424), which journald and GELF use as well."""
_SEVERITIES: Final = {str(number): level for number, level in enumerate(_SYSLOG)}
_PRIORITY_MAX: Final = 191
"""The highest priority of syslog: a facility times eight, plus a severity."""

_JSON_PREFIX_CHARS: Final = 300
"""Characters before a JSON object: the time, request id and level of Lambda or syslog."""

_FIELD: Final = re.compile(
    r"""(?<![A-Za-z0-9])["']?(?:log\.)?(?:log_?)?(?:level|severity|lvl)(?:_?(?:name|text))?"""
    r"""["']?\s*[=:]\s*["']?(\w+)""",
    re.IGNORECASE | re.ASCII,
)
_OPENING: Final = re.compile(
    # A time, or syslog's time, host and tag.
    r"(?:\S{0,40}\d[\d:.,TZ/+-]*\s+){0,3}"
    r"|(?:<\d{1,3}>)?[A-Z][a-z]{2} +\d+ [\d:.]+ \S{1,64} [\w./-]{1,64}(?:\[\d+\])?: ",
    re.ASCII,
)
"""What may stand before a level word in lower case, as in ``error: refused``."""
_COLONS_MAX: Final = 2
"""Colons before which such a word is looked for: the first may follow syslog's tag."""
_BRACKETS: Final = re.compile(r"[\[<(] *(?:[\w.-]{1,32}:)?([A-Za-z]{3,11}) *[\])>:]", re.ASCII)
_WORD: Final = re.compile(
    r"(TRACE|DEBUG[1-5]?|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|SEVERE|FATAL|CRIT(?:ICAL)?|PANIC|EMERG"
    r"|FINE(?:ST|R)?|VRB|TRC|DBG|INF|WRN|FTL|PNC)\b(?!-)"
)
"""Without a leading ``\\b``, which takes three times as long: what precedes is checked later."""
_LETTER: Final = re.compile(r"([IWEFTDV])(?:\d{4} \d\d:\d\d:|, \[\d{4}-|/\w+\s*[:(])", re.ASCII)
"""klog ``E0102 15:04:05``, Ruby ``E, [2026-``, Android ``E/Tag:``."""
_REDIS: Final = re.compile(r"\d+:[CMSX] \d\d [A-Z][a-z]{2} \d{4} [\d:.]+ ([.*#-]) ", re.ASCII)
"""Redis and Valkey: process, role, time, and a sign for the level."""
_REDIS_SIGNS: Final = {".": "debug", "-": "trace", "*": "info", "#": "warn"}
_PRIORITY: Final = re.compile(r"<(\d{1,3})>")
_TRACEBACK: Final = ("Traceback (most recent call last)", "Exception in thread", "panic: ")


class _LevelFields(msgspec.Struct):
    """The fields of a JSON log object that tell its level; msgspec skips all others."""

    level: Any = None
    level_capital: Any = msgspec.field(default=None, name="Level")
    severity: Any = None
    severity_capital: Any = msgspec.field(default=None, name="Severity")
    lvl: Any = None
    levelname: Any = None
    level_name: Any = None
    loglevel: Any = None
    log_level: Any = None
    log_level_camel: Any = msgspec.field(default=None, name="logLevel")
    log_level_capital: Any = msgspec.field(default=None, name="LogLevel")
    log_level_dotted: Any = msgspec.field(default=None, name="log.level")
    severity_text: Any = None
    severity_text_camel: Any = msgspec.field(default=None, name="severityText")
    severity_text_capital: Any = msgspec.field(default=None, name="SeverityText")
    at_level: Any = msgspec.field(default=None, name="@l")
    at_level_long: Any = msgspec.field(default=None, name="@level")
    priority: Any = msgspec.field(default=None, name="PRIORITY")
    letter: Any = msgspec.field(default=None, name="s")
    short_message: Any = None
    log: Any = None
    message: Any = None
    msg: Any = None


_decode: Final = msgspec.json.Decoder(_LevelFields, strict=False).decode
_NAMED: Final = tuple(
    name
    for name in _LevelFields.__struct_fields__
    if name not in ("level", "priority", "letter", "short_message", "log", "message", "msg")
)
LEVEL_FIELDS: Final = frozenset(
    one.encode_name.lower()
    for one in msgspec.structs.fields(_LevelFields)
    if one.name in ("level", "priority", *_NAMED)
)
"""Names of the fields that hold a level, in lower case."""


def level_of(message: str) -> str | None:
    """The level that a message names; None if it names none."""
    head = _cut(message, HEAD_CHARS)
    if "{" in head:
        found = _level_in_json(message, _DEPTH_MAX)
        if found is not None:
            return found[0]
    return _level_in_head(head)


@lru_cache(32)
def signs_of(levels: frozenset[str], *, in_colours: bool = False) -> Pattern:
    r"""A pattern found in every message of some levels, once it is without colour codes.

    It is found in few others, reads joined messages forty times as fast as ``level_of`` reads each,
    and knows neither structure nor where a word counts. ``info`` is not among the levels: most
    lines of that level have no sign that others lack.

    Args:
        levels: The levels.
        in_colours: Whether colour codes were taken out of messages; without them, what stood apart
            may have become one word.
    """
    assert levels, "a pattern of nothing would be found everywhere"
    assert "info" not in levels, "most lines of that level have no sign that others lack"
    names = "|".join(name for name, level in _NAMES.items() if level in levels)
    numbers = "|".join(number for number, level in _NUMBERS.items() if level in levels)
    severities = "".join(number for number, level in _SEVERITIES.items() if level in levels)
    letters = "".join(letter for letter, level in _LETTERS.items() if level in levels)
    priorities = "|".join(
        str(one) for one in range(_PRIORITY_MAX + 1) if _SYSLOG[one % len(_SYSLOG)] in levels
    )
    redis = "".join(re.escape(sign) for sign, level in _REDIS_SIGNS.items() if level in levels)
    end = "" if in_colours else r"\b"
    parts = [
        rf"(?:\b|\\[bfnrt]|{_ESCAPED})(?i:{names}){end}",
        rf"(?i:level|severity|lvl|@l)(?i:_?(?:name|text))?{_BETWEEN}(?:{numbers}){end}"
        * bool(numbers),
        rf"(?:(?i:level)|PRIORITY){_BETWEEN}[{severities}]\b" * bool(severities),
        rf'\bs\\*"{_BETWEEN}[{letters}]',
        rf"\b[{letters}](?:\d{{4}} \d\d:\d\d:|, \[\d{{4}}-|\\*/\w)",
        rf"<0{{0,2}}(?:{priorities})>" * bool(priorities),
        rf"[CMSX] \d\d [A-Z][a-z]{{2}} \d{{4}} [\d:.]+ [{redis}] " * bool(redis),
        "|".join(map(re.escape, _TRACEBACK)) * ("error" in levels),
        r"\\u00[0-7]",  # a letter or digit may be written so
    ]
    return Pattern("|".join(filter(None, parts)), ignores_case=False)


_ESCAPED: Final = r"\\u[0-9A-Fa-f]{4}"
"""A character beyond ASCII in JSON: a space, perhaps."""
_BETWEEN: Final = rf"(?:\\[fnrt]|{_ESCAPED}|[^A-Za-z0-9])*"
"""What may stand between a field's name and its value, in text, in JSON, or in JSON as a text."""


def at_least(level: str | None, minimum: str) -> bool:
    """Whether a level is ``minimum`` or above; None counts as INFO."""
    return LEVELS.index(level or "info") >= LEVELS.index(minimum)


def _level_in_json(message: str, depth: int) -> tuple[str | None] | None:
    """The level in a message that ends with a JSON object; None if it is no such message."""
    start = message.find("{", 0, _JSON_PREFIX_CHARS)
    if start < 0 or depth == 0 or len(message) > JSON_CHARS_MAX:
        return None
    try:
        fields = _decode(message[start:] if start else message)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    found = _level_of_fields(fields)
    if found is None and start:
        found = _level_in_head(message[: min(start, HEAD_CHARS)])
    return (found or _level_inside(fields, depth),)


def _level_of_fields(fields: _LevelFields) -> str | None:
    for name in _NAMED:
        value = getattr(fields, name)
        if value is not None and (found := level_named(value)) is not None:
            return found
    if isinstance(fields.log, dict) and (found := level_named(fields.log.get("level"))):
        return found
    level = fields.level
    if level is not None:
        is_gelf = fields.short_message is not None
        return _SEVERITIES.get(str(level)) if is_gelf else level_named(level)
    if isinstance(fields.letter, str):
        return _LETTERS.get(fields.letter[:1]) if len(fields.letter) <= len("D1") else None
    return _SEVERITIES.get(str(fields.priority))


def level_named(value: object) -> str | None:
    """The level that a field's value names, or a number of pino, bunyan or Monolog; else None."""
    if isinstance(value, str):
        name = without_colours(value).strip().lower()
        return _NAMES.get(name) or _NUMBERS.get(name)
    return _NUMBERS.get(str(value))


def _level_inside(fields: _LevelFields, depth: int) -> str | None:
    """The level in the text that an object carries: FireLens' ``log``, or its message."""
    for text in (fields.log, fields.message, fields.msg):
        if isinstance(text, str):
            inner = _level_in_json(text, depth - 1)
            return inner[0] if inner is not None else _level_in_head(_cut(text, HEAD_CHARS))
    return None


@lru_cache(16_384)
def _level_in_head(head: str) -> str | None:
    head = without_colours(head)
    lower = head.lower()
    # Most lines have no such field; this check takes a tenth of the search's time.
    if "level" in lower or "severity" in lower or "lvl" in lower:
        for field in _FIELD.finditer(head):
            found = level_named(field[1])
            if found is not None:
                return found
    return _level_in_text(_cut(head, _TEXT_CHARS))


def _cut(text: str, chars: int) -> str:
    """The beginning of a text, without a word of ASCII that goes on behind it."""
    if len(text) <= chars:
        return text
    head = text[:chars]
    return head.rstrip(_WORD_CHARS) if text[chars] in _WORD_CHARS else head


_WORD_CHARS: Final = f"{ascii_letters}{digits}_"


def _level_in_text(text: str) -> str | None:
    found = _level_at_opening(text)
    if found is not None:
        return found
    for bracketed in _BRACKETS.finditer(text):
        found = _NAMES.get(bracketed[1].lower())
        if found is not None:
            return found
    for word in _WORD.finditer(text):
        before = text[word.start() - 1] if word.start() else " "
        if not (before.isalnum() or before == "_"):
            return _NAMES[word[1].lower()]
    return _level_of_sign(text)


def _level_of_sign(text: str) -> str | None:
    """The level that a line opens with as a letter, a number or another sign."""
    if text[:1] in _LETTERS and (letter := _LETTER.match(text)) is not None:
        return _LETTERS[letter[1]]
    if text[:1] == "<" and (priority := _PRIORITY.match(text)) is not None:
        number = int(priority[1])
        return _SYSLOG[number % len(_SYSLOG)] if number <= _PRIORITY_MAX else None
    if text[:1].isdigit():
        redis = _REDIS.match(text)
        return None if redis is None else _REDIS_SIGNS[redis[1]]
    return "error" if text.startswith(_TRACEBACK) else None


def _level_at_opening(text: str) -> str | None:
    """The level of a word in any case that opens the line: ``fail: ``, ``ERRO[0001]``."""
    if text[4:6] == "[0" and (found := _NAMES.get(text[:4].lower())) is not None:
        return found
    colon = 0
    for _ in range(_COLONS_MAX):
        colon = text.find(": ", colon) + 1
        if not colon:
            return None
        start = text.rfind(" ", 0, colon - 1) + 1
        found = _NAMES.get(text[start : colon - 1].lower())
        if found is not None:
            return found if _OPENING.fullmatch(text, 0, start) is not None else None
    return None
