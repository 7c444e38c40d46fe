"""``last-words``: the most important lines come last, and late."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Setup, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Executions end while their last lines are still on the way."""
    del seed
    return (
        inject(
            0,
            "visibility_delay",
            "CloudWatch shows events 3 s late.",
            delay_ms=3_000,
        ),
        inject(
            3_000,
            "last_words",
            "A job writes 200 lines and ends; some of them come in after its end.",
            every_ms=8_000,
        ),
        inject(
            12_000,
            "disconnect",
            "The cable is out while the next one ends.",
            down_ms=4_000,
        ),
        heal(22_000, says="Healed. An end is announced only once its last lines are proved."),
        say(28_000, "That was all."),
    )


SCENARIO = Scenario(
    "last-words",
    "Executions end while their last lines are still on the way.",
    steps,
    Setup(executions=8),
    """What a job writes as it fails is what everybody looks for, and what a tail that stops at
    the end misses. A correct system says that an execution has ended only when everything up to
    its end is complete, and shows what comes after it, too.""",
)
