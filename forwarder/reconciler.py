"""When to scan what: the tiers of reconciliation. Pure: time is an argument.

Live delivery is a hint, a whole scan is the truth: the recent past is scanned again and again.
No tier goes by the timestamps of events, which may be hours ahead, but by when scans began.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from forwarder.ingest import OVERLAP_MS
from forwarder.scan import ScanKind

TierName = Literal["live", "recent", "drain", "deep"]

POLL_MS: Final = 1_000
RECENT_EVERY_MS: Final = 10_000
RECENT_SPAN_MS: Final = 120_000
DRAIN_EVERY_MS: Final = 2_500
"""A little more than the visibility allowance, by which two scans of a drain are apart."""
DEEP_EVERY_MS: Final = 30_000
DEEP_SHARE: Final = 20
"""The deep tier rests so many times its last duration: it may take a twentieth of the budget."""
DEEP_SPAN_MAX_MS: Final = 14 * 86_400_000
"""PutLogEvents takes nothing that is older."""
CATCH_UP_MAX_MS: Final = 3_600_000
"""A longer absence is left to backfill, so that the present does not wait for it."""
RETRY_MAX_MS: Final = 10_000
"""A tier that fails is tried again at twice the time each time, up to this (or its own)."""


class Due(msgspec.Struct, frozen=True):
    """A scan to begin now: its tier, and what ``LogGroup.begin_scan`` wants."""

    tier: TierName
    kind: ScanKind
    from_: int
    through: int | None


class _Tier:
    """When one tier runs next; running while ``began_ms`` is set."""

    __slots__ = ("began_ms", "every_ms", "failures", "next_ms", "share")

    def __init__(self, every_ms: int, next_ms: int, share: int = 0) -> None:
        self.every_ms = every_ms
        self.next_ms = next_ms
        self.share = share
        self.began_ms: int | None = None
        self.failures = 0

    def ended(self, now_ms: int, *, whole: bool) -> int:
        """It ended; when it had begun."""
        began_ms = now_ms if self.began_ms is None else self.began_ms
        self.began_ms = None
        self.failures = 0 if whole else self.failures + 1
        pause = self.every_ms << min(self.failures, 10)
        pause = min(pause, max(self.every_ms, RETRY_MAX_MS))
        self.next_ms = began_ms + max(pause, self.share * (now_ms - began_ms))
        return began_ms


class Schedule:
    """The tiers of one log group, each running once at a time.

    The shell asks ``due``, begins the scans it is given and says ``started`` of each, then
    ``finished`` or ``failed``; ``next_ms`` is when to ask again.
    """

    def __init__(
        self,
        start_ms: int,
        covered_ms: int | None = None,
        *,
        poll_ms: int = POLL_MS,
        overlap_ms: int = OVERLAP_MS,
    ) -> None:
        """Begin at ``start_ms``.

        Args:
            start_ms: now.
            covered_ms: the end of the journal's coverage: the first poll begins two minutes
                before it, unless it is more than an hour ago.
            poll_ms: how often to poll.
            overlap_ms: how far a poll looks back behind the begin of the last whole one.

        """
        self._overlap_ms = overlap_ms
        self._live_from = start_ms - overlap_ms
        if covered_ms is not None and covered_ms >= start_ms - CATCH_UP_MAX_MS:
            self._live_from = min(covered_ms, start_ms) - RECENT_SPAN_MS
        self._since: int | None = None
        self._unproved_below = 0 if covered_ms is None else covered_ms
        self._deep_from = 0
        self._drain: tuple[int, int] | None = None
        self._seen_ms = start_ms
        self._tiers: dict[TierName, _Tier] = {
            "live": _Tier(poll_ms, start_ms),
            "recent": _Tier(RECENT_EVERY_MS, start_ms + RECENT_EVERY_MS),
            "drain": _Tier(DRAIN_EVERY_MS, start_ms),
            "deep": _Tier(DEEP_EVERY_MS, start_ms, DEEP_SHARE),
        }

    def want(self, since: int | None, now_ms: int) -> None:
        """The oldest ``since`` of the viewers that are connected; None without any."""
        if since is not None and (self._since is None or since < self._since):
            deep = self._tiers["deep"]
            if since < self._unproved_below:
                # The journal has it from an earlier run, and nothing of this one proves it.
                deep.next_ms = min(deep.next_ms, now_ms)
            elif self._since is None:
                # What the viewer asked for is being fetched just now: look at it again later.
                deep.next_ms = max(deep.next_ms, now_ms + DEEP_EVERY_MS)
        self._since = since

    def want_drain(self, span: tuple[int, int] | None) -> None:
        """What ``LogGroup.draining`` says: a range that executions wait for before they end."""
        self._drain = span

    def hint(self, now_ms: int) -> None:
        """Something says that there is news: poll now."""
        live = self._tiers["live"]
        if not live.failures:
            live.next_ms = min(live.next_ms, now_ms)

    def due(self, now_ms: int) -> list[Due]:
        """The scans to begin now."""
        self._mind_the_clock(now_ms)
        return [
            scan
            for name, tier in self._tiers.items()
            if tier.began_ms is None
            and tier.next_ms <= now_ms
            and (scan := self._scan(name, now_ms)) is not None
        ]

    @property
    def next_ms(self) -> int:
        """When something becomes due by time alone."""
        return min(
            (
                tier.next_ms
                for name, tier in self._tiers.items()
                if tier.began_ms is None and self._scan(name, self._seen_ms) is not None
            ),
            default=self._seen_ms + POLL_MS,
        )

    def started(self, tier: TierName, now_ms: int) -> None:
        """The tier's scan begins; ``now_ms`` is what ``begin_scan`` was given."""
        self._tiers[tier].began_ms = now_ms
        if tier == "deep" and self._since is not None:
            self._deep_from = self._since

    def finished(self, tier: TierName, now_ms: int) -> None:
        """The tier's scan was whole."""
        began_ms = self._tiers[tier].ended(now_ms, whole=True)
        if tier == "live":
            self._live_from = began_ms - self._overlap_ms
        if tier == "deep":
            self._unproved_below = min(self._unproved_below, self._deep_from)

    def failed(self, tier: TierName, now_ms: int) -> None:
        """The tier's scan broke off: the next one covers the same again."""
        self._tiers[tier].ended(now_ms, whole=False)

    def _scan(self, tier: TierName, now_ms: int) -> Due | None:
        if tier == "live":
            # Open above: a stamp ahead of the clock is returned by every poll until its time.
            return Due(tier, "live", max(0, min(self._live_from, now_ms)), None)
        if tier == "recent":
            return Due(tier, "repair", max(0, now_ms - RECENT_SPAN_MS), now_ms)
        if tier == "drain":
            if self._drain is None or self._drain[0] > now_ms:
                return None
            return Due(tier, "repair", self._drain[0], min(self._drain[1], now_ms))
        if self._since is None or self._since > now_ms:
            return None
        return Due(tier, "repair", max(0, self._since, now_ms - DEEP_SPAN_MAX_MS), now_ms)

    def _mind_the_clock(self, now_ms: int) -> None:
        """A clock that was set back must not put off what is due, nor leave a hole behind."""
        if now_ms < self._seen_ms:
            for tier in self._tiers.values():
                tier.next_ms = min(tier.next_ms, now_ms + tier.every_ms)
                if tier.began_ms is not None:
                    tier.began_ms = min(tier.began_ms, now_ms)
            self._live_from = min(self._live_from, now_ms - RECENT_SPAN_MS)
        self._seen_ms = now_ms
