"""All key bindings, in one table: bindings, help, footer, palette and README are made from it.

``python -m tui.render.key_bindings`` prints the table as Markdown, for the README.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec
from textual.binding import Binding, BindingType


class Action(msgspec.Struct, frozen=True):
    """An action of the application, and the keys that run it."""

    keys: str
    """Textual's names of the keys, separated by commas."""

    action: str
    """Textual's name of the action, with its arguments."""

    title: str
    """Name in the command palette."""


class KeyEntry(msgspec.Struct, frozen=True):
    """One line of the help: an action, or a few related ones."""

    shown: str
    """The keys as people write them; ``Shift+↓/↑`` for two keys with the same modifier."""

    help: str
    """What the keys do, in one line."""

    section: str
    """Heading in the help."""

    actions: tuple[Action, ...]
    """Empty for keys of a panel, which work only while it has the focus."""

    label: str = ""
    """Word in the footer, for the first action; empty: not in the footer."""

    footer_rank: int = 9
    """In a narrow footer, keys with the highest rank are left out first."""

    needs_simulator: bool = False
    """Whether the keys work only with a simulator."""

    only: Literal["", "live", "replay"] = ""
    """Whether the keys work only with forwarders, or only in a replay."""

    difference: str = ""
    """What ``less`` or ``lnav`` do with these keys, if it is something else."""


MOVE: Final = "Move and follow"
FIND: Final = "Find and filter"
VIEW: Final = "View, select, save"
PANEL: Final = "Inside a panel"
REPLAY: Final = "Replay"
NETWORK: Final = "Connection"
PROGRAM: Final = "Program"

