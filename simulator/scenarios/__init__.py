"""The scenarios that can be run, one a file: timed steps that follow from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.scenarios import (
    chaos,
    duplicates,
    forwarder_crash,
    future_clock,
    group_recreated,
    half_open,
    high_volume,
    last_words,
    late_connect,
    late_events,
    reconnect,
    retention,
    scripted,
    slow_viewer,
    storm,
    strange_lines,
    subscription_outage,
    throttled,
    viewer_crash,
)
from simulator.scenarios.base import Scenario

_ALL: Final[tuple[Scenario, ...]] = (
    late_connect.SCENARIO,
    reconnect.SCENARIO,
    duplicates.SCENARIO,
    high_volume.SCENARIO,
    scripted.SCENARIO,
    late_events.SCENARIO,
    subscription_outage.SCENARIO,
    throttled.SCENARIO,
    slow_viewer.SCENARIO,
    forwarder_crash.SCENARIO,
    viewer_crash.SCENARIO,
    last_words.SCENARIO,
    strange_lines.SCENARIO,
    future_clock.SCENARIO,
    half_open.SCENARIO,
    storm.SCENARIO,
    retention.SCENARIO,
    group_recreated.SCENARIO,
    chaos.SCENARIO,
)

SCENARIOS: Final[Mapping[str, Scenario]] = {one.name: one for one in _ALL}
"""Every scenario by its name; the one table that control API and command read."""
