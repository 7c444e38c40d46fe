"""Pure: what the network does to a connection, as far as it can be said without a socket.

A *strain* says what is wrong with the cable; ``simulator.network.cable`` applies it.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Final, Literal, NamedTuple

from simulator.network.frames import Piece

SLICE_MS: Final = 50
"""A narrow link passes what it can carry in that time at once."""

_SLICE_BYTES_MIN: Final = 64
_BITS: Final = 8


class Latency(NamedTuple):
    """Everything arrives later, each way; ``jitter_ms`` more or less by up to that."""

    latency_ms: int
    jitter_ms: int


class Bandwidth(NamedTuple):
    """No more than so many kilobits (1,000 bits) a second, each way."""

    rate_kbps: int


class Limit(NamedTuple):
    """The connection ends after so many of the server's bytes: with a reset, or in order."""

    after_bytes: int
    resets: bool


class Hold(NamedTuple):
    """Nothing passes from the server to the viewer; with ``both_ways`` nor back."""

    both_ways: bool


class BlockUpgrade(NamedTuple):
    """A request for a WebSocket is answered with 502; any other passes."""


class FrameStrain(NamedTuple):
    """The share (0..1) of the server's messages that something is done to."""

    what: Literal["drop", "duplicate", "reorder", "mute_heartbeat"]
    share: float


Strain = Latency | Bandwidth | Limit | Hold | BlockUpgrade | FrameStrain


class FrameToxic:
    """A ``FrameStrain`` on one connection."""

    def __init__(self, strain: FrameStrain, rng: Random) -> None:
        """``rng`` draws for each message whether it is hit."""
        self._strain = strain
        self._rng = rng
        self._waiting: Piece | None = None

    def passes(self, pieces: Iterable[Piece]) -> list[Piece]:
        """What becomes of them; only whole messages are touched."""
        return [out for piece in pieces for out in self._one(piece)]

    def released(self) -> list[Piece]:
        """What waits for its successor, to be passed on now."""
        waiting, self._waiting = self._waiting, None
        return [] if waiting is None else [waiting]

    def _one(self, piece: Piece) -> list[Piece]:
        if not piece.is_message:
            return [piece]
        what = self._strain.what
        if what == "mute_heartbeat" and piece.kind() != "heartbeat":
            return [piece]
        waiting = self.released()
        if waiting:
            return [piece, *waiting]
        if self._rng.random() >= self._strain.share:
            return [piece]
        if what == "duplicate":
            return [piece, piece]
        if what == "reorder":
            self._waiting = piece
        return []


class Pace:
    """When the bytes of one way of a connection arrive, with latency and a narrow link."""

    def __init__(self, rng: Random) -> None:
        """``rng`` draws the jitter."""
        self._rng = rng
        self._free_ms = 0.0
        self._last_ms = 0.0

    def due(
        self, data: bytes, now_ms: float, strains: Iterable[Latency | Bandwidth]
    ) -> list[tuple[float, bytes]]:
        """The bytes in slices, each with the moment at which it arrives; never out of order."""
        delay_ms, rate_kbps = 0.0, 0
        for strain in strains:
            if isinstance(strain, Latency):
                jitter_ms = self._rng.uniform(-strain.jitter_ms, strain.jitter_ms)
                delay_ms += max(0.0, strain.latency_ms + jitter_ms)
            else:
                rate_kbps = min(rate_kbps or strain.rate_kbps, strain.rate_kbps)
        slices: list[tuple[float, bytes]] = []
        size = max(_SLICE_BYTES_MIN, rate_kbps * SLICE_MS // _BITS) if rate_kbps else len(data)
        for at in range(0, len(data), max(1, size)):
            part = data[at : at + size]
            if rate_kbps:
                self._free_ms = max(self._free_ms, now_ms) + len(part) * _BITS / rate_kbps
            sent_ms = max(now_ms, self._free_ms) if rate_kbps else now_ms
            self._last_ms = max(self._last_ms, sent_ms + delay_ms)
            slices.append((self._last_ms, part))
        return slices

    def forget(self) -> None:
        """The link is as good as new."""
        self._free_ms = self._last_ms = 0.0
