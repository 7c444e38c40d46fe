"""Schedule of polls and scans: when to scan which range. Pure: time is an argument.

A live event only hints at what exists, a complete scan proves it. So the past is scanned again and
again: the recent past often, the rest less and less often, and the history that viewers asked for
as often as a twentieth of the time or of the calls allows. Tiers go by when scans began, never by
the timestamps of events, which may be hours ahead. A tier whose range another tier has just scanned
waits again.

========  ==================  =========================  ==================================
tier      every               over                       at most this share [#]_
========  ==================  =========================  ==================================
live      1 s to 4.8 s [#]_   since the last complete    unlimited
recent    10 s                2 min                      1/2
near      1 min               15 min                     1/4
wide      10 min              3 h                        1/10
far       1 h, while watched  14 days                    1/20
deep      30 s, while watched the earliest since [#]_    1/20
drain     2.5 s               an execution's end         while one waits to end
========  ==================  =========================  ==================================

.. [#] 1 s after news, and longer and longer while a log group is quiet.
.. [#] At most 14 days back, except once after a start: events that the journal holds from an
   earlier process must first be covered by a mark of this one.
.. [#] Of the time; after three minutes of rest, of the account's calls alone: see ``rest_after``.

A poll asks for a page that is mostly empty. If a due tier's range fits into it as well, the poll
reaches back so far and counts for that tier: the tier *rides* on it, without a call of its own.

Throttling stretches the intervals: at most twice for ``live`` and ``recent``, sixteen times for the
others, and not at all for ``drain``. Tiers that ride are not stretched. While the live path is on
time, ``live`` runs every 5 s (``forwarder.live.receiver``). Intervals are measured by a monotonic
clock (``timer_ms``), ranges by the wall clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from forwarder.config import OVERLAP_MS, POLL_MS
from forwarder.ingest.scan import ScanKind

LEVEL_MAX: Final = 4
"""Highest throttling level, at which scans are sixteen times as rare."""

RAISE_MS: Final = 5_000
"""Throttled replies within this time raise the level once: they have the same cause."""

NEAREST_STRETCH_MAX: Final = 2
"""Largest stretch of ``recent``, so that late events are found within a minute however long the
throttling lasts.

At this stretch it is one scan in 20 s beside ten polls, each of as many pages while the log group
is quiet. A stretch of sixteen would save 0.044 calls a second, less than a tenth of the lowest rate
of ``CallBudget``. A scan of many pages is paced by that budget, takes long, and then rests as long:
its share of the time bounds it, not the stretch.
"""

EASE_MS: Final = 30_000
"""Time without a throttled reply after which the level falls by one."""

IDLE_POLL_MS: Final = 4_800
"""Interval between polls of a quiet log group: with the call itself, the first event after the
silence is on screen within five seconds."""

IDLE_AFTER_MS: Final = 600_000
"""Quiet time in which the interval grows to that."""

RIDE_EARLY: Final = 4
"""A tier rides on a poll that comes up to this part of its interval too early."""

RIDE_WAIT_MS: Final = 20_000
"""How long a due tier that could ride waits for the running poll to end."""

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
"""PutLogEvents accepts nothing older."""
FAR_SHARE: Final = 20
DRAIN_EVERY_MS: Final = 2_500
"""Slightly more than the least visibility allowance, which must separate two scans of a drain."""
DRAIN_MARGIN_MS: Final = 500
DEEP_EVERY_MS: Final = 30_000
DEEP_SHARE: Final = 20
"""A tier rests this many times the duration of its last scan, to bound its share of the time."""
REST_MAX_MS: Final = 180_000
"""Longest rest for the time alone: how late a late event may be found in a long history.

A scan that waits for slow replies takes nothing from others; what is scarce are the account's
calls. A scan of 90,000 lines takes about 18 of them, and up to 30 s: it would rest ten minutes.
"""
CATCH_UP_MAX_MS: Final = 3_600_000
"""Absence up to which the first poll catches up; backfill fetches more, so that it does not delay
the present."""
RETRY_MAX_MS: Final = 10_000
"""Longest pause after a failed poll, and first pause after a failed scan of a rarer tier; both
double with each failure, the latter up to the tier's own interval."""
JUMP_MS: Final = 500
"""A wall clock that gains or loses this much between two calls of ``due`` was set."""


