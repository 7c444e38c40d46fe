"""``forwarder-crash``: the forwarder dies, forgets, and finds its disk full."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """A crash, a journal that is gone, one that is old, and a disk that is full."""
    del seed
    return (
        inject(
            2_000,
            "forwarder_crash",
            "The forwarder is killed, and comes back after 2 s with its journal.",
        ),
        inject(
            10_000,
            "journal_lost",
            "Killed again, and its journal is gone: a new epoch begins, and the viewer rebases.",
        ),
        inject(
            18_000,
            "journal_rolled_back",
            "And now it will come back with a journal that is 4 s old.",
            back_ms=4_000,
        ),
        inject(
            28_000,
            "disk_full",
            "The disk is full: what can't be kept is not sent.",
            for_ms=6_000,
        ),
        heal(36_000, says="Healed. Every line is there once, whatever the forwarder forgot."),
        say(44_000, "That was all."),
    )


SCENARIO = Scenario(
    "forwarder-crash",
    "The forwarder is killed, loses its journal, finds an old one, and a full disk.",
    steps,
    story="""Whatever the forwarder forgets, CloudWatch still has. A correct system sends nothing
    that it has not kept, begins a new epoch where it can't know, and lets the viewer compare
    rather than trust numbers.""",
)