KEYS: Final[tuple[KeyEntry, ...]] = (
    KeyEntry("F G End", "go to the newest line and follow", MOVE,
        (Action("F,G,end", "follow", "Follow"),), label="follow", footer_rank=1,
        difference="less: Ctrl+C ends F; here, scrolling up does"),
    KeyEntry("Space", "freeze the screen while lines keep arriving", MOVE,
        (Action("space", "freeze", "Freeze"),), label="freeze", footer_rank=4, only="live",
        difference="less and lnav: page down"),
    KeyEntry("j k ↓ ↑", "line down, up; moving up stops following", MOVE,
        (Action("j,down", "move('down')", "Line down"), Action("k,up", "move('up')", "Line up")),
        difference="here a cursor moves, and the screen scrolls at its edge"),
    KeyEntry("PgDn PgUp", "page down, up", MOVE,
        (Action("pagedown", "move('page_down')", "Page down"),
         Action("pageup", "move('page_up')", "Page up"))),
    KeyEntry("d u", "half a page down, up", MOVE,
        (Action("d", "move('half_down')", "Half a page down"),
         Action("u", "move('half_up')", "Half a page up"))),
    KeyEntry("g Home", "go to the oldest line; fetch all older ones", MOVE,
        (Action("g,home", "move('top')", "Oldest line"),)),
    KeyEntry(":", "go to a time: 12:04, -5m (before this line), ISO 8601", MOVE,
        (Action("colon", "jump", "Go to time"),), label="time", footer_rank=12, only="live",
        difference="less: opens another file"),
    KeyEntry("m", "set or remove a bookmark on this line", MOVE,
        (Action("m", "bookmark", "Bookmark"),),
        difference="less: asks for a letter; lnav: the same"),
    KeyEntry("'", "next bookmark; the palette (Ctrl+P) lists them", MOVE,
        (Action("apostrophe", "next_bookmark", "Next bookmark"),),
        difference="less: asks for a letter; lnav: u and U"),
    KeyEntry("→ ←", "scroll right, left along long lines", MOVE,
        (Action("right", "side(1)", "Scroll right"), Action("left", "side(-1)", "Scroll left"))),
    KeyEntry("/", "search for text, /regex/ or field=value", FIND,
        (Action("slash", "search", "Search"),), label="search", footer_rank=3),
    KeyEntry("n N", "next, previous match", FIND,
        (Action("n", "next_match(1)", "Next match"),
         Action("N", "next_match(-1)", "Previous match"))),
    KeyEntry("f", "show only matching lines; all such filters must match", FIND,
        (Action("f", "include", "Filter: only"),), label="filter", footer_rank=5,
        difference="less: page down"),
    KeyEntry("x", "hide matching lines", FIND, (Action("x", "exclude", "Filter: without"),),
        difference="lnav: shows or hides fields"),
    KeyEntry("i", "only this request: lines with its id; again: all", FIND,
        (Action("i", "request", "Only this request"),), difference="lnav: histogram"),
    KeyEntry("Ctrl+F", "disable all filters, or enable them again", FIND,
        (Action("ctrl+f", "filters", "Filters on and off"),), difference="less: page down"),
    KeyEntry("z", "context lines around matches: none, 3, 10", FIND,
        (Action("z", "around", "Context lines"),), difference="less: sets the window size"),
    KeyEntry("1 2 3 4 5", "minimum level: all, debug, info, warning, error", FIND,
        (Action("1", "level(1)", "Level: all"), Action("2", "level(2)", "Level: debug"),
         Action("3", "level(3)", "Level: info"), Action("4", "level(4)", "Level: warning"),
         Action("5", "level(5)", "Level: error")),
        difference="less: reads a number; lnav: goes to a tenth of an hour"),
    KeyEntry("e E", "next, previous error", FIND,
        (Action("e", "next_level('error', 1)", "Next error"),
         Action("E", "next_level('error', -1)", "Previous error")),
        difference="less: scrolls a line; lnav: the same"),
    KeyEntry("w W", "next, previous warning or error", FIND,
        (Action("w", "next_level('warn', 1)", "Next warning"),
         Action("W", "next_level('warn', -1)", "Previous warning")),
        difference="less: page up; lnav: the same"),
    KeyEntry("Enter", "details of the line under the cursor", VIEW,
        (Action("enter", "detail", "Detail"),), label="detail", footer_rank=6,
        difference="less: scrolls a line"),
    KeyEntry("Tab", "move the focus into the open panel, and back", VIEW, ()),
    KeyEntry("s", "log streams: lines of each; show, hide, isolate them", VIEW,
        (Action("s", "streams", "Streams"),), label="streams", footer_rank=9,
        difference="less: saves piped input; lnav: next slow line"),
    KeyEntry("h", "histogram: volume over time by level, gaps, backfills", VIEW,
        (Action("h", "histogram", "Histogram"),), label="histogram", footer_rank=10,
        difference="less: help; lnav: i"),
    KeyEntry("P", "patterns: lines grouped by words; what is new or gone", VIEW,
        (Action("P", "patterns", "Patterns"),), label="patterns", footer_rank=9,
        difference="lnav: toggles pretty-printing"),
    KeyEntry("t", "time column: UTC, local, relative, since the row above", VIEW,
        (Action("t", "time", "Time column"),), difference="lnav: shows the text view"),
    KeyEntry("| Ctrl+W", "wrap or truncate long lines", VIEW,
        (Action("vertical_line,ctrl+w", "wrap", "Wrap"),)),
    KeyEntry("R", "message and fields of structured lines, or their text", VIEW,
        (Action("R", "structure", "Original text"),),
        difference="less: redraws and drops buffered input"),
    KeyEntry("C", "columns: choose fields that stand before the message", VIEW,
        (Action("C", "columns", "Columns"),), label="columns", footer_rank=11,
        difference="lnav: hides a field of the table"),
    KeyEntry("\\ F11", "full screen: hide all but the log", VIEW,
        (Action("backslash,f11", "full", "Full screen"),)),
    KeyEntry("v", "start selecting rows at the cursor, or select none", VIEW,
        (Action("v", "select", "Select rows"),), label="select", footer_rank=13,
        difference="less: opens an editor"),
    KeyEntry("J K Shift+↓/↑", "extend the selection by a line", VIEW,
        (Action("J,shift+down", "extend('down')", "Select down"),
         Action("K,shift+up", "extend('up')", "Select up")),
        difference="less: scrolls beyond the end; lnav: marks lines"),
    KeyEntry("Shift+PgDn/PgUp", "extend the selection by a page", VIEW,
        (Action("shift+pagedown", "extend('page_down')", "Select a page down"),
         Action("shift+pageup", "extend('page_up')", "Select a page up"))),
    KeyEntry("y", "copy the selected lines, or this one, as shown", VIEW,
        (Action("y", "copy", "Copy"),)),
    KeyEntry("Y", "copy the same with colour codes, as the log has it", VIEW,
        (Action("Y", "copy_original", "Copy original text"),)),
    KeyEntry("Ctrl+S", "save the shown or selected lines: text, or FILE.ndjson", VIEW,
        (Action("ctrl+s", "save", "Save"),)),
    KeyEntry("f x i", "details: only, or without, this value; only this id", PANEL, ()),
    KeyEntry("Space Enter a", "streams: show or hide, only this one, all of them", PANEL, ()),
    KeyEntry("Enter x o m", "patterns: only, hide, order, new since the log's cursor", PANEL, ()),
    KeyEntry("← → + -", "histogram: move along it and the log, zoom in, out", PANEL, ()),
    KeyEntry("Tab → ← Ctrl+O", "open: select several, list executions, go back, sort", PANEL, ()),
    KeyEntry("Tab Shift+↑/↓", "columns: switch a field on or off; move it left, right", PANEL, ()),
    KeyEntry("Space 1…9 a…Z", "faults: switch on or off; most faults have a key", PANEL, (),
             needs_simulator=True),
    KeyEntry("Enter", "faults: set attributes and times, then switch on", PANEL, (),
             needs_simulator=True),
    KeyEntry("/", "faults: search by name", PANEL, (), needs_simulator=True),
    KeyEntry("Del", "faults: heal all of them, and stop the scenario", PANEL, (),
             needs_simulator=True),
    KeyEntry("Tab", "faults: go to the scenarios, and back", PANEL, (), needs_simulator=True),
    KeyEntry("Space", "pause the replay, or go on", REPLAY,
        (Action("space", "play", "Pause or play"),), label="pause", footer_rank=1, only="replay"),
    KeyEntry("< >", "ten seconds back, forwards", REPLAY,
        (Action("less_than_sign", "seek(-1)", "Back 10 s"),
         Action("greater_than_sign", "seek(1)", "Forwards 10 s")),
        label="10 s", footer_rank=2, only="replay"),
    KeyEntry(":", "go to a time: 12:04, -5m (before this moment), ISO 8601", REPLAY,
        (Action("colon", "jump", "Go to time"),), label="time", footer_rank=3, only="replay"),
    KeyEntry("{ }", "go to the start, the end of the recording", REPLAY,
        (Action("left_curly_bracket", "seek_start", "Start of the recording"),
         Action("right_curly_bracket", "seek_end", "End of the recording")),
        label="start, end", footer_rank=4, only="replay"),
    KeyEntry("[ ]", "slower, faster: 1 to 100 times", REPLAY,
        (Action("left_square_bracket", "speed(-1)", "Slower"),
         Action("right_square_bracket", "speed(1)", "Faster")),
        label="speed", footer_rank=4, only="replay"),
    KeyEntry("p", "unplug the cable to the forwarder, or plug it in", NETWORK,
        (Action("p", "cable", "Cable"),), label="cable", footer_rank=2, needs_simulator=True,
        difference="less: goes to a percentage"),
    KeyEntry("F2", "switch faults of the simulator on or off", NETWORK,
        (Action("f2", "faults", "Faults"),), label="faults", footer_rank=7,
        needs_simulator=True),
    KeyEntry("o", "open other log groups or executions, several at once", NETWORK,
        (Action("o", "open", "Open"),), label="open", footer_rank=11, only="live",
        difference="less: writes a log file; lnav: goes along an operation"),
    KeyEntry("c", "connection panel: history, marks, outages", NETWORK,
        (Action("c", "connection", "Connection panel"),), label="connection", footer_rank=8),
    KeyEntry("r", "reconnect now, without waiting", NETWORK,
        (Action("r", "reconnect", "Reconnect"),), only="live",
        difference="less: redraws the screen, which is not needed here"),
    KeyEntry("B", "notifications (gap, error, job end): off, bell, terminal", PROGRAM,
        (Action("B", "notices", "Notifications"),), only="live"),
    KeyEntry("? F1", "list all keys", PROGRAM, (Action("question_mark,f1", "help", "Help"),),
        label="help", footer_rank=0),
    KeyEntry("Ctrl+P", "command palette: every action by name", PROGRAM,
        (Action("ctrl+p", "command_palette", "Commands"),), label="menu", footer_rank=3),
    KeyEntry("Esc", "close a panel, stop fetching, clear search, then filters", PROGRAM,
        (Action("escape", "close", "Close"),)),
    KeyEntry("q Ctrl+C", "quit", PROGRAM, (Action("q,ctrl+c", "leave", "Quit"),),
        label="quit", footer_rank=0),
    KeyEntry("Ctrl+Z", "suspend; fg resumes", PROGRAM,
        (Action("ctrl+z", "suspend_process", "Suspend"),)),
)  # fmt: skip


