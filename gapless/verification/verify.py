"""Verifies a range: waits until it is proved, reads both sides whole, says in what they differ.

CloudWatch is read by this process itself, so that nothing that the forwarder believes, keeps or
gets wrong can excuse it. The comparison stops where the forwarder says that it is complete, so
that events which are just arriving are not called missing.

What a difference means: lost, declared, explained by retention, or merely on its way. Pure.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Final, Literal

import msgspec

from common.errors import EXIT_INCOMPLETE, GaplessError
from forwarder.cloudwatch.catalogue import find_group, find_stream
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.errors import CloudWatchError
from gapless.options import ForwarderTarget
from gapless.verification.compare import Comparison, Difference, OrderError, Seen, Side
from gapless.verification.sources import Declared, Forwarder, listen
from wire.digest import digest_hex

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


PATIENCE_S: Final = 60.0
"""So long without getting further: then what is proved so far is compared."""

LOOK_S: Final = 0.5
"""How often the forwarder is asked how far it is."""

ARRIVING_S: Final = 15.0
"""How long late events that have just come are waited for."""

RECENT_MS: Final = 5_000
"""What came so shortly before the begin, or later, has just come."""

RECHECKS_MAX: Final = 200
"""Milliseconds with a difference that are asked for again; with more, something is wrong."""

_DAY_MS: Final = 86_400_000

Progress = Callable[[str], None]
"""Told, now and then, in a few words how far it is."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; times in ms since the Unix epoch."""

    group: str
    since: int
    through: int
    wanted_through: int
    """As asked for; where it is later than ``through``, the forwarder has not proved the rest."""
    cloudwatch: int
    """Events that CloudWatch returned."""
    forwarder: int
    equal: int
    judged: list[Judged]
    counts: dict[str, int]
    """How many of each kind there are, listed or not."""
    declared: list[Range]
    digest_agrees: bool
    """Whether /v1/digest is the digest of the events that /v1/logs gave."""
    clean: bool


