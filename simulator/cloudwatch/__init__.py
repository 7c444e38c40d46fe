"""A stand-in for CloudWatch Logs: a moto server in a process of its own.

Faces: altered_texts, app, destinations, filter_patterns, levers, logs, moto_logs.
May import: simulator.network, simulator.acceptance, simulator.errors.

``python -m simulator.moto_process`` serves it. Mode ``moto`` serves unchanged moto; mode
``faithful`` answers CloudWatch Logs calls as AWS does, and levers can inject faults.
"""

from __future__ import annotations

import time
from typing import Final, Literal

__all__ = ["HOST", "LEVERS_PATH", "REGION", "Mode", "wall_clock_ms"]

Mode = Literal["faithful", "moto"]

HOST: Final = "127.0.0.1"
LEVERS_PATH: Final = "/simulator/levers"
REGION: Final = "us-east-1"


def wall_clock_ms() -> int:
    """The time in whole ms since the Unix epoch, rounded down as moto does."""
    return time.time_ns() // 1_000_000
