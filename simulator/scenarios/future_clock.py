"""``future-clock``: clocks that are wrong, both ways."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import HOUR_MS, MINUTE_MS, Scenario, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Jobs that are ahead; then the forwarder, ahead and behind."""
    del seed
    return (
        inject(
            0,
            "future_events",
            "Jobs write events stamped ten minutes ahead. They stand last, and hide nothing.",
            jitter_ms=5 * MINUTE_MS,
        ),
        inject(
            5_000,
            "future_events",
            "And some that are almost two hours ahead, the most that CloudWatch takes.",
            name="two-hours",
            ahead_ms=2 * HOUR_MS - 5 * MINUTE_MS,
        ),
        inject(
            8_000,
            "clock_jump",
            "The forwarder's clock is a minute ahead.",
            name="ahead",
            for_ms=8_000,
        ),
        inject(
            18_000,
            "clock_jump",
            "Now it is a minute behind.",
            name="behind",
            ahead_ms=0,
            behind_ms=MINUTE_MS,
            for_ms=8_000,
        ),
        heal(28_000, says="Healed. No cursor and no mark was made from a clock alone."),
        say(36_000, "That was all."),
    )


SCENARIO = Scenario(
    "future-clock",
    "Events from the future, and a forwarder whose clock jumps ahead and back.",
    steps,
    story="""Who follows the newest timestamp jumps ahead here, and misses everything until that
    time comes. A correct system keeps looking at the present, shows the future where it belongs,
    and proves nothing that is still to come.""",
)
