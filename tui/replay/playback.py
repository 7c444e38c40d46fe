"""Where a replay is, and how fast it moves. Pure."""

from __future__ import annotations

from typing import Final

SPEEDS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""The speeds that keys switch between; ``--speed`` takes any other between the first and last."""

SPEED_MIN: Final = SPEEDS[0]
SPEED_MAX: Final = SPEEDS[-1]

STEP_MS: Final = 10_000
"""How far a key goes forwards or back."""


class Playback:
    """A moment of the recording that moves with a monotonic clock.

    Args:
        speed: Seconds of the recording in a second; None: the end at once.
        now_ms: The monotonic clock.

    Attributes:
        speed: Seconds of the recording in a second.
        is_paused: Whether it stands still.
        began_ms: The first moment, ms since the Unix epoch.
        ended_ms: The last one.
    """

    def __init__(self, speed: float | None, now_ms: int) -> None:
        self.speed = speed or SPEED_MIN
        self.is_paused = False
        self.began_ms = self.ended_ms = 0
        self._at_end = speed is None
        self._position_ms = 0.0
        self._now_ms = now_ms

    def start(self, began_ms: int, ended_ms: int, now_ms: int) -> None:
        """Start at the first moment, or at the last one."""
        self.began_ms, self.ended_ms, self._now_ms = began_ms, ended_ms, now_ms
        self._position_ms = ended_ms if self._at_end else began_ms

    @property
    def position_ms(self) -> int:
        """The moment, as of the last ``advance``."""
        return int(self._position_ms)

    @property
    def is_over(self) -> bool:
        """Whether the last moment is reached."""
        return self._position_ms >= self.ended_ms

    def advance(self, now_ms: int) -> int:
        """Move on to the present; return the moment."""
        passed_ms, self._now_ms = now_ms - self._now_ms, now_ms
        if not self.is_paused:
            self._go(self._position_ms + passed_ms * self.speed)
        return self.position_ms

    def toggle(self, now_ms: int) -> None:
        """Pause or go on; at the end, start from the beginning."""
        self.advance(now_ms)
        if self.is_over and not self.is_paused:
            self._position_ms = self.began_ms
        else:
            self.is_paused = not self.is_paused

    def seek(self, at_ms: int, now_ms: int) -> None:
        """Go to a moment, or to the nearest one of the recording."""
        self.advance(now_ms)
        self._go(at_ms)

    def change_speed(self, direction: int, now_ms: int) -> None:
        """Switch to the next speed, up (1) or down (-1)."""
        self.advance(now_ms)
        if direction > 0:
            self.speed = min((one for one in SPEEDS if one > self.speed), default=SPEED_MAX)
        else:
            self.speed = max((one for one in SPEEDS if one < self.speed), default=SPEED_MIN)

    def _go(self, at_ms: float) -> None:
        self._position_ms = min(max(at_ms, self.began_ms), self.ended_ms)
