"""The form of one fault: its attributes with units and bounds, share, duration and repetition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label

from common.times import TimeFormatError, parse_duration
from tui.render.palette import Palette
from tui.render.safe_text import harmless
from tui.screen.ports import Controls, ControlsError, FaultField
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

    def __init__(self, palette: Palette, controls: Controls, name: str) -> None:
        super().__init__()
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
            yield Label("", id="form-error", markup=False)

    def on_mount(self) -> None:
        """Put the cursor into the first field."""
        for field in self.query(FormField):
            field.focus()
            break

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
