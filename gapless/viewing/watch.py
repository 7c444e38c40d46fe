"""The viewer in this process: an engine for the targets, shown on screen or printed.

``watch`` is what ``tail`` and ``demo`` have in common.

Which executions that were asked for have shown nothing. Pure.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from common.errors import EXIT_DONE, GaplessError, UsageError
from common.signals import run_until_signal
from common.state import state_dir
from gapless import terminal
from gapless.terminal import left_in_order, say, when_reader_leaves
from gapless.viewing.opening import Viewing, Watched, on_and_on
from wire.query import belongs_to_execution

if TYPE_CHECKING:
    from gapless.viewing.controls import SimulatorControls
    from gapless.viewing.opening import Opener
    from tui.client.engine import Engine, ViewerResult
    from tui.client.target import TargetSpec
    from tui.screen.ports import Choice
    from wire.query import Filter


class Unseen:
    """The executions of which no event has come so far."""

    def __init__(self, executions: Sequence[str]) -> None:
        """None has come of any."""
        self.left = list(executions)

    def saw(self, streams: Iterable[str]) -> None:
        """Events of these log streams have come."""
        if self.left:
            for stream in set(streams):
                self.left = [one for one in self.left if not belongs_to_execution(stream, one)]

    def notice(self) -> str:
        """What a person is told; empty where there is nothing to tell."""
        if not self.left:
            return ""
        names = ", ".join(repr(one) for one in self.left)
        return f"nothing of execution {names} was seen: gapless executions TARGET lists them"


_TOLD_LINES: Final = 100_000
"""More than so many take seconds to be fetched."""


def load_viewer(*, for_screen: bool = True) -> None:
    """Import what the viewer needs, while something else takes its time."""
    if for_screen and sys.stdout.isatty():
        import gapless.viewing.screen  # noqa: F401, PLC0415 - textual is slow to import
    import tui.client.engine  # noqa: F401, PLC0415 - websockets likewise


def watch(viewing: Viewing, opener: Opener | None = None) -> int:
    """Watch until it is done or somebody ends it; the exit code.

    Args:
        viewing: What, and how.
        opener: Opens what is chosen on the screen instead.

    Raises:
        GaplessError: it can't connect, or what it has is not complete.

    """
    if viewing.is_on_screen:
        with left_in_order():
            return on_and_on(viewing, opener, lambda one: run_until_signal(_on_screen(one, opener)))
    terminal.leave()
    return run_until_signal(_as_output(viewing))


async def _as_output(viewing: Viewing) -> int:
    """Print; the exit code, which the reason on stderr goes with."""
    from tui.lines.filters import PatternError, output_filter  # noqa: PLC0415 - with it
    from tui.output.plain import Plain, PlainOptions  # noqa: PLC0415 - websockets is slow to import

    try:
        test = output_filter(viewing.grep, viewing.exclude, viewing.level)
    except PatternError as error:
        raise UsageError(str(error)) from error
    for note in _notes(viewing):
        say(note)
    cursors = _cursors(viewing)
    options = PlainOptions(
        output=viewing.output or "text",
        order=viewing.order,
        hold_ms=viewing.hold,
        lines=viewing.lines,
        follow=viewing.follow,
        until_ms=viewing.until,
        color=_is_coloured(viewing.color),
        test=test,
        record=viewing.record,
        cursors=cursors,
    )
    # Output saves its cursors itself, once what they stand for is printed.
    engine = make_engine(viewing, _now_ms(), cursors=cursors, saves=False)
    unseen = Unseen(viewing.executions)
    engine.on_lines(lambda lines: unseen.saw(line.stream for line in lines))
    out = sys.stdout.fileno()
    printing = asyncio.create_task(Plain(engine, options, out=out, say=say).run())
    loop = asyncio.get_running_loop()
    left = asyncio.Event()

    def leave() -> None:
        left.set()
        printing.cancel()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop is closed: it is over anyway
            loop.call_soon_threadsafe(leave)

    when_reader_leaves(out, tell)
    try:
        code = await printing
    except asyncio.CancelledError:
        if left.is_set():
            return EXIT_DONE
        raise
    # What a run before this one has shown does not come again.
    if code == EXIT_DONE and not viewing.resume and (notice := unseen.notice()):
        say(notice)
    return code


def _notes(viewing: Viewing) -> list[str]:
    """What a person is told from the start: on the screen, which would hide it on stderr."""
    return [one for one in (viewing.notice, *(target.note for target in viewing.targets)) if one]


def _is_coloured(color: str) -> bool:
    """``auto``: on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    if color == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return color == "always"


