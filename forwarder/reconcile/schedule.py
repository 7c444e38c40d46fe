"""When to scan what: the tiers of reconciliation. Pure: time is an argument.

Live delivery is a hint, a whole scan is the truth: the past is scanned again and again, the
recent past often, the rest more and more seldom, and what viewers asked for as often as a
twentieth of the time allows. No tier goes by the timestamps of events, which may be hours ahead,
but by when scans began. A tier whose range another has just scanned waits its turn again.

========  ==================  =========================  ==================================
tier      every               over                       at most this part of the time
========  ==================  =========================  ==================================
live      1 s                 since the last whole one   whatever it takes
recent    10 s                2 min                      1/2
near      1 min               15 min                     1/4
wide      10 min              3 h                        1/10
far       1 h, while watched  14 days                    1/20
deep      30 s, while watched the oldest ``since`` [#]_  1/20
drain     2.5 s               an execution's end         while one waits to end
========  ==================  =========================  ==================================

.. [#] At most 14 days back, once this process has proved what is older.

Throttling makes the intervals longer (``pressure``): twice at most of ``live`` and ``recent``,
sixteen times of the others, of ``drain`` not at all.

Intervals are told by a clock that is never set (``timer_ms``), ranges by the wall clock.

How hard CloudWatch asks for fewer calls, and what gives way to that. Pure.

``CallBudget`` paces the calls that are wanted; this makes fewer of them wanted. What gives way
first is the looking again at a past that was seen before, the longer ago the more; polls come
last.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from forwarder.config import OVERLAP_MS, POLL_MS
from forwarder.ingest.scan import ScanKind

LEVEL_MAX: Final = 4
"""At the highest level scans come sixteen times as seldom."""

RAISE_MS: Final = 5_000
"""Throttled replies within so long count once: they are the same trouble."""

NEAREST_STRETCH_MAX: Final = 2
"""How many times as seldom the nearest tier comes at most: late news is to be found within a
minute, however long the throttling lasts.

