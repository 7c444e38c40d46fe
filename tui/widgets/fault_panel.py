"""The simulator's faults, switched by key; only where a simulator lends its switches."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen

from tui.controls import TITLES, Controls, ControlsError
from tui.harmless import Segment, harmless
from tui.palette import Palette
from tui.widgets.pane import Pane


class FaultPanel(ModalScreen[None]):
    """Each fault with the key that switches it, and whether it is on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,f2,q", "dismiss", "Close"),
        *[(str(number), f"switch({number})", f"Fault {number}") for number in range(1, 10)],
    ]

    def __init__(self, palette: Palette, controls: Controls) -> None:
        """The faults of a simulator."""
        super().__init__()
        self._palette = palette
        self._controls = controls

    def compose(self) -> ComposeResult:
        """The pane."""
        pane = Pane(self._palette, id="faults")
        pane.border_subtitle = "a number switches; Esc closes"
        yield pane

    async def on_mount(self) -> None:
        """Say what is on, as last heard, and then as it is."""
        self._fill("")
        try:
            await self._controls.refresh()
        except ControlsError as error:
            self._fill(str(error))
        else:
            self._fill("")

    async def action_switch(self, number: int) -> None:
        """Switch a fault by its number."""
        names = self._controls.names
        if number > len(names):
            return
        try:
            await self._controls.toggle(names[number - 1])
        except ControlsError as error:
            self._fill(str(error))
        else:
            self._fill("")

    def _fill(self, wrong: str) -> None:
        lines: list[list[Segment]] = []
        for number, name in enumerate(self._controls.names, 1):
            is_on = self._controls.states.get(name, False)
            lines.append(
                [
                    (f" {number}  ", "key"),
                    (" ON  " if is_on else " off ", "badge.bad" if is_on else "badge.quiet"),
                    (f"  {harmless(TITLES.get(name, name))}", "text"),
                ]
            )
        if wrong:
            lines += [[], [(harmless(wrong), "bad")]]
        self.query_one(Pane).show("faults of the simulator", lines)
