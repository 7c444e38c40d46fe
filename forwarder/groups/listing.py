"""Lists the log groups that match a pattern, without asking AWS again and again.

Many viewers poll for new log groups. The answers are shared for a few seconds, longer if a listing
takes many calls, so that all listings together stay within ``CALLS_PER_S``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from forwarder.cloudwatch.catalogue import GroupInfo
from forwarder.errors import CloudWatchError, ListingLimitError
from forwarder.targets import GroupTarget

FRESH_S: Final = 3.0
"""How long a listing is shared at least: viewers poll about as often."""

CALLS_PER_S: Final = 2.0
"""DescribeLogGroups calls per second, all patterns together: a fifth of AWS's quota."""

PATTERNS_MAX: Final = 50
"""Patterns that are listed at the same time."""

FORGET_S: Final = 30.0
"""A pattern without a request for this long is dropped."""

FAILED_S: Final = 3.0
"""How long a failure is shared, so that failing calls are not more frequent than others."""

ListGroups = Callable[[GroupTarget, Callable[[], None]], Awaitable[list[GroupInfo]]]
"""Lists what matches a target; calls the function once a page."""


class _Listing(msgspec.Struct):
    """The last listing of a pattern."""

    groups: list[GroupInfo] = []
    error: CloudWatchError | None = None
    fresh_until_s: float = 0.0
    asked_s: float = 0.0


class GroupListing:
    """The shared listings of one forwarder.

    Attributes:
        calls: Pages asked for so far.
    """

    def __init__(self, list_groups: ListGroups, now_s: Callable[[], float]) -> None:
        """Start without listings; ``now_s`` is a monotonic clock, seconds."""
        self._list_groups = list_groups
        self._now_s = now_s
        self._listings: dict[GroupTarget, _Listing] = {}
        self._turn = asyncio.Lock()
        self.calls = 0

    async def match(self, target: GroupTarget) -> list[GroupInfo]:
        """The log groups that match, sorted by name; at most a few seconds old.

        Raises:
            ListingLimitError: too many patterns are asked for at the same time.
            CloudWatchError: they can't be listed.
        """
        listing = self._remember(target)
        if self._now_s() >= listing.fresh_until_s:
            async with self._turn:
                if self._now_s() >= listing.fresh_until_s:
                    await self._refresh(target, listing)
        if listing.error is not None:
            raise listing.error
        return listing.groups

    def _remember(self, target: GroupTarget) -> _Listing:
        now_s = self._now_s()
        listing = self._listings.get(target)
        if listing is None:
            kept = {
                key: one for key, one in self._listings.items() if now_s - one.asked_s < FORGET_S
            }
            if len(kept) >= PATTERNS_MAX:
                msg = f"{PATTERNS_MAX} patterns are listed already: try again in a minute"
                raise ListingLimitError(msg)
            self._listings = kept
            listing = kept[target] = _Listing()
        listing.asked_s = now_s
        return listing

    async def _refresh(self, target: GroupTarget, listing: _Listing) -> None:
        before = self.calls
        try:
            listing.groups = await self._list_groups(target, self._count_call)
            listing.error = None
            wait_s = FRESH_S
        except CloudWatchError as error:
            listing.error, wait_s = error, FAILED_S
        pages = max(1, self.calls - before)
        # As many calls a second for each pattern as there are patterns to share the rate with.
        shared_s = pages * len(self._listings) / CALLS_PER_S
        listing.fresh_until_s = self._now_s() + max(wait_s, shared_s)

    def _count_call(self) -> None:
        self.calls += 1
