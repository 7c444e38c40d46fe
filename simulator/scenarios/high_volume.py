"""``high-volume``: a million events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.scenarios.base import HOUR_MS, MINUTE_MS, Scenario, Setup, Step, inject, say

BURSTS: Final = (500_000, 250_000, 250_000)


def steps(seed: int) -> Sequence[Step]:
    """Half a million before anybody watches, as many while somebody does."""
    del seed
    before, first, second = BURSTS
    return (
        inject(
            0,
            "burst",
            "Half a million lines are written before anybody watches.",
            name="before",
            events=before,
            span_ms=20 * MINUTE_MS,
        ),
        say(20_000, "A viewer connects and is sent the past, newest first."),
        inject(
            25_000,
            "burst",
            "A quarter of a million more, all at once.",
            name="first",
            events=first,
            span_ms=5_000,
        ),
        inject(35_000, "burst", "And again as many.", name="second", events=second, span_ms=5_000),
        say(60_000, "That was a million. The keys still answer, and the proof is still to come."),
    )


SCENARIO = Scenario(
    "high-volume",
    "A million events, proved complete and in order.",
    steps,
    Setup(connect_after_ms=20_000, since_ms=HOUR_MS, within_ms=10 * MINUTE_MS),
    """A million events, half of them before the viewer connects. A correct system shows all of
    them in order and proves it; its memory stays bounded, and the screen answers meanwhile.""",
)
