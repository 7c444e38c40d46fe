"""Errors of the simulator itself, as opposed to the faults that it injects."""

from __future__ import annotations

from common.errors import GaplessError


class SimulatorError(GaplessError):
    """The simulator cannot do what was asked; the text is one line for a person."""


class NotFoundError(SimulatorError):
    """No fault, scenario, viewer or page of the control API has that name."""


class ConflictError(SimulatorError):
    """What was asked is possible, but not now: something runs, is full, or is not there."""


class NoTargetError(ConflictError):
    """A fault has no process that it could kill."""
