"""Work that may be called off before it has begun, without a word. Pure."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Work:
    """A coroutine function to be awaited once, or never.

    Python warns of a coroutine that nobody ever awaited; of keys that come fast, the second
    calls off what the first has asked for before it begins. There is no coroutine before then.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Nothing has begun."""
        self._work = work

    def __await__(self) -> Generator[Any, Any, None]:
        """Do it."""
        return self._work().__await__()
