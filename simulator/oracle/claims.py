"""Pure: which marks lied.

A mark says (PROTOCOL.md) that every event of its range which a whole scan begun at ``scanned_at``
returned had been delivered when the mark came. CloudWatch returns to such a scan whatever was
visible when it began and stays. Hence a mark lied if such an event

- is not displayed at all; or
- is displayed with a seq above the mark's: the forwarder discovered it only after it had said
  that nothing was missing, however soon. This is seen in a record of long after.

What only became visible after the scan had begun is late news, whatever its timestamp, and makes
nobody a liar. Seqs are compared within one chain of epochs alone: what the record does not call
confirmed, and what several forwarders have numbered, is taken to have been there in time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from simulator.oracle.accepted import Identity, LedgerEvent
from simulator.oracle.record import Claim, Record, Shown

_BLOCK: Final = 512
"""Displayed events that are passed over at once where none of them came after a mark."""


def lies(
    claims: Sequence[Claim],
    record: Record,
    accepted: Sequence[LedgerEvent],
    missing: Iterable[LedgerEvent],
    copies: Mapping[Identity, int],
) -> list[Identity]:
    """Of each of the claims that is not true one event that shows it, in the claims' order.

    Args:
        claims: marks that were found equal, with the moments of their scans by a right clock.
        record: what is displayed; its events may stand in any order.
        accepted: all that CloudWatch accepted.
        missing: those of them that should be displayed and are not.
        copies: how many equal events are displayed, each id once.

    """
    missing = sorted(missing, key=lambda event: event.timestamp)
    times = [event.timestamp for event in missing]
    discovered = _Discoveries(record.shown if len(record.targets) <= 1 else ())
    after = [discovered.after(claim) for claim in claims]
    wanted = {identity for late in after for identity in late}
    known: dict[Identity, list[LedgerEvent]] = {identity: [] for identity in wanted}
    for event in accepted if wanted else ():
        if event.identity in known:
            known[event.identity].append(event)
    found: list[Identity] = []
    for claim, late in zip(claims, after, strict=True):
        low, high = bisect_left(times, claim.from_), bisect_right(times, claim.through)
        never = (
            event.identity for event in missing[low:high] if event.is_owed_by(claim.scanned_at)
        )
        too_late = _not_in_time(claim, late, known, copies)
        for identity in (*_first(claim, record, never), *_first(claim, record, too_late)):
            found.append(identity)
            break
    return found


def _first(claim: Claim, record: Record, identities: Iterable[Identity]) -> list[Identity]:
    """The first that the claim is about, if there is one."""
    covered = (one for one in identities if record.covers(claim, one[0]))
    return [one for one in [next(covered, None)] if one is not None]


def _not_in_time(
    claim: Claim,
    late: Mapping[Identity, int],
    known: Mapping[Identity, Sequence[LedgerEvent]],
    copies: Mapping[Identity, int],
) -> Iterator[Identity]:
    """Events of which fewer were there with the mark than its scan must have returned.

    Equal events can't be told apart: of as many as were there by then each may be the one that
    was visible.
    """
    for identity, count in late.items():
        owed = sum(event.is_owed_by(claim.scanned_at) for event in known[identity])
        if owed > copies[identity] - count:
            yield identity


class _Discoveries:
    """What is displayed, by timestamp, with the seq under which the forwarder discovered it."""

    def __init__(self, shown: Iterable[Shown]) -> None:
        self._rows = sorted(shown, key=lambda one: one.timestamp)
        self._times = [one.timestamp for one in self._rows]
        self._newest = [
            max(one.seq for one in self._rows[at : at + _BLOCK])
            for at in range(0, len(self._rows), _BLOCK)
        ]

    def after(self, claim: Claim) -> Counter[Identity]:
        """What a claim is about and was discovered after it."""
        low = bisect_left(self._times, claim.from_)
        high = bisect_right(self._times, claim.through)
        late: dict[str, Identity] = {}
        for block in range(low // _BLOCK, -(-high // _BLOCK)):
            if self._newest[block] > claim.seq:
                begin, end = max(low, block * _BLOCK), min(high, (block + 1) * _BLOCK)
                rows = self._rows[begin:end]
                late |= {one.id: one.identity for one in rows if one.seq > claim.seq}
        return Counter(late.values())
