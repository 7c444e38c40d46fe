"""Decides when to stop waiting for a time range that makes no progress. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.errors import EXIT_CANNOT_CONNECT, EXIT_INCOMPLETE
from common.times import iso_range
from tui.client.session import ViewerSession

READABLE_FACTOR: Final = 10
"""How much longer to wait while scans may complete the range: a long one shows no progress."""


class Patience:
    """The time that has passed without progress.

    Args:
        patience_ms: Longest wait without progress while scans cannot complete the range.
    """

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms = patience_ms
        self._waited_ms = 0.0
        self._noted_ms: int | None = None
        self._progress: object = None

    @property
    def is_over(self) -> bool:
        """Whether to stop waiting."""
        return self._waited_ms >= self._patience_ms

    def note(self, progress: object, steady_ms: int, *, is_readable: bool) -> None:
        """Note the state at a time.

        Args:
            progress: Differs from the last whenever there was some.
            steady_ms: The time.
            is_readable: Whether scans may complete the range: CloudWatch can be read, and no gap
                stays suspected.
        """
        passed_ms = 0 if self._noted_ms is None else steady_ms - self._noted_ms
        self._noted_ms = steady_ms
        if progress != self._progress:
            self._progress, self._waited_ms = progress, 0.0
        else:
            self._waited_ms += passed_ms / (READABLE_FACTOR if is_readable else 1)


def progress_of(sessions: Sequence[ViewerSession]) -> object:
    """A value that changes with each progress towards having verified the past."""
    return [
        (session.held, session.is_backfilled, session.report.backfill_received, _settled(session))
        for session in sessions
    ]


def suspected_in(session: ViewerSession, through_ms: int) -> str:
    """The first suspected gap that a target's time to reach waits for; empty without one.

    The state is ``repairing`` while a scan may close the gap; it stays ``suspected`` where scans
    cannot, such as where CloudWatch contradicts itself.
    """
    settled = _settled(session)
    first = (session.since or 0) if settled is None else settled + 1
    for gap in session.holdings.proof.gaps:
        if gap.state == "suspected" and gap.from_ms <= through_ms and first <= gap.through_ms:
            return f"{gap.reason} ({iso_range(gap.from_ms, gap.through_ms)})"
    return ""


def unreached(
    sessions: Sequence[ViewerSession], through_ms: int, why: str, *, has_lines: bool
) -> tuple[int, str]:
    """Exit code and message when patience is over: what is not verified, and why.

    Args:
        sessions: The targets' sessions.
        through_ms: Time up to which everything was to be verified.
        why: The reason, in one line.
        has_lines: Whether any line was received.
    """
    ranges: list[tuple[int, int]] = []
    for session in sessions:
        since, settled = session.since, _settled(session)
        if since is None or (settled is not None and settled >= through_ms):
            continue
        ranges.append((since if settled is None else settled + 1, through_ms))
    where = ", ".join(iso_range(*one) for one in dict.fromkeys(ranges))
    has_read = has_lines or any(_settled(session) is not None for session in sessions)
    if not has_read:
        return EXIT_CANNOT_CONNECT, f"nothing could be read{where and f' of {where}'}: {why}"
    return EXIT_INCOMPLETE, f"not complete: {where or 'the range is unknown'}: {why}"


def _settled(session: ViewerSession) -> int | None:
    since = session.since
    return None if since is None else session.holdings.proof.settled_through(since)
