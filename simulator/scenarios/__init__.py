"""The scenarios that can be run, one a file: timed steps that follow from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.scenarios import chaos, scripted
from simulator.scenarios.base import Scenario

_ALL: Final[tuple[Scenario, ...]] = (
    scripted.LATE_CONNECT,
    scripted.RECONNECT,
    scripted.DUPLICATES,
    scripted.HIGH_VOLUME,
    scripted.DUPLICATE_TIMESTAMPS,
    scripted.LATE_EVENTS,
    scripted.SUBSCRIPTION_OUTAGE,
    scripted.THROTTLED,
    scripted.SLOW_VIEWER,
    scripted.FORWARDER_CRASH,
    scripted.VIEWER_CRASH,
    scripted.LAST_WORDS,
    scripted.STRANGE_LINES,
    scripted.FUTURE_CLOCK,
    scripted.HALF_OPEN,
    scripted.STORM,
    scripted.RETENTION,
    scripted.GROUP_RECREATED,
    chaos.SCENARIO,
)

SCENARIOS: Final[Mapping[str, Scenario]] = {one.name: one for one in _ALL}
"""Every scenario by its name; the one table that control API and command read."""
