"""What the screen needs of the engine: the least, so that tests can stand in for it.

What ``gapless demo`` lends the viewer: faults that can be switched by key.

The viewer knows no simulator; it is handed an object that keeps to this protocol, or none.

What there is to open, and what of it a few typed letters mean. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from tui.client.status import Status
from tui.lines.rows import Change, Row
from tui.lines.timeline import Timeline


class ViewerEngine(Protocol):
    """Brings the lines, and knows what there is to know about them."""

    @property
    def status(self) -> Status:
        """A snapshot of what it knows."""

    @property
    def timeline(self) -> Timeline:
        """The rows; always the same object."""

    def on_change(self, callback: Callable[[Change], None]) -> None:
        """Call back in the event loop, after each change and in their order."""

    async def start(self) -> None:
        """Begin to connect."""

    async def stop(self) -> None:
        """Close all connections."""

    def reconnect_now(self) -> None:
        """Try at once, without waiting."""

    def look(self, rows: Sequence[Row], cursor: int | None, *, sifted: bool) -> None:
        """Somebody looks at these rows; what is missing there is fetched."""

    def bring(self, key: int, then: Callable[[], None]) -> None:
        """Fetch what is not in memory at a key, for somebody who goes there."""


CABLE: Final = "disconnect"
"""The fault that ``p`` switches: the cable between viewer and forwarder."""

SCENARIO: Final = "scenario "
"""What the name of a switch begins with that plays a scenario."""

TITLES: Final = {
    "disconnect": "pull the cable between viewer and forwarder",
    "visibility_delay": "CloudWatch shows events seconds after it took them",
    "duplicate_timestamps": "many events in one and the same millisecond",
}
"""What a fault does, in the words of the screen; of others, the simulator's words are shown."""


class ControlsError(Exception):
    """A fault could not be switched; the text is one line and says what came back."""


class Story(NamedTuple):
    """A scenario that runs or ran, in the simulator's words.

    Attributes:
        title: its name, and what replays it.
        progress: how far it is.
        now: what happens now, and what to look at.
        then: what follows; empty at the end.
        verdict: what a judge says of this screen who knows what CloudWatch accepted; empty
            before the first.
        is_clean: whether that is that nothing is wrong.

    """

    title: str
    progress: str
    now: str
    then: str = ""
    verdict: str = ""
    is_clean: bool = False


class Controls(Protocol):
    """Switches of a running simulator."""

    @property
    def names(self) -> Sequence[str]:
        """The faults there are, in the order in which they are shown."""

    @property
    def titles(self) -> Mapping[str, str]:
        """What each of them does, in the simulator's words."""

    @property
    def states(self) -> Mapping[str, bool]:
        """Which of them are on, as last heard."""

    @property
    def story(self) -> Story | None:
        """The scenario that runs, or ran last; None before the first."""

    async def toggle(self, name: str) -> bool:
        """Switch a fault, and say whether it is on now.

        Raises:
            ControlsError: the simulator did not answer, or refused.

        """

    async def refresh(self) -> None:
        """Hear again which faults are on.

        Raises:
            ControlsError: the simulator did not answer.

        """


SHOWN_MAX: Final = 1_000
"""Choices that are listed at once; who has more types a few letters."""

_PREFIX: Final = 100


class Choice(msgspec.Struct, frozen=True):
    """A log group or a forwarder, whole or one execution of it."""

    target: str
    """As it is written on the command line."""
    execution: str | None
    """None: all of them."""
    name: str
    """What is searched and shown."""
    note: str = ""
    """What else there is to say of it."""
    newest_ms: int | None = None
    """When it last had news, as far as that is known; ms since the Unix epoch."""


class CatalogueError(Exception):
    """What there is could not be found out; the text is one line and says why."""


class Catalogue(Protocol):
    """Finds out what there is to open. The viewer knows no AWS: it is handed an object."""

    @property
    def here(self) -> Sequence[Choice]:
        """The targets that are open now, whole."""

    async def groups(self) -> Sequence[Choice]:
        """The log groups.

        Raises:
            CatalogueError: they could not be asked for.

        """

    async def executions(self, target: str) -> Sequence[Choice]:
        """The executions of a target.

        Raises:
            CatalogueError: they could not be asked for.

        """


def ranked(choices: Iterable[Choice], typed: str) -> list[Choice]:
    """What a few letters mean, best first; of the equally good the newest first.

    Each word that was typed must occur in the name, if need be with others between its letters.
    """
    words = typed.casefold().split()
    found: list[tuple[int, int, Choice]] = []
    for choice in choices:
        scores = [_score(choice.name.casefold(), word) for word in words]
        if None not in scores:
            total = sum(score for score in scores if score is not None)
            found.append((total, choice.newest_ms or 0, choice))
    found.sort(key=lambda one: (-one[0], -one[1], one[2].name))
    return [choice for *_, choice in found[:SHOWN_MAX]]


def _score(name: str, word: str) -> int | None:
    """How well a word fits: a piece of the name best, at the beginning of a part of it better."""
    at = name.find(word)
    if at >= 0:
        begins = at == 0 or not name[at - 1].isalnum()
        return 3 * _PREFIX if begins else 2 * _PREFIX
    at = -1
    gaps = 0
    for char in word:
        before, at = at, name.find(char, at + 1)
        if at < 0:
            return None
        gaps += at - before - 1
    return max(1, _PREFIX - gaps)
