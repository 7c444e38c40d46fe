"""The verifies and repairs of one connection: one at a time, few waiting, none twice. Pure.

The forwarder answers in the order of its stream, so with one question out at a time the next
``digest`` is its answer.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from wire.messages import Repair, Verify

WAITING_MAX: Final = 8
"""Questions that wait; what is not asked now is asked at the next mark that disagrees."""

PATIENCE_MS: Final = 60_000
"""A question that brought nothing for so long is given up."""


class Request(msgspec.Struct, frozen=True):
    """A range to be compared (``verify``), or sent again and then compared (``repair``)."""

    kind: Literal["verify", "repair"]
    from_: int
    through: int
    scanned: bool
    """Whether a whole scan stands behind the range, so that equality proves it complete."""

    def message(self) -> Verify | Repair:
        """As the wire has it."""
        return (Verify if self.kind == "verify" else Repair)(self.from_, self.through)


class Asking:
    """What was asked, what waits, and what a repair has brought so far."""

    def __init__(self) -> None:
        """Nothing is asked."""
        self._waiting: list[Request] = []
        self._out: Request | None = None
        self._seen: set[int] = set()
        self._active_ms = 0

    @property
    def out(self) -> Request | None:
        """The question that is out."""
        return self._out

    @property
    def seen(self) -> set[int]:
        """Keys of the range that came since the repair was asked for."""
        return self._seen

    def put(self, request: Request) -> bool:
        """Let a question wait, unless a part of its range is asked about already."""
        asked = [*self._waiting, *([self._out] if self._out else [])]
        overlaps = any(
            request.from_ <= other.through and other.from_ <= request.through for other in asked
        )
        if overlaps or len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting.append(request)
        return True

    def next(self, now_ms: int) -> Request | None:
        """The question to ask now, which thereby is out."""
        if self._out is not None and now_ms - self._active_ms > PATIENCE_MS:
            self._out = None
        if self._out is not None or not self._waiting:
            return None
        self._out = self._waiting.pop(0)
        self._seen = set()
        self._active_ms = now_ms
        return self._out

    def note(self, keys: list[int], low: int, high: int, now_ms: int) -> None:
        """Events came; those with ``low <= key <= high`` are of the range that is being repaired.

        What came by another way than the repair counts too: it was sent after the question.
        """
        if self._out is not None and self._out.kind == "repair":
            self._seen.update(key for key in keys if low <= key <= high)
            self._active_ms = now_ms

    def answered(self, from_: int, through: int) -> Request | None:
        """The question that a digest answers (clipped, maybe); it is out no more."""
        out = self._out
        if out is None or from_ < out.from_ or through > out.through:
            return None
        self._out = None
        return out

    def drop(self) -> None:
        """The connection is gone, and every question with it."""
        self._waiting.clear()
        self._out = None
        self._seen = set()