class ThrottleLevel:
    """How far scans are stretched to relieve CloudWatch: from 0 (not) to ``LEVEL_MAX``.

    ``CallBudget`` delays calls; this makes fewer of them. Rescans of the remote past are stretched
    first, polls last. Times are ms of a monotonic clock.
    """

    def __init__(self) -> None:
        self._level = 0
        self._raised_ms: int | None = None
        self._changed_ms = 0

    def record_throttling(self, timer_ms: int) -> None:
        """Raise the level after a throttled call."""
        level = self.level(timer_ms)
        if self._raised_ms is None or timer_ms - self._raised_ms >= RAISE_MS:
            level = min(LEVEL_MAX, level + 1)
            self._raised_ms = timer_ms
        self._level, self._changed_ms = level, timer_ms

    def level(self, timer_ms: int) -> int:
        """Current level."""
        return max(0, self._level - max(0, timer_ms - self._changed_ms) // EASE_MS)

    def stretch(self, tier: TierName, timer_ms: int) -> int:
        """Factor by which a tier's interval is longer."""
        level = self.level(timer_ms)
        if tier == "drain":  # an execution waits for it to end
            return 1
        if tier == "live":
            return 2 if level == LEVEL_MAX else 1
        return min(1 << level, NEAREST_STRETCH_MAX) if tier == "recent" else 1 << level


def poll_interval(poll_ms: int, quiet_ms: int) -> int:
    """Interval between polls of a log group that had no news for some time, ms."""
    idle_ms = max(poll_ms, IDLE_POLL_MS)
    quiet_ms = min(max(0, quiet_ms), IDLE_AFTER_MS)
    return poll_ms + (idle_ms - poll_ms) * quiet_ms // IDLE_AFTER_MS


def never_fits(from_: int, timer_ms: int, wall_ms: int) -> bool:
    """Let no scan ride on a poll."""
    del from_, timer_ms, wall_ms
    return False


class DueScan(msgspec.Struct, frozen=True):
    """A scan to begin now: its tier, and the arguments of ``LogGroup.begin_scan``."""

    tier: TierName
    kind: ScanKind
    from_: int
    through: int | None
    is_extended: bool = False
    """Whether it is a poll on which another tier rides."""
    is_trial: bool = False
    """Whether it is a poll that also reads the requested history, if all of it is one page."""


def rest_after(share: int, took_ms: int, calls_ms: int | None) -> int:
    """Pause of a tier from the start of its last scan, ms.

    Args:
        share: the part of the time, and of the calls, that the tier may take: 20 means a twentieth.
        took_ms: duration of the scan.
        calls_ms: time in which the feed's equal part of the call budget allows its calls, so that
            all feeds together keep to the share; None: unknown, so the duration counts in full.
    """
    by_time_ms = share * took_ms
    return by_time_ms if calls_ms is None else min(by_time_ms, max(REST_MAX_MS, share * calls_ms))


class _Tier:
    """The state of one tier: its interval, its last scan, and its running one."""

    __slots__ = ("every_ms", "failures", "is_due_now", "last_ms", "rest_ms", "running", "share")

    def __init__(self, every_ms: int, last_ms: int, share: int, *, at_once: bool) -> None:
        self.every_ms = every_ms
        self.share = share
        self.last_ms = last_ms
        """When its range was last scanned, successfully or not."""
        self.rest_ms = 0
        """Pause from then on that its share requires."""
        self.failures = 0
        self.is_due_now = at_once
        self.running: _RunningScan | None = None

    def next_ms(self, stretch: int) -> int:
        if self.is_due_now:
            return self.last_ms
        pause = self.every_ms * stretch
        if self.failures and self.every_ms < RETRY_MAX_MS:
            pause = max(pause, min(self.every_ms << min(self.failures, 10), RETRY_MAX_MS))
        elif self.failures:
            pause = min(pause, RETRY_MAX_MS << min(self.failures - 1, 10))
        return self.last_ms + max(pause, self.rest_ms)

    def begin(self, running: _RunningScan) -> None:
        self.running = running
        self.is_due_now = False

    def end(self, timer_ms: int, *, whole: bool, calls_ms: int | None) -> _RunningScan:
        running = self.running
        assert running is not None, "the tier has no running scan"
        self.running = None
        self.failures = 0 if whole else self.failures + 1
        self.last_ms = running.timer_ms
        self.rest_ms = rest_after(self.share, timer_ms - running.timer_ms, calls_ms)
        return running

    def skip(self, timer_ms: int) -> None:
        """Wait again, since another tier's scan that began then covered the range."""
        if self.running is None and timer_ms >= self.last_ms:
            self.rest_ms = max(0, self.last_ms + self.rest_ms - timer_ms)
            self.last_ms = timer_ms
            self.failures = 0
            self.is_due_now = False


class _RunningScan(msgspec.Struct, frozen=True):
    """A running scan: when it began, by both clocks, and the start of its range."""

    timer_ms: int
    wall_ms: int
    from_: int


class ScanSchedule:
    """The tiers of one log group, each with one running scan at most.

    The caller begins the scans that ``due`` returns, and reports each with ``start``, and then
    ``finish`` or ``fail``; ``next_ms`` is when to call ``due`` again.
    """

    def __init__(
        self,
        timer_ms: int,
        wall_ms: int,
        covered_ms: int | None = None,
        *,
        poll_ms: int = POLL_MS,
        overlap_ms: int = OVERLAP_MS,
        fits: Callable[[int, int, int], bool] = never_fits,
    ) -> None:
        """Start the schedule with a poll that is due.

        Args:
            timer_ms: now, by a monotonic clock.
            wall_ms: now, in ms since the Unix epoch.
            covered_ms: end of the journal's coverage: the first poll starts two minutes before
                it, unless it is more than an hour ago.
            poll_ms: interval between polls.
            overlap_ms: how far a poll reaches back before the start of the last complete one.
            fits: whether a poll from a time on takes one page (``PageRoom.fits``).
        """
        self._fits = fits
        self._poll_ms = poll_ms
        self._news_ms = timer_ms
        self._waiting: set[TierName] = set()
        self._overlap_ms = overlap_ms
        self._live_from = wall_ms - overlap_ms
        if covered_ms is not None and covered_ms >= wall_ms - CATCH_UP_MAX_MS:
            self._live_from = min(covered_ms, wall_ms) - RECENT_SPAN_MS
        self._trial_from: int | None = None
        self._since: int | None = None
        self._covered_from: int | None = None
        self._unproved_below = 0 if covered_ms is None else covered_ms
        self._drain: tuple[int, int] | None = None
        self._throttling = ThrottleLevel()
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

    # Inputs

    def set_since(self, since: int | None, timer_ms: int) -> None:
        """Set the earliest ``since`` of the viewers; None without viewers."""
        if since is not None and (self._since is None or since < self._since):
            deep = self._tiers["deep"]
            if since < self._unproved_below:
                # The journal has it from an earlier process, and no mark of this one proves it.
                deep.is_due_now = True
                deep.last_ms = min(deep.last_ms, timer_ms)
            elif self._since is None:
                # Backfill is fetching this history now: scan it again later.
                deep.is_due_now = False
                deep.last_ms = max(deep.last_ms, timer_ms)
        self._since = since

    def set_covered_from(self, from_: int | None) -> None:
        """Set the start of the unbroken coverage that reaches the present; None: there is none.

        Rescans do not fetch what is older, since no viewer has asked for it.
        """
        self._covered_from = from_

    def set_trial(self, from_: int | None) -> None:
        """Let the next poll begin there if that is earlier, as a trial; None: not."""
        self._trial_from = from_

    def set_drain_range(self, span: tuple[int, int] | None) -> None:
        """Set the range that executions wait for before they end (``LogGroup.drain_range``)."""
        self._drain = span

    def set_allowance(self, allowance_ms: int) -> None:
        """Set the visibility allowance; two scans of a drain that are closer count as one."""
        self._tiers["drain"].every_ms = max(DRAIN_EVERY_MS, allowance_ms + DRAIN_MARGIN_MS)

    def poll_now(self, timer_ms: int) -> None:
        """Make a poll due now, unless polls are failing; the log group is not quiet any more."""
        self.note_news(timer_ms)
        live = self._tiers["live"]
        if not live.failures:
            live.is_due_now = True
            live.last_ms = min(live.last_ms, timer_ms)

    def set_poll_interval(self, poll_ms: int) -> None:
        """Change the interval between polls: with a reliable live path they may be rare."""
        self._poll_ms = poll_ms

    def note_news(self, timer_ms: int) -> None:
        """Poll often again: there was an event, or somebody came to watch."""
        self._news_ms = timer_ms

    @property
    def poll_every_ms(self) -> int:
        """Interval between polls at the time of the last ``due``."""
        return self._tiers["live"].every_ms

    def record_throttling(self, timer_ms: int) -> None:
        """Stretch the intervals after a throttled call."""
        self._throttling.record_throttling(timer_ms)

    # Scans

    def due(self, timer_ms: int, wall_ms: int) -> list[DueScan]:
        """The scans to begin now."""
        self._check_clock(timer_ms, wall_ms)
        live = self._tiers["live"]
        # While polls fail, the log group may be busy.
        quiet_ms = 0 if live.failures else timer_ms - self._news_ms
        live.every_ms = poll_interval(self._poll_ms, quiet_ms)
        is_poll_due = live.running is None and self._next_of("live", live) <= timer_ms
        self._waiting = set()
        scans = []
        for name, tier in self._tiers.items():
            if name == "live" or tier.running or self._next_of(name, tier) > timer_ms:
                continue
            scan = self._scan(name, wall_ms)
            if scan is None:
                continue
            if not self._may_ride(scan.from_, timer_ms, wall_ms):
                scans.append(scan)
            elif live.running is None:
                is_poll_due = True
            else:
                self._waiting.add(name)
        return [self._poll(timer_ms, wall_ms), *scans] if is_poll_due else scans

    def aim_poll(self, timer_ms: int, wall_ms: int) -> DueScan:
        """Begin the running poll only now, as the call budget made it wait; returns its range."""
        self._check_clock(timer_ms, wall_ms)
        poll = self._poll(timer_ms, wall_ms)
        self._tiers["live"].begin(_RunningScan(timer_ms, wall_ms, poll.from_))
        return poll

    def take_clock_jump(self) -> int:
        """By how much the wall clock was set since the last call, as ``due`` has detected."""
        jump_ms, self._jump_ms = self._jump_ms, 0
        return jump_ms

    @property
    def next_ms(self) -> int:
        """When the next scan becomes due, by the monotonic clock."""
        nexts = [
            self._next_of(name, tier)
            for name, tier in self._tiers.items()
            if tier.running is None
            and name not in self._waiting
            and self._scan(name, self._wall_ms) is not None
        ]
        running = self._tiers["live"].running
        if self._waiting and running is not None:
            nexts.append(running.timer_ms + RIDE_WAIT_MS)
        return min(nexts, default=self._timer_ms + POLL_MS)

    def start(self, due: DueScan, timer_ms: int, wall_ms: int) -> None:
        """Mark a scan as running; ``wall_ms`` is what ``begin_scan`` was given."""
        self._tiers[due.tier].begin(_RunningScan(timer_ms, wall_ms, due.from_))

    def finish(
        self,
        name: TierName,
        timer_ms: int,
        *,
        proved: bool = True,
        calls_ms: int | None = None,
    ) -> None:
        """Count a tier's complete scan for every tier whose range it covered.

        Args:
            name: the tier.
            timer_ms: when the scan ended.
            proved: whether a mark, of this scan or another, begins at or before its range.
            calls_ms: cost of its calls, as of ``rest_after``.
        """
        ran = self._tiers[name].end(timer_ms, whole=True, calls_ms=calls_ms)
        if name == "live":
            self._live_from = ran.wall_ms - self._overlap_ms
        if name == "drain":
            return
        if proved:
            self._unproved_below = min(self._unproved_below, ran.from_)
        for other, tier in self._tiers.items():
            if other in (name, "live"):
                continue
            if other == "drain" and (name != "live" or tier.next_ms(1) > ran.timer_ms):
                continue  # its next scan must not move away from its last one
            scan = self._scan(other, ran.wall_ms)
            if scan is not None and ran.from_ <= scan.from_:
                tier.skip(ran.timer_ms)

    def give_up_poll(self, timer_ms: int) -> None:
        """Note that a poll was given up, since it was a trial; the next one is due at once."""
        live = self._tiers["live"]
        live.end(timer_ms, whole=True, calls_ms=None)
        live.is_due_now = True

    def fail(self, name: TierName, timer_ms: int, *, calls_ms: int | None = None) -> None:
        """Note that a tier's scan broke off; the next one covers its range again."""
        self._tiers[name].end(timer_ms, whole=False, calls_ms=calls_ms)

    def _next_of(self, name: TierName, tier: _Tier) -> int:
        return tier.next_ms(self._throttling.stretch(name, self._timer_ms))

    def _may_ride(self, from_: int, timer_ms: int, wall_ms: int) -> bool:
        """Whether a due scan needs no call of its own, since a poll can reach back so far."""
        live = self._tiers["live"]
        if live.failures:
            return False
        if live.running is not None and timer_ms - live.running.timer_ms >= RIDE_WAIT_MS:
            return False
        return self._live_from <= from_ or self._fits(from_, timer_ms, wall_ms)

    def _poll(self, timer_ms: int, wall_ms: int) -> DueScan:
        """The poll to begin now, extended to the ranges of the tiers that ride on it."""
        poll = self._scan("live", wall_ms)
        assert poll is not None
        if self._tiers["live"].failures:
            return poll
        for name, tier in self._tiers.items():
            scan = None if name == "live" or tier.running else self._scan(name, wall_ms)
            early_ms = 0 if name == "drain" else tier.every_ms // RIDE_EARLY
            if (
                scan is not None
                and scan.from_ < poll.from_
                and tier.next_ms(1) - early_ms <= timer_ms
                and self._fits(scan.from_, timer_ms, wall_ms)
            ):
                poll = replace(poll, from_=scan.from_, is_extended=True)
        if self._trial_from is not None and self._trial_from < poll.from_:
            poll = replace(poll, from_=self._trial_from, is_extended=False, is_trial=True)
        return poll

    def _scan(self, tier: TierName, wall_ms: int) -> DueScan | None:
        if tier == "live":
            # Open-ended, so that polls return events with future timestamps as well.
            return DueScan(tier, "live", max(0, min(self._live_from, wall_ms)), None)
        if tier == "drain":
            if self._drain is None or self._drain[0] > wall_ms:
                return None
            return DueScan(tier, "repair", self._drain[0], min(self._drain[1], wall_ms))
        from_ = self._from(tier, wall_ms)
        return None if from_ is None else DueScan(tier, "repair", max(0, from_), wall_ms)

    def _from(self, tier: TierName, wall_ms: int) -> int | None:
        """Start of a rescan; None if it is not needed, or a more frequent tier covers it."""
        if tier == "recent":
            return wall_ms - RECENT_SPAN_MS
        if tier == "deep":
            if self._since is None or self._since > wall_ms:
                return None
            # Older events can't be late, but a mark of this process must cover them once.
            is_proved = self._since >= self._unproved_below
            return max(self._since, wall_ms - FAR_SPAN_MS) if is_proved else self._since
        if tier == "far" and self._since is None:
            return None
        span, covered_span = {
            "near": (NEAR_SPAN_MS, RECENT_SPAN_MS),
            "wide": (WIDE_SPAN_MS, NEAR_SPAN_MS),
            "far": (FAR_SPAN_MS, WIDE_SPAN_MS),
        }[tier]
        known = [one for one in (self._since, self._covered_from) if one is not None]
        low = min(known, default=wall_ms)
        return max(low, wall_ms - span) if low < wall_ms - covered_span else None

    def _check_clock(self, timer_ms: int, wall_ms: int) -> None:
        """Detect a wall clock that was set, and scan all ranges again so that no gap is left."""
        jump = (wall_ms - self._wall_ms) - (timer_ms - self._timer_ms)
        self._timer_ms, self._wall_ms = timer_ms, wall_ms
        if abs(jump) < JUMP_MS:
            return
        self._jump_ms += jump
        if jump < 0:
            # Whether the clock was right before or after, the last complete poll began no earlier
            # than this. A running poll asks for too little, so that the next one goes as far back.
            self._live_from = min(self._live_from + jump, wall_ms - RECENT_SPAN_MS)
            live = self._tiers["live"]
            if live.running is not None:
                began_ms = self._live_from + self._overlap_ms
                live.running = replace(live.running, wall_ms=began_ms)
        for name, tier in self._tiers.items():
            if name not in ("drain", "far"):
                tier.is_due_now = True
                tier.last_ms = min(tier.last_ms, timer_ms)
