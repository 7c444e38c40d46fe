"""What ``gapless demo`` lends the viewer: faults that can be switched by key.

The viewer knows no simulator; it is handed an object that keeps to this protocol, or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

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