class Verification:
    """One run."""

    def __init__(
        self,
        target: ForwarderTarget,
        group: str,
        cloudwatch: CloudWatch,
        *,
        token: str | None,
        progress: Progress,
    ) -> None:
        """Nothing is asked yet."""
        self._target = target
        self._group = group
        self._cloudwatch = cloudwatch
        self._token = token
        self._progress = progress
        self._forwarder = Forwarder(target, group, token)

    async def run(self, since: int, until: int) -> Verdict:
        """Compare ``since <= timestamp <= until``, as far as the forwarder has proved it.

        Raises:
            GaplessError: it can't be compared; with exit code 4 where nothing is proved.
            CloudWatchError: CloudWatch can't be read.

        """
        began_ms = _now_ms()
        await self._cloudwatch.check(self._group)
        async with listen(self._target, self._group, since, self._token) as declared:
            through = await self._proved(since, until, declared)
            comparison = await self._compare(since, through)
            digest = await self._forwarder.digest(since, through)
            known = await self._known(comparison, began_ms, since, through, declared)
        judged = judge(comparison.differences, known)
        agrees = digest == (comparison.count("forwarder"), digest_hex(comparison.digest))
        return Verdict(
            group=self._group,
            since=since,
            through=through,
            wanted_through=until,
            cloudwatch=comparison.count("cloudwatch"),
            forwarder=comparison.count("forwarder"),
            equal=comparison.equal,
            judged=judged,
            counts=_counts(comparison, judged),
            declared=list(known.declared),
            digest_agrees=agrees,
            clean=agrees and is_clean(comparison, judged),
        )

    async def _proved(self, since: int, until: int, declared: Declared) -> int:
        """Wait until the range is proved, or nothing moves any more; how far it is."""
        proofs: dict[int, int | None] = {}
        reached: int | None = None
        moved = time.monotonic()
        while time.monotonic() - moved < PATIENCE_S:
            declared.check()
            asked = next_unproved(since, reached)
            proofs[asked] = await self._forwarder.complete_through(asked)
            ranges = _within(declared.ranges, since, until)
            before, reached = reached, proved_through(list(proofs.items()), since, ranges)
            if reached is not None and reached >= until:
                return until
            if reached != before:
                moved = time.monotonic()
                continue
            self._progress(f"waiting for the forwarder's proof (CloudWatch is {declared.upstream})")
            await asyncio.sleep(LOOK_S)
        if reached is None:
            msg = (
                f"the forwarder has proved nothing of {self._group} since then, in "
                f"{PATIENCE_S:.0f} s (CloudWatch is {declared.upstream}): try a later --since"
            )
            raise GaplessError(msg, EXIT_INCOMPLETE)
        return reached

    async def _compare(self, since: int, through: int) -> Comparison:
        comparison = Comparison()
        async with AsyncExitStack() as stack:
            streams: dict[Side, AsyncGenerator[list[Seen], None]] = {
                "cloudwatch": self._of_cloudwatch(since, through),
                "forwarder": self._forwarder.pages(since, through),
            }
            for stream in streams.values():
                await stack.enter_async_context(aclosing(stream))
            while (side := comparison.behind) is not None:
                page = await anext(streams[side], None)
                if page is None:
                    comparison.end(side)
                    continue
                try:
                    comparison.take(side, page)
                except OrderError as error:
                    msg = f"the {side} is not in order of time: {error}"
                    raise GaplessError(msg) from error
                count = comparison.count("cloudwatch")
                self._progress(f"{count:,} events read, {comparison.equal:,} equal")
        return comparison

    async def _of_cloudwatch(self, since: int, through: int) -> AsyncGenerator[list[Seen], None]:
        pages = self._cloudwatch.fetch_logs_since_timestamp(self._group, since, through)
        async with aclosing(pages):
            async for page in pages:
                yield [
                    Seen(one.id, one.timestamp, one.stream, one.message, one.ingestion_time)
                    for one in page
                ]

    async def _known(
        self, comparison: Comparison, began_ms: int, since: int, through: int, declared: Declared
    ) -> Known:
        """What explains the differences; nothing is asked where there are none."""
        of_kind: dict[str, list[Seen]] = {"missing": [], "surplus": []}
        for one in comparison.differences:
            of_kind.get(one.kind, []).append(one.seen)
        found = await self._found_by_now(of_kind["missing"], began_ms)
        found |= await self._returned_again(of_kind["surplus"])
        return Known(
            began_ms=began_ms,
            retained_from=await self._retained_from() if of_kind["surplus"] else None,
            declared=_within(declared.ranges, since, through),
            deleted=await self._deleted(of_kind["surplus"]),
            found=frozenset(found),
        )

    async def _found_by_now(self, missing: Sequence[Seen], began_ms: int) -> set[str]:
        """Which events the forwarder has learnt of since; for what came just now, wait a little.

        One that it had when its pages were read, and did not give, is missing all the same.
        """
        assert self._forwarder.head is not None
        epoch, head_seq = self._forwarder.head
        ids = {one.id for one in missing}
        recent = {
            one.id
            for one in missing
            if one.ingestion_time is not None and one.ingestion_time >= began_ms - RECENT_MS
        }
        times = sorted({one.timestamp for one in missing})[:RECHECKS_MAX]
        found: set[str] = set()
        deadline = time.monotonic() + ARRIVING_S
        while times:
            for at in times:
                # Another one: the digest is to be asked for the pages that were compared.
                again = Forwarder(self._target, self._group, self._token)
                async with aclosing(again.pages(at, at)) as pages:
                    async for page in pages:
                        is_same = again.head is not None and again.head[0] == epoch
                        found |= {one.id for one in page if is_same and one.seq > head_seq} & ids
            if recent <= found or time.monotonic() > deadline:
                break
            self._progress("waiting for events that have just come")
            await asyncio.sleep(LOOK_S)
        return found

    async def _returned_again(self, surplus: Sequence[Seen]) -> set[str]:
        """Which events CloudWatch returns, asked again, that it had not."""
        ids = {one.id for one in surplus}
        found: set[str] = set()
        for at in sorted({one.timestamp for one in surplus})[:RECHECKS_MAX]:
            async with aclosing(self._of_cloudwatch(at, at)) as pages:
                async for page in pages:
                    found |= {one.id for one in page} & ids
        return found

    async def _retained_from(self) -> int | None:
        try:
            info = await find_group(self._cloudwatch, self._group)
        except CloudWatchError:
            return None  # without permission to ask, nothing is explained by it
        days = None if info is None else info.retention_days
        return None if days is None else _now_ms() - days * _DAY_MS

    async def _deleted(self, surplus: Sequence[Seen]) -> frozenset[str]:
        deleted = set()
        for stream in sorted({one.stream for one in surplus})[:RECHECKS_MAX]:
            try:
                found = await find_stream(self._cloudwatch, self._group, stream)
            except CloudWatchError:
                break
            if found is None:
                deleted.add(stream)
        return frozenset(deleted)


def _within(ranges: Sequence[Range], since: int, through: int) -> tuple[Range, ...]:
    return tuple(
        (max(from_, since), min(to, through))
        for from_, to in ranges
        if to >= since and from_ <= through
    )


def _counts(comparison: Comparison, judged: Sequence[Judged]) -> dict[str, int]:
    """By kind: as judged, and what was too much to be listed."""
    counts: Counter[str] = Counter(comparison.counts)
    counts.subtract(one.kind for one in comparison.differences)
    counts.update(one.kind for one in judged)
    return dict(counts)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
