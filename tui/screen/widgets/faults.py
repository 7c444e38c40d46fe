"""The simulator's faults and scenarios, switched by key; only where a simulator lends them."""

from __future__ import annotations

from string import ascii_letters
from typing import ClassVar, Final, Literal

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from tui.render import line_format as fmt
from tui.render.palette import Palette
from tui.render.safe_text import Segment, harmless
from tui.render.status_text import Chunk, chunk
from tui.screen.ports import CABLE, SCENARIO, TITLES, Controls, ControlsError, Story
from tui.screen.widgets.bars import Bar
from tui.screen.widgets.modals import Modal
from tui.screen.widgets.panes import Item, ListPane, Pane

Page = Literal["faults", "scenarios"]

FOLLOW_S: Final = 0.25
"""How often the panel looks at what the simulator has announced."""

TAKEN: Final = frozenset("gGjkpq")
"""Letters that move, pull the cable as everywhere, or close."""

SWITCHES: Final = "1234567890" + "".join(one for one in ascii_letters if one not in TAKEN)
"""The keys of the switches on a page, in their order: there is one for each fault."""


class Switches(ListPane):
    """The switches of one page; a click switches."""

    def __init__(self, palette: Palette) -> None:
        """No switches."""
        super().__init__(palette, id="switches")

    def picked(self, key: str, *, twice: bool) -> None:  # noqa: ARG002 - each click switches
        """A click."""
        self.call_later(self.run_action, f"screen.switch({key!r})")

    def action_by(self, rows: int) -> None:
        """The cursor goes down, or up, and what is said of it with it."""
        super().action_by(rows)
        self.call_later(self.run_action, "screen.look")

    def action_page(self, pages: int) -> None:
        """A page down, or up."""
        super().action_page(pages)
        self.call_later(self.run_action, "screen.look")

    def action_to(self, index: int) -> None:
        """To the first, or the last."""
        super().action_to(index)
        self.call_later(self.run_action, "screen.look")


class FaultPanel(Modal[None]):
    """Each switch with its key and whether it is on; what it does; a scenario's story."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,f2,q", "dismiss", "Close"),
        ("enter,space", "switch_this", "Switch"),
        ("tab,shift+tab,left,right", "turn", "Scenarios, or faults"),
        ("p", f"switch({CABLE!r})", "Cable"),
        *[(key, f"press({place})", f"Switch {key}") for place, key in enumerate(SWITCHES)],
    ]

    def __init__(self, palette: Palette, controls: Controls) -> None:
        """The switches of a simulator."""
        super().__init__()
        self._palette = palette
        self._controls = controls
        self._page: Page = "faults"
        self._wrong = ""

    def compose(self) -> ComposeResult:
        """What there is to switch, between the story and what the switch under the cursor does."""
        with Vertical(id="faults") as frame:
            frame.border_title = "the simulator"
            frame.border_subtitle = "a key or Enter switches, Tab turns, Esc closes"
            yield Bar(self._palette, id="pages", between=" ")
            yield Pane(self._palette, id="story")
            yield Switches(self._palette)
            yield Pane(self._palette, id="about")

    async def on_mount(self) -> None:
        """Say what is on, as last heard, and then as it is; and what others switch, too."""
        for switches in self.query(Switches):  # none where it is being left already
            switches.focus()
        if self._on("scenarios"):
            self._page = "scenarios"
        self._fill()
        # Faults may be switched from another terminal, or end by themselves.
        self.set_interval(FOLLOW_S, self._fill)
        try:
            await self._controls.refresh()
        except ControlsError as error:
            self._wrong = str(error)
        self._fill()

    def on_resize(self) -> None:
        """Words take another room."""
        self.call_after_refresh(self._fill)

    async def action_press(self, place: int) -> None:
        """The key of a switch."""
        names = self._names(self._page)
        if place < len(names):
            self.query_one(Switches).action_to(place)
            await self.action_switch(names[place])

    async def action_switch_this(self) -> None:
        """Switch what the cursor is on."""
        name = self.query_one(Switches).current
        if name:
            await self.action_switch(name)

    async def action_switch(self, name: str) -> None:
        """Switch a fault, or begin or end a scenario."""
        self._wrong = ""
        try:
            await self._controls.toggle(name)
        except ControlsError as error:
            self._wrong = str(error)
        self._fill()

    def action_turn(self, page: Page | None = None) -> None:
        """To the other page."""
        other: Page = "scenarios" if self._page == "faults" else "faults"
        self._page = page or other
        self._fill(first=True)

    def action_look(self) -> None:
        """The cursor is elsewhere."""
        self._fill()

    def _names(self, page: Page) -> list[str]:
        is_scenario = page == "scenarios"
        return [one for one in self._controls.names if one.startswith(SCENARIO) == is_scenario]

    def _on(self, page: Page) -> list[str]:
        states = self._controls.states
        return [name for name in self._names(page) if states.get(name)]

    def _fill(self, *, first: bool = False) -> None:
        if not self.has("#pages", "#story", "#switches", "#about"):
            return
        pages = self.query_one("#pages", Bar)
        pages.show([self._tab("faults"), self._tab("scenarios")])
        story, told_of = self._controls.story, self.query_one("#story", Pane)
        told_of.display = story is not None
        told_of.show("", [] if story is None else told(story))
        names, switches = self._names(self._page), self.query_one(Switches)
        wide = max((cell_len(_short(name)) for name in names), default=0)
        items = [self._item(place, name, wide) for place, name in enumerate(names)]
        switches.show(items, first=first)
        about: list[list[Segment]] = [[(self._words(switches.current or ""), "text")]]
        if self._wrong:
            about = [[(harmless(self._wrong), "bad")]]
        self.query_one("#about", Pane).show("", about)

    def _tab(self, page: Page) -> Chunk:
        on = len(self._on(page))
        said = f" {page} {len(self._names(page))}" + (f", {on} on " if on else " ")
        role = "badge.accent" if page == self._page else "badge.quiet"
        return chunk(said, role, 0, f"screen.turn({page!r})")

    def _item(self, place: int, name: str, wide: int) -> Item:
        is_on = self._controls.states.get(name, False)
        key = SWITCHES[place] if place < len(SWITCHES) else " "
        switches = self.query_one(Switches)
        sign = ">" if name == (switches.current or self._names(self._page)[0]) else " "
        room = max(0, switches.cells - wide - 12)
        words = self._words(name)
        words = words if cell_len(words) <= room else f"{fmt.fit(words, room - 1)}…"
        parts: tuple[Segment, ...] = (
            (f"{sign}{key} ", "key"),
            (" ON  " if is_on else " off ", "badge.bad" if is_on else "badge.quiet"),
            (f"  {_short(name):<{wide}}  ", "strong" if is_on else "text"),
            (words, "muted"),
        )
        return Item(name, parts)

    def _words(self, name: str) -> str:
        """What a switch does."""
        return harmless(TITLES.get(name) or self._controls.titles.get(name, "").replace("``", ""))


def _short(name: str) -> str:
    return harmless(name.removeprefix(SCENARIO))


def told(story: Story) -> list[list[Segment]]:
    """The scenario's lines, above the switches."""
    lines: list[list[Segment]] = [
        [(harmless(story.title), "key"), (f"  {harmless(story.progress)}", "muted")],
        [(harmless(story.now), "text")],
    ]
    if story.then:
        lines.append([("then: ", "muted"), (harmless(story.then), "muted")])
    if story.verdict:
        badge = "badge.ok" if story.is_clean else "badge.bad"
        lines.append([(" VERDICT ", badge), (f" {harmless(story.verdict)}", "text")])
    return lines
