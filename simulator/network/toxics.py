"""Network faults as far as they can be computed without a socket. Pure.

A *strain* describes what is wrong with the cable; ``simulator.network.cable`` applies it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Final, Literal, NamedTuple

from simulator.network.frames import Piece

SLICE_MS: Final = 50
"""A slow link delivers what it can carry in this time as one slice."""

_SLICE_BYTES_MIN: Final = 64
_BITS: Final = 8


class Latency(NamedTuple):
    """Delays both directions by ``latency_ms`` plus or minus up to ``jitter_ms``."""

    latency_ms: int
    jitter_ms: int


class Bandwidth(NamedTuple):
    """Limits each direction to ``rate_kbps`` (1,000 bits per second)."""

    rate_kbps: int


class Limit(NamedTuple):
    """Ends the connection, by a reset or in order, after ``after_bytes`` bytes of the server's."""

    after_bytes: int
    resets: bool


class Hold(NamedTuple):
    """Stops the bytes from the server to the viewer, and with ``both_ways`` also the others."""

    both_ways: bool


class BlockUpgrade(NamedTuple):
    """Answers WebSocket upgrades with 502; other requests pass."""


class FrameStrain(NamedTuple):
    """Applies ``what`` to a share (0..1) of the server's messages."""

    what: Literal["drop", "duplicate", "reorder", "mute_heartbeat"]
    share: float


Strain = Latency | Bandwidth | Limit | Hold | BlockUpgrade | FrameStrain


class FrameToxic:
    """Applies a ``FrameStrain`` to the messages of one connection."""

    def __init__(
        self, strain: FrameStrain, rng: Random, affect: Callable[[], None] = lambda: None
    ) -> None:
        """``rng`` decides for each message whether it is affected; ``affect`` counts those."""
        self._strain = strain
        self._rng = rng
        self._affect = affect
        self._waiting: Piece | None = None

    def apply(self, pieces: Iterable[Piece]) -> list[Piece]:
        """The pieces after the strain; only whole messages are changed."""
        return [out for piece in pieces for out in self._apply_to(piece)]

    def release(self) -> list[Piece]:
        """Return the message that waits to be reordered, to pass it on."""
        waiting, self._waiting = self._waiting, None
        return [] if waiting is None else [waiting]

    def _apply_to(self, piece: Piece) -> list[Piece]:
        if not piece.is_message:
            return [piece]
        what = self._strain.what
        if what == "mute_heartbeat" and piece.kind() != "heartbeat":
            return [piece]
        waiting = self.release()
        if waiting:
            return [piece, *waiting]
        if self._rng.random() >= self._strain.share:
            return [piece]
        self._affect()
        if what == "duplicate":
            return [piece, piece]
        if what == "reorder":
            self._waiting = piece
        return []


class Pace:
    """Computes when bytes of one direction arrive under latency and limited bandwidth."""

    def __init__(self, rng: Random) -> None:
        """``rng`` draws the jitter."""
        self._rng = rng
        self._free_ms = 0.0
        self._last_ms = 0.0

    def schedule(
        self, data: bytes, now_ms: float, strains: Iterable[Latency | Bandwidth]
    ) -> list[tuple[float, bytes]]:
        """The bytes as slices, each with its arrival time in ms; never out of order."""
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

    def reset(self) -> None:
        """Reset the link: nothing is under way any more."""
        self._free_ms = self._last_ms = 0.0
