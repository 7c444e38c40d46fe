"""``group-recreated``: the log group is deleted and made anew."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Step, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Once."""
    del seed
    return (
        say(0, "All is well."),
        inject(
            6_000,
            "group_recreated",
            "The log group is deleted and made anew, with everything in it.",
        ),
        say(14_000, "What was read before is still here; what is written now comes in."),
        say(22_000, "That was all."),
    )


SCENARIO = Scenario(
    "group-recreated",
    "The log group is deleted and made anew while it is watched.",
    steps,
    story="""Whoever deploys anew may delete a log group and make it again. A correct system keeps
    what it has read, proves no more than it can, and goes on with what is written now.""",
)
