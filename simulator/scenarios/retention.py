"""``retention``: CloudWatch takes events away before anybody has read them."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import DAY_MS, HOUR_MS, Scenario, Setup, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Late events that nobody could read, and a retention that takes them."""
    del seed
    return (
        inject(
            4_000,
            "unreachable",
            "CloudWatch can't be reached for a while.",
        ),
        inject(
            6_000,
            "late_events",
            "Meanwhile events come in that are two days old.",
            events=200,
            late_ms=2 * DAY_MS,
            jitter_ms=6 * HOUR_MS,
        ),
        inject(
            10_000,
            "retention_expire",
            "And the retention is set to one day: they are gone before anybody has seen them.",
        ),
        heal(12_000, says="CloudWatch is back. What it has lost, nobody can show."),
        say(20_000, "Look at the rule in the log: the range is declared as unrecoverable."),
        say(30_000, "That was all."),
    )


SCENARIO = Scenario(
    "retention",
    "CloudWatch's retention takes events that nobody had read: declared, with the range.",
    steps,
    Setup(since_ms=3 * DAY_MS, expects="declared"),
    """What CloudWatch itself has deleted can't be shown, by nobody. A correct system says so,
    with the range, keeps what it had read before, and is not green over what it does not have.""",
)
