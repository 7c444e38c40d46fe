"""Makes a scenario of a fault log: what somebody switched by hand, with the same pauses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from simulator.errors import SimulatorError
from simulator.faults.board import FaultRequest, lasts_ms
from simulator.scenarios.base import Inject, Scenario, Setup, Step, fixed, heal, say

LEAD_MS: Final = 5_000
"""Time before the first step, in which the viewer shows and verifies some lines."""

REST_MS: Final = 10_000
"""Time after the last step, in which the viewer recovers before everything is judged."""

SHORTEST_MS: Final = 1_000
"""Shortest time that a fault is on which was still on when it was recorded."""

ROUND_MS: Final = 100
"""Times of steps are rounded to this: a person reads and edits them."""


def scenario_of_log(log: Mapping[str, Any], name: str) -> Scenario:
    """Return a scenario that repeats what a fault log says was switched.

    Args:
        log: The fault log as the control API returns it.
        name: What the scenario is called.

    Raises:
        SimulatorError: nothing was switched.
    """
    entries = [one for one in log["entries"] if one["event"] in ("requested", "healed")]
    if not any(one["event"] == "requested" for one in entries):
        msg = "no fault was switched on yet: switch one on (F2 or 'gapless inject'), then record"
        raise SimulatorError(msg)
    began_ms = next(one["at_ms"] for one in entries if one["event"] == "requested")
    now_ms = _step_ms(log["now_ms"], began_ms)
    steps: list[Step] = []
    ends: dict[str, int] = {}
    for one in entries:
        at_ms = _step_ms(one["at_ms"], began_ms)
        if one["event"] == "requested":
            request = msgspec.convert(one["request"], FaultRequest)
            steps.append(Step(at_ms, Inject(request), f"{one['name']} is switched on."))
            lasts = lasts_ms(request)
            # One without an end was on until now; the others may last longer than the recording.
            ends[one["name"]] = max(now_ms, at_ms + SHORTEST_MS) if lasts is None else at_ms + lasts
        elif one["name"] in ends:
            steps.append(heal(at_ms, one["name"], f"{one['name']} is healed."))
            ends[one["name"]] = at_ms
    end_ms = max(steps[-1].at_ms, *ends.values())
    steps += [
        heal(end_ms, says="Healed. Every line must be shown once, in its place, and verified."),
        say(end_ms + REST_MS, "The scenario is over."),
    ]
    setup = Setup(**{**log["setup"], "expects": "clean"})
    count = sum(isinstance(step.action, Inject) for step in steps)
    doc = f"Recorded: {count} {'fault' if count == 1 else 'faults'} switched by hand."
    return Scenario(name, doc, fixed(*steps), setup)


def _step_ms(at_ms: int, began_ms: int) -> int:
    return LEAD_MS + round((at_ms - began_ms) / ROUND_MS) * ROUND_MS
