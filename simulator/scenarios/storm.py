"""``storm``: everybody is cut off at once, and comes back at once."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.scenarios.base import Scenario, Step, heal, inject, say


def steps(seed: int) -> Sequence[Step]:
    """A crowd, and all that cuts connections."""
    del seed
    return (
        inject(0, "storm", "Fifty more viewers connect at once."),
        inject(
            4_000,
            "close",
            "Everybody is told to come back: they spread themselves over time.",
            code=1012,
            every_ms=6_000,
        ),
        inject(
            8_000,
            "reset_peer",
            "Connections are reset in the middle of a message.",
            after_bytes=60_000,
            toxicity=0.7,
        ),
        inject(
            14_000,
            "limit_data",
            "Or end there.",
            after_bytes=30_000,
            toxicity=0.7,
        ),
        inject(18_000, "drop_frame", "Messages are lost: the sequence shows it."),
        inject(18_000, "reorder_frame", "Others change places."),
        heal(26_000, says="Healed. The crowd goes; each message had its number."),
        say(34_000, "That was all."),
    )


SCENARIO = Scenario(
    "storm",
    "A crowd reconnects at once while connections break in the middle of messages.",
    steps,
    story="""A forwarder that restarts has all its viewers back in the same second. A correct
    system spreads them, scans once for all of them, and each goes on exactly where it was, also
    when it was cut off within a message.""",
)
