"""The viewer's application: it lays out the screen, and passes news and answers to its parts.

What keys do stands in ``actions``. Here nothing is decided about the protocol (``engine``), about
what is shown (``window``, ``view``, ``status_text``) or about looks (``format``, ``palette``,
``app.tcss``).

What each key does: the application's actions, most of them one call to the part concerned.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.theme import Theme

from common.concurrency import DeferredCall
from tui.client import saved
from tui.client.status import Status
from tui.lines.filters import Value
from tui.lines.rows import Change, Line, Row, Rule, level_of
from tui.lines.view import View
from tui.lines.viewport import Motion
from tui.render import status_text, units
from tui.render.key_bindings import available, textual_bindings
from tui.render.line_format import ColumnLayout, TimeMode
from tui.render.notifications import MODE_TITLES, MODES, Mode, Notifier, sequence
from tui.render.panel_text import title as named
from tui.render.safe_text import harmless
from tui.render.status_text import Chunk, chunk
from tui.render.strips import StripCache
from tui.screen import terminal
from tui.screen.navigation import Bookmarks, Going
from tui.screen.ports import CABLE, Catalogue, Choice, Controls, ControlsError, ViewerEngine
from tui.screen.save import Saving, messages
from tui.screen.search import Finding
from tui.screen.side_panels import Plotting, Side, Streaming
from tui.screen.terminal import Ending
from tui.screen.theme import ThemedApp
from tui.screen.widgets.bars import ChipBar, ConnectionBar, KeyBar, StatusBar
from tui.screen.widgets.faults import FaultPanel
from tui.screen.widgets.histogram import Histogram
from tui.screen.widgets.log_view import LogView
from tui.screen.widgets.modals import Commands, HelpPanel
from tui.screen.widgets.panes import Pane, StreamPane
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


FRAME_S: Final = 1 / 60
"""News is drawn at most so often; the engine gathers it 30 times a second already."""

TICK_S: Final = 0.25
"""What depends on the clock alone (waits, ages) is drawn so often."""

NOTE_MS: Final = 4_000

NOTE_S_A_CHAR: Final = 0.08
"""What does not fit into the status line stays for as long as it takes to read it."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class ViewerApp(Actions):
    """The screen."""

    CSS_PATH = str(Path(__file__).with_name("app.tcss"))  # absolute: subclasses live elsewhere
    TITLE = "gapless"
    BINDINGS: ClassVar[list[BindingType]] = textual_bindings()
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-high")]  # noqa: RUF012 - likewise
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        engine: ViewerEngine,
        *,
        title: str,
        controls: Controls | None = None,
        theme: str | None = None,
        clock: Callable[[], int] = _now_ms,
        zone: tzinfo | None = None,
        keep: Path | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        """A screen for an engine, which it starts and stops.

        Args:
            engine: brings the lines.
            title: what is watched, for the top line.
            controls: the simulator's switches, under ``demo``.
            theme: the name of a theme; by default one that suits the terminal.
            clock: the time in ms since the Unix epoch.
            zone: of local times; by default the machine's.
            keep: the file in which the view is kept for the next run; None: nowhere.
            catalogue: finds out what else there is to open.

        """
        super().__init__(theme)
        self.title = title
        self.notices: Mode = "off"
        """How a gap, a new error or an end is told; see ``set_notices``."""
        self._notices = Notifier()
        self._story = ""
        self.chosen: tuple[Choice, ...] = ()
        """What is to be opened next, where the viewer ended with such a choice."""
        self._engine = engine
        self._controls = controls
        self._catalogue = catalogue
        self._clock = clock
        self._zone = zone or terminal.local_zone()
        columns = ColumnLayout(zone=self._zone, ascii_only=self._ascii_only)
        timeline = engine.timeline
        view = View(timeline)
        bookmarks = Bookmarks(() if keep is None else saved.load_bookmarks(keep))
        strips = StripCache(
            self._palette,
            lambda line: level_of(line.message),
            timeline.is_confirmed,
            columns,
            bookmarks.__contains__,
        )
        self.log_view = LogView(view, strips, ascii_only=self._ascii_only)
        self._top = ConnectionBar(self._palette, title, ascii_only=self._ascii_only)
        self._chips = ChipBar(self._palette)
        self._bottom = StatusBar(self._palette, ascii_only=self._ascii_only)
        self._pane = Pane(self._palette, id="pane", choose=self._filter_value)
        self._side = Side(self._pane, engine, self.log_view.current, clock, self._zone)
        self._prompt = Prompt()
        self._keys = KeyBar(self._palette, controls=controls is not None)
        self._finding = Finding(timeline, view, self.log_view, self._say, self._run)
        self._going = Going(
            view,
            self.log_view,
            bookmarks,
            keep,
            self._say,
            self._run,
            self._now,
        )
        self._streaming = Streaming(timeline, self._finding, self._run)
        self._stream_pane = StreamPane(
            self._palette, self._streaming.ask, ascii_only=self._ascii_only
        )
        self._streaming.fill(self._stream_pane)
        self._histogram = Histogram(
            self._palette, self._going.to_moment, ascii_only=self._ascii_only
        )
        self._plotting = Plotting(self._histogram, engine, self._finding, self._run, self._now)
        self._saving = Saving(engine, self.log_view, self._say, self._run)
        self._change = Change()
        self._ending: Ending | None = None
        self._note = ""
        self._note_until_ms = 0

    def compose(self) -> ComposeResult:
        """The parts of the screen, top to bottom."""
        yield self._top
        with Container(id="body"):
            yield self.log_view
            yield self._pane
            yield self._stream_pane
        yield self._histogram
        yield self._chips
        yield self._bottom
        yield self._prompt
        yield self._keys

    async def on_mount(self) -> None:
        """Start the engine once there is a screen to show it on."""
        self.log_view.focus()
        self.theme_changed_signal.subscribe(self, self._on_theme)
        # Textual comes back from the shell (fg) to an empty screen and draws only what changes.
        self.app_resume_signal.subscribe(self, lambda _app: self.screen.refresh())
        self._frames = self.set_interval(FRAME_S, self._draw_frame, pause=True)
        self.set_interval(TICK_S, self._tick)
        if not self.is_headless:
            self._ending = Ending(asyncio.get_running_loop(), self._end)
            self._ending.watch()
            self.call_after_refresh(terminal.calm_collector)
        self._engine.on_change(self._on_change)
        await self._engine.start()
        self._tick()

    async def on_unmount(self) -> None:
        """Stop the engine with the screen."""
        await self._engine.stop()
        if self._ending is not None:
            self._ending.forget()

    def _end(self, number: int) -> None:
        """A signal to end: leave the terminal in order, and say so by the exit code."""
        self.exit(return_code=128 + number)

    def _on_change(self, change: Change) -> None:
        self._change = self._change.then(change)
        self._frames.resume()

    def _draw_frame(self) -> None:
        """One frame: whatever came since the last one."""
        self._frames.pause()
        change, self._change = self._change, Change()
        if self.notices != "off" and change.appended:
            timeline = self._engine.timeline
            self._notices.came(timeline.rows(len(timeline) - change.appended, len(timeline)))
        self._finding.filters.note_evicted(change.removed)
        self._finding.apply(change)
        self._streaming.apply(change)
        self._plotting.apply(change)
        self.log_view.flush(change)

    def filter_by(
        self, include: Sequence[str] = (), exclude: Sequence[str] = (), level: str | None = None
    ) -> None:
        """Begin with filters, as chips that can be taken off; call it once the screen is there."""
        self._finding.begin_with(include, exclude, level)

    def show_now(self) -> None:
        """Show everything as it is now, without waiting for the next frame or tick."""
        self._draw_frame()
        self._tick()

    def _tick(self) -> None:
        """What the clock alone changes."""
        now_ms = self._clock()
        self.log_view.tick(now_ms)
        self.log_view.set_dated(dated=self._spans_days())
        self._show_bars()
        self._side.refresh("connection")
        self._streaming.refresh()
        self._plotting.refresh()

    def _spans_days(self) -> bool:
        """Whether the clock alone would not tell when the oldest line was."""
        timeline = self._engine.timeline
        if not len(timeline):
            return False
        oldest, newest = timeline.row(0), timeline.row(len(timeline) - 1)
        return units.date(oldest.timestamp, self._zone_shown) != units.date(
            newest.timestamp, self._zone_shown
        )

    @property
    def _zone_shown(self) -> tzinfo:
        return self._zone if self.log_view.time is TimeMode.LOCAL else UTC

    def _now(self) -> tuple[int, tzinfo]:
        return self._clock(), self._zone_shown

    def _show_bars(self) -> None:
        now_ms, status = self._clock(), self._engine.status
        self._give_notice(status, now_ms)
        self._tell_story()
        self._top.update(status, now_ms, self._switched())
        note = self._note if now_ms < self._note_until_ms else ""
        place, zone = self.log_view.place, self._zone_shown
        counts = [*self._selected(), *self._finding.count()]
        self._bottom.update(status, place, now_ms, zone, counts, note=note)
        filters = self._finding.filters
        empty = status_text.empty_log(status, filtered=filters.has_any and filters.are_enabled)
        self.log_view.set_empty(empty)
        self._chips.update(filters, self.log_view.lines, status.lines)

    def _give_notice(self, status: Status, now_ms: int) -> None:
        self._notices.look(status, self._zone_shown)
        for text in self._notices.due(now_ms):
            if self._driver is not None:  # as Textual's own clipboard and bell have it
                self._driver.write(sequence(self.notices, text))

    def set_notices(self, mode: Mode) -> None:
        """Tell a gap, a new error or an end that way from now on."""
        self.notices = mode

    def _tell_story(self) -> None:
        """What a scenario does now; the fault panel tells more."""
        story = None if self._controls is None else self._controls.story
        if story is not None and story.now != self._story:
            self._story = story.now
            self._say(story.now)

    def _selected(self) -> list[Chunk]:
        rows = len(self.log_view.selection)
        said = f"{units.number(rows)} selected"
        return [chunk(said, "accent", 1, "app.copy_selection")] if rows else []

    def _switched(self) -> list[Chunk]:
        """The faults that are on, so that nobody takes them for the real thing."""
        states = {} if self._controls is None else self._controls.states
        names = [name.replace("_", " ") for name, is_on in states.items() if is_on]
        return [chunk(f" {harmless(name)} ", "badge.warn", 2, "app.faults") for name in names]

    def _filter_value(self, value: Value, excludes: bool) -> None:  # noqa: FBT001 - as Choose has it
        self._finding.by_value(value, excludes=excludes)
        self._show_bars()

    def _say(self, text: str) -> None:
        """Tell the reader something, for some seconds: in the status line, or above it."""
        text = harmless(text)
        self.clear_notifications()
        if not self._bottom.has_room(text):
            seconds = max(NOTE_MS / 1000, NOTE_S_A_CHAR * len(text))
            self.notify(self._palette.written(text), timeout=seconds, markup=False)
            text = ""
        self._note, self._note_until_ms = text, self._clock() + NOTE_MS
        self._show_bars()

    def _run(self, work: Callable[[], Coroutine[None, None, None]], name: str) -> None:
        self.run_worker(DeferredCall(work), group=name, exclusive=True)

    def _on_theme(self, _theme: Theme) -> None:
        self._palette = self._mix()
        panes = (self._pane, self._stream_pane, self._histogram)
        for part in (self.log_view, *panes, self._top, self._chips, self._bottom, self._keys):
            part.set_palette(self._palette)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:  # noqa: ARG002 - Textual's signature
        """Every key of the table by name, and Textual's own theme chooser."""
        for key in available(controls=self._controls is not None):
            for act in key.acts:
                if act.action != "command_palette":
                    run = partial(self.run_action, act.action)
                    said = self._palette.written(f"{key.shown}: {key.help}")
                    yield SystemCommand(act.title, said, run)
        for name, row in self._going.listed():
            yield SystemCommand(
                self._palette.written(name), "go to this line", partial(self.log_view.go_to, row)
            )
        for value in self._side.values():
            said = self._palette.written(named(value.text))
            for excludes, how in ((False, "Only lines with"), (True, "Only lines without")):
                choose = partial(self._filter_value, value, excludes)
                yield SystemCommand(f"{how} {said}", "filter by this value", choose)
        for mode, told in MODE_TITLES.items():
            choose_mode = partial(self.set_notices, mode)
            yield SystemCommand(f"Notices: {told}", "of a gap, a new error, an end", choose_mode)
        yield SystemCommand("Theme", "colours of the screen", self.action_change_theme)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the simulator are dead where there is none."""
        if action in ("cable", "faults"):
            return self._controls is not None
        return super().check_action(action, parameters)

    def on_log_view_moved(self) -> None:
        """The cursor is elsewhere, or lines came."""
        self._show_bars()
        self._side.refresh("detail")
        self._plotting.follow(self.log_view.current())
        self._engine.look(
            self.log_view.visible_rows, self.log_view.place.cursor, sifted=self.log_view.is_sifted
        )

    def on_log_view_missed(self, event: LogView.Missed) -> None:
        """Somebody went where lines are not in memory: go there again once they are."""
        self._engine.bring(event.key, partial(self.log_view.go_to, event.key))

    def on_log_view_opened(self) -> None:
        """A line was clicked twice."""
        self.action_detail()

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        """Something is being typed."""
        self._finding.typed(event.kind, event.text)

    def on_prompt_answered(self, event: Prompt.Answered) -> None:
        """Something was entered."""
        self._keys.remove_class("-away")
        self.log_view.focus()
        if event.kind == "time":
            if event.text:
                self._going.to_time(event.text)
        elif event.kind == "save":
            if event.text:
                self._saving.save(event.text)
        else:
            self._finding.answered(event.kind, event.text)
        self._show_bars()
