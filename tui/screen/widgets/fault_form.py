"""The form of one fault: its attributes with units and bounds, share, duration and repetition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label

from common.times import TimeFormatError, parse_duration
from tui.render import units
from tui.render.palette import Palette
from tui.render.safe_text import harmless
from tui.screen.ports import ActiveSwitch, Controls, ControlsError, FaultField
from tui.screen.widgets.modals import Modal


def parse_field(field: FaultField, text: str) -> float:
    """Parse what was typed into a field; in ms, also a duration such as ``10s``.

    Raises:
        ValueError: It is no number within the field's bounds; the text says which are.
    """
    value = _number(field, text.strip().replace(",", "").replace("_", ""))
    if value is None or not field.minimum <= value <= field.maximum:
        kind = "number" if field.is_share else "whole number"
        msg = f"{field.name}: write a {kind} from {field.minimum:,} to {field.maximum:,}"
        raise ValueError(f"{msg}, or 10s, 5m" if field.unit == "ms" else msg)
    return value


def _number(field: FaultField, text: str) -> float | None:
    try:
        return float(text) if field.is_share else int(text)
    except ValueError:
        if field.unit != "ms":
            return None
    try:
        return parse_duration(text)
    except TimeFormatError:
        return None


def state_text(state: ActiveSwitch, now_ms: int) -> str:
    """Since when a switch is in effect, how often it was, its effect, and its settings."""
    if not state.is_on:
        text = "waits for its next time" if state.turns else "waits for its time"
    elif state.since_ms is None:
        text = "on"
    else:
        text = f"on for {units.whole_duration(max(0, now_ms - state.since_ms))}"
    if state.turns > 1 or (state.turns and not state.is_on):
        text += f", {units.plural(state.turns, 'time')} so far"
    if state.affected:
        text += f", {harmless(state.affected)} affected"
    return f"{text}, {harmless(state.settings)}" if state.settings else text


REFRESH_S: Final = 0.25
"""Interval at which the form and the panel show what the simulator has reported."""


class FormField(Input):
    """The value of one attribute."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("down", "app.focus_next", "Next"),
        ("up", "app.focus_previous", "Previous"),
        ("escape", "screen.dismiss", "Close"),
    ]


class FaultForm(Modal[bool]):
    """Lets the user set a fault's attributes and switch it on; its result is whether it was."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,f2", "dismiss", "Close")]

    def __init__(
        self, palette: Palette, controls: Controls, name: str, now_ms: Callable[[], int]
    ) -> None:
        """``now_ms`` reads the wall clock."""
        super().__init__()
        self._now_ms = now_ms
        self._palette = palette
        self._controls = controls
        self._fault = name
        self._fields: Sequence[FaultField] = controls.fields(name)

    def compose(self) -> ComposeResult:
        """Lay out a row for each field, what the fault does, and the error."""
        with Vertical(id="fault-form") as frame:
            frame.border_title = harmless(self._fault)
            frame.border_subtitle = "Tab next, Enter switches on, Esc closes"
            about = self._controls.titles.get(self._fault, "").replace("``", "")
            yield Label(harmless(about), id="form-about", markup=False)
            for field in self._fields:
                with Horizontal(classes="form-row"):
                    yield Label(harmless(field.name), classes="form-name", markup=False)
                    value = FormField(str(field.value), id=f"form-{field.name}", compact=True)
                    value.cursor_blink = False
                    yield value
                    yield Label(self._note(field), classes="form-note", markup=False)
            yield Label("", id="form-state", markup=False)
            yield Label("", id="form-error", markup=False)

    def on_mount(self) -> None:
        """Put the cursor into the first field, and show whether the fault is on."""
        for field in self.query(FormField):
            field.focus()
            break
        self._show_state()
        # It may be switched from elsewhere, or end after its time.
        self.set_interval(REFRESH_S, self._show_state)

    def _show_state(self) -> None:
        if not self.has("#form-state"):
            return
        state = self._controls.active.get(self._fault)
        text = "off" if state is None else f"{state_text(state, self._now_ms())}: Enter replaces it"
        self.query_one("#form-state", Label).update(self._palette.adapt(text))

    def _note(self, field: FaultField) -> str:
        unit = f"{field.unit}, " if field.unit else ""
        bounds = f"{unit}{field.minimum:,} to {field.maximum:,}"
        return self._palette.adapt(harmless(f"{bounds} · {field.meaning}"))

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Switch the fault on with what was typed, or say what is wrong."""
        event.stop()
        values: dict[str, float] = {}
        try:
            for field in self._fields:
                typed = self.query_one(f"#form-{field.name}", FormField)
                try:
                    values[field.name] = parse_field(field, typed.value)
                except ValueError:
                    typed.focus()
                    raise
            await self._controls.switch_on(self._fault, values)
        except (ValueError, ControlsError) as error:
            if self.has("#form-error"):
                text = self._palette.adapt(harmless(str(error)))
                self.query_one("#form-error", Label).update(text)
        else:
            self.dismiss(result=True)
