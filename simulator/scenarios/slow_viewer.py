"""``slow-viewer``: somebody reads more slowly than is written."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Setup, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Slow, narrow, then stuck."""
    del seed
    return (
        inject(
            0,
            "latency",
            "Everything arrives late, by half a second more or less.",
            latency_ms=500,
            jitter_ms=400,
        ),
        inject(4_000, "bandwidth", "And the link is narrow.", rate_kbps=2_000),
        inject(
            6_000,
            "burst",
            "20,000 lines at once. The forwarder keeps a cursor for the viewer, no queue.",
        ),
        inject(
            12_000,
            "stall_reader",
            "The viewer reads nothing any more, and stays connected.",
            for_ms=10_000,
        ),
        heal(24_000, says="Healed. It reads on at its cursor; nobody else was held up."),
        say(34_000, "That was all."),
    )


SCENARIO = Scenario(
    "slow-viewer",
    "A viewer behind a slow and narrow link that stops reading at times.",
    steps,
    Setup(rate=100.0),
    """A viewer that can't keep up costs the forwarder no memory, since it is a cursor into the
    journal. A correct system lets it fall behind, cuts it off where it is stuck, and has it go on
    where it was.""",
)
