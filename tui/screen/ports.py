"""Interfaces to the engine, to the programs around the viewer, and from the application's parts.

The viewer imports neither AWS nor the simulator. The package ``gapless`` implements ``Catalogue``
and ``Controls``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:  # commands import this module, and must start fast
    from tui.client.refetch import LineRefetcher, OlderLines
    from tui.client.status import Status
    from tui.client.target import LineSource
    from tui.lines.rows import Change, Line
    from tui.lines.timeline import Timeline
    from tui.render.replay_text import PlayerStatus
    from wire.messages import AlteredText


class ShownEngine(Protocol):
    """What the screen needs of an engine: the live one, or one that replays a file."""

    @property
    def timeline(self) -> Timeline:
        """The rows."""

    @property
    def refetcher(self) -> LineRefetcher:
        """Brings evicted lines back."""

    @property
    def older(self) -> OlderLines:
        """Fetches history from before the start that was asked for at first."""

    @property
    def status(self) -> Status:
        """The state of all targets at this moment."""

    @property
    def sources(self) -> list[LineSource]:
        """Where the lines come from, in the order of the targets."""

    def altered_text(self, line: Line) -> AlteredText | None:
        """The text that CloudWatch now returns for a line, if that is another one."""

    def on_change(self, callback: Callable[[Change], None]) -> None:
        """Call back after each change, in order, and after changes of the status alone."""

    async def start(self) -> None:
        """Start it."""

    async def stop(self) -> None:
        """Stop it."""

    def reconnect_now(self) -> None:
        """Reconnect every target at once."""


class Player(Protocol):
    """The controls of a replay."""

    @property
    def player(self) -> PlayerStatus:
        """Where the replay is."""

    @property
    def position_ms(self) -> int:
        """The moment that is shown, ms since the Unix epoch."""

    def steady_ms(self) -> int:
        """Read a monotonic clock."""

    def toggle(self) -> None:
        """Pause or go on; at the end, start from the beginning."""

    def seek(self, at_ms: int) -> None:
        """Go to a moment, or to the nearest one of the recording."""

    def seek_by(self, steps: int) -> None:
        """Go forwards or back by some steps of ten seconds."""

    def to_start(self) -> None:
        """Go to the first moment."""

    def to_end(self) -> None:
        """Go to the last moment."""

    def change_speed(self, direction: int) -> None:
        """Switch to the next speed, up (1) or down (-1)."""


ShowMessage = Callable[[str], None]
"""Shows a message for some seconds."""

RunExclusively = Callable[[Callable[[], Coroutine[None, None, None]], str], None]
"""Runs a coroutine as the only one of its name: the one that ran under the name is cancelled."""

CABLE: Final = "disconnect"
"""The fault that ``p`` switches: the connection between viewer and forwarder."""

SCENARIO: Final = "scenario "
"""Prefix of the switches that play a scenario."""


class ControlsError(Exception):
    """A fault could not be switched; the text is one line with the simulator's answer."""


class VerdictStatus(NamedTuple):
    """The simulator's comparison of this screen with what CloudWatch accepted.

    Attributes:
        word: ``WAIT``: lines are missing that a fault holds back, or held back a moment ago;
            empty: this screen is not judged.
        text: The counts, or the reason.
    """

    word: Literal["PASS", "WAIT", "FAIL", ""]
    text: str

    @property
    def line(self) -> str:
        """Both, as one text."""
        return f"{self.word} {self.text}".strip()


class ActiveSwitch(NamedTuple):
    """A switch that was switched on, and was not healed.

    Attributes:
        is_on: Whether it is in effect now; else it waits for its time, or its next turn.
        since_ms: When it came into effect, ms since the Unix epoch; None: unknown, or it waits.
        turns: How often it has come into effect; 0 where that is not counted.
        settings: Its attributes and times, those that are not its defaults.
        affected: How much it has affected, as ``7 calls``; empty where that is not counted.
    """

    is_on: bool = True
    since_ms: int | None = None
    turns: int = 0
    settings: str = ""
    affected: str = ""


