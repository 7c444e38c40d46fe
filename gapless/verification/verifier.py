"""Verifies a range: reads it whole from CloudWatch and from the forwarder, and compares.

This process reads CloudWatch itself, so that no error of the forwarder can hide a loss. The
comparison ends where the forwarder says that it is complete, so that events which are just
arriving do not count as missing.
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
from common.ranges import Range
from forwarder.cloudwatch.catalogue import find_group, find_stream
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.errors import CloudWatchError
from gapless.targets.grammar import ForwarderTarget
from gapless.verification.compare import Comparison, Difference, OrderError, Side, SideEvent
from gapless.verification.sources import DeclaredLosses, ForwarderPages, connect_for_losses
from wire.digest import digest_hex

PATIENCE_S: Final = 60.0
"""Longest wait without progress; then only the range verified so far is compared."""

POLL_S: Final = 0.5
"""Pause between questions how far the forwarder is."""

ARRIVING_S: Final = 15.0
"""Longest wait for events that have just been ingested."""

RECENT_MS: Final = 5_000
"""An event ingested this shortly before the comparison began, or later, has just come."""

RECHECKS_MAX: Final = 200
"""Milliseconds with a difference that are read again; with more, the forwarder is broken."""

_DAY_MS: Final = 86_400_000

Progress = Callable[[str], None]
"""Called now and then with a short text about the progress."""

Say = Callable[[str], None]
"""Called with a line that is to stay, at each change."""


def verified_through(
    proofs: Collection[tuple[int, int | None]], since: int, declared: Sequence[Range]
) -> int | None:
    """Return the time through which everything from ``since`` on is verified or declared as lost.

    Args:
        proofs: Times asked for, and through when the forwarder is complete from there.
        since: Start, ms since the Unix epoch.
        declared: Ranges that the forwarder declares as lost.
    """
    reached = since - 1
    spans = [(from_, through) for from_, through in proofs if through is not None]
    for from_, through in sorted([*spans, *declared]):
        if from_ <= reached + 1:
            reached = max(reached, through)
    return reached if reached >= since else None


def next_unverified(since: int, reached: int | None) -> int:
    """Return the start of the next range to ask the forwarder about."""
    return since if reached is None else reached + 1


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


class VerificationResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a verification; times in ms since the Unix epoch.

    Attributes:
        pattern: Only events that match it were compared; empty: all.
        through: End of the compared range.
        wanted_through: End of the requested range; the rest is not verified by the forwarder yet.
        unverified: Why the rest is not verified, as far as is known.
        cloudwatch: Number of events that CloudWatch returned.
        forwarder: Number of events that the forwarder served.
        counts: Number of differences by kind, listed or not.
        digest_agrees: Whether /v1/digest is the digest of the events that /v1/logs served.
    """

    group: str
    pattern: str = ""
    since: int
    through: int
    wanted_through: int
    unverified: str = ""
    cloudwatch: int
    forwarder: int
    equal: int
    differences: list[ExplainedDifference]
    counts: dict[str, int]
    declared: list[Range]
    digest_agrees: bool
    clean: bool


