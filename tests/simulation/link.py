"""One connection between viewer and forwarder: two queues that can be cut, and toxics on them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random

from wire.messages import ClientMessage, ServerMessage

WINDOW = 4
"""Frames on their way at most: beyond it the forwarder waits, as TCP lets it."""


@dataclass(eq=False)
class Toxics:
    """Chances, from 0 to 1, of what a middlebox may do to a frame."""

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    drop_up: float = 0.0


@dataclass(eq=False)
class Link:
    """Frames in flight; nothing is delivered any more once it is cut."""

    number: int
    down: deque[ServerMessage] = field(default_factory=deque)
    up: deque[ClientMessage] = field(default_factory=deque)
    is_cut: bool = False
    """The cable is out: neither side gets anything, and each finds out in its own time."""
    close_code: int | None = None
    """The forwarder has closed it: what is in flight arrives, then the close frame."""
    is_closed_by_client: bool = False

    @property
    def has_room(self) -> bool:
        """Whether the forwarder may send."""
        return not self.is_cut and len(self.down) < WINDOW

    def cut(self) -> None:
        """Pull the cable."""
        self.is_cut = True
        self.down.clear()
        self.up.clear()

    def take_down(self, random: Random, toxics: Toxics) -> ServerMessage | None:
        """The next frame that reaches the viewer, if any does."""
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
        """The next message that reaches the forwarder, if any does."""
        if not self.up:
            return None
        message = self.up.popleft()
        if toxics.drop_up and random.random() < toxics.drop_up:
            return None
        return message