def available(*, with_simulator: bool, in_replay: bool = False) -> Iterable[KeyEntry]:
    """The entries whose keys work, with or without a simulator, live or in a replay."""
    other = "live" if in_replay else "replay"
    return (
        key for key in KEYS if key.only != other and (with_simulator or not key.needs_simulator)
    )


def disabled_actions(*, in_replay: bool) -> frozenset[str]:
    """Textual's names, without arguments, of the actions that do nothing here."""
    other = "live" if in_replay else "replay"
    usable = {one.action for key in KEYS if key.only != other for one in key.actions}
    return frozenset(
        one.action.partition("(")[0]
        for key in KEYS
        for one in key.actions
        if one.action not in usable
    )


def textual_bindings() -> list[BindingType]:
    """The table as Textual's bindings; of two actions of one key, the other is disabled.

    Quitting takes priority over the focused widget, since Textual's text fields use Ctrl+C.
    """
    return [
        Binding(name, action.action, action.title, show=False, priority=name == "ctrl+c")
        for key in KEYS
        for action in key.actions
        for name in action.keys.split(",")
    ]


def sections(*, with_simulator: bool, in_replay: bool = False) -> dict[str, list[KeyEntry]]:
    """The entries that work, by heading, in the order of the table; those of a replay first."""
    found: dict[str, list[KeyEntry]] = {REPLAY: []} if in_replay else {}
    for key in available(with_simulator=with_simulator, in_replay=in_replay):
        found.setdefault(key.section, []).append(key)
    return found


def markdown() -> str:
    """The table as Markdown, for the README."""
    rows = ["| keys | what they do |", "|---|---|"]
    for key in KEYS:
        keys = " ".join(f"`{one}`" for one in key.shown.replace("|", "\\|").split())
        note = " (with `gapless demo`)" if key.needs_simulator else ""
        note = " (in `gapless replay`)" if key.only == "replay" else note
        rows.append(f"| {keys} | {key.help}{note} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown())  # noqa: T201 - the output is the purpose
