"""Opens a file to replay, and shows it on the screen or prints its lines."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from common.errors import EXIT_DONE, UsageError
from common.files import NotRegularError, open_regular
from common.times import parse_zone
from gapless import terminal
from gapless.terminal import is_dumb, restored_terminal, say

if TYPE_CHECKING:
    from tui.lines.filters import OutputFilter
    from tui.output.formats import OutputStyle
    from tui.replay.engine import ReplaySource
    from tui.replay.recording import Recording

_STDIN: Final = "-"
_PRINT_LINES: Final = 2_000
"""Lines formatted before they are written."""


class Replaying(msgspec.Struct, frozen=True, kw_only=True):
    """How to show a replay.

    Attributes:
        speed: Seconds of the recording in a second; None: everything at once.
        is_paced: Whether a speed was given; otherwise a record is played at its own pace, and
            another log is shown at once.
    """

    speed: float | None
    is_paced: bool
    grep: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    level: str | None = None
    fields: str | None = None
    timezone: str | None = None


def has_screen(*, is_piped: bool) -> bool:
    """Whether there is a terminal to draw on; ``is_piped``: standard input is the log."""
    has_keyboard = is_piped or sys.stdin.isatty()
    return sys.stdout.isatty() and has_keyboard and not is_dumb(os.environ)


@contextmanager
def open_source(file: str) -> Iterator[ReplaySource]:
    """Open a file, or standard input, and check that something in it can be replayed.

    Raises:
        UsageError: It cannot be read, or nothing in it can be replayed.
    """
    from tui.replay.engine import ReplaySource  # noqa: PLC0415 - not needed for --help

    if file == _STDIN and sys.stdin.isatty():
        msg = "standard input is a terminal: pipe a log into gapless replay -, or give a FILE"
        raise UsageError(msg)
    with ExitStack() as stack:
        with _reading(file):
            # A copy: on a screen, the terminal takes the place of standard input.
            number = os.dup(0) if file == _STDIN else _open(file)
            opened = stack.enter_context(os.fdopen(number, "rb", buffering=0))
            found = os.fstat(number)
            size = found.st_size if stat.S_ISREG(found.st_mode) else None
            name = "standard input" if file == _STDIN else Path(file).name
            source = ReplaySource(opened, name, size, file)
        yield source


@contextmanager
def _reading(file: str) -> Iterator[None]:
    """Turn errors of reading into one line; output may fail as well, and is no part of this.

    Raises:
        UsageError: The file cannot be read, or nothing in it can be replayed.
    """
    from tui.replay.reading import ReplayError  # noqa: PLC0415 - not needed for --help

    try:
        yield
    except NotRegularError as error:
        msg = f"{file} is not a file: give a record or a log, or pipe it into gapless replay -"
        raise UsageError(msg) from error
    except ReplayError as error:
        raise UsageError(str(error)) from error
    except FileNotFoundError as error:
        msg = f"{file} does not exist: give a record (gapless tail --record FILE) or a log"
        raise UsageError(msg) from error
    except OSError as error:
        msg = f"cannot read {file} ({error.strerror}): give a file that you may read"
        raise UsageError(msg) from error


def _open(file: str) -> int:
    """Open a file, or a pipe that the shell has opened: <(command)."""
    if file.startswith(("/dev/fd/", "/proc/self/fd/")):
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    return open_regular(file)


def show(source: ReplaySource, replaying: Replaying, *, is_piped: bool) -> int:
    """Show a replay until the user quits; return the exit code.

    Raises:
        UsageError: There is no terminal beside the pipe.
    """
    if is_piped:
        try:
            keyboard = os.open("/dev/tty", os.O_RDWR)
        except OSError as error:
            msg = "there is no terminal to draw on: add --output text"
            raise UsageError(msg) from error
        os.dup2(keyboard, 0)
        os.close(keyboard)
    from tui.screen.terminal import run_screen  # noqa: PLC0415 - output needs no screen

    with restored_terminal():
        return run_screen(_show(source, replaying))


async def _show(source: ReplaySource, replaying: Replaying) -> int:
    # Textual is slow to import.
    from gapless.viewing.screen import ScreenApp  # noqa: PLC0415
    from tui.replay.engine import ReplayEngine  # noqa: PLC0415
    from tui.screen.columns import FirstColumns  # noqa: PLC0415

    own_pace = 1.0 if source.is_record else None
    engine = ReplayEngine(source, speed=replaying.speed if replaying.is_paced else own_pace)
    app = ScreenApp(
        engine,
        title=source.name,
        player=engine,
        clock=lambda: engine.position_ms,
        include=replaying.grep,
        exclude=replaying.exclude,
        level=replaying.level,
        zone=None if replaying.timezone is None else parse_zone(replaying.timezone),
        columns=FirstColumns(None, replaying.fields),
    )
    terminal.hand_over_terminal()
    await app.run_async()
    if app.fault is not None:
        raise app.fault
    if problem := engine.player.problem:
        say(f"{source.name}: {problem}")
    return app.return_code or EXIT_DONE


def print_replay(source: ReplaySource, replaying: Replaying, output: str) -> int:
    """Print every line that passes the filters, in display order; return the exit code."""
    from tui.output.formats import make_style  # noqa: PLC0415 - not needed for --help
    from tui.render.fields import parse_fields  # noqa: PLC0415 - likewise
    from tui.replay.engine import problem_text, read_whole  # noqa: PLC0415 - likewise

    terminal.erase_first_picture()
    style = make_style(
        output,
        fields=parse_fields(replaying.fields) if replaying.fields else (),
        zone=parse_zone(replaying.timezone or "utc"),
    )
    with _reading(source.name):
        recording = read_whole(source)
    test = _filter(replaying, recording)
    for part in _formatted(recording, style, test):
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
    if problem := problem_text(recording):
        first = recording.problems.first
        say(f"{source.name}: {problem}{f' ({first})' if first else ''}")
    return EXIT_DONE


def _filter(replaying: Replaying, recording: Recording) -> OutputFilter:
    from tui.lines.filters import output_filter  # noqa: PLC0415 - not needed for --help

    def group_name(target: int) -> str:
        source = recording.targets[target].source
        return source.group or source.name

    return output_filter(replaying.grep, replaying.exclude, replaying.level, group_name)


def _formatted(recording: Recording, style: OutputStyle, test: OutputFilter) -> Iterator[bytes]:
    from tui.output.formats import format_line  # noqa: PLC0415 - not needed for --help
    from tui.output.ordering import PrintedLine  # noqa: PLC0415 - likewise
    from tui.output.plain import group_names  # noqa: PLC0415 - likewise

    sources = [one.source for one in recording.targets]
    names: Sequence[str] = group_names(sources, may_join=False)
    lines = [one for one in recording.tape.in_display_order() if test.passes(one)]
    for begin in range(0, len(lines), _PRINT_LINES):
        yield b"".join(
            format_line(
                PrintedLine(one, one.late_ms > 0, (one.target, one.id) in recording.altered),
                style,
                sources[one.target],
                group=names[one.target],
            )
            for one in lines[begin : begin + _PRINT_LINES]
        )
