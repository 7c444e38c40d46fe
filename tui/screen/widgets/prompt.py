"""The line in which the reader types what to search or to filter for."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from tui.render.safe_text import harmless
from tui.render.units import MOMENT_FORMS

Kind = Literal["search", "include", "exclude", "time", "save"]

Check = Callable[[str], str | None]
"""What is wrong with a text, or None."""

LABELS: Final[dict[Kind, str]] = {
    "search": "search",
    "include": "only lines with",
    "exclude": "only lines without",
    "time": "go to",
    "save": "save to",
}
_PATTERN: Final = "text or regular expression; Esc leaves it"
PLACEHOLDERS: Final[dict[Kind, str]] = {
    "search": _PATTERN,
    "include": _PATTERN,
    "exclude": _PATTERN,
    "time": f"{MOMENT_FORMS}; Esc leaves it",
    "save": "FILE for text, FILE.ndjson for JSON; Esc leaves it",
}
CHARS_MAX: Final = 500


class Field(Input):
    """An input that Esc leaves, with what was typed before at the arrow keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Cancel"),
        ("up", "past(-1)", "Before"),
        ("down", "past(1)", "After"),
    ]

    class Left(Message):
        """Esc was pressed."""

    def __init__(self) -> None:
        """An empty field."""
        super().__init__(compact=True, max_length=CHARS_MAX, id="prompt-field")
        self.cursor_blink = False  # a picture that changes twice a second is work over SSH
        self._past: list[str] = []
        self._at = 0

    def open(self, text: str, past: list[str], placeholder: str) -> None:
        """Begin anew, with what was typed before."""
        self.value = text
        self.placeholder = placeholder
        self._past = past
        self._at = len(past)
        self.focus()
        self.action_end()

    def action_leave(self) -> None:
        """Enter nothing."""
        self.post_message(self.Left())

    def action_past(self, step: int) -> None:
        """What was typed before, or after."""
        self._at = min(max(0, self._at + step), len(self._past))
        self.value = self._past[self._at] if self._at < len(self._past) else ""
        self.action_end()


class Prompt(Horizontal):
    """A label and a field, in the place of the key bar while something is typed."""

    class Answered(Message):
        """Enter (or Esc): what was typed, None where it was given up."""

        def __init__(self, kind: Kind, text: str | None) -> None:
            """What was asked for, and what came of it."""
            super().__init__()
            self.kind: Kind = kind
            self.text = text

    class Typed(Message):
        """What stands in the field now, so that matches show while it is typed."""

        def __init__(self, kind: Kind, text: str) -> None:
            """What is asked for, and what stands there."""
            super().__init__()
            self.kind: Kind = kind
            self.text = text

    def __init__(self) -> None:
        """Closed."""
        super().__init__(id="prompt")
        self._kind: Kind = "search"
        self._past: dict[Kind, list[str]] = {kind: [] for kind in LABELS}
        self._check: Check | None = None
        self.display = False

    def compose(self) -> ComposeResult:
        """The label and the field."""
        yield Static(id="prompt-label", markup=False)
        yield Field()
        yield Static(id="prompt-mistake", markup=False)

    def ask(
        self, kind: Kind, check: Check | None = None, *, label: str = "", text: str = ""
    ) -> None:
        """Open for a question.

        Args:
            kind: what is asked for.
            check: what is wrong with an answer; with a wrong one the prompt stays open.
            label: what stands before the field, where it is not always the same.
            text: what stands in the field.

        """
        self._kind, self._check = kind, check
        self.query_one("#prompt-label", Static).update(label or LABELS[kind])
        self._show_mistake("")
        self.display = True
        self.query_one(Field).open(text, self._past[kind], PLACEHOLDERS[kind])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Something was typed."""
        event.stop()
        self._show_mistake("")
        if self.display:
            self.post_message(self.Typed(self._kind, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        mistake = self._check(event.value) if self._check is not None and event.value else None
        if mistake is not None:
            self._show_mistake(mistake)
            return
        past = self._past[self._kind]
        if event.value and event.value not in past[-1:]:
            past.append(event.value)
        self._close(event.value)

    def on_field_left(self, event: Field.Left) -> None:
        """Esc."""
        event.stop()
        self._close(None)

    def _show_mistake(self, text: str) -> None:
        self.query_one("#prompt-mistake", Static).update(harmless(text))

    def _close(self, text: str | None) -> None:
        self.display = False
        self.post_message(self.Answered(self._kind, text))
