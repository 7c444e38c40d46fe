"""Runs a ``Viewing`` in this process, on screen or as output: what ``tail`` and ``demo`` share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from common.errors import EXIT_DONE, GaplessError
from common.signals import run_until_signal
from common.state import state_dir
from common.times import parse_zone
from common.tokens import find_offered_token
from gapless import terminal
from gapless.terminal import restored_terminal, say, when_reader_leaves
from gapless.viewing.model import Viewing, WatchedTarget
from gapless.viewing.opening import show_in_turn
from wire.query import belongs_to_execution

if TYPE_CHECKING:
    from gapless.viewing.controls import SimulatorControls
    from gapless.viewing.model import WatchedPattern
    from gapless.viewing.opening import Opener
    from tui.client.engine import Engine, ViewerResult
    from tui.client.membership import GroupSource
    from tui.client.saved import Cursor, PreviousRun
    from tui.client.target import TargetSpec
    from tui.lines.filters import OutputFilter
    from tui.output.consumer import ConsumedTarget, Consumer
    from tui.output.plain import PlainOptions
    from tui.screen.ports import Choice
    from wire.query import Filter


_NO_RESUME = "the next viewer cannot resume where this one ends"


def make_engine(
    viewing: Viewing,
    now_ms: int,
    *,
    cursors: Path | None = None,
    consumer: Consumer | None = None,
    warn: Callable[[str], None] = say,
) -> Engine:
    """Return the engine for the targets, with its goal and the saved cursors.

    Args:
        viewing: What to watch.
        now_ms: The present, ms since the Unix epoch.
        cursors: Folder of the screen's cursors; None: none are used or saved.
        consumer: The consumer that prints the lines, and saves what it has printed.
        warn: Called with a message if a cursor cannot be read.
    """
    from tui.client.engine import Engine, Goal  # noqa: PLC0415 - websockets is slow to import
    from tui.lines.timeline import CAPACITY  # noqa: PLC0415 - with it

    folder = cursors if viewing.is_on_screen and viewing.resumes else None
    specs = []
    for number, target in enumerate(viewing.targets):
        filter_ = target_filter(viewing, target)
        if viewing.is_on_screen:
            start = _start_of_screen(viewing, target, filter_, folder, warn)
        else:
            known = consumer.start_of(number) if consumer else None
            start = _Start(viewing.since) if known is None else _Start(*known)
        specs.append(_target_spec(viewing, target, filter_, start))
    through = viewing.until if viewing.follow or viewing.until is not None else now_ms
    goal = Goal(through_ms=through, executions=viewing.executions, patience_ms=viewing.patience)
    return Engine(
        specs,
        sources=[_group_source(viewing, one, folder, consumer) for one in viewing.patterns],
        goal=goal,
        capacity=viewing.capacity or CAPACITY,
        cursors=folder,
        is_watched=viewing.is_on_screen,
        gives_up=viewing.gives_up,
    )


def _group_source(
    viewing: Viewing, pattern: WatchedPattern, folder: Path | None, consumer: Consumer | None
) -> GroupSource:
    """Return the log groups of a pattern, as the engine follows them.

    ``folder`` has the screen's cursors. An unreadable one of a group that joins is ignored: all
    its lines come, and the screen is no place for a message by then.
    """
    from tui.client.membership import ForwarderGroups, ListedGroup  # noqa: PLC0415 - likewise

    def make_spec(listed: ListedGroup) -> TargetSpec:
        target = pattern.watch(listed.name, listed.group, listed.arn)
        filter_ = target_filter(viewing, target)
        start = _start_of_screen(viewing, target, filter_, folder, _ignore)
        if consumer is not None:
            number = consumer.add_target(_consumed(viewing, target))
            known = consumer.start_of(number)
            start = start if known is None else _Start(*known)
        return _target_spec(viewing, target, filter_, start)

    token = partial(find_offered_token, pattern.url)
    return ForwarderGroups(
        pattern.url, token, pattern.name, pattern.patterns, pattern.known, make_spec
    )


def _ignore(_text: str) -> None:
    pass


def _consumed(viewing: Viewing, target: WatchedTarget) -> ConsumedTarget:
    from tui.output.consumer import ConsumedTarget, OutputQuery  # noqa: PLC0415 - with the engine

    query = OutputQuery(
        target_filter(viewing, target), viewing.grep, viewing.exclude, viewing.level
    )
    return ConsumedTarget(identity=target.key, group=target.group, name=target.name, query=query)


def make_consumer(viewing: Viewing, folder: Path) -> Consumer:
    """Return the consumer that the output resumes as, locked; ``close`` it at the end.

    Raises:
        UsageError: Another process is this consumer, or the consumer has another query.
    """
    from tui.output.consumer import Consumer  # noqa: PLC0415 - with the engine

    targets = [_consumed(viewing, one) for one in viewing.targets]
    consumer = Consumer(folder, viewing.consumer, viewing.output or "text", targets, say)
    try:
        consumer.check_since(viewing.since)
    except BaseException:
        consumer.close()
        raise
    return consumer


def cursors_folder(viewing: Viewing, warn: Callable[[str], None] = say) -> Path | None:
    """Return the folder of saved cursors; None for a simulation, which is never resumed.

    ``warn`` is called if the folder cannot be used.
    """
    if viewing.control:
        return None
    try:
        folder = state_dir("cursors")
    except GaplessError as error:
        warn(f"{_NO_RESUME}: {error}")
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        warn(f"{_NO_RESUME}: {folder} is not writable")
        return None
    return folder


def bookmarks_file(viewing: Viewing, folder: Path) -> Path:
    """Return the file that keeps the view for the next viewer of the same targets and filter."""
    from tui.client.saved import bookmarks_path  # noqa: PLC0415 - with the engine

    return bookmarks_path(folder, _identities(viewing), _shared_filter(viewing))


def columns_file(viewing: Viewing, folder: Path) -> Path:
    """Return the file that keeps the columns for the next viewer of the same targets."""
    from tui.client.saved import columns_path  # noqa: PLC0415 - with the engine

    return columns_path(folder, _identities(viewing))


def _identities(viewing: Viewing) -> list[tuple[str, str | None]]:
    """Each target's identity and log group."""
    names = ["\n".join((one.key, *(one.executions or ()))) for one in viewing.targets]
    names += [one.name for one in viewing.patterns]
    groups = [one.group for one in viewing.targets] + [None for _ in viewing.patterns]
    return list(zip(names, groups, strict=True))


