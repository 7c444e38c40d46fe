"""What each key does: the application's actions, most of them one call to the part concerned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

from tui.lines.rows import Line, Row, Rule
from tui.lines.viewport import Motion
from tui.render import units
from tui.render.line_format import TimeMode
from tui.render.notifications import MODE_TITLES, MODES, Mode
from tui.screen.choices import Catalogue, Choice
from tui.screen.controls import CABLE, Controls, ControlsError
from tui.screen.navigation import Going
from tui.screen.plotting import Plotting
from tui.screen.ports import ViewerEngine
from tui.screen.save import Saving, messages
from tui.screen.search import Finding
from tui.screen.side_panels import Side
from tui.screen.streaming import Streaming
from tui.screen.theme import ThemedApp
from tui.screen.widgets.commands import Commands
from tui.screen.widgets.faults import FaultPanel
from tui.screen.widgets.help_panel import HelpPanel
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.log_view import LogView
from tui.screen.widgets.picker import Picker
from tui.screen.widgets.prompt import Check, Kind, Prompt

COPY_BYTES_MAX: Final = 512 << 10
"""What is copied at once: as base64 it still fits into tmux's buffer of 1 MiB."""


class Actions(ThemedApp):
    """The actions of ``bindings.KEYS``; ``ViewerApp`` makes the parts that they speak to."""

    log_view: LogView
    notices: Mode
    chosen: tuple[Choice, ...]
    _catalogue: Catalogue | None
    _controls: Controls | None
    _engine: ViewerEngine
    _finding: Finding
    _going: Going
    _keys: KeyBar
    _plotting: Plotting
    _prompt: Prompt
    _saving: Saving
    _side: Side
    _streaming: Streaming

    @abstractmethod
    def _now(self) -> tuple[int, tzinfo]:
        """The time in ms, and the zone that times are shown in."""

    @abstractmethod
    def _say(self, text: str) -> None:
        """Tell the reader something, for some seconds."""

    def _ask(
        self, kind: Kind, check: Check | None = None, *, label: str = "", text: str = ""
    ) -> None:
        self._keys.add_class("-away")  # a style of its own would outweigh full screen
        self._prompt.ask(kind, check, label=label, text=text)

    def action_follow(self) -> None:
        """F End G."""
        self.log_view.follow()

    def action_freeze(self) -> None:
        """Space."""
        self.log_view.freeze()

    def action_move(self, motion: Motion) -> None:
        """The keys that move up and down."""
        self.log_view.move(motion)

    def action_side(self, steps: int) -> None:
        """The keys that move along long lines."""
        self.log_view.move_side(steps)

    def action_search(self) -> None:
        """The slash."""
        self._ask("search")

    def action_include(self) -> None:
        """A filter for something."""
        self._ask("include")

    def action_exclude(self) -> None:
        """A filter against something."""
        self._ask("exclude")

    def action_jump(self) -> None:
        """The colon."""
        self._ask("time", self._going.mistake)

    def action_bookmark(self) -> None:
        """The letter m."""
        self._going.toggle()

    def action_next_bookmark(self) -> None:
        """The apostrophe."""
        self._going.next_bookmark()

    def action_next_match(self, direction: int) -> None:
        """The letter n, small or large."""
        self._finding.next_match(direction)

    def action_next_level(self, level: str, direction: int) -> None:
        """The letters e and w, small or large."""
        self._finding.next_level(level, direction)

    def action_level(self, number: int) -> None:
        """The digits."""
        self._finding.set_level(number)

    def action_filters(self) -> None:
        """All filters off, or on."""
        self._finding.toggle()

    def action_around(self) -> None:
        """More rows around hits."""
        self._finding.next_around()

    def action_drop_chip(self, index: int) -> None:
        """A chip was clicked."""
        self._finding.drop(index)

    def action_detail(self) -> None:
        """Open the line under the cursor, or close it."""
        self.log_view.settle()
        self._streaming.close()
        self._side.toggle("detail")

    def action_connection(self) -> None:
        """Open the connection panel, or close it."""
        self._streaming.close()
        self._side.toggle("connection")

    def action_streams(self) -> None:
        """Open the streams panel, or close it."""
        if self._streaming.close():
            self.log_view.focus()
            return
        self._side.close()
        self._streaming.open()

    def action_histogram(self) -> None:
        """Open the histogram, or close it."""
        if self._plotting.close():
            self.log_view.focus()
        else:
            self._plotting.open(self.log_view.current())

    def action_all_streams(self) -> None:
        """No stream is left out any more."""
        self._streaming.ask("all", "")

    def action_time(self) -> None:
        """The next kind of time."""
        modes = list(TimeMode)
        mode = modes[(modes.index(self.log_view.time) + 1) % len(modes)]
        self.log_view.set_time(mode)
        self._say(f"time: {mode}")

    def action_wrap(self) -> None:
        """Break long lines, or cut them."""
        self.log_view.toggle_wrap()

    def action_full(self) -> None:
        """All but the log away, or back."""
        self.screen.toggle_class("-full")

    def action_select(self) -> None:
        """Begin to select rows, or stop."""
        if self.log_view.toggle_selection():
            self._say("move to select; Y copies, Ctrl+S saves")

    def action_extend(self, motion: Motion) -> None:
        """Select, and move."""
        self.log_view.extend_selection(motion)

    def action_copy(self) -> None:
        """The line under the cursor, to the clipboard of the terminal."""
        row = self.log_view.current()
        if isinstance(row, Line):
            self._copy([row])

    def action_copy_selection(self) -> None:
        """What is selected, to the clipboard of the terminal."""
        selection = self.log_view.selection
        begin, end = selection.indexes()
        if begin == end:
            self._say("nothing is selected: v begins, or drag the mouse")
            return
        if end - begin > COPY_BYTES_MAX:  # nor could they be gathered without a pause
            self._say(f"{units.plural(end - begin, 'row')} are too much to copy: Ctrl+S saves")
            return
        if self._copy(selection.view.rows(begin, end)):
            self.log_view.end_selection()

    def _copy(self, rows: Sequence[Row]) -> bool:
        """Messages to the clipboard of the terminal; whether they are not too much for it."""
        data = messages(rows).encode("utf-8", "replace")
        if len(data) > COPY_BYTES_MAX:
            size = f"{len(data) / (1 << 20):.1f} MiB"
            self._say(f"{size} are more than terminals take: Ctrl+S saves them")
            return False
        self.copy_to_clipboard(data.decode())
        said = units.plural(len(data.decode()), "character")
        lines = sum(isinstance(row, Line) for row in rows)
        rules = [row for row in rows if isinstance(row, Rule)]
        gone = sum(rule.count or 0 for rule in rules if rule.kind == "evicted")
        without = f", without {units.plural(gone, 'line')} not in memory" if gone else ""
        self._say(f"copied {said}" + (f" of {lines} lines" if lines > 1 else "") + without)
        return True

    def action_save(self) -> None:
        """What is shown, or selected, to a file."""
        stamp = datetime.fromtimestamp(self._now()[0] / 1000, UTC)
        name = f"gapless-{stamp:%Y%m%d-%H%M%S}.log"
        self._ask("save", self._saving.mistake, label=self._saving.title(), text=name)

    async def action_cable(self) -> None:
        """Pull the cable, or plug it in."""
        if self._controls is not None:
            try:
                is_out = await self._controls.toggle(CABLE)
            except ControlsError as error:
                self._say(str(error))
            else:
                self._say("the cable is pulled" if is_out else "the cable is plugged in")

    def action_command_palette(self) -> None:
        """The menu of all actions, as Textual opens it."""
        if self.use_command_palette and not isinstance(self.screen, Commands):
            self.push_screen(Commands(id="--command-palette", placeholder="letters of its name"))

    def action_faults(self) -> None:
        """The simulator's faults."""
        if self._controls is not None:
            self.push_screen(FaultPanel(self._palette, self._controls))

    def action_open(self) -> None:
        """Choose what to watch next."""
        if self._catalogue is None:
            self._say("there is nothing else to open here")
            return
        _, zone = self._now()
        picker = Picker(self._palette, self._catalogue, zone=zone, ascii_only=self._ascii_only)
        self.push_screen(picker, self._opened)

    def _opened(self, chosen: tuple[Choice, ...] | None) -> None:
        """Watch that instead: whoever runs the viewer sees to it."""
        if chosen:
            self.chosen = chosen
            self.exit()

    def action_reconnect(self) -> None:
        """Try now."""
        self._engine.reconnect_now()
        self._say("reconnecting now")

    def action_help(self) -> None:
        """The keys."""
        panel = HelpPanel(self._palette, controls=self._controls is not None)
        self.push_screen(panel, self._helped)

    def _helped(self, action: str | None) -> None:
        """A key of the list was clicked."""
        if action is not None and action != "help":
            self.call_later(self.run_action, action)

    def action_notices(self) -> None:
        """The next way to give notice, or none."""
        mode = MODES[(MODES.index(self.notices) + 1) % len(MODES)]
        self.notices = mode
        self._say(f"of a gap, an error, an end: {MODE_TITLES[mode]}")

    def action_close(self) -> None:
        """Close what is open; then take back the search, then the filters."""
        if self.screen.has_class("-full"):
            self.action_full()
        elif self.log_view.end_selection():
            pass
        elif self._side.close() or self._streaming.close() or self._plotting.close():
            self.log_view.focus()
        elif not self._finding.clear():
            self._say("nothing to close: q quits")

    def action_leave(self) -> None:
        """End the viewer."""
        self.exit()
