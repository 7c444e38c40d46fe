"""``throttled``: CloudWatch refuses, fails and stalls."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Setup, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Everything that can happen to a call, one after another."""
    del seed
    return (
        inject(
            0,
            "throttle",
            "CloudWatch refuses every call. The viewer says so, and the mark stands still.",
            for_ms=8_000,
        ),
        inject(
            10_000,
            "throttle",
            "Now one call a second passes.",
            name="trickle",
            rate=1,
            for_ms=6_000,
        ),
        inject(14_000, "server_error", "A third of the calls fail.", for_ms=8_000),
        inject(15_000, "truncated_response", "Answers end in the middle.", for_ms=8_000),
        inject(16_000, "empty_page", "Pages are empty though more is to come.", for_ms=10_000),
        inject(17_000, "expire_token", "Tokens expire in the middle of a scan.", every_ms=2_000),
        inject(18_000, "slow_response", "Answers take seconds.", delay_ms=1_500, for_ms=6_000),
        inject(
            26_000,
            "unreachable",
            "CloudWatch does not answer at all; what is known is still served.",
            for_ms=6_000,
        ),
        heal(32_000, says="Healed. The mark catches up; it never came from an unfinished scan."),
        say(42_000, "That was all."),
    )


SCENARIO = Scenario(
    "throttled",
    "CloudWatch throttles, fails, stalls, and gives pages that are empty or cut short.",
    steps,
    Setup(is_live=False),
    """No mark may come from a scan that was not finished, and nothing may be skipped because a
    page was empty. A correct system backs off, says why its mark stands still, and catches up.""",
)
