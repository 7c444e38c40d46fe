"""Makes a scenario of a fault log: what somebody switched by hand, with the same pauses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from simulator.errors import SimulatorError
from simulator.faults.board import FaultRequest
from simulator.scenarios.base import Inject, Scenario, Setup, Step, fixed, heal, say

LEAD_MS: Final = 5_000
"""Time before the first step, in which the viewer shows and verifies some lines."""

REST_MS: Final = 10_000
"""Time after the last step, in which the viewer recovers before everything is judged."""

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
    began_ms = entries[0]["at_ms"]
    steps: list[Step] = []
    switched: set[str] = set()
    for one in entries:
        at_ms = LEAD_MS + round((one["at_ms"] - began_ms) / ROUND_MS) * ROUND_MS
        if one["event"] == "requested":
            request = msgspec.convert(one["request"], FaultRequest)
            steps.append(Step(at_ms, Inject(request), f"{one['name']} is switched on."))
            switched.add(one["name"])
        elif one["name"] in switched:
            steps.append(heal(at_ms, one["name"], f"{one['name']} is healed."))
    end_ms = max(step.at_ms for step in steps)
    # A fault that ends by itself may last longer than the recording did.
    end_ms += max(_lasts_ms(step) for step in steps)
    steps += [
        heal(end_ms, says="Healed. Every line must be shown once, in its place, and verified."),
        say(end_ms + REST_MS, "The scenario is over."),
    ]
    setup = Setup(**{**log["setup"], "expects": "clean"})
    count = sum(isinstance(step.action, Inject) for step in steps)
    doc = f"Recorded: {count} {'fault' if count == 1 else 'faults'} switched by hand."
    return Scenario(name, doc, fixed(*steps), setup)


def _lasts_ms(step: Step) -> int:
    """How long a fault of a step lasts by its own attributes; 0 for one without an end."""
    if not isinstance(step.action, Inject):
        return 0
    fault = step.action.fault
    named = [fault.attributes.get(name, 0) for name in ("for_ms", "down_ms")]
    return fault.schedule.after_ms + max(*named, fault.schedule.for_ms)
