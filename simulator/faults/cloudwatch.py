"""What the faults have in common that stand around AWS calls for a time."""

from __future__ import annotations

from simulator.cloudwatch.levers import Answer, Call, Lever, Next
from simulator.faults.base import Cycle, LeverFault
from simulator.faults.network import FOR_MS

__all__ = ["FOR_MS", "CallFault", "CallLever"]

_LOOKS = ("Filter", "Get", "Describe", "List")


class CallLever(Lever):
    """Stands around the calls that look something up; writing is none of its business."""

    def call(self, call: Call, then: Next) -> Answer:
        """Answer a call."""
        return self.look(call, then) if call.action.startswith(_LOOKS) else then(call)

    def look(self, call: Call, then: Next) -> Answer:
        """Answer a call that looks something up."""
        return then(call)


class CallFault(LeverFault):
    """A fault with a ``CallLever``."""

    def cycle(self) -> Cycle:
        """On for ``for_ms``, where the fault has it; else until healed."""
        return Cycle(on_ms=self.values.get("for_ms") or None)
