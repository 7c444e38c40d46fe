"""``strange-lines``: whatever executions may write."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """Blank, huge, malicious, and in streams that nobody knew."""
    del seed
    return (
        inject(0, "terminal_escapes", "Lines that would move the cursor or set the title."),
        inject(3_000, "blank_messages", "Lines that say nothing one can see."),
        inject(6_000, "huge_event", "Lines of a megabyte.", events=2),
        inject(10_000, "new_stream", "And streams that did not exist a moment ago.", streams=20),
        heal(15_000, says="All of it is shown, none of it is obeyed."),
        say(20_000, "That was all."),
    )


SCENARIO = Scenario(
    "strange-lines",
    "Blank, huge and malicious messages, and streams that did not exist a moment ago.",
    steps,
    story="""A log is written by anybody. A correct viewer shows whatever it says, byte for byte
    in its output and harmlessly on a screen.""",
)
