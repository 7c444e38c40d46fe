"""``half-open``: connections that are dead, and do not say so."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """A dead link, heartbeats that do not come, and a proxy that lets no WebSocket through."""
    del seed
    return (
        inject(
            2_000,
            "blackhole",
            "The link is dead, and nobody says so: nothing arrives, nothing is refused.",
            for_ms=25_000,
        ),
        say(25_000, "The viewer has noticed: no heartbeat came. It is not green."),
        inject(
            32_000,
            "mute_heartbeat",
            "Only the heartbeats are missing now; silence is never taken for idleness.",
            for_ms=15_000,
        ),
        inject(
            50_000,
            "block_upgrade",
            "A proxy lets HTTP through and no WebSocket. Who reconnects now has to poll.",
            for_ms=20_000,
        ),
        inject(51_000, "close", "The connection is closed, so that it has to.", code=1012),
        heal(72_000, says="Healed."),
        say(80_000, "That was all."),
    )


SCENARIO = Scenario(
    "half-open",
    "Links that are dead without saying so, and a proxy that lets no WebSocket through.",
    steps,
    story="""A half-open connection looks like a log in which nothing happens. A correct viewer
    notices within two heartbeats, says so and reconnects; where no WebSocket passes it polls, says
    that it does, and loses nothing.""",
)
