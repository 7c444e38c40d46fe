"""The simulator's faults and scenarios, switched by key; only in ``gapless demo``."""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_letters
from typing import ClassVar, Final, Literal

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input

from tui.render import line_format as fmt
from tui.render.palette import Palette
from tui.render.safe_text import Segment, harmless
from tui.render.status_text import Chunk, chunk
from tui.screen.ports import (
    CABLE,
    SCENARIO,
    ActiveSwitch,
    Controls,
    ControlsError,
    ScenarioStatus,
    VerdictStatus,
)
from tui.screen.widgets.bars import Bar
from tui.screen.widgets.fault_form import REFRESH_S, FaultForm, state_text
from tui.screen.widgets.modals import Modal
from tui.screen.widgets.panes import ListItem, ListPane, TextPane

Page = Literal["faults", "scenarios"]

TITLES: Final = {
    "disconnect": "Unplugs the cable between viewer and forwarder.",
    "visibility_delay": "Makes CloudWatch show events seconds late.",
    "duplicate_timestamps": "Writes many events with the same timestamp.",
}
"""What a fault does, where the simulator's own words are too long for the list."""

VERDICT_ROLES: Final = {"PASS": "ok", "WAIT": "warn", "FAIL": "bad", "": "muted"}
"""The role of each verdict's text."""

RESERVED: Final = frozenset("gGjkpq")
"""Letters with another meaning in the panel: movement, cable, close."""

SWITCH_KEYS: Final = "1234567890" + "".join(one for one in ascii_letters if one not in RESERVED)
"""Keys of the first switches of a page, which keep them however the list is sorted; the others are
found by their names."""


class SwitchList(ListPane):
    """The switches of one page; a click switches."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, id="switches")

    def on_item_click(self, key: str, *, twice: bool) -> None:  # noqa: ARG002 - each click switches
        """Switch the fault that was clicked."""
        self.call_later(self.run_action, f"screen.switch({key!r})")

    def _move_to(self, index: int) -> None:
        super()._move_to(index)
        self.call_later(self.run_action, "screen.describe")


class SwitchSearch(Input):
    """A part of the names to show."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "screen.end_search(True)", "End"),
        ("enter", "screen.end_search(False)", "Use"),
        ("down", "screen.by(1)", "Down"),
        ("up", "screen.by(-1)", "Up"),
        ("f2", "screen.dismiss", "Close"),
    ]


_KEYS: Final[dict[Page, str]] = {
    "faults": "Space: switch · Enter: attributes · / search · Del: heal all · Tab: page",
    "scenarios": "Space, Enter: start or stop · / search · Del: heal all · Tab: page",
}
"""What the keys do on each page."""


