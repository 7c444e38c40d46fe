"""The faults around a mutant: short situations, and scenarios of the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from simulator.scenarios.base import Step, inject, say
from simulator.scenarios.scripted import SCENARIOS

SEED: Final = 7
"""Seed of every simulator: it determines the events written and the calls that fail."""

LAST_WORDS: Final = "last-words"
"""Name of the situation whose viewer follows an execution to its end, and of its fault."""


BOUND_S: Final = 15.0
"""Scans of the last two minutes start every 10 s, and their marks arrive within 3 s more."""

DEEP_BOUND_S: Final = 75.0
"""The same for scans of the whole requested range, which start every 30 s at best."""


class Situation(NamedTuple):
    """A sequence of faults.

    Attributes:
        name: Heading in the table.
        doc: One-line description.
        steps: Faults to inject, timed from when all viewers have their history.
        at_first: Faults that are active before any viewer connects.
        scenario: Name of a simulator scenario that replaces the steps.
        speed: Speed factor of the scenario.
        rate: Events per second.
        is_live: Whether there is a live path.
        since: Start of the history that viewers request.
        bound_s: Longest time from healing until everything is shown and verified.

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
    Situation("calm", "Nothing is wrong.", (say(2_500, "The faults end."),)),
    Situation(
        "late",
        "Each event becomes visible up to 1.5 s late, each by another time.",
        (say(4_000, "The faults end."),),
        (inject(0, "visibility_delay", delay_ms=800, jitter_ms=700),),
    ),
    Situation(
        "crowd",
        "2,000 events in one millisecond, and 100 that differ only in their ids.",
        (
            inject(0, "duplicate_timestamps", events=2_000),
            inject(0, "identical_messages", events=100),
            say(1_500, "All events are written."),
        ),
    ),
    Situation(
        "empty-pages",
        "Five of six pages are empty but have a next token.",
        (inject(0, "empty_page", toxicity=1.0), say(7_000, "The faults end.")),
    ),
    Situation(
        "cut-short",
        "Responses are truncated, half of them with a matching Content-Length.",
        (inject(0, "truncated_response", toxicity=1.0), say(6_000, "The faults end.")),
    ),
    Situation(
        "failing",
        "Every call fails.",
        (inject(0, "server_error", toxicity=1.0), say(6_000, "The faults end.")),
    ),
    Situation(
        "cut-off",
        "The network is down for 1.5 s.",
        (inject(0, "disconnect", down_ms=1_500), say(3_000, "The faults end.")),
    ),
    Situation(
        "lossy",
        "A third of the messages to viewers are dropped.",
        (say(4_000, "The faults end."),),
        (inject(0, "drop_frame", toxicity=0.33),),
    ),
    Situation(
        "journal-lost",
        "The forwarder is killed and its journal lost while the network is down.",
        (
            inject(0, "disconnect", down_ms=6_000),
            inject(1_000, "journal_lost", down_ms=500),
            say(6_500, "The faults end."),
        ),
    ),
    Situation(
        "strange-lines",
        "Messages with control sequences, lone surrogates and white space.",
        (inject(0, "terminal_escapes"), inject(0, "blank_messages"), say(1_500, "The faults end.")),
    ),
    Situation(
        LAST_WORDS,
        "A viewer follows an execution whose events become visible up to 4 s late.",
        (inject(0, "last_words", name=LAST_WORDS), say(5_000, "The faults end.")),
        (inject(0, "visibility_delay", delay_ms=2_000, jitter_ms=2_000),),
    ),
)


def _played(name: str, *, is_live: bool = True, since: str = "30m") -> Situation:
    """A scenario of the simulator, at a higher speed."""
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
"""Situations that play scenarios of the simulator; they take longer."""

SITUATIONS: Final[Mapping[str, Situation]] = {one.name: one for one in _OWN}
"""The short situations, by name."""