async def _on_screen(viewing: Viewing, opener: Opener | None) -> int | tuple[Choice, ...]:
    """The exit code, or what is to be opened next."""
    from gapless.viewing.screen import (  # noqa: PLC0415 - textual is slow to import
        ScreenApp,
        judge_on_and_on,
    )

    notes = _notes(viewing)
    cursors = _cursors(viewing, notes.append)
    engine = make_engine(viewing, _now_ms(), cursors=cursors, warn=notes.append)
    controls = _controls(viewing)
    app = ScreenApp(
        engine,
        title=_title(viewing),
        controls=controls,
        include=viewing.grep,
        exclude=viewing.exclude,
        level=viewing.level,
        bookmarks_path=None if cursors is None else _kept(viewing, cursors),
        catalogue=None if opener is None else opener.catalogue(viewing),
    )
    app.notice = " · ".join(notes)
    app.set_notify_mode(viewing.notify)
    async with _tasks(
        _exit_when_finished(engine, app.exit),
        _record_when_asked(engine, viewing),
        *(() if controls is None else (judge_on_and_on(engine, controls),)),
    ):
        engine.on_rules(app.told)
        terminal.hand_over()
        await app.run_async()
    await _write_last_record(engine, viewing)
    if app.fault is not None:
        raise app.fault
    if app.chosen:
        return app.chosen
    return _code(engine.result, app.return_code or EXIT_DONE)


def make_engine(
    viewing: Viewing,
    now_ms: int,
    *,
    cursors: Path | None,
    saves: bool = True,
    warn: Callable[[str], None] = say,
) -> Engine:
    """The engine for the targets, with its goal and the cursors of an earlier run.

    Args:
        viewing: What to watch.
        now_ms: The time.
        cursors: Where they are kept, if anywhere.
        saves: Whether the engine keeps them itself, for the next run.
        warn: Told of a cursor that can't be read.

    """
    from tui.client.engine import Engine, Goal  # noqa: PLC0415 - websockets is slow to import
    from tui.lines.timeline import CAPACITY  # noqa: PLC0415 - with it
    from wire.query import Filter  # noqa: PLC0415 - with it

    wanted = Filter(viewing.streams, viewing.executions, viewing.prefixes)
    specs = [
        _spec(viewing, target, _wanted(target, wanted), cursors, warn, shows=saves)
        for target in viewing.targets
    ]
    through = viewing.until if viewing.follow or viewing.until is not None else now_ms
    goal = Goal(through_ms=through, executions=viewing.executions)
    kept = cursors if saves else None
    return Engine(specs, goal=goal, capacity=viewing.capacity or CAPACITY, cursors=kept)


def _wanted(target: Watched, wanted: Filter) -> Filter:
    """What is wanted of a target: where executions of it were chosen, those alone."""
    if target.executions is None:
        return wanted
    return msgspec.structs.replace(wanted, streams=(), executions=target.executions, prefixes=())


def _code(result: ViewerResult | None, code: int) -> int:
    """The exit code: the result's where there is one, else the screen's own.

    Raises:
        GaplessError: the result has a reason.

    """
    if result is None:
        return code
    if result.reason:
        raise GaplessError(result.reason, result.code)
    return result.code


async def _exit_when_finished(engine: Engine, leave: Callable[[], None]) -> None:
    await engine.finished.wait()
    leave()


