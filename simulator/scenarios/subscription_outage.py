"""``subscription-outage``: the live path lags, lies and stops."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Everything that can happen to a subscription filter."""
    del seed
    return (
        inject(
            0,
            "subscription_reorder",
            "Live records change places; the lines still stand in order.",
            within_ms=2_000,
        ),
        inject(
            4_000,
            "subscription_skip",
            "Half of the live records are left out for good: scans repair it, and say so.",
        ),
        inject(12_000, "subscription_delay", "What is left comes 5 s late."),
        heal(18_000, "subscription_delay"),
        inject(
            18_000,
            "subscription_stop",
            "The subscription is gone. The viewer says so, and goes on from scans alone.",
            for_ms=10_000,
        ),
        heal(30_000, says="Healed. The live path is a hint only, so nothing hung on it."),
        say(36_000, "That was all."),
    )


SCENARIO = Scenario(
    "subscription-outage",
    "The live path reorders, skips, lags and stops; scans repair it.",
    steps,
    story="""A subscription filter delivers at least once, when it can. A correct system shows
    what it brings at once, believes nothing of it, and repairs from whole scans what it leaves
    out.""",
)
