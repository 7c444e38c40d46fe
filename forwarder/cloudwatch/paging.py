"""One scan of FilterLogEvents, page by page: which page to ask for next; no clock, no calls.

Rules, from the service model: empty and short pages with a token go on, only an absent token
ends a scan; pages come in order of time; tokens expire. A scan whose token no longer works is
taken up again *by time*, from the last timestamp seen, inclusive, never by an old token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from forwarder.cloudwatch.budget import Backoff
from forwarder.errors import (
    CloudWatchError,
    ScanStuck,
    Throttled,
    TokenRefused,
    TruncatedResponse,
    Unreachable,
)
from forwarder.records import LogEvent

PAGE_ATTEMPTS_MAX: Final = 4
"""Attempts at the same page before the scan begins again by time, or fails."""

THROTTLED_ATTEMPTS_MAX: Final = 10
"""Throttled attempts at the same page before the scan fails; the waits add up to about a minute."""

RESTARTS_MAX: Final = 5
"""New beginnings without one new event in between before the scan fails."""

TOKENS_MAX: Final = 100_000
"""Tokens remembered to recognise one that repeats; then the scan begins again by time."""

BACKOFF_FIRST_MS: Final = 100
BACKOFF_MAX_MS: Final = 10_000


class Patience:
    """Whether and when the same call is made again after an error that passes."""

    def __init__(self, random: Callable[[], float]) -> None:
        """No error yet; ``random`` gives numbers from 0 to 1."""
        self._attempts = 0
        self._backoff = Backoff(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, random)

    def failed(self, error: CloudWatchError) -> int | None:
        """One more attempt failed; how many ms to wait before the next, None to give up."""
        self._attempts += 1
        most = 1
        if isinstance(error, Throttled):
            most = THROTTLED_ATTEMPTS_MAX
        elif isinstance(error, TruncatedResponse | Unreachable):
            most = PAGE_ATTEMPTS_MAX
        return self._backoff.failed() if self._attempts < most else None

    def succeeded(self) -> None:
        """The next error is the first again."""
        self._attempts = 0
        self._backoff.succeeded()


class PageWalk:
    """A scan from ``since`` on: ask for ``(start, token)``, tell what came, until ``done``.

    No event is given out twice, unless CloudWatch breaks its promise of order: then what comes
    after a new beginning may repeat, and the door's deduplication takes it.
    """

    def __init__(self, since: int, random: Callable[[], float]) -> None:
        """A scan of ``timestamp >= since`` (ms); ``random`` gives numbers from 0 to 1."""
        self.start = since
        """The ``startTime`` to ask for, ms."""
        self.token: str | None = None
        """The ``nextToken`` to ask with."""
        self.done = False
        """Whether the last page has come."""
        self._since = since
        self._last: int | None = None
        self._ids_at_last: set[str] = set()
        self._in_order = True
        self._repeats = False
        self._tokens: set[int] = set()
        self._restarts = 0
        self._patience = Patience(random)

    def received(self, events: Sequence[LogEvent], token: str | None) -> list[LogEvent]:
        """A page came; its events, without those that were given out before.

        Raises:
            ScanStuck: begun again and again without getting anywhere.

        """
        self._patience.succeeded()
        fresh = self._without_repeats(events)
        if fresh:
            self._restarts = 0
            self._remember(fresh)
        if token is None:
            self.done = True
        elif hash(token) in self._tokens or len(self._tokens) >= TOKENS_MAX:
            self._begin_again()
        else:
            self._tokens.add(hash(token))
            self.token = token
        return fresh

    def failed(self, error: CloudWatchError) -> int:
        """A page did not come; how many ms to wait before asking for what ``start`` says now.

        Raises:
            CloudWatchError: the same, if asking again is not up to the scan.

        """
        wait_ms = self._patience.failed(error)
        if wait_ms is not None:
            return wait_ms
        if self.token is None or not isinstance(error, TokenRefused | TruncatedResponse):
            raise error
        self._patience.succeeded()
        self._begin_again()
        return 0

    def _begin_again(self) -> None:
        if self._restarts >= RESTARTS_MAX:
            msg = (
                f"a scan of CloudWatch Logs got no further than {self.start} ms; it will be retried"
            )
            raise ScanStuck(msg)
        self._restarts += 1
        self.start = self._last if self._last is not None and self._in_order else self._since
        self.token = None
        self._repeats = True
        self._tokens.clear()

    def _without_repeats(self, events: Sequence[LogEvent]) -> list[LogEvent]:
        if not self._repeats:
            return list(events)
        last, known = self._last, self._ids_at_last
        return [one for one in events if one.timestamp != last or one.id not in known]

    def _remember(self, events: Sequence[LogEvent]) -> None:
        times = [one.timestamp for one in events]
        first = times[0] if self._last is None else self._last
        self._in_order = self._in_order and first <= times[0] and times == sorted(times)
        last = times[-1]
        if last != self._last:
            self._ids_at_last = set()
        self._last = last
        for one in reversed(events):
            if one.timestamp != last:
                break
            self._ids_at_last.add(one.id)
