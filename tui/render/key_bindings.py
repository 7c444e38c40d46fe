"""Every key of the viewer, in one table: bindings, help, footer, palette and README come from it.

``python -m tui.render.key_bindings`` prints the table as Markdown, for the README.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from textual.binding import Binding, BindingType


class Action(msgspec.Struct, frozen=True):
    """An action, and the keys that do it."""

    keys: str
    """Textual's names of the keys, parted by commas."""

    action: str
    """Textual's name of the action, on the application."""

    title: str
    """What it is called in the palette."""


class Key(msgspec.Struct, frozen=True):
    """One line of the help: an action, or a few that belong together."""

    shown: str
    """The keys as a person writes them, ``Shift+↓/↑`` for two with the same key held down."""

    help: str
    """What they do, in one line."""

    section: str
    """The heading in the help."""

    acts: tuple[Action, ...]
    """None where the keys belong to a panel, which has them only while it has the focus."""

    label: str = ""
    """The word in the footer, for the first action; empty keeps it out of there."""

    footer: int = 9
    """Which keys leave a narrow footer first: those with the highest number."""

    controls: bool = False
    """Only where a simulator lends its switches."""

    departs: str = ""
    """What ``less`` or ``lnav`` do with these keys, where it differs."""


FOLLOW: Final = "Follow and move"
FIND: Final = "Find"
LOOK: Final = "Look closer"
INSIDE: Final = "Inside a panel"
NETWORK: Final = "Connection"
PROGRAM: Final = "Program"

