"""The prompt: one line for a search, a filter, a time or a file name."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, Literal

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from tui.render.safe_text import harmless
from tui.render.units import MOMENT_FORMS

Kind = Literal["search", "include", "exclude", "time", "save"]

Check = Callable[[str], str | None]
"""Returns what is wrong with a text, or None."""

Complete = Callable[[str], str | None]
"""Returns a text with its last word completed, or None."""

EXPRESSIONS: Final[tuple[Kind, ...]] = ("search", "include", "exclude")
"""Kinds whose entries are expressions: they are checked while they are typed."""

LABELS: Final[dict[Kind, str]] = {
    "search": "search",
    "include": "only lines with",
    "exclude": "only lines without",
    "time": "go to",
    "save": "save to",
}
_PATTERN: Final = "text, /regex/ or field=value; Tab completes, Esc cancels"
PLACEHOLDERS: Final[dict[Kind, str]] = {
    "search": _PATTERN,
    "include": _PATTERN,
    "exclude": _PATTERN,
    "time": f"{MOMENT_FORMS}; Esc cancels",
    "save": "FILE for text, FILE.ndjson for JSON; Esc cancels",
}
CHARS_MAX: Final = 500


class _Proposals(Suggester):
    """Proposes how a text could go on."""

    def __init__(self, complete: Complete) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        """The text with its last word completed."""
        return self._complete(value)


class PromptField(Input):
    """An input that Esc cancels, with a history at the up and down keys; Tab completes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "cancel", "Cancel"),
        ("up", "recall(-1)", "Before"),
        ("down", "recall(1)", "After"),
        ("tab", "complete", "Complete"),
    ]

    class Cancelled(Message):
        """Esc was pressed."""

    def __init__(self) -> None:
        super().__init__(compact=True, max_length=CHARS_MAX, id="prompt-field")
        self.cursor_blink = False  # a blinking cursor sends an update twice a second over SSH
        self._history: list[str] = []
        self._at = 0
        self._complete: Complete | None = None

    def open(
        self, text: str, history: list[str], placeholder: str, complete: Complete | None
    ) -> None:
        """Take the focus with a text, and with earlier entries for the arrow keys."""
        self._complete = complete
        self.suggester = None if complete is None else _Proposals(complete)
        self.value = text
        self.placeholder = placeholder
        self._history = history
        self._at = len(history)
        self.screen.set_focus(self)  # at once: focus() waits until other keys were handled
        self.action_end()

    async def on_key(self, event: events.Key) -> None:
        """Act on keys in the order in which they were typed.

        Textual looks for an action only when a key has come back from the field, which has taken
        the letters behind it by then: ``a``, Backspace, ``b`` would leave nothing.
        """
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            event.stop()
            event.prevent_default()
            await self.run_action(binding.action)

    def action_cancel(self) -> None:
        """Report that nothing is entered."""
        self.post_message(self.Cancelled())

    def action_complete(self) -> None:
        """Accept the proposal, if there is one; the focus stays here."""
        proposal = None if self._complete is None else self._complete(self.value)
        if proposal is not None and self.cursor_at_end:
            self.value = proposal
            self.action_end()

    def action_recall(self, step: int) -> None:
        """Insert an earlier (-1) or later (1) entry of the history."""
        self._at = min(max(0, self._at + step), len(self._history))
        self.value = self._history[self._at] if self._at < len(self._history) else ""
        self.action_end()


class Prompt(Horizontal):
    """A label and a field, shown in place of the key bar while something is typed."""

    class Answered(Message):
        """Enter or Esc was pressed; ``text`` is None after Esc."""

        def __init__(self, kind: Kind, text: str | None) -> None:
            super().__init__()
            self.kind: Kind = kind
            self.text = text

    class Typed(Message):
        """The text has changed; lets matches show while a search is typed."""

        def __init__(self, kind: Kind, text: str) -> None:
            super().__init__()
            self.kind: Kind = kind
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self._kind: Kind = "search"
        self._histories: dict[Kind, list[str]] = {kind: [] for kind in LABELS}
        self._check: Check | None = None
        self.display = False

    def compose(self) -> ComposeResult:
        """Lay out the label, the field and the error."""
        yield Static(id="prompt-label", markup=False)
        yield PromptField()
        yield Static(id="prompt-mistake", markup=False)

    def ask(
        self,
        kind: Kind,
        check: Check | None = None,
        *,
        label: str = "",
        text: str = "",
        complete: Complete | None = None,
    ) -> None:
        """Open the prompt for an entry of this kind; it stays open until ``check`` finds it valid.

        ``label`` stands before the field in place of the kind's own; ``text`` fills the field;
        ``complete`` proposes how a text could go on.
        """
        self._kind, self._check = kind, check
        self.query_one("#prompt-label", Static).update(label or LABELS[kind])
        self._show_mistake("")
        self.display = True
        field = self.query_one(PromptField)
        field.open(text, self._histories[kind], PLACEHOLDERS[kind], complete)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Report the text as it is typed."""
        event.stop()
        is_checked = self._kind in EXPRESSIONS and self._check is not None and event.value
        self._show_mistake((self._check(event.value) if is_checked and self._check else "") or "")
        if self.display:
            self.post_message(self.Typed(self._kind, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Check what was entered, and close if it is valid."""
        event.stop()
        mistake = self._check(event.value) if self._check is not None and event.value else None
        if mistake is not None:
            self._show_mistake(mistake)
            return
        history = self._histories[self._kind]
        if event.value and event.value not in history[-1:]:
            history.append(event.value)
        self._close(event.value)

    def on_prompt_field_cancelled(self, event: PromptField.Cancelled) -> None:
        """Close without an answer."""
        event.stop()
        self._close(None)

    def _show_mistake(self, text: str) -> None:
        self.query_one("#prompt-mistake", Static).update(harmless(text))

    def _close(self, text: str | None) -> None:
        self.display = False
        self.post_message(self.Answered(self._kind, text))
