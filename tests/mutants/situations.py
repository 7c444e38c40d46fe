"""What goes wrong around a mutant: short situations of its own, and the simulator's scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from simulator.scenarios.base import Step, inject, say
from simulator.scenarios.scripted import SCENARIOS

SEED: Final = 7
"""Of every simulator; the same seed writes the same lines and hits the same calls."""

LAST_WORDS: Final = "last-words"
"""The situation whose viewer follows an execution to its end; and the fault's name there."""


BOUND_S: Final = 15.0
"""A scan of the last two minutes begins each 10 s, and what it proves is told within 3 more."""

DEEP_BOUND_S: Final = 75.0
"""Likewise of a scan of everything that was asked for, which begins each 30 s, if there is time."""


class Situation(NamedTuple):
    """What happens.

    Attributes:
        name: how the table calls it.
        doc: what it does, in one line.
        steps: what is switched on, at times counted from when all viewers have their past.
        at_first: what is on before any viewer connects.
        scenario: the simulator's own one of that name takes the place of the steps.
        speed: how much faster than it is written.
        rate: events a second.
        is_live: whether there is a live path, too.
        since: how far back the viewers ask.
        bound_s: how long after healing everything must be shown and proved, at most.

    """

    name: str
    doc: str
    steps: tuple[Step, ...] = ()
    at_first: tuple[Step, ...] = ()
    scenario: str = ""
    speed: float = 1.0
    rate: float = 60.0
    is_live: bool = False
    since: str = "30m"
    bound_s: float = BOUND_S


_OWN: Final = (
    Situation("calm", "Nothing is wrong.", (say(2_500, "It is over."),)),
    Situation(
        "late",
        "Each event becomes visible up to 1.5 s late, each by another time.",
        (say(4_000, "It is over."),),
        (inject(0, "visibility_delay", delay_ms=800, jitter_ms=700),),
    ),
    Situation(
        "crowd",
        "2,000 events in one millisecond, and 100 that are equal in all but their ids.",
        (
            inject(0, "duplicate_timestamps", events=2_000),
            inject(0, "identical_messages", events=100),
            say(1_500, "All of it is written."),
        ),
    ),
    Situation(
        "empty-pages",
        "Five pages of six are empty, with a token to go on.",
        (inject(0, "empty_page", toxicity=1.0), say(7_000, "It is over.")),
    ),
    Situation(
        "cut-short",
        "Answers end in the middle, half of them without saying so.",
        (inject(0, "truncated_response", toxicity=1.0), say(6_000, "It is over.")),
    ),
    Situation(
        "failing",
        "Every call fails.",
        (inject(0, "server_error", toxicity=1.0), say(6_000, "It is over.")),
    ),
    Situation(
        "cut-off",
        "The cable is out for 1.5 s.",
        (inject(0, "disconnect", down_ms=1_500), say(3_000, "It is over.")),
    ),
    Situation(
        "lossy",
        "A third of the messages to the viewers gets lost, from the first one on.",
        (say(4_000, "It is over."),),
        (inject(0, "drop_frame", toxicity=0.33),),
    ),
    Situation(
        "journal-lost",
        "The forwarder is killed and its journal is gone; meanwhile the cable is out.",
        (
            inject(0, "disconnect", down_ms=6_000),
            inject(1_000, "journal_lost", down_ms=500),
            say(6_500, "It is over."),
        ),
    ),
    Situation(
        "strange-lines",
        "Messages of control sequences, half pairs and white space.",
        (inject(0, "terminal_escapes"), inject(0, "blank_messages"), say(1_500, "It is over.")),
    ),
    Situation(
        LAST_WORDS,
        "A viewer follows an execution to its end, whose lines become visible up to 4 s late.",
        (inject(0, "last_words", name=LAST_WORDS), say(5_000, "It is over.")),
        (inject(0, "visibility_delay", delay_ms=2_000, jitter_ms=2_000),),
    ),
)


def _played(name: str, *, is_live: bool = True, since: str = "30m") -> Situation:
    """One of the simulator's own scenarios, in less time."""
    doc = SCENARIOS[name].doc
    return Situation(
        name, doc, scenario=name, speed=3.0, is_live=is_live, since=since, bound_s=DEEP_BOUND_S
    )


PLAYED: Final[tuple[Situation, ...]] = (
    _played("late-events", since="4h"),
    _played("duplicates"),
    _played("throttled", is_live=False),
    _played("forwarder-crash"),
    _played("strange-lines"),
)
"""The longer ones."""

SITUATIONS: Final[Mapping[str, Situation]] = {one.name: one for one in _OWN}
"""The short ones, by their names."""