class ScenarioStatus(NamedTuple):
    """A scenario that runs or ran, in the simulator's words.

    Attributes:
        title: Its name, and the seed that replays it.
        progress: Step and number of steps, or how it ended.
        now: What happens now, and what to watch for.
        then: The next step; empty at the end.
    """

    title: str
    progress: str
    now: str
    then: str = ""


class FaultField(NamedTuple):
    """A value that a fault can be switched on with.

    Attributes:
        name: Its name.
        value: What the form begins with.
        minimum: Its bounds.
        maximum: Likewise.
        meaning: What it does, in the simulator's words.
        unit: ``ms``, ``bytes`` or the like; empty for a count.
        is_share: Whether it is a share from 0 to 1 and no whole number.
    """

    name: str
    value: float
    minimum: int
    maximum: int
    meaning: str
    unit: str = ""
    is_share: bool = False


class Controls(Protocol):
    """The fault and scenario switches of a running simulator."""

    @property
    def names(self) -> Sequence[str]:
        """Names of all switches, in display order."""

    @property
    def titles(self) -> Mapping[str, str]:
        """What each switch does, in the simulator's words."""

    @property
    def states(self) -> Mapping[str, bool]:
        """Which switches are in effect, as last reported by the simulator."""

    @property
    def active(self) -> Mapping[str, ActiveSwitch]:
        """The switches that are in effect or will be: what the next ``toggle`` heals."""

    @property
    def scenario(self) -> ScenarioStatus | None:
        """The scenario that runs, or ran last; None before the first."""

    @property
    def verdict(self) -> VerdictStatus | None:
        """The last verdict on this screen; None before the first."""

    async def toggle(self, name: str) -> bool:
        """Switch a fault on or off; returns whether it is on now.

        Raises:
            ControlsError: The simulator did not answer, or refused.
        """

    async def heal(self) -> None:
        """Stop the scenario that runs, and heal every fault.

        Raises:
            ControlsError: The simulator did not answer.
        """

    @property
    def recent(self) -> Sequence[str]:
        """The switches that were used from this screen, the newest first."""

    def fields(self, name: str) -> Sequence[FaultField]:
        """The values that a fault can be switched on with; empty for a scenario."""

    async def switch_on(self, name: str, values: Mapping[str, float]) -> None:
        """Switch a fault on with these values of its fields.

        Raises:
            ControlsError: The simulator did not answer, or refused.
        """

    async def refresh(self) -> None:
        """Ask the simulator which switches are on.

        Raises:
            ControlsError: The simulator did not answer.
        """


class Choice(msgspec.Struct, frozen=True):
    """A log group or forwarder that can be opened, whole or one execution of it."""

    target: str
    """The target as it is written on the command line."""
    execution: str | None
    """None for all executions."""
    name: str
    """The text that is shown and searched."""
    note: str = ""
    """Further information, such as an execution's state."""
    newest_ms: int | None = None
    """Time of its newest event, ms since the Unix epoch; None if unknown."""


class CatalogueError(Exception):
    """The catalogue could not be listed; the text is one line with the reason."""


class Catalogue(Protocol):
    """Lists the log groups and executions that can be opened."""

    @property
    def open_now(self) -> Sequence[Choice]:
        """The targets that are open now, whole."""

    @property
    def place(self) -> str:
        """The account and Region whose log groups are listed, as far as they are known yet."""

    async def last_events(self) -> Mapping[str, int]:
        """Read the times of the last events of the log groups, ms, by target.

        Raises:
            CatalogueError: AWS could not be asked.
        """

    async def groups(self) -> Sequence[Choice]:
        """List the log groups.

        Raises:
            CatalogueError: AWS could not be asked.
        """

    async def executions(self, target: str) -> Sequence[Choice]:
        """List the executions of a target.

        Raises:
            CatalogueError: The target could not be asked.
        """
