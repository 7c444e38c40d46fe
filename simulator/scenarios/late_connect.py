"""``late-connect``: the viewer comes half a minute late."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Setup, Step, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Nothing is broken; somebody is late."""
    del seed
    return (
        say(0, "Jobs are running and write; nobody watches them."),
        inject(12_000, "new_stream", "Another job begins, and ends, unseen."),
        say(30_000, "Now a viewer connects. Look at the first lines: they are from before."),
        say(40_000, "Green: a whole scan has proved that all of it is here, from the first line."),
        say(45_000, "That was all."),
    )


SCENARIO = Scenario(
    "late-connect",
    "The viewer connects 30 s late, and has everything from the first line.",
    steps,
    Setup(connect_after_ms=30_000),
    """Executions write for half a minute before anybody watches; one of them begins and ends in
    that time. A correct system shows every line of it, in order, as if it had been watching, and
    proves it.""",
)
