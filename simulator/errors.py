"""What goes wrong in the simulator itself, as opposed to what it makes go wrong."""

from __future__ import annotations

from common.errors import SimulatorError


class NotFoundError(SimulatorError):
    """No fault, or no page of the control API, has that name."""


class NobodyError(SimulatorError):
    """There is nobody whom the fault could hit."""