def _shared_filter(viewing: Viewing) -> Filter:
    from wire.query import Filter  # noqa: PLC0415 - with the engine

    return Filter(viewing.streams, viewing.executions, viewing.prefixes, viewing.filter_pattern)


def target_filter(viewing: Viewing, target: WatchedTarget) -> Filter:
    """Return the target's filter: its own executions, log streams or pattern if it has any."""
    shared = _shared_filter(viewing)
    pattern = target.pattern or shared.pattern
    if target.executions is None and target.streams is None:
        return type(shared)(shared.streams, shared.executions, shared.prefixes, pattern)
    return type(shared)(target.streams or (), target.executions or (), pattern=pattern)


class _Start(NamedTuple):
    """Where a target's stream starts."""

    since: int | None
    cursor: Cursor | None = None
    previous: PreviousRun | None = None


def _start_of_screen(
    viewing: Viewing,
    target: WatchedTarget,
    filter_: Filter,
    folder: Path | None,
    warn: Callable[[str], None],
) -> _Start:
    """Start at the saved cursor; a screen also shows the lines before it.

    A cursor is valid only with the ``since`` that it was made with [7].
    """
    from tui.client.saved import load_cursor  # noqa: PLC0415 - with the engine

    if folder is None:
        return _Start(viewing.since)
    name = viewing.consumer
    saved = load_cursor(folder, target.key, target.group, filter_, consumer=name, warn=warn)
    if saved is None:
        return _Start(viewing.since)
    return _Start(saved.subject.since, saved.cursor, saved.previous)


def _target_spec(
    viewing: Viewing, target: WatchedTarget, filter_: Filter, start: _Start
) -> TargetSpec:
    """Return a target for the engine."""
    from tui.client.target import TargetSpec  # noqa: PLC0415 - websockets is slow to import

    return TargetSpec(
        url=target.url,
        name=target.name,
        group=target.group,
        filter=filter_,
        since=start.since,
        history="newest" if viewing.is_on_screen else "oldest",  # output prints the oldest first
        token=_token_source(viewing, target),
        identity=target.key,
        consumer=viewing.consumer,
        cursor=start.cursor,
        previous=start.previous,
        region=target.region,
        account=target.account,
        awaits_group=not viewing.is_on_screen,
    )


def _token_source(viewing: Viewing, target: WatchedTarget) -> str | Callable[[], str | None]:
    """Return the token file's token, else what the forwarder offers to this user's commands.

    A log group's own forwarder always offers one: the token file is for the other targets.
    """
    if viewing.token is not None and not target.is_own:
        return viewing.token
    return partial(find_offered_token, target.url)


