"""The events that one target's viewer has received, compared with the forwarder's totals. Pure.

Events from the WebSocket, from polling and from refetching are all stored here, and every
comparison of counts and digests is made here. Numbers in brackets are rules of PROTOCOL.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from sys import intern
from typing import Final, Literal

import msgspec

from tui.client.proof import Proof
from tui.client.status import (
    Effect,
    EndStatus,
    GapStatus,
    MarkStatus,
    Rebased,
    Stored,
    Unconfirmed,
    UnequalRange,
)
from tui.client.tally import AddResult, Tally, Total
from tui.lines.rows import Line, line_keys, time_key, time_of
from wire.digest import digest_hex, event_digest, event_digests
from wire.messages import DigestBody, DigestReply, End, Item, Mark, Repair, Verify


class RangeRequest(msgspec.Struct, frozen=True):
    """A time range to compare (``verify``), or to send again and then compare (``repair``)."""

    kind: Literal["verify", "repair"]
    from_: int
    through: int
    scanned: bool
    """Whether a whole scan covers the range, so that an equal total verifies it."""

    def message(self) -> Verify | Repair:
        """The request as a message of the protocol."""
        return (Verify if self.kind == "verify" else Repair)(self.from_, self.through)


TALLY_EVENTS: Final = 4_000_000
"""Events whose digests are kept, 48 bytes each; older ones can't be compared any more."""

ENDS_MAX: Final = 100
"""Executions whose end is remembered: a filter may name no more."""


class ReceivedCounts(msgspec.Struct):
    """Numbers of events and marks received, for the status."""

    events: int = 0
    duplicates: int = 0
    late: int = 0
    repaired: int = 0
    marks: int = 0
    marks_unequal: int = 0


ClaimedTotal = Mark | End | DigestReply | DigestBody
"""A message with the forwarder's count and digest of a time range as of ``seq``."""


class FollowUp(msgspec.Struct):
    """The consequences of a comparison: effects for the shell, and range requests to send."""

    effects: list[Effect] = []
    requests: list[RangeRequest] = []


