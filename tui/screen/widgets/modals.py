"""A screen over the log that is left once, however often somebody asks.

Textual takes the topmost screen away at each ``dismiss``: keys that come faster than a panel
closes would take away what is below it, and end with an exception at the last one.
"""

from __future__ import annotations

from textual.app import ScreenStackError
from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen, ScreenResultType


def is_on_top(screen: Screen[ScreenResultType]) -> bool:
    """Whether it is the screen that keys are for."""
    try:
        return screen.app.screen is screen
    except ScreenStackError:
        return False


def nothing() -> AwaitComplete:
    """What there is to wait for where nothing is done."""
    done: AwaitComplete = AwaitComplete.nothing()  # type: ignore[no-untyped-call]  # Textual's
    return done


def leave_later(screen: Screen[ScreenResultType], result: ScreenResultType | None) -> AwaitComplete:
    """Leave a screen as soon as it is there."""

    def leave() -> None:  # what dismiss returns must not be awaited by the screen itself
        screen.dismiss(result)

    screen.call_later(leave)
    return nothing()


class Modal(ModalScreen[ScreenResultType]):
    """Leaves only where it is the topmost screen, and then once."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """As Textual's; nothing where it is left already, and not before it is there."""
        if not self.is_mounted:
            return leave_later(self, result)
        return super().dismiss(result) if is_on_top(self) else nothing()

    def has(self, *selectors: str) -> bool:
        """Whether these parts are there to be filled: they come after it, and go before it."""
        return self.is_mounted and all(self.query(one) for one in selectors)
