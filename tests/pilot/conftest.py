"""Every pilot test runs on the same simulated terminal."""

from __future__ import annotations

from tests.support.terminal import patient_pilot, same_terminal

__all__ = ["patient_pilot", "same_terminal"]
