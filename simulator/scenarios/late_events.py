"""``late-events``: what CloudWatch shows long after its time."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import (
    HOUR_MS,
    MINUTE_MS,
    Scenario,
    Setup,
    Step,
    heal,
    inject,
    say,
)


def steps(seed: int) -> Sequence[Step]:
    """Late by seconds, minutes and hours; there, gone, and there again."""
    del seed
    return (
        inject(
            0,
            "visibility_delay",
            "CloudWatch shows each event some seconds late, and each by another time.",
            delay_ms=4_000,
            jitter_ms=4_000,
        ),
        inject(
            5_000,
            "late_events",
            "Events a minute old come in. Look for them above: they stand in their place.",
            name="a-minute",
            jitter_ms=30_000,
        ),
        inject(8_000, "out_of_order_batches", "Batches, the oldest last."),
        inject(
            12_000,
            "late_events",
            "And events that are two hours old: only a scan of that time can find them.",
            name="two-hours",
            late_ms=2 * HOUR_MS,
            jitter_ms=20 * MINUTE_MS,
        ),
        inject(16_000, "flap", "Events are in one scan and not in the next."),
        heal(25_000, says="Healed. The next scans find what is still missing, and say so."),
        say(35_000, "That was all."),
    )


SCENARIO = Scenario(
    "late-events",
    "Events that come seconds to hours late, out of order, and that flicker.",
    steps,
    Setup(since_ms=4 * HOUR_MS),
    """Events become visible after their neighbours, up to hours later. A correct system scans
    again what it has scanned before, shows what it finds in its place, says that it was late, and
    takes back no proof that was true when it was given.""",
)
