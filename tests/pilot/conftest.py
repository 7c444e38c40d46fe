"""The application is driven on a terminal that is the same everywhere."""

from __future__ import annotations

from tests.support.terminal import patient_pilot, same_terminal

__all__ = ["patient_pilot", "same_terminal"]
