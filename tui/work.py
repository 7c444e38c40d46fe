"""Work that may be called off before it has begun, without a word. Pure."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any


class Work:
    """A coroutine to be awaited once, or never.

    Python warns of a coroutine that nobody ever awaited; of keys that come fast, the second
    calls off what the first has asked for before it begins.
    """

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        """Nothing has begun."""
        self._work = work

    def __await__(self) -> Generator[Any, Any, None]:
        """Do it."""
        yield from self._work.__await__()  # a generator of its own keeps this alive meanwhile

    def __del__(self) -> None:
        """Done, or not wanted any more."""
        self._work.close()