def load_viewer(*, for_screen: bool = True) -> None:
    """Import what the viewer needs, while something else takes its time."""
    if for_screen and sys.stdout.isatty():
        import gapless.viewing.screen  # noqa: F401, PLC0415 - textual is slow to import
    import tui.client.engine  # noqa: F401, PLC0415 - websockets is slow to import


def watch(viewing: Viewing, opener: Opener | None = None) -> int:
    """Watch until the goal is reached or the user quits; return the exit code.

    ``opener`` opens what the user picks on the screen; without one nothing can be picked.

    Raises:
        GaplessError: no forwarder can be reached, or the output is not complete.
    """
    if viewing.is_on_screen:
        from tui.screen.terminal import run_screen  # noqa: PLC0415 - output needs no screen

        with restored_terminal():
            return show_in_turn(viewing, opener, lambda one: run_screen(_show_screen(one, opener)))
    terminal.erase_first_picture()
    return run_until_signal(_print_lines(viewing))


def within_limit(viewing: Viewing) -> Viewing:
    """Return the viewing with as many targets as one viewer watches, and a notice of the rest."""
    from tui.client.membership import not_watched  # noqa: PLC0415 - websockets is slow to import
    from wire.record import TARGETS_MAX  # noqa: PLC0415 - with it

    rest = viewing.targets[TARGETS_MAX:]
    if not rest:
        return viewing
    said = not_watched([one.name for one in rest])
    notice = f"{viewing.notice} · {said}" if viewing.notice else said
    return msgspec.structs.replace(viewing, targets=viewing.targets[:TARGETS_MAX], notice=notice)


async def _print_lines(viewing: Viewing) -> int:
    """Print lines to stdout; return the exit code."""
    from tui.output.formats import make_style  # noqa: PLC0415 - with it
    from tui.output.plain import PlainOptions  # noqa: PLC0415 - websockets is slow to import
    from tui.render.fields import parse_fields  # noqa: PLC0415 - with it

    viewing = within_limit(viewing)
    for notice in viewing.notices:
        say(notice)
    for pattern in () if viewing.targets else viewing.patterns:
        say(f"waiting for log group {pattern.name}; Ctrl+C ends")
    options = PlainOptions(
        style=make_style(
            viewing.output or "text",
            fields=parse_fields(viewing.fields) if viewing.fields else (),
            color=_is_coloured(viewing.color),
            zone=parse_zone(viewing.timezone or "utc"),
        ),
        order=viewing.order,
        hold_ms=viewing.hold,
        lines=viewing.lines,
        follow=viewing.follow,
        until_ms=viewing.until,
        before=viewing.before,
        after=viewing.after,
        record=viewing.record,
    )
    folder = cursors_folder(viewing) if viewing.resumes else None
    if folder is None:
        return await _print_as(viewing, options, None)
    with contextlib.closing(make_consumer(viewing, folder)) as consumer:
        return await _print_as(viewing, options, consumer)


def _output_filter(viewing: Viewing, engine: Engine) -> OutputFilter:
    """The filter of ``--grep``, ``--exclude`` and ``--level``, which options have checked."""
    from tui.lines.filters import output_filter  # noqa: PLC0415 - with plain

    def group_name(target: int) -> str:
        source = engine.sources[target]
        return source.group or source.name

    return output_filter(viewing.grep, viewing.exclude, viewing.level, group_name)


async def _print_as(viewing: Viewing, options: PlainOptions, consumer: Consumer | None) -> int:
    """Print lines as a consumer that resumes, or as none; return the exit code."""
    from tui.output.plain import Plain  # noqa: PLC0415 - websockets is slow to import

    engine = make_engine(viewing, _now_ms(), consumer=consumer)
    options = msgspec.structs.replace(options, test=_output_filter(viewing, engine))
    unseen = UnseenExecutions(viewing.executions)
    engine.on_lines(lambda lines: unseen.see(line.stream for line in lines))
    out = sys.stdout.fileno()
    plain = Plain(engine, options, out=out, say=say, consumer=consumer)
    printing = asyncio.create_task(plain.run())
    loop = asyncio.get_running_loop()
    reader_left = asyncio.Event()

    def stop_printing() -> None:
        reader_left.set()
        printing.cancel()

    def stop_from_thread() -> None:
        with suppress(RuntimeError):  # the loop is closed: printing is over anyway
            loop.call_soon_threadsafe(stop_printing)

    when_reader_leaves(out, stop_from_thread)
    try:
        code = await printing
    except asyncio.CancelledError:
        if reader_left.is_set():
            return EXIT_DONE
        raise
    # A resumed viewer does not print again what an earlier one printed.
    if code == EXIT_DONE and consumer is None and (notice := unseen.notice()):
        say(notice)
    return code


