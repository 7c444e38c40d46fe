"""``reconnect``: the network is away for ten seconds."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Step, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Out, and in again."""
    del seed
    return (
        say(0, "All is well: lines come, and each second proves that none is missing."),
        inject(
            8_000,
            "disconnect",
            "The cable is out for 10 s. The viewer says so at once, and does not stay green.",
            down_ms=10_000,
        ),
        say(18_500, "The cable is back: the viewer goes on at its cursor. Nothing is sent twice."),
        say(26_000, "Green again: what was written meanwhile stands in its place."),
        say(30_000, "That was all."),
    )


SCENARIO = Scenario(
    "reconnect",
    "The network is away for 10 s, and nothing is missing or doubled afterwards.",
    steps,
    story="""The cable between viewer and forwarder is pulled for ten seconds while the executions
    go on writing. A correct viewer says at once that it is cut off, resumes at its cursor, and
    has every line exactly once, in order.""",
)