KEYS: Final[tuple[Key, ...]] = (
    Key("F G End", "go to the newest line and stay there", FOLLOW,
        (Action("F,G,end", "follow", "Follow"),), label="follow", footer=1,
        departs="less's F is left with Ctrl+C; here, by scrolling up"),
    Key("Space", "hold the screen still while lines keep coming in", FOLLOW,
        (Action("space", "freeze", "Freeze"),), label="freeze", footer=4,
        departs="less and lnav page down"),
    Key("j k ↓ ↑", "a line down, up; up leaves the newest line", FOLLOW,
        (Action("j,down", "move('down')", "Line down"), Action("k,up", "move('up')", "Line up")),
        departs="a cursor moves, and the list with it at the edge"),
    Key("PgDn PgUp", "a screen down, up", FOLLOW,
        (Action("pagedown", "move('page_down')", "Page down"),
         Action("pageup", "move('page_up')", "Page up"))),
    Key("d u", "half a screen down, up", FOLLOW,
        (Action("d", "move('half_down')", "Half a page down"),
         Action("u", "move('half_up')", "Half a page up"))),
    Key("g Home", "go to the oldest line", FOLLOW,
        (Action("g,home", "move('top')", "Oldest line"),)),
    Key(":", "go to a time: 12:04, -5m before this line, ISO 8601", FOLLOW,
        (Action("colon", "jump", "Go to time"),), label="time", footer=12,
        departs="less examines another file"),
    Key("m", "set a bookmark on this line, or take it off", FOLLOW,
        (Action("m", "bookmark", "Bookmark"),), departs="less asks for a letter; lnav as here"),
    Key("'", "next bookmark; the palette (Ctrl+P) lists them", FOLLOW,
        (Action("apostrophe", "next_bookmark", "Next bookmark"),),
        departs="less asks for a letter; lnav has u and U"),
    Key("→ ←", "read on in long lines, and back", FOLLOW,
        (Action("right", "side(1)", "Scroll right"), Action("left", "side(-1)", "Scroll left"))),
    Key("/", "find text, or a regular expression", FIND, (Action("slash", "search", "Search"),),
        label="search", footer=3),
    Key("n N", "next match, the one before", FIND,
        (Action("n", "next_match(1)", "Next match"),
         Action("N", "next_match(-1)", "Previous match"))),
    Key("f", "show only lines that match; several are joined by and", FIND,
        (Action("f", "include", "Filter: only"),), label="filter", footer=5,
        departs="less pages down"),
    Key("x", "hide lines that match", FIND, (Action("x", "exclude", "Filter: without"),),
        departs="lnav shows or hides fields"),
    Key("Ctrl+F", "all filters off, and on again", FIND,
        (Action("ctrl+f", "filters", "Filters on and off"),), departs="less pages down"),
    Key("z", "rows around what passes the filters: none, 3, 10", FIND,
        (Action("z", "around", "Rows around hits"),), departs="less sets its window"),
    Key("1 2 3 4 5", "least level: all, debug, info, warning, error", FIND,
        (Action("1", "level(1)", "Level: all"), Action("2", "level(2)", "Level: debug"),
         Action("3", "level(3)", "Level: info"), Action("4", "level(4)", "Level: warning"),
         Action("5", "level(5)", "Level: error")),
        departs="lnav moves to a tenth of an hour; less reads a number"),
    Key("e E", "next error, the one before", FIND,
        (Action("e", "next_level('error', 1)", "Next error"),
         Action("E", "next_level('error', -1)", "Previous error")),
        departs="less moves a line; lnav the same as here"),
    Key("w W", "next warning or error, the one before", FIND,
        (Action("w", "next_level('warn', 1)", "Next warning"),
         Action("W", "next_level('warn', -1)", "Previous warning")),
        departs="less pages up; lnav the same as here"),
    Key("Enter", "everything about the line under the cursor", LOOK,
        (Action("enter", "detail", "Detail"),), label="detail", footer=6,
        departs="less moves a line"),
    Key("Tab", "into the open panel, and back", LOOK, ()),
    Key("s", "streams: lines of each, on and off, only this one", LOOK,
        (Action("s", "streams", "Streams"),), label="streams", footer=9,
        departs="less saves what is piped in; lnav: next slow line"),
    Key("h", "histogram: volume over time by level, gaps, backfills", LOOK,
        (Action("h", "histogram", "Histogram"),), label="histogram", footer=10,
        departs="less lists its keys; lnav has i"),
    Key("t", "time: UTC, local, before now, since the row above", LOOK,
        (Action("t", "time", "Time column"),), departs="lnav shows the text view"),
    Key("| Ctrl+W", "break long lines, or cut them", LOOK,
        (Action("vertical_line,ctrl+w", "wrap", "Wrap"),)),
    Key("\\ F11", "hide all but the log", LOOK, (Action("backslash,f11", "full", "Full screen"),)),
    Key("v", "select rows from here on, or none", LOOK, (Action("v", "select", "Select rows"),),
        label="select", footer=13,
        departs="less opens an editor"),
    Key("J K Shift+↓/↑", "select, and move", LOOK,
        (Action("J,shift+down", "extend('down')", "Select down"),
         Action("K,shift+up", "extend('up')", "Select up")),
        departs="less scrolls beyond the end; lnav marks lines"),
    Key("Shift+PgDn/PgUp", "select a screen", LOOK,
        (Action("shift+pagedown", "extend('page_down')", "Select a page down"),
         Action("shift+pageup", "extend('page_up')", "Select a page up"))),
    Key("Y", "copy the selected lines (OSC 52)", LOOK,
        (Action("Y", "copy_selection", "Copy selection"),)),
    Key("Ctrl+S", "save what is shown, or selected: text, or FILE.ndjson", LOOK,
        (Action("ctrl+s", "save", "Save"),)),
    Key("y", "copy the line under the cursor (OSC 52)", LOOK, (Action("y", "copy", "Copy line"),)),
    Key("f x", "detail: only lines with this value, only those without", INSIDE, ()),
    Key("Space Enter a", "streams: on or off, only this one, all of them", INSIDE, ()),
    Key("← → + -", "histogram: go along it and the log, more or less time", INSIDE, ()),
    Key("Tab → ←", "open: mark one of several, its executions, back", INSIDE, ()),
    Key("Enter 1…9 a…Z", "faults: switch; each has a key of its own", INSIDE, (),
        controls=True),
    Key("Tab", "faults: the scenarios, and back", INSIDE, (), controls=True),
    Key("p", "pull the cable to the forwarder, or plug it in", NETWORK,
        (Action("p", "cable", "Cable"),), label="cable", footer=2, controls=True,
        departs="less goes to a percentage"),
    Key("F2", "switch the simulator's faults", NETWORK, (Action("f2", "faults", "Faults"),),
        label="faults", footer=7, controls=True),
    Key("o", "open other log groups or executions, several at once", NETWORK,
        (Action("o", "open", "Open"),), label="open", footer=11,
        departs="less writes a log; lnav goes along an operation"),
    Key("c", "connection panel: history, marks, what was recovered", NETWORK,
        (Action("c", "connection", "Connection panel"),), label="connection", footer=8),
    Key("r", "reconnect now, without waiting", NETWORK,
        (Action("r", "reconnect", "Reconnect"),), departs="less draws anew; here nothing needs it"),
    Key("B", "tell a gap, a new error, an end: no, bell, terminal", PROGRAM,
        (Action("B", "notices", "Notices"),)),
    Key("? F1", "this list", PROGRAM, (Action("question_mark,f1", "help", "Help"),),
        label="help", footer=0),
    Key("Ctrl+P", "every action by name", PROGRAM,
        (Action("ctrl+p", "command_palette", "Commands"),), label="menu", footer=3),
    Key("Esc", "close a pane; then clear the search, then the filters", PROGRAM,
        (Action("escape", "close", "Close"),)),
    Key("q Ctrl+C", "quit", PROGRAM, (Action("q,ctrl+c", "leave", "Quit"),),
        label="quit", footer=0),
    Key("Ctrl+Z", "suspend; fg comes back", PROGRAM,
        (Action("ctrl+z", "suspend_process", "Suspend"),)),
)  # fmt: skip


def available(*, controls: bool) -> Iterable[Key]:
    """The keys that do something here."""
    return (key for key in KEYS if controls or not key.controls)


def textual_bindings() -> list[BindingType]:
    """The table as Textual has it.

    Quitting goes before whatever has the focus: Textual gives Ctrl+C to its text fields.
    """
    return [
        Binding(name, act.action, act.title, show=False, priority=name == "ctrl+c")
        for key in KEYS
        for act in key.acts
        for name in act.keys.split(",")
    ]


def sections(*, controls: bool) -> dict[str, list[Key]]:
    """The keys by heading, in the order of the table."""
    found: dict[str, list[Key]] = {}
    for key in available(controls=controls):
        found.setdefault(key.section, []).append(key)
    return found


def markdown() -> str:
    """The table for the README."""
    rows = ["| keys | what they do |", "|---|---|"]
    for key in KEYS:
        keys = " ".join(f"`{one}`" for one in key.shown.replace("|", "\\|").split())
        note = " (with `gapless demo`)" if key.controls else ""
        rows.append(f"| {keys} | {key.help}{note} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown())  # noqa: T201 - its output is what it is for
