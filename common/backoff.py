"""How long to wait before connecting again. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

FIRST_MS: Final = 250
"""Upper end of the first wait: most disconnections are over at once."""

LONGEST_MS: Final = 15_000
"""Upper end of every later wait: what a forwarder's restart may take at most to be noticed."""

LIVE_RESET_MS: Final = 10_000
"""A connection that was live for so long begins the waits anew."""


def backoff(rng: random.Random) -> Iterator[int]:
    """Waits in ms, for ever: doubling, each between the half and the whole of its step.

    The jitter keeps a crowd that was cut off at once from coming back at once.
    """
    step = FIRST_MS
    while True:
        yield rng.randint(step // 2, step)
        step = min(step * 2, LONGEST_MS)
