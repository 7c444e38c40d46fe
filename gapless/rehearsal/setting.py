"""Pure: the simulator that a scenario wants around it, as a command's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.scenarios.base import Setup


def arguments(setup: Setup) -> list[str]:
    """What ``gapless simulate`` is told, besides the seed."""
    return [
        *("--rate", f"{setup.rate:g}", "--executions", str(setup.executions)),
        "--live" if setup.is_live else "--no-live",
        *("--group-age", f"{setup.group_age_ms // 1_000}s"),
    ]
