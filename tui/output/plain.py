"""Plain output: prints an engine's lines to a file descriptor. A shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from common.concurrency import in_thread
from common.errors import EXIT_DONE, exit_code_of_signal
from common.signals import handle_ending_signals
from tui.client.engine import Engine
from tui.client.target import LineSource
from tui.lines.filters import OutputFilter
from tui.lines.rows import Line, Rule
from tui.output.consumer import Consumer
from tui.output.context import ContextFilter, ContextLine
from tui.output.formats import OutputStyle, format_context_line
from tui.output.notices import GapNotices, UpstreamNotices
from tui.output.ordering import PrintedLine, ReleaseState
from tui.output.output_queue import OutputQueue, PrintSlice
from tui.output.printed_keys import KEYS_MAX
from tui.output.progress import Progress, StreamPosition, is_renumbered
from tui.output.record import write_record
from tui.render.group_names import StreamNames, short_group_names
from tui.render.safe_text import harmless

PRINT_S: Final = 0.05
"""Interval between checks for lines that may be printed."""

SAVE_S: Final = 2
"""Interval between saves of what was printed; after a kill at most this much is repeated."""

READER_TIMEOUT_MS: Final = 5_000
"""After a signal, a reader that takes no byte for this long counts as absent."""

WRITE_BYTES: Final = 65_536
"""Bytes written at once, few enough to notice whether the reader still takes any."""

WAITING_MAX: Final = 150_000
"""Lines that may wait for the reader of the output; then no more are received."""

MATCHED_CHARS: Final = 1 << 17
"""Text that is matched in the event loop; it takes a fraction of a millisecond."""


class _AbandonedError(Exception):
    """A signal ended the program while the output had no reader."""


class PlainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of plain output."""

    style: OutputStyle = OutputStyle()
    order: Literal["strict", "arrival"] = "strict"
    hold_ms: int = 10_000
    lines: int | None = None
    """Number of history lines to print, the last ones; None for all."""
    follow: bool = True
    until_ms: int | None = None
    """Time of the last event to print."""
    test: OutputFilter = OutputFilter()
    before: int = 0
    """Context lines before each line that passes the test."""
    after: int = 0
    """Context lines after each."""
    record: Path | None = None
    """File for the record, written at the end and on SIGUSR1."""


