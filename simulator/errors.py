"""What goes wrong in the simulator itself, as opposed to what it makes go wrong."""

from __future__ import annotations


class SimulatorError(Exception):
    """The simulator, or a request to it, can't do what was asked; the text is one line."""


class NotFoundError(SimulatorError):
    """No fault, or no page of the control API, has that name."""


class NobodyError(SimulatorError):
    """There is nobody whom the fault could hit."""
