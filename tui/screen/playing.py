"""What the keys of a replay do, and the texts of the bars while there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Final

from tui.client.status import Status
from tui.render import status_text, units
from tui.render.replay_text import as_recorded, playback
from tui.render.status_text import Chunk, chunk
from tui.render.units import MomentError, parse_moment
from tui.screen.ports import Player, ShowMessage
from tui.screen.widgets.log_view import LogView

NOT_VERIFIED: Final = "a log file: nothing in it says whether lines are missing"


class Playing:
    """Moves a replay, and shows its newest line after each seek.

    Args:
        player: The replay; None if the screen shows lines of now, and none of this is used.
        zone: The zone that times are shown in.
    """

    def __init__(
        self,
        player: Player | None,
        log: LogView,
        show: ShowMessage,
        zone: Callable[[], tzinfo],
        *,
        ascii_only: bool,
    ) -> None:
        self._player = player
        self._log = log
        self._show = show
        self._zone = zone
        self._ascii_only = ascii_only

    @property
    def is_on(self) -> bool:
        """Whether there is a replay."""
        return self._player is not None

    # Keys

    def toggle(self) -> None:
        """Pause or go on."""
        if (player := self._ready()) is not None:
            player.toggle()

    def seek_by(self, steps: int) -> None:
        """Go forwards or back by steps of ten seconds."""
        if (player := self._ready()) is not None:
            player.seek_by(steps)
            self._log.follow()

    def to_start(self) -> None:
        """Go to the first moment."""
        if (player := self._ready()) is not None:
            player.to_start()
            self._log.follow()

    def to_end(self) -> None:
        """Go to the last moment."""
        if (player := self._ready()) is not None:
            player.to_end()
            self._log.follow()

    def change_speed(self, direction: int) -> None:
        """Play faster (1) or slower (-1)."""
        if self._player is not None:
            self._player.change_speed(direction)
            self._show(f"speed: {self._player.player.speed:g} times")

    def check(self, text: str) -> str | None:
        """Validate a typed time; returns what is wrong with it, or None."""
        try:
            self._parse(text)
        except MomentError as error:
            return str(error)
        return None

    def to_time(self, text: str) -> None:
        """Go to a typed time that passed ``check``."""
        player = self._ready()
        if player is None:
            return
        at_ms, status = self._parse(text), player.player
        player.seek(at_ms)
        self._log.follow()
        if not status.began_ms <= at_ms <= status.ended_ms:
            span = units.span(status.began_ms, status.ended_ms, self._zone())
            self._show(f"the recording is of {span}")

    def _parse(self, text: str) -> int:
        near_ms = 0 if self._player is None else self._player.position_ms
        return parse_moment(text, near_ms=near_ms, zone=self._zone())

    def _ready(self) -> Player | None:
        """The player once the file is loaded; says so before that."""
        if self._player is not None and self._player.player.is_loading:
            self._show("the file is still being loaded")
            return None
        return self._player

    # Texts

    def badges(self, status: Status, now_ms: int) -> list[Chunk] | None:
        """The badge of the replay, and the recorded state; None without a replay."""
        if self._player is None:
            return None
        player = self._player.player
        chunks = playback(player, self._zone(), ascii_only=self._ascii_only)
        if player.is_record and not player.is_loading:
            recorded = status_text.connection(
                status, now_ms, ascii_only=self._ascii_only, is_recorded=True
            )
            chunks += as_recorded(recorded)
        return chunks

    def completeness(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """What the status line says of completeness, said to be as recorded in a replay."""
        if self._player is None:
            return list(chunks)
        player = self._player.player
        if player.is_loading:
            return [chunk("loading", "muted")]
        return as_recorded(chunks) if player.is_record else [chunk(NOT_VERIFIED, "muted")]
