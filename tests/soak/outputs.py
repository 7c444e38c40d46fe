"""Judges what a named consumer printed in all of its lives, by the ledger. Pure.

The oracle judges records, which only a whole timeline has. An output is filtered, and its consumer
may be killed between printing a line and saving that: only then, and only lines of the seconds
before, may its next life repeat. A journal that was lost is announced, and repeats more.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from common.text import without_colours
from simulator.oracle.record import Identity
from tui.lines.rows import Line, line_key
from tui.output.formats import INDENT, format_text
from tui.output.ordering import PrintedLine

REPEATED_S: Final = 30.0
"""How long before a kill a line may have been printed that is repeated: progress is saved every two
seconds, but only where it can be stated, which bursts in the wrong order prevent for a while."""

ANNOUNCED: Final = "the forwarder has another journal"

EXAMPLES_MAX: Final = 3

What = bytes
"""The digest of an event's identity, or of its text: a soak prints hundreds of megabytes."""

_ENTRY: Final = re.compile(rb"\n(?!" + INDENT.encode() + rb")")


class Printed(NamedTuple):
    """One printed line.

    Attributes:
        what: Its digest.
        id: The event's id; empty in text, which has none.
        place: Its place in display order; None where no order was promised.
        age_s: How long before the end of its life it was printed.
    """

    what: What
    id: str = ""
    place: tuple[int, int] | None = None
    age_s: float = 0.0


class Life(NamedTuple):
    """One process of a consumer."""

    lines: Sequence[Printed]
    was_killed: bool
    announces: bool = False
    """Whether it said that lines are printed again, by it or by the next life."""
    is_torn: bool = False
    """Whether its last line is incomplete, which only a kill may leave."""


class OutputVerdict(NamedTuple):
    """How far a consumer's lives agree with the ledger, in counts."""

    expected: int
    printed: int
    lost: int
    duplicated: int
    misordered: int
    unexpected: int
    torn: int
    repeated: int
    """Lines that were rightly printed again after a kill."""
    oldest_repeat_s: float
    examples: tuple[str, ...] = ()

    def findings(self) -> list[str]:
        """What is wrong."""
        names = ("lost", "duplicated", "misordered", "unexpected", "torn")
        return [f"{getattr(self, name)} {name}" for name in names if getattr(self, name)]


def digest(identity: Identity) -> What:
    """The digest of an event's identity."""
    stream, timestamp, message = identity
    text = f"{timestamp}\n{stream}\n{message}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16).digest()


def text_digest(identity: Identity) -> What:
    """The digest of an event's line in text output."""
    stream, timestamp, message = identity
    line = Line(line_key(timestamp, "0", 0), 1, None, stream, message, "live")
    text = format_text(PrintedLine(line, is_late=False)).encode()
    return blake2b(text, digest_size=16).digest()


def other_texts(
    events: Iterable[tuple[Identity, str | None]], digest_of: Callable[[Identity], What]
) -> dict[What, list[What]]:
    """By the digest of each text that CloudWatch returned at times, those of the first texts."""
    found: dict[What, list[What]] = {}
    for (stream, timestamp, message), other in events:
        if other is not None:
            firsts = found.setdefault(digest_of((stream, timestamp, other)), [])
            firsts.append(digest_of((stream, timestamp, message)))
    return found


def is_hostile_match(message: str) -> bool:
    """Whether ``/(a+)+b|error.*timeout/`` matches, without the expression: it must not backtrack.

    Like every expression without upper-case letters it ignores case, and colour codes.
    """
    text = without_colours(message).lower()
    if "ab" in text:
        return True
    # From each line's first "error" on, the rest is read once.
    return any(
        "timeout" in line[line.index("error") :] for line in text.split("\n") if "error" in line
    )


def read_json(data: bytes, age_of: Callable[[int], float], *, is_strict: bool) -> Iterator[Printed]:
    """Read the whole lines of JSON output.

    Args:
        data: The output.
        age_of: How many seconds before the end the line of a number was printed.
        is_strict: Whether the output is in display order, apart from late lines.
    """
    whole, _, _ = data.rpartition(b"\n")
    for number, text in enumerate(whole.split(b"\n") if whole else ()):
        one: dict[str, Any] = json.loads(text)
        at = (one["timestamp"], int(one["id"]))
        yield Printed(
            digest((one["log_stream"], one["timestamp"], one["message"])),
            one["id"],
            at if is_strict and not one.get("late") else None,
            age_of(number),
        )


