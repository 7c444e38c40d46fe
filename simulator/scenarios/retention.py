"""``retention``: CloudWatch takes events away before anybody has read them."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import DAY_MS, HOUR_MS, Scenario, Setup, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Late events that nobody has read, and a retention that takes them."""
    del seed
    return (
        inject(
            2_000,
            "late_events",
            "Events come in that are two days old; nobody asks for that time yet.",
            events=200,
            late_ms=2 * DAY_MS,
            jitter_ms=6 * HOUR_MS,
        ),
        inject(
            8_000,
            "retention_expire",
            "The retention is set to one day: they are gone before anybody has seen them.",
        ),
        say(12_000, "A viewer connects and asks for three days. What is gone, nobody can show."),
        say(20_000, "Look at the rule in the log: the range is declared as unrecoverable."),
        heal(28_000, says="All that CloudWatch still has is here, and proved."),
        say(30_000, "That was all."),
    )


SCENARIO = Scenario(
    "retention",
    "CloudWatch's retention takes events that nobody had read: declared, with the range.",
    steps,
    Setup(
        is_live=False,
        group_age_ms=30 * DAY_MS,
        connect_after_ms=12_000,
        since_ms=3 * DAY_MS,
        expects="declared",
    ),
    """What CloudWatch itself has deleted can't be shown, by nobody. A correct system says so,
    with the range, keeps what it had read before, and is not green over what it does not have.""",
)