At this it is one scan in 20 s beside ten polls, of as many pages while the log group is quiet. Put
off sixteen times it would save 0.044 calls a second, less than a tenth of the least that
``CallBudget`` allows itself. A scan of many pages is paced by that budget, polls first, takes
long, and then rests as long: what bounds it is its share of the time, not the stretch.
"""

EASE_MS: Final = 30_000
"""So long without a throttled reply, and the level falls by one."""


class Pressure:
    """A level from 0 (none) to ``LEVEL_MAX``; times in ms of a clock that is never set."""

    def __init__(self) -> None:
        """None."""
        self._level = 0
        self._raised_ms: int | None = None
        self._changed_ms = 0

    def throttled(self, timer_ms: int) -> None:
        """A call was throttled."""
        level = self.level(timer_ms)
        if self._raised_ms is None or timer_ms - self._raised_ms >= RAISE_MS:
            level = min(LEVEL_MAX, level + 1)
            self._raised_ms = timer_ms
        self._level, self._changed_ms = level, timer_ms

    def level(self, timer_ms: int) -> int:
        """How high it is now."""
        return max(0, self._level - max(0, timer_ms - self._changed_ms) // EASE_MS)

    def stretch_scans(self, timer_ms: int) -> int:
        """How many times as long the pauses between scans of the same range are."""
        return 1 << self.level(timer_ms)

    def stretch_nearest(self, timer_ms: int) -> int:
        """The same of the range in which most of what is late turns up."""
        return min(self.stretch_scans(timer_ms), NEAREST_STRETCH_MAX)

    def stretch_polls(self, timer_ms: int) -> int:
        """The same of polls: twice, when nothing else has helped."""
        return 2 if self.level(timer_ms) == LEVEL_MAX else 1


TierName = Literal["live", "recent", "near", "wide", "far", "drain", "deep"]
RECENT_EVERY_MS: Final = 10_000
RECENT_SPAN_MS: Final = 120_000
RECENT_SHARE: Final = 2
NEAR_EVERY_MS: Final = 60_000
NEAR_SPAN_MS: Final = 15 * 60_000
NEAR_SHARE: Final = 4
WIDE_EVERY_MS: Final = 600_000
WIDE_SPAN_MS: Final = 3 * 3_600_000
WIDE_SHARE: Final = 10
FAR_EVERY_MS: Final = 3_600_000
FAR_SPAN_MS: Final = 14 * 86_400_000
"""PutLogEvents takes nothing that is older."""
FAR_SHARE: Final = 20
DRAIN_EVERY_MS: Final = 2_500
"""A little more than the least visibility allowance, by which two scans of a drain are apart."""
DRAIN_MARGIN_MS: Final = 500
DEEP_EVERY_MS: Final = 30_000
DEEP_SHARE: Final = 20
"""A tier rests so many times its last duration: that is its part of the budget."""
CATCH_UP_MAX_MS: Final = 3_600_000
"""A longer absence is left to backfill, so that the present does not wait for it."""
RETRY_MAX_MS: Final = 10_000
"""A poll that fails is tried again at twice the time each time, up to this; a scan that comes
seldom is tried again after this, then at twice the time each time up to its own."""
JUMP_MS: Final = 500
"""A wall clock that gains or loses so much between two looks was set."""


class Due(msgspec.Struct, frozen=True):
    """A scan to begin now: its tier, and what ``LogGroup.begin_scan`` wants."""

    tier: TierName
    kind: ScanKind
    from_: int
    through: int | None


class _Tier:
    """When one tier runs next; running while ``running`` is set."""

    __slots__ = ("every_ms", "failures", "is_wanted_now", "last_ms", "rest_ms", "running", "share")

    def __init__(self, every_ms: int, last_ms: int, share: int, *, at_once: bool) -> None:
        self.every_ms = every_ms
        self.share = share
        self.last_ms = last_ms
        """When its range was last scanned, or tried to be."""
        self.rest_ms = 0
        """How long it rests from then on, for its share's sake."""
        self.failures = 0
        self.is_wanted_now = at_once
        self.running: _Running | None = None

    def next_ms(self, stretch: int) -> int:
        if self.is_wanted_now:
            return self.last_ms
        pause = self.every_ms * stretch
        if self.failures and self.every_ms < RETRY_MAX_MS:
            pause = max(pause, min(self.every_ms << min(self.failures, 10), RETRY_MAX_MS))
        elif self.failures:
            pause = min(pause, RETRY_MAX_MS << min(self.failures - 1, 10))
        return self.last_ms + max(pause, self.rest_ms)

    def begin(self, running: _Running) -> None:
        self.running = running
        self.is_wanted_now = False

    def end(self, timer_ms: int, *, whole: bool) -> _Running:
        running = self.running
        assert running is not None, "it had not started"
        self.running = None
        self.failures = 0 if whole else self.failures + 1
        self.last_ms = running.timer_ms
        self.rest_ms = self.share * (timer_ms - running.timer_ms)
        return running

    def scanned(self, timer_ms: int) -> None:
        """Another tier's scan, begun then, covered its range as well."""
        if self.running is None and timer_ms >= self.last_ms:
            self.rest_ms = max(0, self.last_ms + self.rest_ms - timer_ms)
            self.last_ms = timer_ms
            self.failures = 0
            self.is_wanted_now = False


class _Running(msgspec.Struct, frozen=True):
    """A scan under way: when it began, by both clocks, and from where."""

    timer_ms: int
    wall_ms: int
    from_: int


