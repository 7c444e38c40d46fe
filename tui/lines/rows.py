"""The rows of the timeline: log lines, and rules that say what happened between them. Pure.

A row's ``key`` is one integer made of ``(timestamp, int(id), target)``. It orders the rows,
identifies them, and finds duplicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from wire.messages import Item, Origin
from wire.order import ID_BITS, are_valid_ids, id_of, key_of
from wire.record import TARGETS_MAX, RuleKind

TARGET_BITS: Final = 8
"""Low bits of a key: the target's number, since ids of two targets may collide (moto's do)."""

RULE_TARGET: Final = TARGETS_MAX
"""The target number of rules, which belong to no target's events."""

_TARGET_MASK: Final = (1 << TARGET_BITS) - 1
_TIME_SHIFT: Final = ID_BITS + TARGET_BITS

StreamId = tuple[int, str]
"""A log stream: the number of its target, and its name, which another log group may have too."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """One log event, as shown."""

    key: int
    seq: int
    ingestion_time: int | None
    stream: str
    message: str
    origin: Origin
    late_ms: int = 0
    """Ingestion time minus timestamp of a late event; 0 for an event that was not late."""
    era: int = 0
    """Number of epoch changes its target had seen when the line was last confirmed."""
    id_digits: int = 1
    """Length of the id with its leading zeros, which the key does not keep."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self.key >> _TIME_SHIFT

    @property
    def id(self) -> str:
        """CloudWatch's event id, decimal."""
        return str(id_of(self.key >> TARGET_BITS)).zfill(self.id_digits)

    @property
    def target(self) -> int:
        """Number of the target that the line belongs to."""
        return self.key & _TARGET_MASK

    @property
    def stream_id(self) -> StreamId:
        """The log stream of the line."""
        return self.key & _TARGET_MASK, self.stream


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A horizontal rule in the list that says what happened there; ``describe`` gives its text."""

    key: int
    kind: RuleKind
    target: int | None
    """The target concerned; None for a rule about all targets."""
    from_ms: int
    through_ms: int | None
    """End of the range, ms, inclusive; None while it lasts."""
    state: str = ""
    """State of a gap, status of an execution, or ``verified`` for a range verified after all."""
    reason: str = ""
    count: int | None = None
    """Lines recovered, missing, evicted or fetched; None while unknown."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the Unix epoch at which the rule stands."""
        return self.key >> _TIME_SHIFT


Row = Line | Rule


class Change(msgspec.Struct, frozen=True):
    """Difference between two states of the timeline.

    A view anchored to the key of its top row looks that key up again whenever ``first`` is at or
    below its rows, or ``evicted`` is not 0.
    """

    added: int = 0
    """Number of new rows."""
    appended: int = 0
    """Number of new rows that stand below all others."""
    inserted: tuple[int, ...] = ()
    """Keys of the other new rows, ascending."""
    first: int | None = None
    """Lowest index whose row changed; None if no row moved."""
    replaced: tuple[int, ...] = ()
    """Keys of rows whose content changed while their position did not."""
    evicted: int = 0
    """Number of rows taken out; the length grew by ``added - evicted``."""
    removed: tuple[tuple[int, int], ...] = ()
    """Key ranges (inclusive) that were emptied; only keys in ``inserted`` are present there."""
    restyled: bool = False
    """Whether lines may have become unconfirmed, so that cached drawings are stale."""

    def __bool__(self) -> bool:
        return bool(self.added or self.replaced or self.evicted or self.restyled)

    def then(self, later: Change) -> Change:
        """This change combined with the one that followed it."""
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
    """The key of a line of a target.

    Raises:
        WireError: The id is not decimal.
    """
    return key_of(timestamp, event_id) << TARGET_BITS | target


def line_keys(items: Sequence[Item], target: int) -> list[int]:
    """The keys of events of one target, in the same order.

    Raises:
        WireError: An id is not decimal.
    """
    if not are_valid_ids([item.id for item in items]):
        return [line_key(item.timestamp, item.id, target) for item in items]
    return [(item.timestamp << ID_BITS | int(item.id)) << TARGET_BITS | target for item in items]


def time_key(timestamp: int) -> int:
    """The lowest key of a millisecond."""
    return timestamp << _TIME_SHIFT


def time_of(key: int) -> int:
    """The timestamp of a key, ms since the Unix epoch."""
    return key >> _TIME_SHIFT


def rule_key(timestamp: int, number: int) -> int:
    """The key of a rule, before the lines of its millisecond; ``number`` makes it unique."""
    return (timestamp << ID_BITS | number) << TARGET_BITS | RULE_TARGET


def rule_number(key: int) -> int:
    """The number in the key of a rule."""
    return (key >> TARGET_BITS) & ((1 << ID_BITS) - 1)


def describe(rule: Rule) -> str:
    """The text of a rule, without its dashes and without the time range."""
    texts = {
        "lost": f"not recoverable: {rule.reason}",
        "unequal": f"not verified: {_lines(rule.count)} missing or different"
        if rule.state != "verified"
        else "now verified",
        "rebased": f"lines above can no longer be verified: {rule.reason}",
        "evicted": _evicted(rule),
        "end": f"{rule.reason} {rule.state}",
        "resumed": f"{_lines(rule.count)} since you left",
        "joined": rule.reason,
        "left": rule.reason,
        "older": _older(rule),
    }
    if rule.kind == "offline":
        return _offline(rule)
    return _gap(rule) if rule.kind == "gap" else texts[rule.kind]


def _offline(rule: Rule) -> str:
    if rule.through_ms is None:
        return f"offline: {rule.reason}" if rule.reason else "offline"
    length = f"offline {(rule.through_ms - rule.from_ms) / 1000:.1f} s"
    return f"{length} · {_lines(rule.count)} recovered" if rule.count else length


def is_altered(reason: str) -> bool:
    """Whether a gap's reason says that texts changed under their ids [18]."""
    return reason.startswith("altered")


def is_outage(reason: str) -> bool:
    """Whether a gap's reason says that CloudWatch could not be read, as heartbeats do [9]."""
    return reason.startswith("CloudWatch Logs could not be read")


def _gap(rule: Rule) -> str:
    if is_altered(rule.reason):
        return "no longer altered" if rule.state == "repaired" else rule.reason
    match rule.state:
        case "unrecoverable":
            return f"not recoverable: {rule.reason}"
        case "repaired":
            return (
                f"gap repaired · {_lines(rule.count)} recovered" if rule.count else "gap repaired"
            )
        case _:
            return f"gap {rule.state}… {rule.reason}".rstrip()


def _older(rule: Rule) -> str:
    match rule.state:
        case "fetching":
            return f"fetching older lines: {_lines(rule.count)} so far, Esc stops"
        case "beginning":
            return rule.reason
        case _:
            return "older lines are fetched when you scroll up"


def _evicted(rule: Rule) -> str:
    match rule.state:
        case "fetching":
            return f"fetching {_lines(rule.count)}…"
        case "failed":
            return f"{_lines(rule.count)} not in memory: {rule.reason}"
        case _:
            return (
                f"{_lines(rule.count)} not in memory: not searched, refetched when you scroll here"
            )


def _lines(count: int | None) -> str:
    return "1 line" if count == 1 else f"{count or 0:,} lines"