class Plain:
    """Prints an engine's lines until the engine has finished or a signal comes.

    Args:
        engine: The engine, not started yet, made without ``cursors`` and for the oldest history
            first, as that is printed first.
        options: How to print.
        out: File descriptor for the lines.
        say: Prints a line to stderr.
        consumer: Whose progress to save, at whose cursors the engine resumes; None saves nothing.
    """

    def __init__(
        self,
        engine: Engine,
        options: PlainOptions,
        *,
        out: int,
        say: Callable[[str], None],
        consumer: Consumer | None = None,
    ) -> None:
        self._engine = engine
        self._options = options
        self._out = out
        self._say = say
        self._consumer = consumer
        self._queue = OutputQueue(
            order=options.order,
            hold_ms=options.hold_ms,
            lines=options.lines,
            start_ms=engine.wall_ms() if options.follow else None,
            until_ms=options.until_ms,
            # With context lines, the test comes after the lines are in order.
            test=OutputFilter() if options.before or options.after else options.test,
            printed=None if consumer is None else consumer.progress,
            keys=() if consumer is None else consumer.keys,
        )
        self._context: ContextFilter | None = None
        if options.before or options.after:
            self._context = ContextFilter(
                options.before,
                options.after,
                is_shown=options.test.without_excluded,
                matches=options.test.passes,
            )
        self._unmatched: list[tuple[list[Line], int]] = []
        """Received lines, and when they came."""
        self._waiting = 0
        """How many those are."""
        self._streams = StreamNames()
        self._upstream_notices = UpstreamNotices()
        self._gap_notices = GapNotices()
        self._stop = asyncio.Event()
        self._signals_seen: list[int] = []
        self._signalled_ms = 0
        self._wrote_ms = 0
        self._save_at_ms = 0
        self._says_repeated = False
        engine.on_lines(self._add_lines)
        engine.on_rules(self._print_rules)

    async def run(self) -> int:
        """Print, and return the exit code."""
        with self._handle_signals():
            await self._engine.start()
            try:
                await self._print_until_finished()
                await self._engine.stop()
                await self._print_rest()
            except (BrokenPipeError, ConnectionResetError):
                return EXIT_DONE  # the reader has read enough: `| head`
            except _AbandonedError:
                return exit_code_of_signal(self._signals_seen[0])
            finally:
                await self._engine.stop()
                self._write_record()
        if self._signals_seen:
            return exit_code_of_signal(self._signals_seen[0])
        result = self._engine.result
        if result is None:
            return EXIT_DONE
        if result.reason:
            self._say(result.reason)
        return result.code

    def _add_lines(self, lines: list[Line]) -> None:
        self._track_targets()
        rebases = [session.rebases for session in self._engine.sessions]
        selected = self._queue.select(lines, rebases)
        self._unmatched.append((selected, self._engine.wall_ms()))
        self._waiting += len(selected)

    async def _match(self) -> None:
        """Move the lines that match to the queue; long ones are matched in a thread.

        The caller takes state and positions just before: lines that come while it runs are behind
        both, and must neither be released nor count as printed.
        """
        unmatched, self._unmatched, self._waiting = self._unmatched, [], 0
        for lines, at_ms in unmatched:
            match = partial(self._queue.passing, lines)
            if sum(len(line.message) for line in lines) > MATCHED_CHARS:
                passing = await in_thread(match, name="match", is_bounded=True)
            else:
                passing = match()
            self._queue.add_passing(passing, at_ms)

    def _declare_repeated(self) -> None:
        """Report that lines beyond those remembered may be printed again, under new numbers."""
        consumer = self._consumer
        if consumer is None or self._says_repeated:
            return
        rebases = [session.rebases for session in self._engine.sessions]
        if any(
            is_renumbered(before, count) and not keys.is_whole
            for count, before, keys in zip(rebases, consumer.progress, consumer.keys, strict=False)
        ):
            self._says_repeated = True
            self._say(
                "the forwarder has another journal: of the lines that consumer "
                f"{consumer.title!r} printed, all but the last {KEYS_MAX:,} may be printed again"
            )

    async def _print_until_finished(self) -> None:
        finished = asyncio.create_task(self._engine.finished.wait())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            while not finished.done() and not stopped.done():
                await asyncio.wait(
                    (finished, stopped), timeout=PRINT_S, return_when=asyncio.FIRST_COMPLETED
                )
                self._print_upstream()
                self._declare_repeated()
                state, positions = self._release_state(), self._positions()
                await self._match()
                for one in self._queue.take_ready(state, positions):
                    await self._print(one.lines)
                    if self._engine.steady_ms() >= self._save_at_ms:
                        await self._save(one.progress)
        finally:
            finished.cancel()
            stopped.cancel()

    async def _print_rest(self) -> None:
        """Print every line that was held back for its order, and save what was printed."""
        positions = self._positions()
        await self._match()
        slices: list[PrintSlice] = self._queue.take_all(positions)
        for one in slices:
            await self._print(one.lines)
        await self._save(slices[-1].progress)

    def _positions(self) -> list[StreamPosition]:
        """How far each target has received; those lines are unmatched, in the queue, or printed."""
        self._track_targets()  # a group that has joined may have sent no line yet
        return [
            StreamPosition(one.cursor(), one.since, one.live_from, one.rebases)
            for one in self._engine.sessions
        ]

    def _track_targets(self) -> None:
        """Track what is printed of targets that have joined."""
        if self._consumer is not None:
            at, consumer = len(self._queue.trackers), self._consumer
            for before, keys in zip(consumer.progress[at:], consumer.keys[at:], strict=True):
                self._queue.add_target(before, keys)

    def _release_state(self) -> ReleaseState:
        engine = self._engine
        return ReleaseState(engine.wall_ms(), engine.complete_through, engine.is_backfilled)

    async def _print(self, lines: list[PrintedLine]) -> None:
        for warning in self._queue.take_warnings():
            self._say(warning)
        if not lines:
            return
        sources = self._engine.sources
        if any(one.altered.count for one in self._engine.sessions):
            # Here, since the thread that writes must not read what the connection changes.
            lines = [self._with_alteration(one) for one in lines]
        writing = asyncio.create_task(in_thread(lambda: self._write_lines(lines, sources)))
        # With `| head`, this may be cancelled at the moment when the write fails.
        writing.add_done_callback(_retrieve_exception)
        while not writing.done():
            await asyncio.wait((writing,), timeout=PRINT_S)
            if self._waiting > WAITING_MAX:
                self._engine.pause()
            if self._is_abandoned():
                writing.cancel()
                raise _AbandonedError
        self._engine.resume()
        await writing
        if self._consumer is not None:
            self._consumer.note_printed(one.line for one in lines)

    def _with_alteration(self, one: PrintedLine) -> PrintedLine:
        is_altered = self._engine.altered_text(one.line) is not None
        return replace(one, is_altered=True) if is_altered else one

    def _write_lines(self, lines: list[PrintedLine], sources: Sequence[LineSource]) -> None:
        """Format and write lines, in a thread: a long one would hold up the connection."""
        options = self._options
        names = group_names(sources, may_join=self._engine.may_join)
        data = bytearray()
        shown = map(ContextLine, lines) if self._context is None else self._context.take(lines)
        for one in shown:
            target = one.printed.line.target
            source, group = sources[target], names[target]
            order = self._stream_order(*one.printed.line.stream_id) if options.style.color else 0
            data += format_context_line(one, options.style, source, group=group, stream_order=order)
            if len(data) >= WRITE_BYTES:
                self._write(data)
                data = bytearray()
        self._write(data)

    def _stream_order(self, target: int, name: str) -> int:
        """Number of streams printed before a stream was."""
        self._streams.add(target, name)
        return self._streams.order(target, name)

    def _write(self, data: bytes | bytearray) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._out, view[:WRITE_BYTES]) :]
            self._wrote_ms = self._engine.steady_ms()

    def _is_abandoned(self) -> bool:
        """Whether to end without printing the rest, as nothing reads it."""
        if not self._signals_seen:
            return False
        since_ms = max(self._wrote_ms, self._signalled_ms)
        stalled_ms = self._engine.steady_ms() - since_ms
        return len(self._signals_seen) > 1 or stalled_ms > READER_TIMEOUT_MS

    def _print_upstream(self) -> None:
        """Print to stderr why CloudWatch can't be read, and when it can be again."""
        names = [one.name for one in self._engine.sources]
        for line in self._upstream_notices.take(self._engine.problems, names):
            self._say(harmless(line))

    def _print_rules(self, rules: Sequence[Rule]) -> None:
        """Print to stderr which lines are or may be missing."""
        for line in self._gap_notices.take(rules):
            self._say(harmless(line))

    async def _save(self, progress: Sequence[Progress | None] | None) -> None:
        """Save what was printed, unless that cannot be stated now."""
        consumer = self._consumer
        if consumer is None or progress is None:
            return
        await in_thread(lambda: consumer.save(progress))
        self._save_at_ms = self._engine.steady_ms() + SAVE_S * 1000

    # Signals and the record

    @contextlib.contextmanager
    def _handle_signals(self) -> Iterator[None]:
        """End at the first signal once the reader has all lines, and at the second at once."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._write_record)
        try:
            with handle_ending_signals(self._interrupt):
                yield
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)
            # The record is written anyway: a SIGUSR1 that comes now must not end the process.
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def _interrupt(self, number: int) -> None:
        self._signalled_ms = self._signalled_ms or self._engine.steady_ms()
        self._signals_seen.append(number)
        self._stop.set()

    def _write_record(self) -> None:
        path = self._options.record
        if path is None:
            return
        try:
            write_record(path, self._engine)
        except OSError as error:
            self._say(f"cannot write the record {path} ({error.strerror}): choose another place")


def group_names(sources: Sequence[LineSource], *, may_join: bool) -> list[str]:
    """Return the name that tells each target's log group from others; empty without others."""
    if len(sources) < 2 and not may_join:  # noqa: PLR2004 - one target needs no name
        return ["" for _ in sources]
    return short_group_names([one.shown_name for one in sources])


def _retrieve_exception(writing: asyncio.Task[None]) -> None:
    """Retrieve a task's exception, or asyncio prints a traceback if nothing awaits the task."""
    if not writing.cancelled():
        writing.exception()