class Holdings:
    """The events of one target, and which time ranges of them are verified.

    Args:
        target: The number of the target, kept in its lines' keys.
        tally_events: Events that the tally keeps at most.

    Attributes:
        era: Number of rebases that left lines unconfirmed.
        floor_ms: Events before this were dropped from the tally and can't be compared any more.
    """

    def __init__(self, target: int = 0, tally_events: int = TALLY_EVENTS) -> None:
        self.target = target
        self.tally = Tally()
        self.proof = Proof(target)
        self.counts = ReceivedCounts()
        self.era = 0
        self.last_mark: MarkStatus | None = None
        self.floor_ms = 0
        self._lowest: int | None = None  # lowest key ever stored, once any was dropped
        self._tally_events = tally_events
        self._ends: dict[str, tuple[End, bool]] = {}
        self._in_gap: set[str] = set()

    @property
    def ends(self) -> tuple[EndStatus, ...]:
        """The executions known to have ended."""
        return tuple(_end_status(end, equal=equal) for end, equal in self._ends.values())

    @property
    def uncompared_ms(self) -> int | None:
        """Lines before this were not verified and can't be compared any more; None without any."""
        since = self.proof.since
        if not self.floor_ms or (since is not None and self.floor_ms <= since):
            return None
        return None if self.proof.is_verified(since or 0, self.floor_ms - 1) else self.floor_ms

    # Events

    def keys_of(self, items: Sequence[Item]) -> list[int]:
        """Return the keys of this target's events.

        Raises:
            WireError: An id is not decimal.
        """
        return line_keys(items, self.target)

    def store(self, items: Sequence[Item], *, live: bool) -> tuple[Stored, list[int]]:
        """Store events; returns the lines that are new or changed, and the keys of all.

        ``live`` events lie beyond the cursor, so that none of them can have come before.

        Raises:
            WireError: An id is not decimal; nothing was stored.
        """
        keys = self.keys_of(items)
        stored = Stored([], [])
        if self.floor_ms and keys and min(keys) < time_key(self.floor_ms):
            items, keys = self._below_floor(items, keys, stored, live=live)
        added = self.tally.add_many(keys, event_digests(items), [item.seq for item in items])
        if added is None:
            stored.lines.extend(self._new_lines(keys, items, live=live))
        else:
            for key, item, result in zip(keys, items, added, strict=True):
                if result is AddResult.NEW:
                    stored.lines.append(self._line(key, item, live))
                elif result is AddResult.CONFIRMED:
                    stored.confirmed.append(self._line(key, item, False))  # noqa: FBT003 - as map
                else:
                    self.counts.duplicates += 1
        self.counts.events += len(stored.lines)
        self._drop_oldest()
        return stored, keys

    def refetched_lines(self, items: Sequence[Item], after: int) -> list[Line]:
        """The lines of refetched events that this or an earlier run has received before.

        An event that the viewer was never sent is left out: stored here it would hide that the
        forwarder failed to send it. An earlier run received the events up to the base [16]; events
        after the cursor (``after``) are still to come over the connection.

        Raises:
            WireError: An id is not decimal.
        """
        lines: list[Line] = []
        floor = time_key(self.floor_ms)
        for key, item in zip(self.keys_of(items), items, strict=True):
            seq = self.tally.seq_of(key)
            if seq is None and key >= floor:
                if item.seq > min(self.tally.base, after):
                    continue
                digest = event_digest(item.id, item.timestamp, item.stream, item.message)
                self.tally.add(key, digest, item.seq)
            era = self.era if seq != 0 else -1
            lines.append(self._as_line(key, item, 0, era))
        return lines

    def _new_lines(self, keys: Sequence[int], items: Sequence[Item], *, live: bool) -> list[Line]:
        """The lines of events that are all new: inlined, as most events pass here."""
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
        if live and item.origin != "backfill" and self._has_late(item.timestamp, item.timestamp):
            # By the clocks that stamp events and marks.
            seen = self.last_mark.scanned_at_ms if self.last_mark else item.timestamp
            late_ms = max(1, (item.ingestion_time or seen) - item.timestamp)
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

    def _has_late(self, low: int, high: int) -> bool:
        """Whether an event in a range would be late: for a verified time, or before ``since``."""
        since = self.proof.since
        return self.proof.overlaps_verified(low, high) or (since is not None and low < since)

    def _below_floor(
        self, items: Sequence[Item], keys: list[int], stored: Stored, *, live: bool
    ) -> tuple[list[Item], list[int]]:
        """Store events older than the tally, if they must be new; returns the other ones.

        Known and new ones can't be distinguished there, except that live events are new, and so
        is history that comes newest first, as it lies below all that was ever stored.
        """
        floor, lowest = time_key(self.floor_ms), self._lowest or 0
        comparable: list[tuple[Item, int]] = []
        fresh: dict[int, Item] = {}
        for item, key in zip(items, keys, strict=True):
            if key >= floor:
                comparable.append((item, key))
            elif (live or key < lowest) and key not in fresh:
                fresh[key] = item
            else:
                self.counts.duplicates += 1
        stored.lines.extend(self._line(key, item, live) for key, item in fresh.items())
        self._lowest = min([lowest, *fresh])
        return [item for item, _ in comparable], [key for _, key in comparable]

    def _drop_oldest(self) -> None:
        lowest = self.tally.lowest
        dropped = self.tally.drop_oldest(self._tally_events)
        if dropped is not None:
            self._lowest = lowest if self._lowest is None else min(self._lowest, lowest)
            self.floor_ms = time_of(dropped) + 1

    def gap_at_end(self, end: EndStatus) -> GapStatus | None:
        """A gap in which events may be missing that the end does not know of; None: no such gap.

        Only one that was there as the end came: a later one did not make the scans behind it fail.
        """
        if end.execution not in self._in_gap:
            return None
        return self.proof.unshown_gap(end.from_ms, end.through_ms)

    def rebase(self, reason: str) -> list[Effect]:
        """Adopt another epoch: lines stay, but count only once they come again [6]."""
        counted = len(self.tally) > self.tally.unconfirmed
        self.tally.base = 0
        self.tally.unconfirm_all()
        self.proof.rebase()
        self._ends.clear()
        self._in_gap.clear()
        self.last_mark = None
        if not counted:
            return []
        self.era += 1
        return [Rebased(self.target, self.era, reason)]

    # Comparisons

    def total(self, from_: int, through: int, seq: int) -> Total:
        """The viewer's count and digest of a time range as of ``seq`` [10, 14]."""
        return self.tally.total(time_key(from_), time_key(through + 1) - 1, seq)

    def is_equal(self, claim: ClaimedTotal) -> bool:
        """Whether the viewer holds exactly the events that the forwarder counted."""
        return self.total(claim.from_, claim.through, claim.seq) == Total(
            claim.count, int(claim.digest, 16)
        )

    def compare_mark(self, mark: Mark, generation: int) -> FollowUp:
        """Compare a mark: an equal one verifies its range, else the range is sent again."""
        if mark.from_ < self.floor_ms:  # the tally covers only the upper part
            upper = RangeRequest("verify", self.floor_ms, mark.through, scanned=True)
            return FollowUp([], [upper] if mark.through >= self.floor_ms else [])
        own, equal = self.total(mark.from_, mark.through, mark.seq), self.is_equal(mark)
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
        result = FollowUp([self.last_mark])
        if equal:
            result.effects += self._verify(mark, generation)
        else:
            self._resend(mark, result, scanned=True)
        return result

    def compare_end(self, end: End) -> FollowUp:
        """Compare an execution's end, which the forwarder may send more than once [11].

        An equal end verifies no range: the scans behind it cover only the execution's last part,
        and its range may reach ahead of the clock. For an unequal one the digest of the range is
        requested before its events, as the range may hold other executions' events too.
        """
        equal = self.is_equal(end)
        if end.execution in self._ends or len(self._ends) < ENDS_MAX:
            self._ends[end.execution] = (end, equal)
            self._in_gap.discard(end.execution)
            if self.proof.unshown_gap(end.from_, end.through) is not None:
                self._in_gap.add(end.execution)
        result = FollowUp([_end_status(end, equal=equal)])
        if equal:
            self.proof.add_equal(end.from_, end.through)
        else:
            self.proof.withdraw_verified(end.from_, end.through)
            low = max(end.from_, self.floor_ms)
            result.requests.append(RangeRequest("verify", low, end.through, scanned=False))
        return result

    def compare_answer(
        self, request: RangeRequest, claim: ClaimedTotal, seen: Collection[int], generation: int
    ) -> FollowUp:
        """Compare the answer to a range request.

        The range of ``claim`` may be clipped. ``seen`` has the keys of the range that came since a
        repair was requested; ``generation`` is the number of the connection attempt.
        """
        result = FollowUp()
        if claim.from_ > claim.through:
            return result
        if request.kind == "repair":
            result.effects += self._unconfirm_unseen(claim, seen)
        if self.is_equal(claim):
            if request.scanned:
                result.effects += self._verify(claim, generation)
            else:
                self.proof.add_equal(claim.from_, claim.through)
                result.effects += self._settle_ends(claim)
        elif request.kind == "repair":
            result.effects.append(self._add_unequal(claim, final=True))
        else:
            self._resend(claim, result, scanned=request.scanned)
        return result

    def _verify(self, claim: ClaimedTotal, generation: int) -> list[Effect]:
        repaired = self.proof.add_verified(claim.from_, claim.through, generation)
        return [*repaired, *self._settle_ends(claim)]

    def _settle_ends(self, claim: ClaimedTotal) -> list[Effect]:
        """Count unequal ends as equal once a range that contains theirs compares equal."""
        effects: list[Effect] = []
        for execution, (end, equal) in self._ends.items():
            low = max(end.from_, self.floor_ms)
            contains = claim.from_ <= low and end.through <= claim.through
            if not equal and (contains or self.proof.is_verified(end.from_, end.through)):
                self._ends[execution] = (end, True)
                effects.append(_end_status(end, equal=True))
        return effects

    def _resend(self, claim: ClaimedTotal, result: FollowUp, *, scanned: bool) -> None:
        """Request a repair of an unequal range, unless one has failed there before [13]."""
        if self._was_given_up(claim):
            self.proof.withdraw_verified(claim.from_, claim.through)
            result.requests += [
                RangeRequest("verify", low, high, scanned=scanned)
                for low, high in self.proof.not_given_up(claim.from_, claim.through)
            ]
            return
        result.effects.append(self._add_unequal(claim, final=False))
        result.requests.append(RangeRequest("repair", claim.from_, claim.through, scanned))

    def _was_given_up(self, claim: ClaimedTotal) -> bool:
        """Whether part of the range stayed unequal after a repair: no second one [13]."""
        return self.proof.is_given_up(claim.from_, claim.through)

    def _add_unequal(self, claim: ClaimedTotal, *, final: bool) -> UnequalRange:
        """Report an unequal range; ``final`` after a failed repair, which is not retried [13]."""
        missing = claim.count - self.total(claim.from_, claim.through, claim.seq).count
        return self.proof.add_unequal(claim.from_, claim.through, missing, final=final)

    def _unconfirm_unseen(self, claim: ClaimedTotal, seen: Collection[int]) -> list[Effect]:
        """Unconfirm the events that a repair did not bring again [13]."""
        low, high = time_key(claim.from_), time_key(claim.through + 1) - 1
        held = self.tally.keys_between(low, high, claim.seq)
        unseen = [key for key in held if key not in seen]
        self.tally.unconfirm(unseen)
        return [Unconfirmed(unseen)] if unseen else []


def _end_status(end: End, *, equal: bool) -> EndStatus:
    return EndStatus(end.execution, end.status, end.from_, end.through, end.count, equal)