async def _record_when_asked(engine: Engine, viewing: Viewing) -> None:
    """Write the record at each SIGUSR1; without --record the signal is of no use, and harmless."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, asked.set)
    try:
        while True:
            await asked.wait()
            asked.clear()
            await _write_record(engine, viewing)
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
        # The last record is written anyway; who asks for it now must not end us before our time.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


@asynccontextmanager
async def _tasks(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these beside a ``with`` block, and cancel them at its end."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for one in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(one, Exception):
                raise one


async def _write_last_record(engine: Engine, viewing: Viewing) -> None:
    """Write the record at the end: at once, and then with what has to be fetched for it.

    Raises:
        GaplessError: it can't be written.

    """
    if viewing.record is None:
        return
    from tui.output.record import write_record  # noqa: PLC0415 - with the engine

    with _writing(viewing.record):
        write_record(viewing.record, engine)
    evicted = engine.timeline.evicted
    if evicted > _TOLD_LINES:
        say(f"fetching {evicted:,} lines for the record; Ctrl+C leaves them out")
    if evicted:
        await _write_record(engine, viewing)


async def _write_record(engine: Engine, viewing: Viewing) -> None:
    """Write the record that was asked for, with the lines that left memory.

    Raises:
        GaplessError: it can't be written.

    """
    if viewing.record is None:
        return
    from tui.output.record import write_whole_record  # noqa: PLC0415 - with the engine

    with _writing(viewing.record):
        await write_whole_record(viewing.record, engine)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"cannot write the record {path} ({error.strerror}): choose another place"
        raise GaplessError(msg) from error


def _cursors(viewing: Viewing, warn: Callable[[str], None] = say) -> Path | None:
    """Where cursors are kept; a simulation is never watched twice."""
    if viewing.control:
        return None
    try:
        folder = state_dir("cursors")
    except GaplessError as error:
        warn(f"the next viewer can't go on where this one ends: {error}")
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        warn(f"the next viewer can't go on where this one ends: {folder} is not ours to write")
        return None
    return folder


def _kept(viewing: Viewing, folder: Path) -> Path:
    """The file in which the view is kept for the next run about the same."""
    from tui.client.saved import bookmarks_path  # noqa: PLC0415 - with the engine
    from wire.query import Filter  # noqa: PLC0415 - with it

    wanted = Filter(viewing.streams, viewing.executions, viewing.prefixes)
    names = ["\n".join((one.key, *(one.executions or ()))) for one in viewing.targets]
    groups = [one.group for one in viewing.targets]
    return bookmarks_path(folder, list(zip(names, groups, strict=True)), wanted)


def _spec(
    viewing: Viewing,
    target: Watched,
    wanted: Filter,
    cursors: Path | None,
    warn: Callable[[str], None],
    *,
    shows: bool,
) -> TargetSpec:
    """A target for the engine, which goes on where the last run about it was.

    ``shows``: the lines before that are wanted too; output has printed them already.

    A cursor is worth something only with the ``since`` that it was made with [7].
    """
    from tui.client import saved as state  # noqa: PLC0415 - websockets is slow to import
    from tui.client.target import TargetSpec  # noqa: PLC0415 - with it

    saved = None
    if cursors is not None and viewing.goes_on:
        saved = state.load_cursor(cursors, target.key, target.group, wanted, warn=warn)
    return TargetSpec(
        url=target.url,
        name=target.name,
        group=target.group,
        filter=wanted,
        since=viewing.since if saved is None else saved.subject.since,
        token=viewing.token,
        identity=target.key,
        cursor=None if saved is None else saved.cursor,
        previous=saved.previous if saved is not None and shows else None,
        awaits_group=not shows,
    )


def _controls(viewing: Viewing) -> SimulatorControls | None:
    if viewing.control is None:
        return None
    from gapless.viewing.controls import SimulatorControls  # noqa: PLC0415 - only under demo

    return SimulatorControls(viewing.control).follow()


def _title(viewing: Viewing) -> str:
    names = [" ".join((one.name, *(one.executions or ()))) for one in viewing.targets]
    return viewing.title or " · ".join(names)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
