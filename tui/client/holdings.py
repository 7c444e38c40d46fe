"""What one target's viewer holds, and how that compares with what the forwarder says. Pure.

Whether lines came over a WebSocket or by polling, they are taken in here, and every comparison
of counts and digests is made here. Numbers in brackets are the protocol's rules.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from sys import intern
from typing import Final, Literal

import msgspec

from tui.client.proof import Proof
from tui.client.status import (
    Effect,
    Ended,
    EndStatus,
    GapSeen,
    Marked,
    MarkStatus,
    Rebased,
    Stored,
    Unconfirmed,
    Unproved,
)
from tui.client.tally import Taken, Tally, Total
from tui.lines.rows import Line, line_keys, time_key, time_of
from wire.digest import digest_hex, event_digest, event_digests
from wire.messages import End, Item, Mark, Repair, Verify


class Request(msgspec.Struct, frozen=True):
    """A range to be compared (``verify``), or sent again and then compared (``repair``)."""

    kind: Literal["verify", "repair"]
    from_: int
    through: int
    scanned: bool
    """Whether a whole scan stands behind the range, so that equality proves it complete."""

    def message(self) -> Verify | Repair:
        """As the wire has it."""
        return (Verify if self.kind == "verify" else Repair)(self.from_, self.through)


TALLY_EVENTS: Final = 4_000_000
"""Events held with their digests, 48 bytes each; older ones can't be proved again."""

ENDS_MAX: Final = 100
"""Executions whose end is remembered: as many as a filter may name."""


class Counts(msgspec.Struct):
    """What was received, for the status."""

    events: int = 0
    duplicates: int = 0
    late: int = 0
    repaired: int = 0
    marks: int = 0
    marks_unequal: int = 0


class Claim(msgspec.Struct, frozen=True):
    """The forwarder's count and digest of a range at a position of its stream."""

    from_: int
    through: int
    seq: int
    count: int
    digest: str


class Judged(msgspec.Struct):
    """The outcome of a comparison: what has happened, and what is to be asked."""

    effects: list[Effect] = []
    requests: list[Request] = []


