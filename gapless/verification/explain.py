"""Explains differences: declared by the forwarder, removed by retention, in flight. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from common.ranges import Range
from gapless.verification.compare import Comparison, Difference, SideEvent

Reason = Literal["", "declared", "arriving", "retention", "deleted", "flapped"]
"""Why two sides differ.

declared: the forwarder declares the event as lost. arriving: CloudWatch ingested it after the
comparison had begun. retention, deleted: CloudWatch had it before. flapped: CloudWatch returned
it when asked again. Empty: unexplained.
"""

HARMLESS: Final[frozenset[Reason]] = frozenset({"arriving", "retention", "deleted", "flapped"})
"""Reasons that are no fault of the forwarder."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts that explain differences; times in ms since the Unix epoch.

    Attributes:
        began_ms: When the comparison began.
        retained_from: CloudWatch may have removed older events; None: it keeps everything.
        declared: Ranges that the forwarder declares as lost or unrecoverable.
        deleted: Log streams that no longer exist.
        found: Ids that the side without them has when asked again.
    """

    began_ms: int
    retained_from: int | None = None
    declared: tuple[Range, ...] = ()
    deleted: frozenset[str] = frozenset()
    found: frozenset[str] = frozenset()


class ExplainedDifference(msgspec.Struct, frozen=True):
    """A difference with its reason."""

    kind: str
    event: SideEvent
    reason: Reason


def explain(differences: Sequence[Difference], facts: Facts) -> list[ExplainedDifference]:
    """Return each difference with its reason.

    An event that is both missing and surplus, at different times, is altered. A missing event
    that is found by now was in flight, and is left out.
    """
    surplus = {one.event.id for one in differences if one.kind == "surplus"}
    moved = {one.event.id for one in differences if one.kind == "missing"} & surplus
    explained = []
    for one in differences:
        kind: str = one.kind
        if one.event.id in moved and kind in ("missing", "surplus"):
            if kind == "surplus":
                continue
            kind = "altered"
        elif one.event.id in facts.found and kind == "missing":
            continue
        explained.append(ExplainedDifference(kind, one.event, _reason(kind, one.event, facts)))
    return explained


def is_clean(comparison: Comparison, explained: Sequence[ExplainedDifference]) -> bool:
    """Return whether no event is missing, altered, duplicated or invented by the forwarder."""
    listed = len(comparison.differences)
    if sum(comparison.counts.values()) > listed:
        return False
    return all(one.reason in HARMLESS for one in explained)


def _reason(kind: str, event: SideEvent, facts: Facts) -> Reason:
    if kind == "missing":
        if any(from_ <= event.timestamp <= through for from_, through in facts.declared):
            return "declared"
        ingested = event.ingestion_time
        return "arriving" if ingested is not None and ingested >= facts.began_ms else ""
    if kind == "surplus":
        if facts.retained_from is not None and event.timestamp < facts.retained_from:
            return "retention"
        if event.stream in facts.deleted:
            return "deleted"
        return "flapped" if event.id in facts.found else ""
    return ""