class Schedule:
    """The tiers of one log group, each running once at a time.

    The shell asks ``due``, begins the scans it is given and says ``started`` of each, then
    ``finished`` or ``failed``; ``next_ms`` is when to ask again.
    """

    def __init__(
        self,
        timer_ms: int,
        wall_ms: int,
        covered_ms: int | None = None,
        *,
        poll_ms: int = POLL_MS,
        overlap_ms: int = OVERLAP_MS,
    ) -> None:
        """Begin now.

        Args:
            timer_ms: now, by a clock that is never set.
            wall_ms: now, in ms since the Unix epoch.
            covered_ms: the end of the journal's coverage: the first poll begins two minutes
                before it, unless it is more than an hour ago.
            poll_ms: how often to poll.
            overlap_ms: how far a poll looks back behind the begin of the last whole one.

        """
        self._overlap_ms = overlap_ms
        self._live_from = wall_ms - overlap_ms
        if covered_ms is not None and covered_ms >= wall_ms - CATCH_UP_MAX_MS:
            self._live_from = min(covered_ms, wall_ms) - RECENT_SPAN_MS
        self._since: int | None = None
        self._covered_from: int | None = None
        self._unproved_below = 0 if covered_ms is None else covered_ms
        self._drain: tuple[int, int] | None = None
        self._pressure = Pressure()
        self._timer_ms, self._wall_ms = timer_ms, wall_ms
        self._jump_ms = 0
        self._tiers: dict[TierName, _Tier] = {
            "live": _Tier(poll_ms, timer_ms, 0, at_once=True),
            "recent": _Tier(RECENT_EVERY_MS, timer_ms, RECENT_SHARE, at_once=False),
            "drain": _Tier(DRAIN_EVERY_MS, timer_ms, 0, at_once=True),
            "deep": _Tier(DEEP_EVERY_MS, timer_ms, DEEP_SHARE, at_once=True),
            "near": _Tier(NEAR_EVERY_MS, timer_ms, NEAR_SHARE, at_once=False),
            "wide": _Tier(WIDE_EVERY_MS, timer_ms, WIDE_SHARE, at_once=False),
            "far": _Tier(FAR_EVERY_MS, timer_ms, FAR_SHARE, at_once=False),
        }

    # What it is told

    def want(self, since: int | None, timer_ms: int) -> None:
        """The oldest ``since`` of the viewers that are connected; None without any."""
        if since is not None and (self._since is None or since < self._since):
            deep = self._tiers["deep"]
            if since < self._unproved_below:
                # The journal has it from an earlier run, and nothing of this one proves it.
                deep.is_wanted_now = True
                deep.last_ms = min(deep.last_ms, timer_ms)
            elif self._since is None:
                # What the viewer asked for is being fetched just now: look at it again later.
                deep.is_wanted_now = False
                deep.last_ms = max(deep.last_ms, timer_ms)
        self._since = since

    def covers(self, from_: int | None) -> None:
        """Where the unbroken coverage begins that reaches the present; None: nowhere.

        What is older was never asked for, and is not fetched by looking for late events.
        """
        self._covered_from = from_

    def want_drain(self, span: tuple[int, int] | None) -> None:
        """What ``LogGroup.draining`` says: a range that executions wait for before they end."""
        self._drain = span

    def allow(self, allowance_ms: int) -> None:
        """The visibility allowance: two scans of a drain that are closer count as one."""
        self._tiers["drain"].every_ms = max(DRAIN_EVERY_MS, allowance_ms + DRAIN_MARGIN_MS)

    def hint(self, timer_ms: int) -> None:
        """Something says that there is news: poll now."""
        live = self._tiers["live"]
        if not live.failures:
            live.is_wanted_now = True
            live.last_ms = min(live.last_ms, timer_ms)

    def pace(self, poll_ms: int) -> None:
        """Poll so often from now on: a live path that is relied on leaves little to polls."""
        self._tiers["live"].every_ms = poll_ms

    def throttled(self, timer_ms: int) -> None:
        """CloudWatch asks for fewer calls: scans come more seldom, polls last of all."""
        self._pressure.throttled(timer_ms)

    # What it says

    @property
    def pressure(self) -> int:
        """How hard CloudWatch asks for fewer calls: 0 not at all, 4 at most."""
        return self._pressure.level(self._timer_ms)

    def due(self, timer_ms: int, wall_ms: int) -> list[Due]:
        """The scans to begin now."""
        self._mind_the_clock(timer_ms, wall_ms)
        return [
            scan
            for name, tier in self._tiers.items()
            if tier.running is None
            and self._next_of(name, tier) <= timer_ms
            and (scan := self._scan(name, wall_ms)) is not None
        ]

    def take_jump(self) -> int:
        """By how much the wall clock was set, as ``due`` has noticed since the last call."""
        jump_ms, self._jump_ms = self._jump_ms, 0
        return jump_ms

    @property
    def next_ms(self) -> int:
        """When something becomes due by time alone, by the clock that is never set."""
        return min(
            (
                self._next_of(name, tier)
                for name, tier in self._tiers.items()
                if tier.running is None and self._scan(name, self._wall_ms) is not None
            ),
            default=self._timer_ms + POLL_MS,
        )

    def started(self, due: Due, timer_ms: int, wall_ms: int) -> None:
        """A scan begins; ``wall_ms`` is what ``begin_scan`` was given."""
        self._tiers[due.tier].begin(_Running(timer_ms, wall_ms, due.from_))

    def finished(self, name: TierName, timer_ms: int, *, proved: bool = True) -> None:
        """The tier's scan was whole: it counts for every tier whose range it covered.

        ``proved``: whether its range is proved from its begin on, by this scan or another.
        """
        ran = self._tiers[name].end(timer_ms, whole=True)
        if name == "live":
            self._live_from = ran.wall_ms - self._overlap_ms
        elif name != "drain":
            if proved:
                self._unproved_below = min(self._unproved_below, ran.from_)
            for other in ("recent", "near", "wide", "far", "deep"):
                scan = self._scan(other, ran.wall_ms) if other != name else None
                if scan is not None and ran.from_ <= scan.from_:
                    self._tiers[other].scanned(ran.timer_ms)

    def failed(self, name: TierName, timer_ms: int) -> None:
        """The tier's scan broke off: the next one covers the same again."""
        self._tiers[name].end(timer_ms, whole=False)

    def _next_of(self, name: TierName, tier: _Tier) -> int:
        pressure, timer_ms = self._pressure, self._timer_ms
        if name == "live":
            return tier.next_ms(pressure.stretch_polls(timer_ms))
        if name == "recent":
            return tier.next_ms(pressure.stretch_nearest(timer_ms))
        # An end that is waited for is somebody's present.
        stretch = 1 if name == "drain" else pressure.stretch_scans(timer_ms)
        return tier.next_ms(stretch)

    def _scan(self, tier: TierName, wall_ms: int) -> Due | None:
        if tier == "live":
            # Open above: a stamp ahead of the clock is returned by every poll until its time.
            return Due(tier, "live", max(0, min(self._live_from, wall_ms)), None)
        if tier == "drain":
            if self._drain is None or self._drain[0] > wall_ms:
                return None
            return Due(tier, "repair", self._drain[0], min(self._drain[1], wall_ms))
        from_ = self._from(tier, wall_ms)
        return None if from_ is None else Due(tier, "repair", max(0, from_), wall_ms)

    def _from(self, tier: TierName, wall_ms: int) -> int | None:
        """Where a look back begins; None where nobody wants it, or a quicker tier does it."""
        if tier == "recent":
            return wall_ms - RECENT_SPAN_MS
        if tier == "deep":
            if self._since is None or self._since > wall_ms:
                return None
            # Nothing that is older comes late, but some mark of this process must cover it once.
            is_proved = self._since >= self._unproved_below
            return max(self._since, wall_ms - FAR_SPAN_MS) if is_proved else self._since
        if tier == "far" and self._since is None:
            return None
        span, quicker = {
            "near": (NEAR_SPAN_MS, RECENT_SPAN_MS),
            "wide": (WIDE_SPAN_MS, NEAR_SPAN_MS),
            "far": (FAR_SPAN_MS, WIDE_SPAN_MS),
        }[tier]
        known = [one for one in (self._since, self._covered_from) if one is not None]
        low = min(known, default=wall_ms)
        return max(low, wall_ms - span) if low < wall_ms - quicker else None

    def _mind_the_clock(self, timer_ms: int, wall_ms: int) -> None:
        """A wall clock that was set must leave no hole: all is looked at again at once."""
        jump = (wall_ms - self._wall_ms) - (timer_ms - self._timer_ms)
        self._timer_ms, self._wall_ms = timer_ms, wall_ms
        if abs(jump) < JUMP_MS:
            return
        self._jump_ms += jump
        if jump < 0:
            # Whichever of the two clocks was right, the last whole poll began no earlier; and one
            # that is under way asked for too little, so that the next one goes back as far.
            self._live_from = min(self._live_from + jump, wall_ms - RECENT_SPAN_MS)
            live = self._tiers["live"]
            if live.running is not None:
                began_ms = self._live_from + self._overlap_ms
                live.running = replace(live.running, wall_ms=began_ms)
        for name, tier in self._tiers.items():
            if name not in ("drain", "far"):
                tier.is_wanted_now = True
                tier.last_ms = min(tier.last_ms, timer_ms)