class Holdings:
    """The events of one target, what is proved of them, and what is not.

    Args:
        target: The number of the target, kept in its lines' keys.
        tally_events: Bound of the tally.

    """

    def __init__(self, target: int = 0, tally_events: int = TALLY_EVENTS) -> None:
        """Hold nothing yet."""
        self.target = target
        self.tally = Tally()
        self.proof = Proof(target)
        self.counts = Counts()
        self.era = 0
        self.last_mark: MarkStatus | None = None
        self.floor_ms = 0
        """Events older than this were dropped from the tally and can't be compared any more."""
        self._lowest: int | None = None  # of all keys that were stored, once any was dropped
        self._tally_events = tally_events
        self._ends: dict[str, tuple[End, bool]] = {}

    @property
    def ends(self) -> tuple[EndStatus, ...]:
        """The executions known to be over."""
        return tuple(_end_status(end, equal=equal) for end, equal in self._ends.values())

    @property
    def uncompared_ms(self) -> int | None:
        """Before when (ms) nothing can be compared any more, nor was; None: there is no such."""
        since = self.proof.since
        if not self.floor_ms or (since is not None and self.floor_ms <= since):
            return None
        return None if self.proof.covers(since or 0, self.floor_ms - 1) else self.floor_ms

    # Events

    def keys(self, items: Sequence[Item]) -> list[int]:
        """The keys that events have here.

        Raises:
            WireError: the id of one is not decimal.

        """
        return line_keys(items, self.target)

    def store(self, items: Sequence[Item], *, live: bool) -> tuple[Stored, list[int]]:
        """Take in events; what is new of them, and the keys of all.

        Args:
            items: As they came, in any order, known ones among them.
            live: Whether they are beyond the cursor: then none can have come before.

        Raises:
            WireError: the id of one is not decimal; none was taken in.

        """
        keys = self.keys(items)
        stored = Stored([], [])
        if self.floor_ms and keys and min(keys) < time_key(self.floor_ms):
            items, keys = self._below_floor(items, keys, stored, live=live)
        taken = self.tally.add_many(keys, event_digests(items), [item.seq for item in items])
        if taken is None:
            stored.lines.extend(self._lines(keys, items, live=live))
        else:
            for key, item, what in zip(keys, items, taken, strict=True):
                if what is Taken.NEW:
                    stored.lines.append(self._line(key, item, live))
                elif what is Taken.CONFIRMED:
                    stored.confirmed.append(self._line(key, item, False))  # noqa: FBT003 - as map
                else:
                    self.counts.duplicates += 1
        self.counts.events += len(stored.lines)
        self._bound()
        return stored, keys

    def recall(self, items: Sequence[Item], after: int) -> list[Line]:
        """The lines of events that were here before, or in an earlier run (up to the base [16]).

        Args:
            items: As a forwarder has them now.
            after: The cursor: what is beyond it comes by itself.

        Raises:
            WireError: the id of one is not decimal.

        """
        lines: list[Line] = []
        floor = time_key(self.floor_ms)
        for key, item in zip(self.keys(items), items, strict=True):
            seq = self.tally.seq_of(key)
            if seq is None and key >= floor:
                if not item.seq <= min(self.tally.base, after):
                    continue  # never sent: whoever looks for what is missing must not find it
                digest = event_digest(item.id, item.timestamp, item.stream, item.message)
                self.tally.add(key, digest, item.seq)
            era = self.era if seq != 0 else -1
            lines.append(self._as_line(key, item, 0, era))
        return lines

    def _lines(self, keys: Sequence[int], items: Sequence[Item], *, live: bool) -> list[Line]:
        """The lines of events that are all new."""
        if live and keys and self._has_late(time_of(min(keys)), time_of(max(keys))):
            return list(map(self._line, keys, items, [live] * len(keys)))
        self.counts.repaired += [item.origin for item in items].count("repair")
        era = self.era
        return [
            Line(
                key,
                item.seq,
                item.ingestion_time,
                intern(item.stream),
                item.message,
                item.origin,
                0,
                era,
                len(item.id),
            )
            for key, item in zip(keys, items, strict=True)
        ]

    def _line(self, key: int, item: Item, live: bool) -> Line:  # noqa: FBT001 - called by map
        late_ms = 0
        if live and item.origin != "backfill" and self._is_late(item.timestamp):
            late_ms = self._lateness(item)
            self.counts.late += 1
        if item.origin == "repair":
            self.counts.repaired += 1
        return self._as_line(key, item, late_ms, self.era)

    @staticmethod
    def _as_line(key: int, item: Item, late_ms: int, era: int) -> Line:
        return Line(
            key,
            item.seq,
            item.ingestion_time,
            intern(item.stream),
            item.message,
            item.origin,
            late_ms,
            era,
            len(item.id),
        )

    def _is_late(self, timestamp: int) -> bool:
        """Whether an event comes for a time that was proved before it came, or before since."""
        return self._has_late(timestamp, timestamp)

    def _has_late(self, low: int, high: int) -> bool:
        """Whether an event could be late that comes for a time between two."""
        since = self.proof.since
        return self.proof.touches(low, high) or (since is not None and low < since)

    def _lateness(self, item: Item) -> int:
        """By the forwarder's clocks, which are the ones that events are stamped by."""
        seen = self.last_mark.scanned_at_ms if self.last_mark else item.timestamp
        return max(1, (item.ingestion_time or seen) - item.timestamp)

    def _below_floor(
        self, items: Sequence[Item], keys: list[int], stored: Stored, *, live: bool
    ) -> tuple[list[Item], list[int]]:
        """Too old to be told from what was dropped: shown where it must be new, else left.

        A past that comes newest first goes on below all that was ever stored: that is new.
        """
        floor, lowest = time_key(self.floor_ms), self._lowest or 0
        kept: list[tuple[Item, int]] = []
        fresh: dict[int, Item] = {}
        for item, key in zip(items, keys, strict=True):
            if key >= floor:
                kept.append((item, key))
            elif (live or key < lowest) and key not in fresh:
                fresh[key] = item
            else:
                self.counts.duplicates += 1
        stored.lines.extend(self._line(key, item, live) for key, item in fresh.items())
        self._lowest = min([lowest, *fresh])
        return [item for item, _ in kept], [key for _, key in kept]

    def _bound(self) -> None:
        lowest = self.tally.lowest
        dropped = self.tally.forget(self._tally_events)
        if dropped is not None:
            self._lowest = lowest if self._lowest is None else min(self._lowest, lowest)
            self.floor_ms = time_of(dropped) + 1

    def rebase(self, reason: str) -> list[Effect]:
        """Another epoch: what is here is shown, but counts only when it comes again [6]."""
        counted = len(self.tally) > self.tally.unconfirmed
        self.tally.base = 0
        self.tally.unconfirm_all()
        self.proof.rebase()
        self._ends.clear()
        self.last_mark = None
        if not counted:
            return []
        self.era += 1
        return [Rebased(self.target, self.era, reason)]

    # Comparisons

    def total(self, from_: int, through: int, seq: int) -> Total:
        """Count and digest of a range of time at a position of the stream [10, 14]."""
        return self.tally.total(time_key(from_), time_key(through + 1) - 1, seq)

    def is_equal(self, claim: Claim) -> bool:
        """Whether the viewer holds exactly what the forwarder says it has been sent."""
        return self.total(claim.from_, claim.through, claim.seq) == Total(
            claim.count, int(claim.digest, 16)
        )

    def judge_mark(self, mark: Mark, generation: int) -> Judged:
        """Compare a mark: green where equal, else the range is sent again."""
        claim = Claim(mark.from_, mark.through, mark.seq, mark.count, mark.digest)
        if mark.from_ < self.floor_ms:
            return self._judge_above_floor(claim)
        own, equal = self.total(mark.from_, mark.through, mark.seq), self.is_equal(claim)
        self.last_mark = MarkStatus(
            self.target,
            mark.from_,
            mark.through,
            mark.scanned_at,
            mark.seq,
            mark.count,
            mark.digest,
            own.count,
            digest_hex(own.digest),
            equal,
            self.era,
        )
        self.counts.marks += 1
        self.counts.marks_unequal += not equal
        judged = Judged([Marked(self.last_mark)])
        if equal:
            judged.effects += self._prove(claim, generation)
        else:
            self._differ(claim, judged, scanned=True)
        return judged

    def judge_end(self, end: End) -> Judged:
        """An execution's end, which may be told again [11].

        It proves nothing for green: the scans behind it cover the execution's last part, and
        its range may reach ahead of the clock. Where it is not equal, the digest of the range is
        asked for before the events: a range may hold other executions' events too.
        """
        claim = Claim(end.from_, end.through, end.seq, end.count, end.digest)
        equal = self.is_equal(claim)
        if end.execution in self._ends or len(self._ends) < ENDS_MAX:
            self._ends[end.execution] = (end, equal)
        judged = Judged([Ended(_end_status(end, equal=equal))])
        if equal:
            self.proof.agree(end.from_, end.through)
        else:
            self.proof.doubt(end.from_, end.through)
            low = max(end.from_, self.floor_ms)
            judged.requests.append(Request("verify", low, end.through, scanned=False))
        return judged

    def judge_answer(
        self, request: Request, claim: Claim, seen: Collection[int], generation: int
    ) -> Judged:
        """Compare what closes a ``verify`` or a ``repair``; ``seen`` is what came again."""
        judged = Judged()
        if claim.from_ > claim.through:
            return judged
        if request.kind == "repair":
            judged.effects += self._unconfirm_unseen(claim, seen)
        if self.is_equal(claim):
            if request.scanned:
                judged.effects += self._prove(claim, generation)
            else:
                self.proof.agree(claim.from_, claim.through)
                judged.effects += self._settle_ends(claim)
        elif request.kind == "repair":
            judged.effects.append(self._give_up(claim))
        else:
            self._differ(claim, judged, scanned=request.scanned)
        return judged

    def _judge_above_floor(self, claim: Claim) -> Judged:
        """A mark that reaches below what is still held: its upper part is asked for."""
        if claim.through < self.floor_ms:
            return Judged()
        upper = Request("verify", self.floor_ms, claim.through, scanned=True)
        return Judged([], [upper])

    def _prove(self, claim: Claim, generation: int) -> list[Effect]:
        repaired = self.proof.prove(claim.from_, claim.through, generation)
        return [*(GapSeen(gap) for gap in repaired), *self._settle_ends(claim)]

    def _settle_ends(self, claim: Claim) -> list[Effect]:
        """Ends that compared unequal agree once a range that holds theirs does."""
        effects: list[Effect] = []
        for execution, (end, equal) in self._ends.items():
            low = max(end.from_, self.floor_ms)
            agrees = claim.from_ <= low and end.through <= claim.through
            if not equal and (agrees or self.proof.covers(end.from_, end.through)):
                self._ends[execution] = (end, True)
                effects.append(Ended(_end_status(end, equal=True)))
        return effects

    def _differ(self, claim: Claim, judged: Judged, *, scanned: bool) -> None:
        """Unequal: not proved any more, and sent again, unless that was tried already [13]."""
        if self._was_tried(claim):
            self.proof.doubt(claim.from_, claim.through)
            judged.requests += [
                Request("verify", low, high, scanned=scanned)
                for low, high in self.proof.untried(claim.from_, claim.through)
            ]
            return
        missing = claim.count - self.total(claim.from_, claim.through, claim.seq).count
        unproved = self.proof.disprove(claim.from_, claim.through, missing, final=False)
        judged.effects.append(Unproved(unproved))
        judged.requests.append(Request("repair", claim.from_, claim.through, scanned))

    def _was_tried(self, claim: Claim) -> bool:
        """Whether a part of the range stayed unequal after a repair: no second one [13]."""
        return self.proof.has_failed(claim.from_, claim.through)

    def _give_up(self, claim: Claim) -> Unproved:
        """Unequal after it was sent again: red, reported, not retried [13]."""
        missing = claim.count - self.total(claim.from_, claim.through, claim.seq).count
        return Unproved(self.proof.disprove(claim.from_, claim.through, missing, final=True))

    def _unconfirm_unseen(self, claim: Claim, seen: Collection[int]) -> list[Effect]:
        """What a repair did not bring again becomes unconfirmed [13]."""
        low, high = time_key(claim.from_), time_key(claim.through + 1) - 1
        held = self.tally.keys_between(low, high, claim.seq)
        unseen = [key for key in held if key not in seen]
        self.tally.unconfirm(unseen)
        return [Unconfirmed(unseen)] if unseen else []


def _end_status(end: End, *, equal: bool) -> EndStatus:
    return EndStatus(end.execution, end.status, end.from_, end.through, end.count, equal)
