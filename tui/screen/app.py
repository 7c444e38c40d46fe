"""The viewer's application: it lays out the screen and connects keys, events and the engine.

Decisions live elsewhere: the protocol in ``tui.client``, which rows are shown in ``tui.lines``,
wording and colours in ``tui.render``, layout in ``app.tcss``. What a key does beyond one call is in
the collaborators: ``search``, ``navigation``, ``save`` and ``side_panels``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.theme import Theme

from common.concurrency import DeferredCall
from common.errors import exit_code_of_signal
from common.times import local_zone
from tui.client import saved
from tui.client.status import Status
from tui.lines.expressions import Comparison
from tui.lines.levels import level_of
from tui.lines.rows import Change, Line, Row, Rule
from tui.lines.structure import request_id_of
from tui.lines.view import View
from tui.render import status_text, units
from tui.render.group_names import short_group_names
from tui.render.key_bindings import available, disabled_actions, textual_bindings
from tui.render.line_format import ColumnLayout, TimeMode
from tui.render.notifications import MODE_TITLES, MODES, Mode, Notifier, sequence
from tui.render.panel_text import palette_title
from tui.render.safe_text import harmless
from tui.render.status_text import Chunk, chunk
from tui.render.strips import StripCache
from tui.screen import clipboard, terminal
from tui.screen.columns import NO_COLUMNS, Columns, FirstColumns
from tui.screen.navigation import Bookmarks, Navigation
from tui.screen.playing import Playing
from tui.screen.ports import CABLE, Catalogue, Choice, Controls, ControlsError, Player, ShownEngine
from tui.screen.save import Saver, messages
from tui.screen.search import Search
from tui.screen.side_panels import HistogramPanel, PatternsPanel, SidePanel, StreamsPanel
from tui.screen.terminal import TerminationSignals
from tui.screen.theme import ThemedApp
from tui.screen.widgets.bars import (
    ChipBar,
    ColumnBar,
    ConnectionBar,
    KeyBar,
    ProblemBar,
    StatusBar,
)
from tui.screen.widgets.column_chooser import ColumnChooser
from tui.screen.widgets.faults import VERDICT_ROLES, FaultPanel
from tui.screen.widgets.log_view import LogView
from tui.screen.widgets.modals import CommandMenu, HelpPanel
from tui.screen.widgets.picker import Picker
from tui.screen.widgets.prompt import Check, Kind, Prompt

COPY_BYTES_MAX: Final = 512 << 10
"""Largest text copied to the clipboard: as base64 it still fits tmux's buffer of 1 MiB."""

FRAME_S: Final = 1 / 60
"""Shortest time between two drawings; the engine already batches changes 30 times a second."""

SIDE_BY_SIDE_CELLS: Final = 200
"""Width from which on the streams are open beside the log: lines still have 140 cells."""

TICK_S: Final = 0.25
"""Redraw interval for values that depend on the clock alone: waits and ages."""

MESSAGE_MS: Final = 4_000
"""How long a message stays in the status line."""

MESSAGE_S_PER_CHAR: Final = 0.08
"""Reading time of a message that does not fit into the status line and pops up above it."""


def now_ms() -> int:
    """Return the current time, ms since the Unix epoch."""
    return time.time_ns() // 1_000_000


