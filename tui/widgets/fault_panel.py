"""The simulator's faults, switched by key; only where a simulator lends its switches."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.controls import TITLES, Controls, ControlsError, Story
from tui.harmless import Segment, harmless
from tui.palette import Palette
from tui.widgets.pane import Pane

FOLLOW_S: Final = 0.25
"""How often the panel looks at what the simulator has announced."""

NUMBERS: Final = 9
"""Faults that have a key of their own."""


TITLE_CHARS: Final = 54
"""What fits beside number and state; the simulator's words are longer."""


class FaultPanel(ModalScreen[None]):
    """Each fault with the key that switches it, and whether it is on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,f2,q", "dismiss", "Close"),
        # The pane would scroll instead.
        Binding("down,j", "move(1)", "Next", priority=True),
        Binding("up,k", "move(-1)", "Previous", priority=True),
        ("enter,space", "switch_this", "Switch"),
        *[
            (str(number), f"switch({number})", f"Fault {number}")
            for number in range(1, NUMBERS + 1)
        ],
    ]

    def __init__(self, palette: Palette, controls: Controls) -> None:
        """The faults of a simulator."""
        super().__init__()
        self._palette = palette
        self._controls = controls
        self._place = 0
        self._above = 0
        self._wrong = ""

    def compose(self) -> ComposeResult:
        """The pane."""
        pane = Pane(self._palette, id="faults")
        pane.border_subtitle = "arrows and Enter, or a number, switch; Esc closes"
        yield pane

    async def on_mount(self) -> None:
        """Say what is on, as last heard, and then as it is; and what others switch, too."""
        self._fill()
        # Faults may be switched from another terminal, or end by themselves.
        self.set_interval(FOLLOW_S, self._fill)
        try:
            await self._controls.refresh()
        except ControlsError as error:
            self._wrong = str(error)
        self._fill()

    async def action_switch(self, number: int) -> None:
        """Switch a fault by its number."""
        if number <= len(self._controls.names):
            self._place = number - 1
            await self.action_switch_this()

    async def action_switch_this(self) -> None:
        """Switch the fault under the cursor."""
        names = self._controls.names
        if self._place >= len(names):
            return
        self._wrong = ""
        try:
            await self._controls.toggle(names[self._place])
        except ControlsError as error:
            self._wrong = str(error)
        self._fill()

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        count = len(self._controls.names)
        self._place = min(max(0, self._place + by), max(0, count - 1))
        self._fill()
        pane = self.query_one(Pane)
        rows = max(1, pane.scrollable_content_region.height)
        top = int(pane.scroll_offset.y)
        row = self._place + self._above
        if not top <= row < top + rows:
            pane.scroll_to(y=row if by < 0 else row - rows + 1, animate=False)

    def _fill(self) -> None:
        story = self._controls.story
        lines = [] if story is None else told(story)
        self._above = len(lines)
        states, titles = self._controls.states, self._controls.titles
        for place, name in enumerate(self._controls.names):
            is_on = states.get(name, False)
            number = f"{place + 1}" if place < NUMBERS else " "
            title = TITLES.get(name) or f"{name}: {titles.get(name, '')}".replace("``", "")
            # A row each, so that the cursor's row is its place.
            title = title if len(title) <= TITLE_CHARS else f"{title[: TITLE_CHARS - 1]}…"
            lines.append(
                [
                    (f"{'>' if place == self._place else ' '}{number}  ", "key"),
                    (" ON  " if is_on else " off ", "badge.bad" if is_on else "badge.quiet"),
                    (f"  {harmless(title)}", "text"),
                ]
            )
        if self._wrong:
            lines += [[], [(harmless(self._wrong), "bad")]]
        self.query_one(Pane).show("faults of the simulator", lines)


def told(story: Story) -> list[list[Segment]]:
    """The scenario's lines, above the faults."""
    lines: list[list[Segment]] = [
        [(harmless(story.title), "key"), (f"  {harmless(story.progress)}", "muted")],
        [(harmless(story.now), "text")],
    ]
    if story.then:
        lines.append([("then: ", "muted"), (harmless(story.then), "muted")])
    if story.verdict:
        badge = "badge.ok" if story.is_clean else "badge.bad"
        lines.append([(" VERDICT ", badge), (f" {harmless(story.verdict)}", "text")])
    return [*lines, []]
