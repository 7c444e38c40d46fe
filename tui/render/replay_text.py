"""Texts of a replay: where it is, and the recorded status, never as if it were of now. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Final, NamedTuple

import msgspec

from tui.render import units
from tui.render.safe_text import harmless
from tui.render.status_text import Chunk, chunk


class PlayerStatus(NamedTuple):
    """Where a replay is.

    Attributes:
        began_ms: Its first moment, ms since the Unix epoch.
        position_ms: The moment shown.
        ended_ms: Its last moment.
        speed: Seconds of the recording in a second.
        loaded: Percent of the file that is read; None: all of it, or its size is unknown.
        is_loading: Whether the file is still being read.
        is_record: Whether it is a viewer's record, so that states and marks are known.
        problem: What could not be used, in a few words.
    """

    began_ms: int
    position_ms: int
    ended_ms: int
    speed: float
    is_paused: bool
    is_loading: bool
    loaded: int | None
    is_record: bool
    problem: str = ""


_CALM_ROLES: Final = {"ok": "text", "badge.ok": "badge.quiet", "badge.accent": "badge.quiet"}
"""Roles that would pretend to a state of now."""


def playback(player: PlayerStatus, zone: tzinfo = UTC, *, ascii_only: bool = False) -> list[Chunk]:
    """The badge of a replay, and where it is."""
    is_over = player.position_ms >= player.ended_ms and not player.is_loading
    mark, word = (">", "REPLAY") if ascii_only else ("▶", "REPLAY")
    role = "badge.accent"
    if player.is_loading:
        mark, word = ("..." if ascii_only else "◔"), "REPLAY loading"
    elif is_over:
        mark, word, role = "#" if ascii_only else "■", "REPLAY at its end", "badge.quiet"
    elif player.is_paused:
        mark, word, role = "=" if ascii_only else "Ⅱ", "REPLAY paused", "badge.warn"
    if player.is_loading and player.loaded is not None:
        word = f"{word} {player.loaded} %"
    chunks = [chunk(f" {mark} {word} ", role, 0, "app.play")]
    if not player.is_loading:
        passed = units.duration(_whole(player.position_ms - player.began_ms))
        length = units.duration(_whole(player.ended_ms - player.began_ms))
        moment = units.stamp(player.position_ms, zone)[:19]
        chunks.append(chunk(moment, "strong", 0))
        chunks.append(chunk(f"{passed} of {length}", "muted", 1))
        cross = "x" if ascii_only else "\u00d7"
        if not is_over:
            chunks.append(chunk(f"{cross}{player.speed:g}", "strong", 1))
    if player.problem:
        chunks.append(chunk(harmless(player.problem, ascii_only=ascii_only), "warn", 2))
    return chunks


def as_recorded(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Chunks of a recorded status, said to be that, in colours that claim nothing of now."""
    calm = [
        msgspec.structs.replace(
            one, parts=tuple((text, _CALM_ROLES.get(role, role)) for text, role in one.parts)
        )
        for one in chunks
    ]
    if not calm:
        return []
    first_parts = (("as recorded: ", "muted"), *calm[0].parts)
    return [msgspec.structs.replace(calm[0], parts=first_parts), *calm[1:]]


def _whole(ms: int) -> int:
    """A duration without tenths of a second, which would flicker."""
    return max(0, ms) // 1_000 * 1_000