class FaultPanel(Modal[None]):
    """All switches with their keys and states, and the progress of a scenario.

    Those used last stand first, as of the moment at which the panel was opened.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,f2,q", "dismiss", "Close"),
        ("enter", "open", "Attributes"),
        ("space", "switch_this", "Switch"),
        ("slash", "search", "Search"),
        ("delete,backspace", "heal", "Heal all"),
        ("tab,shift+tab,left,right", "turn_page", "Scenarios, or faults"),
        ("p", f"switch({CABLE!r})", "Cable"),
        *[(key, f"press({place})", f"Switch {key}") for place, key in enumerate(SWITCH_KEYS)],
    ]

    def __init__(self, palette: Palette, controls: Controls, now_ms: Callable[[], int]) -> None:
        """``now_ms`` reads the wall clock."""
        super().__init__()
        self._palette = palette
        self._controls = controls
        self._now_ms = now_ms
        self._page: Page = "faults"
        self._error = ""
        self._recent = tuple(controls.recent)

    def compose(self) -> ComposeResult:
        """Lay out the pages' tabs, the scenario, the switches, and what the current one does."""
        with Vertical(id="faults") as frame:
            frame.border_title = "simulator"
            yield Bar(self._palette, id="pages", separator=" ")
            search = SwitchSearch(id="switch-search", compact=True, placeholder="part of a name")
            search.cursor_blink = False
            search.add_class("-away")
            yield search
            yield TextPane(self._palette, id="scenario")
            yield SwitchList(self._palette)
            yield TextPane(self._palette, id="about")

    async def on_mount(self) -> None:
        """Show the last known states, then ask the simulator; keep showing what it reports."""
        for switches in self.query(SwitchList):  # none if the panel was closed already
            switches.focus()
        if self._active("scenarios"):
            self._page = "scenarios"
        self._fill()
        # Faults may be switched from another terminal, or end after their time.
        self.set_interval(REFRESH_S, self._fill)
        try:
            await self._controls.refresh()
        except ControlsError as error:
            self._error = str(error)
        self._fill()

    def on_resize(self) -> None:
        """Fit the texts to the new width."""
        self.call_after_refresh(self._fill)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the switches whose names match what is typed."""
        event.stop()
        self._fill(first=True)

    def action_search(self) -> None:
        """Let the user type a part of a name."""
        if self.has("#switch-search"):
            search = self.query_one(SwitchSearch)
            search.remove_class("-away")
            search.focus()

    def action_end_search(self, clear: bool) -> None:  # noqa: FBT001 - a key's argument
        """Go back to the list, of the matches or of everything."""
        if not self.has("#switch-search", "#switches"):
            return
        search = self.query_one(SwitchSearch)
        if clear:
            search.value = ""
        search.set_class(not search.value, "-away")
        self.query_one(SwitchList).focus()
        self._fill()

    def action_by(self, rows: int) -> None:
        """Move the cursor while a name is typed."""
        self.query_one(SwitchList).action_by(rows)
        self._fill()

    async def action_open(self) -> None:
        """Open the attributes of the fault under the cursor; a scenario is started or stopped."""
        name = self.query_one(SwitchList).current
        if not name or name.startswith(SCENARIO):
            await self.action_switch_this()
            return
        self._error = ""
        form = FaultForm(self._palette, self._controls, name, self._now_ms)
        self.app.push_screen(form, lambda _: self._fill())

    async def action_press(self, place: int) -> None:
        """Move to the switch with this key's index, and switch it."""
        names = self._names(self._page)
        if place < len(names):
            shown = self._shown()
            if names[place] in shown:
                self.query_one(SwitchList).action_to(shown.index(names[place]))
            await self.action_switch(names[place])

    async def action_switch_this(self) -> None:
        """Switch the fault or scenario under the cursor."""
        name = self.query_one(SwitchList).current
        if name:
            await self.action_switch(name)

    async def action_switch(self, name: str) -> None:
        """Switch a fault, or start or stop a scenario."""
        self._error = ""
        try:
            await self._controls.toggle(name)
        except ControlsError as error:
            self._error = str(error)
        self._fill()

    async def action_heal(self) -> None:
        """Stop the scenario that runs, and heal every fault."""
        self._error = ""
        try:
            await self._controls.heal()
        except ControlsError as error:
            self._error = str(error)
        self._fill()

    def action_turn_page(self, page: Page | None = None) -> None:
        """Show a page; by default the other one."""
        other: Page = "scenarios" if self._page == "faults" else "faults"
        self._page = page or other
        self._fill(first=True)

    def action_describe(self) -> None:
        """Show what the switch under the cursor does."""
        self._fill()

    def _names(self, page: Page) -> list[str]:
        is_scenario = page == "scenarios"
        return [one for one in self._controls.names if one.startswith(SCENARIO) == is_scenario]

    def _shown(self) -> list[str]:
        """The names on this page that match the search, those used last first."""
        names = self._names(self._page)
        words = self.query_one(SwitchSearch).value.casefold().replace("_", " ").split()
        recent = [name for name in self._recent if name in names]
        return [
            name
            for name in [*recent, *(one for one in names if one not in recent)]
            if all(word in name.casefold().replace("_", " ") for word in words)
        ]

    def _active(self, page: Page) -> list[str]:
        active = self._controls.active
        return [name for name in self._names(page) if name in active]

    def _fill(self, *, first: bool = False) -> None:
        if not self.has("#pages", "#switch-search", "#scenario", "#switches", "#about"):
            return
        frame = self.query_one("#faults", Vertical)
        frame.border_subtitle = self._palette.adapt(_KEYS[self._page])
        pages = self.query_one("#pages", Bar)
        pages.show([self._tab("faults"), self._tab("scenarios")])
        pane = self.query_one("#scenario", TextPane)
        lines = scenario_lines(self._controls.scenario, self._controls.verdict)
        pane.display = bool(lines)
        pane.show("", lines)
        names, switches = self._names(self._page), self.query_one(SwitchList)
        wide = max((cell_len(_short(name)) for name in names), default=0)
        keys = dict(zip(names, SWITCH_KEYS, strict=False))
        shown = self._shown()
        items = [self._item(keys.get(name, " "), name, wide, shown[0]) for name in shown]
        switches.show(items or [ListItem("", (("  no name matches", "muted"),))], first=first)
        current = switches.current or ""
        about: list[list[Segment]] = [[(self._describe(current), "text")]]
        if state := self._state(current):
            about = [[(f"{state}. ", "strong"), *about[0]]]
        if self._error:
            about = [[(harmless(self._error), "bad")]]
        self.query_one("#about", TextPane).show("", about)

    def _tab(self, page: Page) -> Chunk:
        on = len(self._active(page))
        text = f" {page} {len(self._names(page))}" + (f", {on} on " if on else " ")
        role = "badge.accent" if page == self._page else "badge.quiet"
        return chunk(text, role, 0, f"screen.turn_page({page!r})")

    def _item(self, key: str, name: str, wide: int, top: str) -> ListItem:
        state = self._controls.active.get(name)
        switches = self.query_one(SwitchList)
        sign = ">" if name == (switches.current or top) else " "
        room = max(0, switches.cells - wide - 12)
        about = self._describe(name)
        if text := self._state(name):
            about = f"{text}. {about}"
        about = about if cell_len(about) <= room else f"{fmt.fit(about, room - 1)}…"
        parts: tuple[Segment, ...] = (
            (f"{sign}{key} ", "key"),
            _badge(state),
            (f"  {_short(name):<{wide}}  ", "text" if state is None else "strong"),
            (about, "muted" if state is None else "text"),
        )
        return ListItem(name, parts)

    def _state(self, name: str) -> str:
        """Since when a switch is on and with which settings; empty if nothing is known of that."""
        state = self._controls.active.get(name)
        text = "" if state is None else state_text(state, self._now_ms())
        return "" if text == "on" else text

    def _describe(self, name: str) -> str:
        return harmless(TITLES.get(name) or self._controls.titles.get(name, "").replace("``", ""))


def _badge(state: ActiveSwitch | None) -> Segment:
    if state is None:
        return (" off ", "badge.quiet")
    return (" ON  ", "badge.bad") if state.is_on else (" due ", "badge.warn")


def _short(name: str) -> str:
    return harmless(name.removeprefix(SCENARIO))


def scenario_lines(
    scenario: ScenarioStatus | None, verdict: VerdictStatus | None
) -> list[list[Segment]]:
    """A scenario's progress and steps, and the verdict, as lines of text with roles."""
    lines: list[list[Segment]] = []
    if scenario is not None:
        lines += [
            [(harmless(scenario.title), "key"), (f"  {harmless(scenario.progress)}", "muted")],
            [(harmless(scenario.now), "text")],
        ]
        if scenario.then:
            lines.append([("then: ", "muted"), (harmless(scenario.then), "muted")])
    if verdict is not None:
        lines.append([(harmless(verdict.line), VERDICT_ROLES[verdict.word])])
    return lines
