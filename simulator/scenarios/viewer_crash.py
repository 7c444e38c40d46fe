"""``viewer-crash``: the viewer itself is killed."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Killed twice, the second time with the cable out."""
    del seed
    return (
        say(0, "All is well."),
        inject(8_000, "viewer_crash", "The viewer is killed; the next one goes on at its cursor."),
        inject(
            18_000,
            "disconnect",
            "And once more while the cable is out.",
            down_ms=5_000,
        ),
        inject(20_000, "viewer_crash", name="again"),
        heal(26_000, says="Healed. What all its lives have shown, together, is everything."),
        say(32_000, "That was all."),
    )


SCENARIO = Scenario(
    "viewer-crash",
    "The viewer is killed, and the next one goes on at its saved cursor.",
    steps,
    story="""A cursor is saved only once what it stands for is shown. A correct viewer that was
    killed goes on there: what its lives have shown together is everything, and the last of them
    proves it.""",
)
