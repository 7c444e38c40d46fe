"""The line in which the reader types what to search or to filter for."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

Kind = Literal["search", "include", "exclude"]

LABELS: Final[dict[Kind, str]] = {
    "search": "search",
    "include": "only lines with",
    "exclude": "only lines without",
}
PLACEHOLDER: Final = "text or regular expression; Esc leaves it"
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
        super().__init__(
            compact=True, max_length=CHARS_MAX, placeholder=PLACEHOLDER, id="prompt-field"
        )
        self.cursor_blink = False  # a picture that changes twice a second is work over SSH
        self._past: list[str] = []
        self._at = 0

    def open(self, text: str, past: list[str]) -> None:
        """Begin anew, with what was typed before."""
        self.value = text
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
        self._past: dict[Kind, list[str]] = {"search": [], "include": [], "exclude": []}
        self.display = False

    def compose(self) -> ComposeResult:
        """The label and the field."""
        yield Static(id="prompt-label", markup=False)
        yield Field()

    def ask(self, kind: Kind) -> None:
        """Open for a question."""
        self._kind = kind
        self.query_one("#prompt-label", Static).update(LABELS[kind])
        self.display = True
        self.query_one(Field).open("", self._past[kind])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Something was typed."""
        event.stop()
        if self.display:
            self.post_message(self.Typed(self._kind, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        past = self._past[self._kind]
        if event.value and event.value not in past[-1:]:
            past.append(event.value)
        self._close(event.value)

    def on_field_left(self, event: Field.Left) -> None:
        """Esc."""
        event.stop()
        self._close(None)

    def _close(self, text: str | None) -> None:
        self.display = False
        self.post_message(self.Answered(self._kind, text))
