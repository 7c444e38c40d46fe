"""Plain output: prints an engine's lines to a file descriptor. A shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from common.concurrency import in_thread
from common.errors import EXIT_DONE, exit_code_of_signal
from common.signals import handle_ending_signals
from common.times import iso_range
from tui.client.engine import Engine
from tui.client.saved import SavedCursor, save_cursor
from tui.lines.filters import OutputFilter
from tui.lines.rows import Line, Rule, describe
from tui.output.formats import OutputFormat, format_line
from tui.output.ordering import (
    ArrivalOrder,
    LastLines,
    PrintedLine,
    PrintOrder,
    ReleaseState,
    StrictOrder,
)
from tui.output.record import write_record
from tui.render.safe_text import harmless

PRINT_S: Final = 0.05
"""Interval between checks for lines that may be printed."""

SAVE_S: Final = 2
"""Interval between checks for a cursor that may be saved."""

READER_TIMEOUT_MS: Final = 5_000
"""After a signal, a reader that takes no byte for this long counts as absent."""

WRITE_BYTES: Final = 65_536
"""Bytes written at once, few enough to notice whether the reader still takes any."""

WAITING_MAX: Final = 150_000
"""Lines that may wait for the reader of the output; then no more are received."""

_DECLARED: Final = frozenset({"gap", "lost", "offline", "rebased", "unequal"})
"""The rules that are printed to stderr."""


class _AbandonedError(Exception):
    """A signal ended the program while the output had no reader."""


class PlainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of plain output."""

    output: OutputFormat = "text"
    order: Literal["strict", "arrival"] = "strict"
    hold_ms: int = 10_000
    lines: int | None = None
    """Number of history lines to print, the last ones; None for all."""
    follow: bool = True
    until_ms: int | None = None
    """Time of the last event to print."""
    color: bool = False
    test: OutputFilter = OutputFilter()
    record: Path | None = None
    """File for the record, written at the end and on SIGUSR1."""
    cursors: Path | None = None
    """Folder for the cursors; each is saved once every line up to it is printed."""


class Plain:
    """Prints an engine's lines until the engine has finished or a signal comes.

    Args:
        engine: The engine, not started yet, made without ``cursors`` and for the oldest history
            first, as that is printed first.
        options: How to print.
        out: File descriptor for the lines.
        say: Prints a line to stderr.
    """

    def __init__(
        self, engine: Engine, options: PlainOptions, *, out: int, say: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._options = options
        self._out = out
        self._say = say
        self._order = self._make_order()
        self._stop = asyncio.Event()
        self._signals_seen: list[int] = []
        self._signalled_ms = 0
        self._wrote_ms = 0
        self._unsaved: tuple[int, list[SavedCursor]] | None = None
        self._save_at_ms = 0
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

    def _make_order(self) -> PrintOrder:
        options = self._options
        is_strict = options.order == "strict"
        order: PrintOrder = StrictOrder(options.hold_ms) if is_strict else ArrivalOrder()
        if options.lines is None:
            return order
        start_ms = self._engine.wall_ms() if options.follow else None
        return LastLines(order, options.lines, start_ms)

    def _add_lines(self, lines: list[Line]) -> None:
        options = self._options
        passed = [
            line
            for line in lines
            if (options.until_ms is None or line.timestamp <= options.until_ms)
            and options.test.passes(line)
        ]
        self._order.add_lines(passed, self._engine.wall_ms())

    async def _print_until_finished(self) -> None:
        finished = asyncio.create_task(self._engine.finished.wait())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            while not finished.done() and not stopped.done():
                await asyncio.wait(
                    (finished, stopped), timeout=PRINT_S, return_when=asyncio.FIRST_COMPLETED
                )
                await self._print(self._order.take_ready(self._release_state()))
                await self._save_printed()
        finally:
            finished.cancel()
            stopped.cancel()

    async def _print_rest(self) -> None:
        """Print every line that is held."""
        await self._print(self._order.take_all())
        if self._options.cursors is not None:
            await in_thread(lambda: self._save(self._engine.saved))

    def _release_state(self) -> ReleaseState:
        engine = self._engine
        return ReleaseState(engine.wall_ms(), engine.complete_through, engine.is_backfilled)

    async def _print(self, lines: list[PrintedLine]) -> None:
        for warning in self._order.take_warnings():
            self._say(warning)
        if not lines:
            return
        groups = self._engine.groups
        writing = asyncio.create_task(in_thread(lambda: self._write_lines(lines, groups)))
        # With `| head`, this may be cancelled at the moment when the write fails.
        writing.add_done_callback(_retrieve_exception)
        before = self._order.arrived
        while not writing.done():
            await asyncio.wait((writing,), timeout=PRINT_S)
            if self._order.arrived - before > WAITING_MAX:
                self._engine.pause()
            if self._is_abandoned():
                writing.cancel()
                raise _AbandonedError
        self._engine.resume()
        await writing

    def _write_lines(self, lines: list[PrintedLine], groups: Sequence[str | None]) -> None:
        """Format and write lines, in a thread: a long one would hold up the connection."""
        options = self._options
        data = bytearray()
        for one in lines:
            group = groups[one.line.target]
            data += format_line(one, options.output, group, color=options.color)
            if len(data) >= WRITE_BYTES:
                self._write(data)
                data = bytearray()
        self._write(data)

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

    def _print_rules(self, rules: Sequence[Rule]) -> None:
        """Print to stderr which lines are or may be missing."""
        for rule in rules:
            if rule.kind in _DECLARED and (rule.kind != "gap" or rule.state == "unrecoverable"):
                through = rule.from_ms if rule.through_ms is None else rule.through_ms
                self._say(f"{harmless(describe(rule))} ({iso_range(rule.from_ms, through)})")

    # Cursors

    async def _save_printed(self) -> None:
        """Save the cursors of a moment once every line received by then is printed."""
        if self._options.cursors is None or self._engine.wall_ms() < self._save_at_ms:
            return
        self._save_at_ms = self._engine.wall_ms() + SAVE_S * 1000
        if self._unsaved is not None:
            arrived, saved = self._unsaved
            first = self._order.first_held
            if first is not None and first <= arrived:
                return
            await in_thread(lambda: self._save(saved))
        self._unsaved = (self._order.arrived, self._engine.saved)

    def _save(self, cursors: list[SavedCursor]) -> None:
        folder = self._options.cursors
        assert folder is not None, "called only where cursors are saved"
        with contextlib.suppress(OSError):  # a full disk must not stop the lines
            for saved in cursors:
                save_cursor(folder, saved)

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


def _retrieve_exception(writing: asyncio.Task[None]) -> None:
    """Retrieve a task's exception, or asyncio prints a traceback if nothing awaits the task."""
    if not writing.cancelled():
        writing.exception()
