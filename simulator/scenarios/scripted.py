"""``duplicate-timestamps``: ten thousand events in one millisecond."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """A crowd in one millisecond, read in small and repeating pages, cut off in the middle."""
    del seed
    return (
        inject(0, "short_page", "CloudWatch's pages are short: 700 events at most.", events=700),
        inject(
            2_000,
            "duplicate_timestamps",
            "10,000 events with one and the same timestamp, in several streams.",
        ),
        inject(
            4_000,
            "repeat_token",
            "Some pages come with the token that they were asked for with.",
        ),
        inject(
            5_000,
            "disconnect",
            "The cable is out in the middle of that millisecond: a time is no cursor here.",
            down_ms=3_000,
        ),
        inject(10_000, "duplicate_timestamps", "And another 10,000.", name="again"),
        heal(18_000, says="Healed. Events of one millisecond stand in the order of their ids."),
        say(25_000, "That was all."),
    )


SCENARIO = Scenario(
    "duplicate-timestamps",
    "10,000 events in one millisecond, in short pages and across a reconnection.",
    steps,
    story="""Who goes on at the last timestamp loses or doubles here; so does who takes a page
    that ends within a millisecond for that millisecond's end. A correct system shows all of them,
    in the order of their ids.""",
)
