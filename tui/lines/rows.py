"""The rows of the timeline: log lines, and rules about what happened to them.

A row's ``key`` is its place, its identity and its duplicate check in one integer:
``(timestamp, int(id), lane)``, the lane being the number of its target.

The level of a log line, found in its text: JSON fields, ``level=warn``, ``[ERROR]``. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import msgspec

from wire.messages import Item, Origin
from wire.order import ID_BITS, are_valid_ids, id_of, key_of

TARGET_BITS: Final = 8
"""Low bits of a key: they keep the targets apart, whose ids may collide (moto's do)."""

RULE_TARGET: Final = (1 << TARGET_BITS) - 1
"""The lane of rules, which are nobody's events."""

TARGETS_MAX: Final = RULE_TARGET
"""Targets in one viewer."""

_LANE_MASK: Final = (1 << TARGET_BITS) - 1
_TIME_SHIFT: Final = ID_BITS + TARGET_BITS

RuleKind = Literal["offline", "gap", "lost", "unproved", "rebased", "evicted", "end", "resumed"]


class Line(msgspec.Struct, frozen=True, gc=False):
    """One log event as shown."""

    key: int
    seq: int
    ingestion_time: int | None
    stream: str
    message: str
    origin: Origin
    late_ms: int = 0
    """How long after its own time it was ingested, where that place was already proved; or 0."""
    era: int = 0
    """Rebases of its target before it was confirmed; ``Timeline.is_confirmed`` reads it."""
    id_digits: int = 1
    """Digits of the id, since a number has no leading zeros."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self.key >> _TIME_SHIFT

    @property
    def id(self) -> str:
        """CloudWatch's event id."""
        return str(id_of(self.key >> TARGET_BITS)).zfill(self.id_digits)

    @property
    def target(self) -> int:
        """The number of its target."""
        return self.key & _LANE_MASK


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A row that says what happened here; the text is ``describe(rule)``."""

    key: int
    kind: RuleKind
    target: int | None
    """The target that it is about; None where it is about all."""
    from_ms: int
    through_ms: int | None
    """None while it lasts."""
    state: str = ""
    """A gap's state; the status of an execution; ``proved`` where that came late; or empty."""
    reason: str = ""
    count: int | None = None
    """Lines recovered, missing or dropped; None where not known (yet)."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the Unix epoch: its place."""
        return self.key >> _TIME_SHIFT


Row = Line | Rule


class Change(msgspec.Struct, frozen=True):
    """What happened to the timeline between two looks at it.

    A view anchored to the key of its top row asks ``Timeline.index_of`` for that key again
    whenever ``first`` is at or below what it shows, or ``evicted`` is not 0.
    """

    added: int = 0
    """Rows that are new."""
    appended: int = 0
    """Of those, rows that came after every other: the last ones of the timeline."""
    inserted: tuple[int, ...] = ()
    """Keys of the other new rows, which stand between older ones, ascending."""
    first: int | None = None
    """Least index that now holds another row than before; None where nothing moved."""
    replaced: tuple[int, ...] = ()
    """Keys of rows whose content is new while their place is the same."""
    evicted: int = 0
    """Rows taken out; the length grew by ``added - evicted``."""
    removed: tuple[tuple[int, int], ...] = ()
    """Where from: ranges of keys, of which only what is in ``inserted`` is there."""
    restyled: bool = False
    """Lines may have become unconfirmed: whatever is cached of their look is void."""

    def __bool__(self) -> bool:
        """Whether anything is different."""
        return bool(self.added or self.replaced or self.evicted or self.restyled)

    def then(self, later: Change) -> Change:
        """This change and a later one as one."""
        firsts = [one for one in (self.first, later.first) if one is not None]
        return Change(
            added=self.added + later.added,
            appended=self.appended + later.appended,
            inserted=self.inserted + later.inserted,
            first=min(firsts) if firsts else None,
            replaced=self.replaced + later.replaced,
            evicted=self.evicted + later.evicted,
            removed=self.removed + later.removed,
            restyled=self.restyled or later.restyled,
        )


def line_key(timestamp: int, event_id: str, target: int) -> int:
    """The key of a line; ``lane`` is the number of its target.

    Raises:
        WireError: the id is not decimal.

    """
    return key_of(timestamp, event_id) << TARGET_BITS | target


def line_keys(items: Sequence[Item], target: int) -> list[int]:
    """The keys of lines; ``lane`` is the number of their target.

    Raises:
        WireError: the id of one is not decimal.

    """
    if not are_valid_ids([item.id for item in items]):
        return [line_key(item.timestamp, item.id, target) for item in items]
    return [(item.timestamp << ID_BITS | int(item.id)) << TARGET_BITS | target for item in items]


def time_key(timestamp: int) -> int:
    """The least key of a millisecond."""
    return timestamp << _TIME_SHIFT


def time_of(key: int) -> int:
    """The milliseconds of a key."""
    return key >> _TIME_SHIFT


def rule_key(timestamp: int, number: int) -> int:
    """The key of a rule: at the beginning of its millisecond; ``number`` makes it unique."""
    return (timestamp << ID_BITS | number) << TARGET_BITS | RULE_TARGET


def describe(rule: Rule) -> str:
    """What a rule says, without the dashes round it; ranges of time are left to the caller."""
    texts = {
        "lost": f"not recoverable: {rule.reason}",
        "unproved": f"not proved: {_lines(rule.count)} missing or different"
        if rule.state != "proved"
        else "proved after all",
        "rebased": f"lines above are unconfirmed: {rule.reason}",
        "evicted": _evicted(rule),
        "end": f"{rule.reason} {rule.state}",
        "resumed": f"{_lines(rule.count)} since you left",
    }
    if rule.kind == "offline":
        return _offline(rule)
    return _gap(rule) if rule.kind == "gap" else texts[rule.kind]


def _offline(rule: Rule) -> str:
    if rule.through_ms is None:
        return f"offline: {rule.reason}" if rule.reason else "offline"
    length = f"offline {(rule.through_ms - rule.from_ms) / 1000:.1f} s"
    return length if rule.count is None else f"{length} · {_lines(rule.count)} recovered"


def _gap(rule: Rule) -> str:
    match rule.state:
        case "unrecoverable":
            return f"not recoverable: {rule.reason}"
        case "repaired":
            return f"gap repaired · {_lines(rule.count)} recovered"
        case _:
            return f"gap {rule.state}… {rule.reason}".rstrip()


def _evicted(rule: Rule) -> str:
    match rule.state:
        case "fetching":
            return f"fetching {_lines(rule.count)}…"
        case "failed":
            return f"{_lines(rule.count)} not in memory: {rule.reason}"
        case _:
            return f"{_lines(rule.count)} not in memory nor searched, fetched when you go there"


def _lines(count: int | None) -> str:
    return "1 line" if count == 1 else f"{count or 0:,} lines"


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
