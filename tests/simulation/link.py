"""A simulated connection between viewer and forwarder: two queues with toxics."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random

from wire.messages import ClientMessage, ServerMessage

WINDOW = 4
"""Most frames in flight; then the forwarder waits, as with TCP."""


@dataclass(eq=False)
class Toxics:
    """Probabilities with which a middlebox changes frames."""

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    drop_up: float = 0.0


@dataclass(eq=False)
class Link:
    """Frames in flight in both directions; a cut link delivers nothing."""

    number: int
    down: deque[ServerMessage] = field(default_factory=deque)
    up: deque[ClientMessage] = field(default_factory=deque)
    is_cut: bool = False
    """Whether the network is down; each side notices it later."""
    close_code: int | None = None
    """The forwarder's close code; frames in flight arrive before it."""
    is_closed_by_client: bool = False

    @property
    def has_room(self) -> bool:
        """Whether the forwarder may send another frame."""
        return not self.is_cut and len(self.down) < WINDOW

    def cut(self) -> None:
        """Cut the connection."""
        self.is_cut = True
        self.down.clear()
        self.up.clear()

    def take_down(self, random: Random, toxics: Toxics) -> ServerMessage | None:
        """Remove and return the next frame that reaches the viewer; None without one."""
        if not self.down:
            return None
        if toxics.reorder and len(self.down) > 1 and random.random() < toxics.reorder:
            self.down[0], self.down[1] = self.down[1], self.down[0]
        message = self.down.popleft()
        if toxics.drop and random.random() < toxics.drop:
            return None
        if toxics.duplicate and random.random() < toxics.duplicate:
            self.down.appendleft(message)
        return message

    def take_up(self, random: Random, toxics: Toxics) -> ClientMessage | None:
        """Remove and return the next message that reaches the forwarder; None without one."""
        if not self.up:
            return None
        message = self.up.popleft()
        if toxics.drop_up and random.random() < toxics.drop_up:
            return None
        return message
