"""Which time ranges of a target are verified, which are known to be missing, and the T from both.

``complete_through`` is T: marks with equal count and digest cover ``[since, T]`` without a hole,
and no gap in it is unrecoverable or lost. In doubt a range counts as not verified. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from common.ranges import RangeSet
from tui.client.status import GapStatus, LostRange, UnequalRange
from tui.lines.rows import is_altered, is_outage
from wire.limits import END_GAP_MS, TIMESTAMP_MAX
from wire.messages import DeclaredGap, Gap, Lost

REPAIRED_MAX: Final = 100
"""Repaired gaps that stay in the list; older ones are dropped."""

GAPS_MAX: Final = 10_000
"""Gaps listed one by one; of the oldest beyond them only the ranges are kept."""

_OPEN: Final = ("suspected", "repairing")


def _may_close(gap: GapStatus) -> bool:
    """Whether a gap can be repaired: what is unrecoverable can't, unless it is an altered text."""
    return gap.state in _OPEN or (is_altered(gap.reason) and gap.state != "repaired")


class _KnownGap(msgspec.Struct):
    gap: GapStatus
    generation: int


class Proof:
    """One target's verified ranges, gaps and losses."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._verified = RangeSet()
        self._given_up = RangeSet()  # unequal after a repair: rule [13]
        self._unequal: list[UnequalRange] = []
        self._gaps: dict[str, _KnownGap] = {}
        self._unlisted = RangeSet()  # dropped from the list of gaps
        self._lost: dict[LostRange, None] = {}
        self._through: int | None = None
        self._is_through_stale = False
        self._repaired: dict[str, None] = {}  # ids of repaired gaps in the list, oldest first
        self._since: int | None = None

    @property
    def since(self) -> int | None:
        """Start of the requested history, ms; None until it is known."""
        return self._since

    @since.setter
    def since(self, since: int) -> None:
        self._since = since
        self._is_through_stale = True

    @property
    def complete_through(self) -> int | None:
        """T, ms; None where nothing is verified yet."""
        if self._is_through_stale:
            self._is_through_stale = False
            self._update_through()
        return self._through

    @property
    def unequal(self) -> tuple[UnequalRange, ...]:
        """Ranges that compared unequal and have not compared equal since."""
        return tuple(self._unequal)

    @property
    def gaps(self) -> tuple[GapStatus, ...]:
        """Declared gaps, oldest first."""
        return tuple(known.gap for known in self._gaps.values())

    @property
    def lost(self) -> tuple[LostRange, ...]:
        """Ranges whose events no longer exist at the forwarder or CloudWatch."""
        return tuple(self._lost)

    def overlaps_verified(self, from_: int, through: int) -> bool:
        """Whether any millisecond of a range is verified."""
        return self._verified.overlaps(from_, through)

    def is_verified(self, from_: int, through: int) -> bool:
        """Whether a range is verified, apart from what lies before ``since``."""
        return self._verified.covers(max(from_, self._since or 0), through)

    def is_given_up(self, from_: int, through: int) -> bool:
        """Whether any part of a range was repaired and stayed unequal."""
        return self._given_up.overlaps(from_, through)

    def not_given_up(self, from_: int, through: int) -> list[tuple[int, int]]:
        """The parts of a range that were not given up."""
        return self._given_up.missing(from_, through)

    def settled_through(self, from_: int) -> int | None:
        """Until when, from ``from_`` on, every millisecond is verified or known to be missing."""
        return RangeSet([*self._verified, *self.known_missing()]).end_from(from_)

    def known_missing(self) -> list[tuple[int, int]]:
        """Ranges that are lost, unrecoverable or given up, ascending."""
        return sorted({*self._given_up, *self._known_losses()})

    def unshown_gap(self, from_: int, through: int) -> GapStatus | None:
        """A gap in which events of an ended execution may be missing: open nearby, or lasting.

        An altered text is none: the event is shown, and its other text with it. An outage just
        after an end is none either: the scans behind the end came before it.
        """
        for known in self._gaps.values():
            gap = known.gap
            if gap.state == "repaired" or is_altered(gap.reason):
                continue
            is_wide = gap.state in _OPEN and not is_outage(gap.reason)
            margin = END_GAP_MS if is_wide else 0
            if gap.from_ms <= through + margin and from_ - margin <= gap.through_ms:
                return gap
        return None

    def add_verified(self, from_: int, through: int, generation: int) -> list[GapStatus]:
        """Add a fully scanned range that compared equal; returns the gaps it shows as repaired."""
        self._verified.add(from_, through)
        self.add_equal(from_, through)
        repaired = self._close_gaps(from_, through, generation)
        self._is_through_stale = True
        return repaired

    def add_equal(self, from_: int, through: int) -> None:
        """Clear a range that compared equal without a scan: neither unequal nor verified."""
        self._given_up.remove(from_, through)
        self._clear_unequal(from_, through)

    def add_unequal(self, from_: int, through: int, missing: int, *, final: bool) -> UnequalRange:
        """Add a range that compared unequal, none of which is verified; ``final`` as in [13]."""
        self._verified.remove(from_, through)
        self._clear_unequal(from_, through)
        if final:
            self._given_up.add(from_, through)
        unequal = UnequalRange(self._target, from_, through, max(1, missing), final)
        self._unequal.append(unequal)
        self._unequal.sort(key=lambda one: one.from_ms)
        self._is_through_stale = True
        return unequal

    def withdraw_verified(self, from_: int, through: int) -> None:
        """Remove a range from the verified ones until it is compared again."""
        self._verified.remove(from_, through)
        self._is_through_stale = True

    def rebase(self) -> None:
        """Drop every comparison, as nothing is confirmed any more; known losses stay."""
        self._verified.clear()
        self._given_up.clear()
        self._unequal.clear()
        self._is_through_stale = True

    def replace_gaps(self, gaps: Sequence[DeclaredGap], generation: int) -> list[GapStatus]:
        """Replace the gaps by all that are not repaired; returns those that have changed."""
        listed = {gap.id for gap in gaps}
        gone = [
            known.gap
            for known in self._gaps.values()
            if known.gap.id not in listed and _may_close(known.gap)
        ]
        changed = []
        for former in gone:
            closed = msgspec.structs.replace(former, state="repaired")
            self._gaps[closed.id] = _KnownGap(closed, generation)
            self._note_repaired(closed)
            changed.append(closed)
        for gap in gaps:
            known = self._gaps.get(gap.id)
            status = self.put_gap(gap, generation)
            if known is None or known.gap != status:
                changed.append(status)
        self._drop_old_gaps()
        self._is_through_stale = True
        return changed

    def put_gap(self, gap: Gap | DeclaredGap, generation: int) -> GapStatus:
        """Add or replace the gap with this id."""
        status = GapStatus(
            self._target, gap.id, gap.from_, gap.through, gap.state, gap.reason, gap.recovered
        )
        self._gaps[gap.id] = _KnownGap(status, generation)
        self._note_repaired(status)
        self._drop_old_gaps()
        self._is_through_stale = True
        return status

    def put_lost(self, lost: Lost) -> LostRange | None:
        """Add a range of ``welcome.lost``; None where it is known already."""
        entry = LostRange(self._target, lost.from_, lost.through, lost.reason)
        if entry in self._lost:
            return None
        self._lost[entry] = None
        self._is_through_stale = True
        return entry

    def _close_gaps(self, from_: int, through: int, generation: int) -> list[GapStatus]:
        """Close the open gaps in a scanned range that this connection did not repeat [9]."""
        closed = []
        for known in self._gaps.values():
            gap = known.gap
            inside = from_ <= max(gap.from_ms, self._since or 0) and gap.through_ms <= through
            if _may_close(gap) and known.generation < generation and inside:
                known.gap = msgspec.structs.replace(gap, state="repaired")
                self._note_repaired(known.gap)
                closed.append(known.gap)
        return closed

    def _note_repaired(self, gap: GapStatus) -> None:
        self._repaired.pop(gap.id, None)
        if gap.state == "repaired":
            self._repaired[gap.id] = None

    def _drop_old_gaps(self) -> None:
        while len(self._repaired) > REPAIRED_MAX:
            oldest = next(iter(self._repaired))
            del self._repaired[oldest], self._gaps[oldest]
        while len(self._gaps) > GAPS_MAX:
            gap = self._gaps.pop(next(iter(self._gaps))).gap
            self._repaired.pop(gap.id, None)
            self._unlisted.add(gap.from_ms, gap.through_ms)

    def _clear_unequal(self, from_: int, through: int) -> None:
        """Cut a range that was compared again out of the unequal ones."""
        remaining = []
        for entry in self._unequal:
            if entry.through_ms < from_ or through < entry.from_ms:
                remaining.append(entry)
                continue
            if entry.from_ms < from_:
                remaining.append(msgspec.structs.replace(entry, through_ms=from_ - 1))
            if through < entry.through_ms:
                remaining.append(msgspec.structs.replace(entry, from_ms=through + 1))
        self._unequal = remaining

    def _known_losses(self) -> list[tuple[int, int]]:
        gaps = [known.gap for known in self._gaps.values()]
        ranges = [(gap.from_ms, gap.through_ms) for gap in gaps if gap.state == "unrecoverable"]
        ranges += [(lost.from_ms, lost.through_ms) for lost in self._lost]
        return ranges + list(self._unlisted)

    def _update_through(self) -> None:
        """Recompute T from the verified ranges and the known losses."""
        if self._since is None:
            return
        through = self._verified.end_from(self._since)
        if through is not None:
            firsts = [low for low, high in self._known_losses() if high >= self._since]
            through = min([through, *(low - 1 for low in firsts)])
        is_verified = through is not None and through >= self._since
        self._through = min(through, TIMESTAMP_MAX) if is_verified and through is not None else None
