"""Pure: an event that CloudWatch accepted, as a judge knows it."""

from __future__ import annotations

from typing import Final

import msgspec

from simulator.visibility import NEVER

SCAN_MS: Final = 10_000
"""What a scan is looking for may go away under it for so long after it began."""

LOOKED_AGAIN_MS: Final = 120_000
"""What was there for less time than this may have come and gone between two looks."""

Identity = tuple[str, int, str]


class LedgerEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that CloudWatch accepted; times in ms since the Unix epoch.

    ``accepted_ms`` is when the call that wrote it had returned, ``visible_ms`` (never before it)
    from when on every scan must find it. From ``vanished_ms`` on its log group is another one,
    from ``expired_ms`` on the retention has taken it: no scan can find it any more.
    """

    log_stream: str
    timestamp: int
    message: str
    accepted_ms: int
    visible_ms: int
    vanished_ms: int = NEVER
    expired_ms: int = NEVER

    @property
    def gone_ms(self) -> int:
        """From when on no scan can find it."""
        return min(self.vanished_ms, self.expired_ms)

    @property
    def was_brief(self) -> bool:
        """Whether it may have gone before anybody who looks again and again has seen it."""
        return self.gone_ms != NEVER and self.gone_ms - self.visible_ms < LOOKED_AGAIN_MS

    @property
    def identity(self) -> Identity:
        """What it is recognised by."""
        return (self.log_stream, self.timestamp, self.message)

    def is_owed_by(self, scan_ms: int) -> bool:
        """Whether a whole scan that began then must have returned it."""
        is_there = self.gone_ms == NEVER or scan_ms + SCAN_MS < self.gone_ms
        return self.visible_ms <= scan_ms and is_there