async def _show_screen(viewing: Viewing, opener: Opener | None) -> int | tuple[Choice, ...]:
    """Show the screen; return the exit code, or what the user picked to open next."""
    # Textual is slow to import.
    from gapless.viewing.screen import ScreenApp, ScreenRecord  # noqa: PLC0415
    from tui.screen.columns import FirstColumns  # noqa: PLC0415

    viewing = within_limit(viewing)
    notices = viewing.notices
    cursors = cursors_folder(viewing, notices.append)
    engine = make_engine(viewing, _now_ms(), cursors=cursors, warn=notices.append)
    controls = _controls(viewing)
    app = ScreenApp(
        engine,
        title=_title(viewing),
        controls=controls,
        include=viewing.grep,
        exclude=viewing.exclude,
        level=viewing.level,
        zone=None if viewing.timezone is None else parse_zone(viewing.timezone),
        context_lines=max(viewing.before, viewing.after),
        bookmarks_path=None if cursors is None else bookmarks_file(viewing, cursors),
        columns=FirstColumns(
            None if cursors is None else columns_file(viewing, cursors), viewing.fields
        ),
        catalogue=None if opener is None else opener.catalogue(viewing),
        notice=" · ".join(notices),
    )
    app.set_notify_mode(viewing.notify)
    record = ScreenRecord(viewing.record, engine)
    async with _background(
        _exit_when_finished(engine, app.exit),
        record.write_at_signals(),
        *(() if controls is None else (controls.keep_judging(engine),)),
    ):
        engine.on_rules(app.announce_resuming)
        terminal.hand_over_terminal()
        await app.run_async()
    has_quit = not app.return_code and not app.chosen  # and no signal or hangup has ended it
    try:
        await record.write_last()
    finally:  # the summary does not depend on room for the record
        is_over = has_quit and app.fault is None
        if controls is not None and is_over and not viewing.in_browser:
            await _print_summary(controls, engine)
    if app.fault is not None:
        raise app.fault
    if app.chosen:
        return app.chosen
    return _exit_code(engine.result, app.return_code or EXIT_DONE)


async def _print_summary(controls: SimulatorControls, engine: Engine) -> None:
    """Print what was done in a demonstration, how the viewer took it, and the verdict."""
    columns = shutil.get_terminal_size().columns
    from tui.screen.terminal import is_ascii_only  # noqa: PLC0415 - output needs no screen

    with suppress(GaplessError, OSError):  # a simulator that has ended is reported by the command
        lines = await controls.summarise(engine, columns, ascii_only=is_ascii_only())
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()


class UnseenExecutions:
    """The requested executions of which no event has come yet. Pure."""

    def __init__(self, executions: Sequence[str]) -> None:
        self.left = list(executions)

    def see(self, streams: Iterable[str]) -> None:
        """Note that events of these log streams have come."""
        if self.left:
            for stream in set(streams):
                self.left = [one for one in self.left if not belongs_to_execution(stream, one)]

    def notice(self) -> str:
        """Return a message that names them; empty if there are none."""
        if not self.left:
            return ""
        names = ", ".join(repr(one) for one in self.left)
        return f"no events of execution {names}: list executions with gapless executions TARGET"


def _is_coloured(color: str) -> bool:
    """``auto``: on a terminal that has colours, unless NO_COLOR is set (https://no-color.org)."""
    if color == "auto":
        is_plain = bool(os.environ.get("NO_COLOR")) or terminal.is_dumb(os.environ)
        return sys.stdout.isatty() and not is_plain
    return color == "always"


def _exit_code(result: ViewerResult | None, code: int) -> int:
    """Return the exit code of the engine's result, else the screen's own.

    Raises:
        GaplessError: the result has a reason to print.
    """
    if result is None:
        return code
    if result.reason:
        raise GaplessError(result.reason, result.code)
    return result.code


async def _exit_when_finished(engine: Engine, leave: Callable[[], None]) -> None:
    await engine.finished.wait()
    leave()


@asynccontextmanager
async def _background(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines beside a ``with`` block, and cancel them at its end."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for one in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(one, Exception):
                raise one


def _controls(viewing: Viewing) -> SimulatorControls | None:
    if viewing.control is None:
        return None
    from gapless.viewing.controls import SimulatorControls  # noqa: PLC0415 - only with a simulator

    return SimulatorControls(viewing.control).follow()


def _title(viewing: Viewing) -> str:
    known = {group for one in viewing.patterns for group in one.known}
    names = [one.name for one in viewing.patterns]
    names += [
        " ".join((one.name, *(one.executions or ())))
        for one in viewing.targets
        if one.group not in known
    ]
    return viewing.title or " · ".join(names)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
