"""Which executions that were asked for have shown nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wire.query import is_stream_of


class Unseen:
    """The executions of which no event has come so far."""

    def __init__(self, executions: Sequence[str]) -> None:
        """None has come of any."""
        self.left = list(executions)

    def saw(self, streams: Iterable[str]) -> None:
        """Events of these log streams have come."""
        if self.left:
            for stream in set(streams):
                self.left = [one for one in self.left if not is_stream_of(stream, one)]

    def notice(self) -> str:
        """What a person is told; empty where there is nothing to tell."""
        if not self.left:
            return ""
        names = ", ".join(repr(one) for one in self.left)
        return f"nothing of execution {names} was seen: gapless executions TARGET lists them"
