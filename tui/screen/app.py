"""The viewer's application: it lays out the screen, and passes news and answers to its parts.

What keys do stands in ``actions``. Here nothing is decided about the protocol (``engine``), about
what is shown (``window``, ``view``, ``status_text``) or about looks (``format``, ``palette``,
``app.tcss``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.theme import Theme

from common.work import Work
from tui.client import kept
from tui.client.status import Status
from tui.lines.levels import level_of
from tui.lines.rows import Change
from tui.lines.values import Value
from tui.lines.view import View
from tui.render import status_text, units
from tui.render.chunks import Chunk, chunk
from tui.render.key_bindings import available, textual_bindings
from tui.render.line_format import Columns, TimeMode
from tui.render.naming import title as named
from tui.render.notifications import MODE_TITLES, Mode, Notices, sequence
from tui.render.safe_text import harmless
from tui.render.strips import Strips
from tui.screen import terminal
from tui.screen.actions import Actions
from tui.screen.bookmarks import Bookmarks
from tui.screen.choices import Catalogue, Choice
from tui.screen.controls import Controls
from tui.screen.ending import Ending
from tui.screen.navigation import Going
from tui.screen.plotting import Plotting
from tui.screen.ports import ViewerEngine
from tui.screen.save import Saving
from tui.screen.search import Finding
from tui.screen.side_panels import Side
from tui.screen.streaming import Streaming
from tui.screen.widgets.chip_bar import ChipBar
from tui.screen.widgets.histogram import Histogram
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.log_view import LogView
from tui.screen.widgets.panes import Pane
from tui.screen.widgets.prompt import Prompt
from tui.screen.widgets.status_bar import ConnectionBar, StatusBar
from tui.screen.widgets.stream_pane import StreamPane

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
        self._notices = Notices()
        self._story = ""
        self.chosen: tuple[Choice, ...] = ()
        """What is to be opened next, where the viewer ended with such a choice."""
        self._engine = engine
        self._controls = controls
        self._catalogue = catalogue
        self._clock = clock
        self._zone = zone or terminal.local_zone()
        columns = Columns(zone=self._zone, ascii_only=self._ascii_only)
        timeline = engine.timeline
        view = View(timeline)
        bookmarks = Bookmarks(() if keep is None else kept.load(keep))
        strips = Strips(
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
        self._finding.filters.left(change.removed)
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
        empty = status_text.emptiness(status, filtered=filters.is_any and filters.are_on)
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
        self.run_worker(Work(work), group=name, exclusive=True)

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