class ViewerApp(ThemedApp):
    """The viewer's screen over an engine, which it starts and stops.

    Args:
        title: What is watched, for the top line.
        controls: Switches of the simulator; None outside ``gapless demo``.
        player: The controls of a replay, which is also the engine; None for lines of now.
        clock: Current time, ms since the Unix epoch.
        zone: Zone of local times; the machine's by default.
        time_mode: Content of the time column at the start.
        bookmarks_path: File that keeps the bookmarks for the next run; None keeps none.
        columns: The columns of fields at the start.
        catalogue: Lists what else can be opened; None disables the picker.
    """

    CSS_PATH = str(Path(__file__).with_name("app.tcss"))  # absolute: subclasses live elsewhere
    TITLE = "gapless"
    BINDINGS: ClassVar[list[BindingType]] = textual_bindings()
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-high")]  # noqa: RUF012 - likewise
    ENABLE_COMMAND_PALETTE = True

    def __init__(  # noqa: PLR0913 - each is optional
        self,
        engine: ShownEngine,
        *,
        title: str,
        controls: Controls | None = None,
        player: Player | None = None,
        theme: str | None = None,
        clock: Callable[[], int] = now_ms,
        zone: tzinfo | None = None,
        time_mode: TimeMode = TimeMode.UTC,
        bookmarks_path: Path | None = None,
        columns: FirstColumns = NO_COLUMNS,
        catalogue: Catalogue | None = None,
    ) -> None:
        super().__init__(theme)
        self.title = title
        self.chosen: tuple[Choice, ...] = ()
        """What the user picked to open next; the application has ended with that choice."""
        self._notify_mode: Mode = "off"
        self._notices = Notifier()
        self._engine = engine
        self._controls = controls
        self._catalogue = catalogue
        self._clock = clock
        self._message_clock = clock if player is None else player.steady_ms
        self._zone = zone or local_zone()
        palette = self._palette
        bookmarks = Bookmarks(
            () if bookmarks_path is None else saved.load_bookmarks(bookmarks_path)
        )
        view = View(engine.timeline)
        strips = self._make_strips(bookmarks.__contains__)
        self.log_view = LogView(view, strips, ascii_only=palette.ascii_only)
        self._connection_bar = ConnectionBar(palette, title)
        self._column_bar = ColumnBar(palette)
        self._problem_bar = ProblemBar(palette)
        self._chip_bar = ChipBar(palette)
        self._status_bar = StatusBar(palette)
        self._prompt = Prompt()
        in_replay = player is not None
        self._disabled = disabled_actions(in_replay=in_replay)
        self._key_bar = KeyBar(palette, controls=controls is not None, in_replay=in_replay)
        show, run, now = self.show_message, self._run_exclusively, self._now
        self._search = Search(engine.timeline, view, self.log_view, show, run, self._group_name)
        self._navigation = Navigation(
            view, self.log_view, bookmarks, bookmarks_path, show, run, now, engine.older
        )
        self._playing = self._make_playing(player)
        self._columns = Columns(self.log_view, self._column_bar, columns, show)
        self._saver = Saver(engine, self.log_view, show, run, lambda: self.display_zone)
        self._side_panel = self._make_side_panel()
        self._streams_panel = StreamsPanel(
            palette, engine.timeline, self._search, run, strips.streams, self._group_names
        )
        self._patterns_panel = PatternsPanel(
            palette, engine, self._search, run, self._moment, lambda: self.display_zone
        )
        self._histogram_panel = HistogramPanel(
            palette, engine, self._search, self._navigation.to_moment, run, now
        )
        self.log_view.set_time_mode(time_mode)
        self._is_side_by_side = False
        self._pending = Change()
        self._signals: TerminationSignals | None = None
        self._scenario_step = ""
        self._message = ""
        self._message_until_ms = 0
        self._bind_actions()

    def _bind_actions(self) -> None:
        """Bind the keys that are one call of a part; the other actions are methods."""
        self.action_follow = self.log_view.follow
        self.action_freeze = self.log_view.toggle_freeze
        self.action_move = self.log_view.move
        self.action_side = self.log_view.scroll_sideways
        self.action_search = partial(self._ask_expression, "search")
        self.action_include = partial(self._ask_expression, "include")
        self.action_exclude = partial(self._ask_expression, "exclude")
        self._timing = self._playing if self._playing.is_on else self._navigation
        self.action_jump = partial(self._ask, "time", self._timing.check)
        self.action_play = self._playing.toggle
        self.action_seek = self._playing.seek_by
        self.action_seek_start = self._playing.to_start
        self.action_seek_end = self._playing.to_end
        self.action_speed = self._playing.change_speed
        self.action_bookmark = self._navigation.toggle_bookmark
        self.action_next_bookmark = self._navigation.next_bookmark
        self.action_next_match = self._search.go_to_match
        self.action_next_level = self._search.go_to_level
        self.action_level = self._search.set_minimum_level
        self.action_filters = self._search.toggle_filters
        self.action_around = self._search.cycle_context_lines
        self.action_drop_chip = self._search.remove_filter
        self.action_all_streams = partial(self._streams_panel.choose, "all")
        self.action_wrap = self.log_view.toggle_wrap
        self.action_structure = self.log_view.toggle_structure
        self.action_extend = self.log_view.extend_selection
        self.action_leave = self.exit

    def _make_playing(self, player: Player | None) -> Playing:
        return Playing(
            player,
            self.log_view,
            self.show_message,
            lambda: self.display_zone,
            ascii_only=self._palette.ascii_only,
        )

    def _make_side_panel(self) -> SidePanel:
        return SidePanel(
            self._palette,
            self._engine,
            self._filter_by_value,
            self.log_view.current,
            self._clock,
            self._zone,
            in_replay=self._playing.is_on,
        )

    def _make_strips(self, is_bookmarked: Callable[[int], bool]) -> StripCache:
        columns = ColumnLayout(zone=self._zone, ascii_only=self._palette.ascii_only)
        return StripCache(
            self._palette,
            lambda line: level_of(line.message),
            self._engine.timeline.is_confirmed,
            columns,
            is_bookmarked,
        )

    def compose(self) -> ComposeResult:
        """Lay out the screen from top to bottom."""
        yield self._connection_bar
        yield self._problem_bar
        with Container(id="body"):
            with Container(id="log-area"):
                yield self._column_bar
                yield self.log_view
            yield self._side_panel.pane
            yield self._streams_panel.pane
        yield self._patterns_panel.pane
        yield self._histogram_panel.chart
        yield self._chip_bar
        yield self._status_bar
        yield self._prompt
        yield self._key_bar

    def on_resize(self, event: events.Resize) -> None:
        """Open the streams beside the log on a screen that is wide enough, until it is narrower."""
        is_wide = event.size.width >= SIDE_BY_SIDE_CELLS
        if is_wide == self._is_side_by_side:
            return
        self._is_side_by_side = is_wide
        if is_wide and not self._side_panel.is_open and not self._streams_panel.is_open:
            self._streams_panel.show()
        elif not is_wide and not self._streams_panel.pane.has_focus:
            self._streams_panel.close()

    async def on_mount(self) -> None:
        """Start the engine, once there is a screen to show its lines on."""
        self.log_view.focus()
        self.theme_changed_signal.subscribe(self, self._change_theme)
        # After `fg`, Textual finds an empty screen and would draw only what changes.
        self.app_resume_signal.subscribe(self, lambda _app: self.screen.refresh())
        self._frames = self.set_interval(FRAME_S, self._draw_frame, pause=True)
        self.set_interval(TICK_S, self._tick)
        if not self.is_headless:
            self._signals = TerminationSignals(asyncio.get_running_loop(), self._exit_on_signal)
            self._signals.install()
            self.call_after_refresh(terminal.calm_collector)
        self._engine.on_change(self._collect_change)
        await self._engine.start()
        self._tick()

    async def on_unmount(self) -> None:
        """Stop the engine and restore the signal handlers."""
        await self._engine.stop()
        if self._signals is not None:
            self._signals.restore()

    def _exit_on_signal(self, number: int) -> None:
        self.exit(return_code=exit_code_of_signal(number))

    # Drawing

    def _collect_change(self, change: Change) -> None:
        self._pending = self._pending.then(change)
        self._frames.resume()
        if change.removed and self._playing.is_on:
            # Rows that a replay takes out may come back: as one change both would be lost.
            self._draw_frame()

    def _draw_frame(self) -> None:
        """Apply every change since the last frame."""
        self._frames.pause()
        change, self._pending = self._pending, Change()
        if self._notify_mode != "off" and change.appended:
            timeline = self._engine.timeline
            self._notices.take_rows(timeline.rows(len(timeline) - change.appended, len(timeline)))
        self._search.filters.note_evicted(change.removed)
        self._search.apply(change)
        self._streams_panel.apply(change)
        self._patterns_panel.apply(change)
        self._histogram_panel.apply(change)
        self.log_view.set_groups(self._group_names())
        self.log_view.flush(change)
        if change.removed and self._playing.is_on:
            self._search.recount()
            self._streams_panel.recount()
            self._patterns_panel.recount()

    def _group_names(self) -> list[str]:
        """The column of log groups; empty where there is one."""
        sources = self._engine.sources
        return short_group_names([one.shown_name for one in sources]) if sources[1:] else []

    def _tick(self) -> None:
        """Redraw what changes with the clock."""
        self.log_view.set_groups(self._group_names())
        self.log_view.tick(self._clock())
        self.log_view.set_dated(dated=self._spans_days())
        self._update_bars()
        self._side_panel.refresh("connection")
        self._streams_panel.refresh()
        self._patterns_panel.refresh()
        self._histogram_panel.refresh()

    def show_now(self) -> None:
        """Draw the current state without waiting for the next frame or tick."""
        self._draw_frame()
        self._tick()

    def _spans_days(self) -> bool:
        """Whether the oldest and the newest line are of different days, so times need a date."""
        timeline = self._engine.timeline
        if not len(timeline):
            return False
        oldest, newest = timeline.row(0), timeline.row(len(timeline) - 1)
        zone = self.display_zone
        return units.date(oldest.timestamp, zone) != units.date(newest.timestamp, zone)

    @property
    def display_zone(self) -> tzinfo:
        """The zone that times are shown in: local if the time column is, else UTC."""
        return self._zone if self.log_view.time_mode is TimeMode.LOCAL else UTC

    def _group_name(self, target: int) -> str:
        targets = self._engine.status.targets
        return (targets[target].group or targets[target].name) if target < len(targets) else ""

    def _moment(self) -> int | None:
        """The time of the row under the cursor; None while the log follows."""
        row = None if self.log_view.place.following else self.log_view.current()
        return None if row is None else row.timestamp

    def _now(self) -> tuple[int, tzinfo]:
        return self._clock(), self.display_zone

    def _update_bars(self) -> None:
        now_ms, status = self._clock(), self._engine.status
        self._send_notifications(status, now_ms)
        self._announce_scenario_step()
        state = self._playing.badges(status, now_ms)
        self._connection_bar.update(status, now_ms, self._active_faults(), state)
        self._problem_bar.update(status, self.size.width)
        is_fresh = self._message_clock() < self._message_until_ms
        message = self._message if is_fresh else self._engine.older.progress
        counts = [*self._selection_count(), *self._search.match_count()]
        self._status_bar.update(
            status,
            self.log_view.place,
            now_ms,
            self.display_zone,
            counts,
            message=message,
            verdict=self._verdict(),
            qualify=self._playing.completeness,
        )
        filters = self._search.filters
        empty = status_text.empty_log(status, filtered=filters.has_any and filters.are_enabled)
        self.log_view.set_empty_text(empty)
        self._chip_bar.update(filters, self.log_view.lines, status.lines, self._group_names())

    def _send_notifications(self, status: Status, now_ms: int) -> None:
        self._notices.take_status(status, self.display_zone)
        for text in self._notices.take_due(now_ms):
            if self._driver is not None:  # written as Textual's own clipboard and bell are
                self._driver.write(sequence(self._notify_mode, text))

    def _announce_scenario_step(self) -> None:
        """Show each new step of a running scenario; the fault panel shows more."""
        scenario = None if self._controls is None else self._controls.scenario
        if scenario is not None and scenario.now != self._scenario_step:
            self._scenario_step = scenario.now
            self.show_message(scenario.now)

    def _verdict(self) -> list[Chunk]:
        """The simulator's verdict on this screen; never left out, whatever the width."""
        verdict = None if self._controls is None else self._controls.verdict
        if verdict is None:
            return []
        return [chunk(harmless(verdict.line), VERDICT_ROLES[verdict.word], 0, "app.faults")]

    def _selection_count(self) -> list[Chunk]:
        rows = len(self.log_view.selection)
        text = f"{units.number(rows)} selected"
        return [chunk(text, "accent", 1, "app.copy")] if rows else []

    def _active_faults(self) -> list[Chunk]:
        """The simulator's active faults, so that nobody takes them for real trouble."""
        states = {} if self._controls is None else self._controls.states
        names = [name.replace("_", " ") for name, is_on in states.items() if is_on]
        return [chunk(f" {harmless(name)} ", "badge.warn", 2, "app.faults") for name in names]

    def _change_theme(self, _theme: Theme) -> None:
        self._palette = self._mix_palette()
        for part in (
            self.log_view,
            self._side_panel.pane,
            self._streams_panel.pane,
            self._patterns_panel.pane,
            self._histogram_panel.chart,
            self._connection_bar,
            self._column_bar,
            self._problem_bar,
            self._chip_bar,
            self._status_bar,
            self._key_bar,
        ):
            part.set_palette(self._palette)

    # Services for the parts of the screen

    def filter_by(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        level: str | None = None,
        context_lines: int = 0,
    ) -> None:
        """Set the filters of the command line, as removable chips; needs a running screen."""
        self._search.add_filters(include, exclude, level, context_lines)

    def set_notify_mode(self, mode: Mode) -> None:
        """Announce gaps, new errors and job ends this way from now on."""
        self._notify_mode = mode

    def show_message(self, text: str) -> None:
        """Show a message for some seconds: in the status line if it fits, else above it."""
        text = harmless(text)
        self.clear_notifications()
        if not self._status_bar.has_room(text):
            seconds = max(MESSAGE_MS / 1000, MESSAGE_S_PER_CHAR * len(text))
            self.notify(self._palette.adapt(text), timeout=seconds, markup=False)
            text = ""
        self._message, self._message_until_ms = text, self._message_clock() + MESSAGE_MS
        self._update_bars()

    def _run_exclusively(self, work: Callable[[], Coroutine[None, None, None]], name: str) -> None:
        self.run_worker(DeferredCall(work), group=name, exclusive=True)

    def _filter_by_value(self, value: Comparison, excludes: bool) -> None:  # noqa: FBT001 - as Choose has it
        self._search.filter_by_value(self._side_panel.filter_for(value), excludes=excludes)
        self._update_bars()

    def _ask(
        self, kind: Kind, check: Check | None = None, *, label: str = "", text: str = ""
    ) -> None:
        self._key_bar.add_class("-away")  # a style set in code would win over full screen
        self._prompt.ask(kind, check, label=label, text=text)

    def _ask_expression(self, kind: Kind) -> None:
        self._key_bar.add_class("-away")
        self._prompt.ask(kind, self._search.check, complete=self._search.completion())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:  # noqa: ARG002 - Textual's signature
        """Every action, bookmark, filterable value and theme, for the command menu."""
        with_simulator, in_replay = self._controls is not None, self._playing.is_on
        for key in available(with_simulator=with_simulator, in_replay=in_replay):
            for action in key.actions:
                if action.action != "command_palette":
                    run = partial(self.run_action, action.action)
                    help_text = self._palette.adapt(f"{key.shown}: {key.help}")
                    yield SystemCommand(action.title, help_text, run)
        for name, row in self._navigation.list_bookmarks():
            yield SystemCommand(
                self._palette.adapt(name), "go to this line", partial(self.log_view.go_to, row)
            )
        for value in self._side_panel.values():
            text = self._palette.adapt(palette_title(str(value)))
            for excludes, how in ((False, "Only lines with"), (True, "Only lines without")):
                choose = partial(self._filter_by_value, value, excludes)
                yield SystemCommand(f"{how} {text}", "filter by this value", choose)
        for mode, mode_title in MODE_TITLES.items():
            choose_mode = partial(self.set_notify_mode, mode)
            yield SystemCommand(
                f"Notifications: {mode_title}", "for a gap, a new error, a job end", choose_mode
            )
        yield SystemCommand("Theme", "colours of the screen", self.action_change_theme)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the simulator's keys where there is none, and those of the other mode."""
        if action in ("cable", "faults"):
            return self._controls is not None
        if action in self._disabled:
            return False
        return super().check_action(action, parameters)

    # Events of the parts

    def on_log_view_moved(self) -> None:
        """Update what depends on the cursor, and let the engine load the lines around it."""
        self._columns.refresh()
        self._update_bars()
        self._side_panel.refresh("detail")
        self._histogram_panel.follow(self.log_view.current())
        self._engine.refetcher.fetch_visible(
            self.log_view.visible_rows,
            self.log_view.place.cursor,
            is_filtered=self.log_view.is_filtered,
        )

    def on_log_view_missed(self, event: LogView.Missed) -> None:
        """Fetch lines that are not in memory, then go to the row again."""
        self._engine.refetcher.fetch_at(event.key, partial(self.log_view.go_to, event.key))

    def on_log_view_reached_top(self, event: LogView.ReachedTop) -> None:
        """Fetch older lines; for ``g``, all that there are."""
        if event.is_whole:
            self._navigation.to_beginning()
        else:
            self._engine.older.fetch_more()
        self.log_view.peek_above()  # the rule that says what is being fetched

    def on_log_view_opened(self) -> None:
        """Show the details of a line that was double-clicked."""
        self.action_detail()

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        """Highlight matches while a search is typed."""
        self._search.preview(event.kind, event.text)

    def on_prompt_answered(self, event: Prompt.Answered) -> None:
        """Act on what was entered in the prompt."""
        self._key_bar.remove_class("-away")
        self.log_view.focus()
        if event.kind == "time":
            if event.text:
                self._timing.to_time(event.text)
        elif event.kind == "save":
            if event.text:
                self._saver.save(event.text)
        else:
            self._search.submit(event.kind, event.text)
        self._update_bars()

    # Actions of key_bindings.KEYS that are more than one call (see _bind_actions)

    def action_request(self) -> None:
        """Show only the lines of one request: that of the details' cursor, or of the line."""
        row, value = self.log_view.current(), self._side_panel.pane.value
        if value is not None and self._side_panel.pane.has_focus:
            request: str | None = value.value
        else:
            request = None if not isinstance(row, Line) else request_id_of(row.message)
        self._search.toggle_request(request)
        self._update_bars()

    def action_detail(self) -> None:
        """Open or close the details of the line under the cursor."""
        self.log_view.stop_following()
        self._streams_panel.close()
        self._side_panel.toggle("detail")

    def action_connection(self) -> None:
        """Open or close the connection panel."""
        self._streams_panel.close()
        self._side_panel.toggle("connection")

    def action_streams(self) -> None:
        """Open or close the streams panel."""
        if self._streams_panel.close():
            self.log_view.focus()
            return
        self._side_panel.close()
        self._streams_panel.open()

    def action_patterns(self) -> None:
        """Open or close the patterns panel."""
        if self._patterns_panel.close():
            self.log_view.focus()
        else:
            self._histogram_panel.close()
            self._patterns_panel.open()

    def action_histogram(self) -> None:
        """Open or close the histogram."""
        if self._histogram_panel.close():
            self.log_view.focus()
        else:
            self._patterns_panel.close()
            self._histogram_panel.open(self.log_view.current())

    def action_time(self) -> None:
        """Switch the time column to its next format."""
        modes = list(TimeMode)
        mode = modes[(modes.index(self.log_view.time_mode) + 1) % len(modes)]
        self.log_view.set_time_mode(mode)
        zone = units.zone_name(self.display_zone, self._clock())
        is_named = mode is TimeMode.LOCAL
        self.show_message(f"time: {zone}" if is_named else f"time: {mode}")

    def action_columns(self) -> None:
        """Choose the fields that have columns."""
        columns = self._columns
        chooser = ColumnChooser(self._palette, columns.seen(), columns.names, columns.preview)
        self.push_screen(chooser, self._choose_columns)

    def _choose_columns(self, names: tuple[str, ...] | None) -> None:
        if names is not None:
            self._columns.choose(names)

    def action_full(self) -> None:
        """Hide everything but the log, or show it again."""
        self.screen.toggle_class("-full")

    def action_select(self) -> None:
        """Start or end a selection."""
        if self.log_view.toggle_selection():
            self.show_message("move to select; y copies, Ctrl+S saves")

    def action_copy(self) -> None:
        """Copy the selected lines, or the one under the cursor, as they are shown."""
        self._copy_chosen(as_shown=True)

    def action_copy_original(self) -> None:
        """Copy the same with colour codes, if they have any."""
        self._copy_chosen(as_shown=False)

    def _copy_chosen(self, *, as_shown: bool) -> None:
        selection = self.log_view.selection
        begin, end = selection.indexes()
        if begin == end:
            row = self.log_view.current()
            if isinstance(row, Line):
                self._copy([row], as_shown=as_shown)
            else:
                self.show_message("there is no line here to copy")
            return
        if end - begin > COPY_BYTES_MAX:  # nor could they be gathered without a pause
            rows = units.plural(end - begin, "row")
            self.show_message(f"{rows} are too many to copy: Ctrl+S saves them to a file")
            return
        if self._copy(selection.view.rows(begin, end), as_shown=as_shown):
            self.log_view.end_selection()

    def _copy(self, rows: Sequence[Row], *, as_shown: bool) -> bool:
        """Copy the rows' messages to the clipboard; returns False if they are too large."""
        data = messages(rows, as_shown=as_shown).encode("utf-8", "replace")
        if len(data) > COPY_BYTES_MAX:
            size = f"{len(data) / (1 << 20):.1f} MiB"
            self.show_message(f"{size} is more than terminals take: Ctrl+S saves to a file")
            return False
        text = data.decode()
        copied = units.plural(len(text), "character")
        lines = sum(isinstance(row, Line) for row in rows)
        rules = [row for row in rows if isinstance(row, Rule)]
        evicted = sum(rule.count or 0 for rule in rules if rule.kind == "evicted")
        without = f", without {units.plural(evicted, 'line')} not in memory" if evicted else ""
        of_lines = f" of {lines} lines" if lines > 1 else ""
        said = f"{copied}{of_lines}{without}"

        async def copy() -> None:
            self._clipboard = text
            where = await clipboard.copy(text, self.copy_to_clipboard)
            self.show_message(f"{where}: {said}")

        self._run_exclusively(copy, "copy")
        return True

    def action_save(self) -> None:
        """Ask for a file to save the shown or selected rows to."""
        stamp = datetime.fromtimestamp(self._now()[0] / 1000, UTC)
        name = f"gapless-{stamp:%Y%m%d-%H%M%S}.log"
        self._ask("save", self._saver.check, label=self._saver.label(), text=name)

    async def action_cable(self) -> None:
        """Disconnect the viewer from the forwarder in the simulator, or connect it again."""
        if self._controls is not None:
            try:
                is_out = await self._controls.toggle(CABLE)
            except ControlsError as error:
                self.show_message(str(error))
            else:
                self.show_message("the cable is unplugged" if is_out else "the cable is plugged in")

    def action_command_palette(self) -> None:
        """Open the menu of all actions."""
        if self.use_command_palette and not isinstance(self.screen, CommandMenu):
            self.push_screen(
                CommandMenu(
                    id="--command-palette",
                    placeholder=self._palette.adapt("Type to filter actions…"),
                )
            )

    def action_faults(self) -> None:
        """Open the simulator's faults and scenarios."""
        if self._controls is not None:
            self.push_screen(FaultPanel(self._palette, self._controls, lambda: self._now()[0]))

    def action_open(self) -> None:
        """Let the user pick what to watch next."""
        if self._catalogue is None:
            self.show_message("nothing else can be opened here")
            return
        picker = Picker(self._palette, self._catalogue, zone=self.display_zone)
        self.push_screen(picker, self._end_with_choice)

    def _end_with_choice(self, chosen: tuple[Choice, ...] | None) -> None:
        """End with what was picked; the command that runs the viewer opens it."""
        if chosen:
            self.chosen = chosen
            self.exit()

    def action_reconnect(self) -> None:
        """Reconnect without waiting for the next attempt."""
        self._engine.reconnect_now()
        self.show_message("reconnecting now")

    def action_help(self) -> None:
        """Show all keys."""
        in_replay = self._playing.is_on
        panel = HelpPanel(self._palette, controls=self._controls is not None, in_replay=in_replay)
        self.push_screen(panel, self._run_clicked_key)

    def _run_clicked_key(self, action: str | None) -> None:
        if action is not None and action != "help":
            self.call_later(self.run_action, action)

    def action_notices(self) -> None:
        """Switch to the next way of announcing gaps, errors and job ends."""
        self._notify_mode = MODES[(MODES.index(self._notify_mode) + 1) % len(MODES)]
        self.show_message(f"notifications (gap, error, job end): {MODE_TITLES[self._notify_mode]}")

    def action_close(self) -> None:
        """Leave full screen, selection or panel; with none open, clear search, then filters."""
        if self.screen.has_class("-full"):
            self.action_full()
            return
        if self.log_view.end_selection():
            return
        panels = (
            self._side_panel,
            self._patterns_panel,
            self._histogram_panel,
            self._streams_panel,  # the last, since it may have opened by itself
        )
        if any(panel.close() for panel in panels):
            self.log_view.focus()
        elif self._engine.older.cancel():
            self.show_message("no more older lines are fetched")
        elif not self._search.clear():
            self.show_message("nothing to close: q quits")
