"""What a difference means: lost, declared, explained by retention, or merely on its way. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal

import msgspec

from gapless.verification.compare import Comparison, Difference, Seen

Why = Literal["", "declared", "arriving", "retention", "deleted", "flapped"]
"""Why two sides differ.

declared: the forwarder says itself that it can't be had. arriving: CloudWatch took it in only
after the comparison had begun. retention, deleted: CloudWatch had it once. flapped: asked for
again, CloudWatch returned it. Empty: nothing explains it.
"""

HARMLESS: Final[frozenset[Why]] = frozenset({"arriving", "retention", "deleted", "flapped"})
"""With these a difference is no fault of the forwarder's."""

Range = tuple[int, int]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What explains differences; times in ms since the Unix epoch."""

    began_ms: int
    retained_from: int | None = None
    """What is older CloudWatch may have removed; None: the log group keeps everything."""
    declared: tuple[Range, ...] = ()
    """What the forwarder declares as lost or unrecoverable."""
    deleted: frozenset[str] = frozenset()
    """Log streams that do not exist any more."""
    found: frozenset[str] = frozenset()
    """Ids that the side which had lacked them has, asked again."""


class Judged(msgspec.Struct, frozen=True):
    """A difference, and why it is one."""

    kind: str
    seen: Seen
    why: Why


def judge(differences: Sequence[Difference], known: Known) -> list[Judged]:
    """Say why, of each difference; who is missing on one side and surplus on it, is altered.

    What was missing and is found now had been on its way, and is no difference any more.
    """
    surplus = {one.seen.id for one in differences if one.kind == "surplus"}
    moved = {one.seen.id for one in differences if one.kind == "missing"} & surplus
    judged = []
    for one in differences:
        kind: str = one.kind
        if one.seen.id in moved and kind in ("missing", "surplus"):
            if kind == "surplus":
                continue
            kind = "altered"
        elif one.seen.id in known.found and kind == "missing":
            continue
        judged.append(Judged(kind, one.seen, _why(kind, one.seen, known)))
    return judged


def proved_through(
    proofs: Collection[tuple[int, int | None]], since: int, declared: Sequence[Range]
) -> int | None:
    """How far from ``since`` on everything is proved, or declared as not to be had.

    Args:
        proofs: from when on the forwarder was asked, and through when it said it is complete.
        since: ms.
        declared: what the forwarder declares as lost.

    """
    reached = since - 1
    spans = [(from_, through) for from_, through in proofs if through is not None]
    for from_, through in sorted([*spans, *declared]):
        if from_ <= reached + 1:
            reached = max(reached, through)
    return reached if reached >= since else None


def next_unproved(since: int, reached: int | None) -> int:
    """From when on the forwarder is to be asked next."""
    return since if reached is None else reached + 1


def is_clean(comparison: Comparison, judged: Sequence[Judged]) -> bool:
    """Whether nothing is missing, altered, doubled or invented."""
    listed = len(comparison.differences)
    if sum(comparison.counts.values()) > listed:
        return False
    return all(one.why in HARMLESS for one in judged)


def _why(kind: str, seen: Seen, known: Known) -> Why:
    if kind == "missing":
        if any(from_ <= seen.timestamp <= through for from_, through in known.declared):
            return "declared"
        ingested = seen.ingestion_time
        return "arriving" if ingested is not None and ingested >= known.began_ms else ""
    if kind == "surplus":
        if known.retained_from is not None and seen.timestamp < known.retained_from:
            return "retention"
        if seen.stream in known.deleted:
            return "deleted"
        return "flapped" if seen.id in known.found else ""
    return ""
