"""``close``: the forwarder seems to close, with a code."""

from __future__ import annotations

from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers

_NOT_SENT = (1004, 1005, 1006, 1015)
"""Codes that must not be in a close frame: RFC 6455, section 7.4.1."""


class Close(Fault):
    """Sends viewers a WebSocket close frame with a code, and cuts the forwarder off.

    Attributes:
        code: the close code.
        every_ms: again that long after the last time; 0 = once.

    ``toxicity`` is the share of the open connections that it hits.

    A correct viewer comes back after 4000-4499, 1000-1015 and every other code but 4500-4999,
    after which it stops and says why (see the protocol's close codes). It resumes exactly.

    """

    type = "close"
    attributes = (
        Attribute("code", 4001, 4_999, "WebSocket close code", minimum=1_000),
        Attribute("every_ms", 0, DAY_MS, "again after, 0 = once"),
    )

    def check(self) -> None:
        """Refuse codes that no frame may have.

        Raises:
            SimulatorError: it is one of them.

        """
        code = self.values["code"]
        if code in _NOT_SENT:
            msg = f"code {code} is never sent in a close frame; take another"
            raise SimulatorError(msg)

    def cycle(self) -> Cycle:
        """An instant, every ``every_ms``."""
        return Cycle(on_ms=0, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Close."""
        levers.cable.close_with(self.values["code"], self.toxicity, self.seed + turn)

    def stop(self, levers: Levers) -> None:
        """Nothing: who was cut off comes back."""
