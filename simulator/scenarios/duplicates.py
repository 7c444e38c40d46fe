"""``duplicates``: the same again and again, and each exactly once."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Equal events that are several, and one event that is delivered several times."""
    del seed
    return (
        inject(
            0,
            "subscription_duplicate",
            "From now on half of the live records are delivered twice.",
        ),
        inject(
            3_000,
            "identical_messages",
            "100 events that are equal in all but their ids: all 100 must be shown.",
            every_ms=6_000,
        ),
        inject(
            6_000,
            "duplicate_frame",
            "Messages of the WebSocket arrive twice, too: the second must be ignored.",
            toxicity=0.3,
        ),
        heal(22_000, says="Healed. Equal lines stand there as often as they were written."),
        say(28_000, "That was all."),
    )


SCENARIO = Scenario(
    "duplicates",
    "Equal events, and deliveries that come twice: each event is shown once, none is merged.",
    steps,
    story="""Events that are equal in stream, time and message are different events; one event
    that is delivered twice is one. A correct system tells them apart by the event's id, and by
    nothing else.""",
)