def read_text(data: bytes) -> Iterator[Printed]:
    """Read the whole entries of text output; further lines of a message are indented."""
    whole, _, _ = data.rpartition(b"\n")
    for entry in _ENTRY.split(whole) if whole else ():
        yield Printed(blake2b(entry, digest_size=16).digest())


def judge_output(
    expected: Counter[What],
    accepted: Counter[What],
    lives: Iterable[Life],
    others: Mapping[What, Sequence[What]] | None = None,
) -> OutputVerdict:
    """Judge a consumer.

    Args:
        expected: The accepted events that its query matches.
        accepted: All accepted events.
        lives: Its processes, in order.
        others: For each text that CloudWatch returned at times instead, the first texts.
    """
    lives = list(lives)
    others = others or {}
    seen: dict[str, tuple[int, float]] = {}
    have: Counter[What] = Counter()
    printed = repeated = duplicated = misordered = torn = 0
    oldest_s = 0.0
    examples: list[str] = []
    for number, life in enumerate(lives):
        printed += len(life.lines)
        torn += life.is_torn and not life.was_killed
        own: set[str] = set()
        counts: Counter[What] = Counter()
        highest = (-1, -1)
        for one in life.lines:
            if one.place is not None:
                misordered += one.place < highest
                highest = max(highest, one.place)
            if one.id and one.id in own:
                duplicated += 1
                examples.append(f"{one.id} twice in life {number}")
            elif one.id and one.id in seen:
                before, age_s = seen[one.id]
                is_announced = any(one.announces for one in lives[before : number + 1])
                if is_announced or _may_repeat(lives[before:number], age_s):
                    repeated += 1
                    oldest_s = oldest_s if is_announced else max(oldest_s, age_s)
                else:
                    duplicated += 1
                    examples.append(f"{one.id} in lives {before} and {number}, {age_s:.0f} s")
            else:
                counts[one.what] += 1
            if one.id:
                own.add(one.id)
                seen[one.id] = (number, one.age_s)
        have += counts
        counts = _with_first_texts(counts, accepted, others)
        if not own:
            duplicated += _surplus(counts, accepted)
    have = _with_first_texts(have, accepted, others)
    surplus = _surplus(have, accepted)
    if seen or not any(life.was_killed or life.announces for life in lives):
        duplicated += surplus
    else:  # text has no ids: what its lives repeat can only be counted
        repeated += surplus
    return OutputVerdict(
        expected=expected.total(),
        printed=printed,
        lost=(expected - have).total(),
        duplicated=duplicated,
        misordered=misordered,
        unexpected=_unknown(have, accepted),
        torn=torn,
        repeated=repeated,
        oldest_repeat_s=oldest_s,
        examples=tuple(examples[:EXAMPLES_MAX]),
    )


def _with_first_texts(
    counts: Counter[What], accepted: Counter[What], others: Mapping[What, Sequence[What]]
) -> Counter[What]:
    """The counts, with an event's first text in place of its other one."""
    found = Counter({what: min(count, accepted[what]) for what, count in counts.items()})
    for what, count in counts.items():
        firsts = others.get(what)
        for _ in range(count - found[what]):
            first = what
            if firsts:
                first = next((one for one in firsts if found[one] < accepted[one]), firsts[0])
            found[first] += 1
    return found


def _surplus(counts: Counter[What], accepted: Counter[What]) -> int:
    return (counts - accepted).total() - _unknown(counts, accepted)


def _unknown(counts: Counter[What], accepted: Counter[What]) -> int:
    return sum(count for what, count in counts.items() if what not in accepted)


def _may_repeat(between: Sequence[Life], age_s: float) -> bool:
    """Whether a line may be printed again after these lives, of which the first printed it.

    A life that ended by itself, since it could not connect, could not save anything either.
    """
    ended = [life for life in between if not life.was_killed]
    return age_s <= REPEATED_S and between[0].was_killed and not any(one.lines for one in ended)