class Verification:
    """Compares one log group of a forwarder with CloudWatch."""

    def __init__(
        self,
        target: ForwarderTarget,
        group: str,
        cloudwatch: CloudWatch,
        *,
        token: str | None,
        progress: Progress,
        say: Say,
        pattern: str = "",
    ) -> None:
        """``pattern`` is CloudWatch's filter pattern, which both sides are read with."""
        self._target = target
        self._group = group
        self._pattern = pattern
        self._cloudwatch = cloudwatch
        self._token = token
        self._progress = progress
        self._say = say
        self._suspected = ""
        self._forwarder = self._pages()

    async def run(self, since: int, until: int) -> VerificationResult:
        """Compare ``since <= timestamp <= until``, as far as the forwarder has verified it.

        Raises:
            GaplessError: it cannot be compared; exit code 4 if nothing is verified.
            CloudWatchError: CloudWatch cannot be read.
        """
        began_ms = _now_ms()
        await self._cloudwatch.check(self._group, self._pattern)
        async with connect_for_losses(
            self._target, self._group, since, self._token, pattern=self._pattern
        ) as losses:
            through = await self._wait_verified(since, until, losses)
            comparison = await self._compare(since, through)
            digest = await self._forwarder.digest(since, through)
            facts = await self._gather_facts(comparison, began_ms, since, through, losses)
        explained = explain(comparison.differences, facts)
        agrees = digest == (comparison.count("forwarder"), digest_hex(comparison.digest))
        return VerificationResult(
            group=self._group,
            pattern=self._pattern,
            since=since,
            through=through,
            wanted_through=until,
            unverified=self._suspected if through < until else "",
            cloudwatch=comparison.count("cloudwatch"),
            forwarder=comparison.count("forwarder"),
            equal=comparison.equal,
            differences=explained,
            counts=_counts(comparison, explained),
            declared=list(facts.declared),
            digest_agrees=agrees,
            clean=agrees and is_clean(comparison, explained),
        )

    def _pages(self) -> ForwarderPages:
        """Return a client of the forwarder's pages."""
        return ForwarderPages(self._target, self._group, self._token, pattern=self._pattern)

    async def _wait_verified(self, since: int, until: int, losses: DeclaredLosses) -> int:
        """Wait until the range is verified or progress stops; return through when it is."""
        proofs: dict[int, int | None] = {}
        reached: int | None = None
        moved = time.monotonic()
        while time.monotonic() - moved < PATIENCE_S:
            losses.check_connection()
            asked = next_unverified(since, reached)
            proofs[asked] = await self._forwarder.complete_through(asked)
            ranges = _within(losses.ranges, since, until)
            before, reached = reached, verified_through(list(proofs.items()), since, ranges)
            if reached is not None and reached >= until:
                return until
            self._note_suspected(losses.suspected(next_unverified(since, reached), until))
            if reached != before:
                moved = time.monotonic()
                continue
            why = self._suspected or f"CloudWatch: {losses.upstream}"
            waited_s = time.monotonic() - moved
            wait = f"{waited_s:.0f} of at most {PATIENCE_S:.0f} s"
            self._progress(f"waiting for the forwarder's scan of {self._group}, {wait} ({why})")
            await asyncio.sleep(POLL_S)
        if reached is None:
            why = self._suspected or f"CloudWatch: {losses.upstream}"
            msg = (
                f"the forwarder verified nothing of {self._group} since then within "
                f"{PATIENCE_S:.0f} s ({why}): try a later --since"
            )
            raise GaplessError(msg, EXIT_INCOMPLETE)
        return reached

    def _note_suspected(self, why: str) -> None:
        """Print why the range may stay incomplete, once for each change of the reason."""
        if why and why != self._suspected:
            self._say(f"{self._group}: gap suspected… {why}")
        self._suspected = why

    async def _compare(self, since: int, through: int) -> Comparison:
        comparison = Comparison()
        async with AsyncExitStack() as stack:
            streams: dict[Side, AsyncGenerator[list[SideEvent], None]] = {
                "cloudwatch": self._cloudwatch_pages(since, through),
                "forwarder": self._forwarder.pages(since, through),
            }
            for stream in streams.values():
                await stack.enter_async_context(aclosing(stream))
            while (side := comparison.behind) is not None:
                page = await anext(streams[side], None)
                if page is None:
                    comparison.end_side(side)
                    continue
                try:
                    comparison.add_page(side, page)
                except OrderError as error:
                    msg = f"the events of the {side} are not in order of time: {error}"
                    raise GaplessError(msg) from error
                count = comparison.count("cloudwatch")
                self._progress(f"{count:,} events read, {comparison.equal:,} equal")
        return comparison

    async def _cloudwatch_pages(
        self, since: int, through: int
    ) -> AsyncGenerator[list[SideEvent], None]:
        pages = self._cloudwatch.fetch_logs_since_timestamp(
            self._group, since, through, pattern=self._pattern
        )
        async with aclosing(pages):
            async for page in pages:
                yield [
                    SideEvent(one.id, one.timestamp, one.stream, one.message, one.ingestion_time)
                    for one in page
                ]

    async def _gather_facts(
        self,
        comparison: Comparison,
        began_ms: int,
        since: int,
        through: int,
        losses: DeclaredLosses,
    ) -> Facts:
        """Gather the facts that explain the differences; no calls without differences."""
        of_kind: dict[str, list[SideEvent]] = {"missing": [], "surplus": []}
        for one in comparison.differences:
            of_kind.get(one.kind, []).append(one.event)
        found = await self._found_by_now(of_kind["missing"], began_ms)
        found |= await self._returned_again(of_kind["surplus"])
        return Facts(
            began_ms=began_ms,
            retained_from=await self._retained_from() if of_kind["surplus"] else None,
            declared=_within(losses.ranges, since, through),
            deleted=await self._deleted(of_kind["surplus"]),
            found=frozenset(found),
        )

    async def _found_by_now(self, missing: Sequence[SideEvent], began_ms: int) -> set[str]:
        """Return the missing events that the forwarder has discovered since its pages were read.

        Waits a little for events that have just been ingested. An event that the forwarder had
        when its pages were read, and did not serve, stays missing.
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
                # Another client: the digest must be that of the pages that were compared.
                again = self._pages()
                async with aclosing(again.pages(at, at)) as pages:
                    async for page in pages:
                        is_same = again.head is not None and again.head[0] == epoch
                        found |= {one.id for one in page if is_same and one.seq > head_seq} & ids
            if recent <= found or time.monotonic() > deadline:
                break
            self._progress("waiting for events that were just ingested")
            await asyncio.sleep(POLL_S)
        return found

    async def _returned_again(self, surplus: Sequence[SideEvent]) -> set[str]:
        """Return the surplus events that CloudWatch returns when asked again."""
        ids = {one.id for one in surplus}
        found: set[str] = set()
        for at in sorted({one.timestamp for one in surplus})[:RECHECKS_MAX]:
            async with aclosing(self._cloudwatch_pages(at, at)) as pages:
                async for page in pages:
                    found |= {one.id for one in page} & ids
        return found

    async def _retained_from(self) -> int | None:
        try:
            info = await find_group(self._cloudwatch, self._group)
        except CloudWatchError:
            return None  # without permission to ask, retention explains nothing
        days = None if info is None else info.retention_days
        return None if days is None else _now_ms() - days * _DAY_MS

    async def _deleted(self, surplus: Sequence[SideEvent]) -> frozenset[str]:
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


def _counts(comparison: Comparison, explained: Sequence[ExplainedDifference]) -> dict[str, int]:
    """Count differences by kind: the explained ones, and those too many to be listed."""
    counts: Counter[str] = Counter(comparison.counts)
    counts.subtract(one.kind for one in comparison.differences)
    counts.update(one.kind for one in explained)
    return dict(counts)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
