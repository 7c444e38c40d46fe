"""Plain output: the engine without a screen, lines to a file descriptor. A shell."""

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
from tui.output.formats import Output, printed
from tui.output.ordering import Arrival, LastOfPast, Moment, Order, Printed, Strict
from tui.output.record import write_record
from tui.render.safe_text import harmless

TAKE_S: Final = 0.05
"""How often it is looked what may be printed."""

SAVE_S: Final = 2
"""How often a cursor is looked at that may be saved."""

READER_PATIENCE_MS: Final = 5_000
"""Once told to end: so long after the last byte was taken, nobody reads any more."""

WRITE_BYTES: Final = 65_536
"""At most so much at once, so that it is seen whether somebody reads."""

WAITING_MAX: Final = 150_000
"""Lines that may wait for whoever reads the output; beyond them no more are received."""

_DECLARED: Final = frozenset({"gap", "lost", "offline", "rebased", "unproved"})


class _AbandonedError(Exception):
    """It was told to end while nobody read the output, and told again or had waited enough."""


class PlainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to print."""

    output: Output = "text"
    order: Literal["strict", "arrival"] = "strict"
    hold_ms: int = 10_000
    lines: int | None = None
    """Of the past, only the last so many; of everything, where output does not follow."""
    follow: bool = True
    until_ms: int | None = None
    """Nothing later than this."""
    color: bool = False
    test: OutputFilter = OutputFilter()
    record: Path | None = None
    """Written at the end and on SIGUSR1."""
    cursors: Path | None = None
    """Folder for the cursors: each is saved once everything up to it is printed."""


class Plain:
    """Prints what an engine brings, until it is finished or a signal comes.

    Args:
        engine: Not started yet, and made without ``cursors``.
        options: How to print.
        out: File descriptor that the lines go to.
        say: Takes a line for stderr.

    """

    def __init__(
        self, engine: Engine, options: PlainOptions, *, out: int, say: Callable[[str], None]
    ) -> None:
        """Create what ``run`` runs."""
        self._engine = engine
        self._options = options
        self._out = out
        self._say = say
        self._order = self._make_order()
        self._stop = asyncio.Event()
        self._signals_seen: list[int] = []
        self._signalled_ms = 0
        self._wrote_ms = 0
        self._ripening: tuple[int, list[SavedCursor]] | None = None
        self._save_at_ms = 0
        for session in engine.sessions:
            session.history = "oldest"  # what is to be printed first must come first
        engine.on_lines(self._take_in)
        engine.on_rules(self._declare)

    async def run(self) -> int:
        """Print; the exit code."""
        with self._signals():
            await self._engine.start()
            try:
                await self._print_on()
                await self._engine.stop()
                await self._finish()
            except (BrokenPipeError, ConnectionResetError):
                return EXIT_DONE  # whoever read has read enough: `| head`
            except _AbandonedError:
                return exit_code_of_signal(self._signals_seen[0])
            finally:
                await self._engine.stop()
                self._write_record()
        if self._signals_seen:
            return exit_code_of_signal(self._signals_seen[0])
        outcome = self._engine.result
        if outcome is None:
            return EXIT_DONE
        if outcome.reason:
            self._say(outcome.reason)
        return outcome.code

    def _make_order(self) -> Order:
        options = self._options
        order: Order = Strict(options.hold_ms) if options.order == "strict" else Arrival()
        if options.lines is None:
            return order
        start_ms = self._engine.wall_ms() if options.follow else None
        return LastOfPast(order, options.lines, start_ms)

    def _take_in(self, lines: list[Line]) -> None:
        """Called by the engine with every line that is new."""
        options = self._options
        kept = [
            line
            for line in lines
            if (options.until_ms is None or line.timestamp <= options.until_ms)
            and options.test.passes(line)
        ]
        self._order.put(kept, self._engine.wall_ms())

    async def _print_on(self) -> None:
        finished = asyncio.create_task(self._engine.finished.wait())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            while not finished.done() and not stopped.done():
                await asyncio.wait(
                    (finished, stopped), timeout=TAKE_S, return_when=asyncio.FIRST_COMPLETED
                )
                await self._print(self._order.take(self._moment()))
                await self._save_ripe()
        finally:
            finished.cancel()
            stopped.cancel()

    async def _finish(self) -> None:
        """Everything held is printed, however this ends."""
        await self._print(self._order.take_all())
        if self._options.cursors is not None:
            await in_thread(lambda: self._save(self._engine.saved))

    def _moment(self) -> Moment:
        engine = self._engine
        return Moment(engine.wall_ms(), engine.complete_through, engine.is_backfilled)

    async def _print(self, lines: list[Printed]) -> None:
        for declared in self._order.declarations():
            self._say(declared)
        if not lines:
            return
        options, groups = self._options, self._engine.groups
        data = b"".join(
            printed(one, options.output, groups[one.line.target], color=options.color)
            for one in lines
        )
        writing = asyncio.create_task(in_thread(lambda: self._write(data)))
        writing.add_done_callback(_noticed)  # this may be cancelled as the write fails: `| head`
        before = self._order.arrived
        while not writing.done():
            await asyncio.wait((writing,), timeout=TAKE_S)
            if self._order.arrived - before > WAITING_MAX:
                self._engine.pause()
            if self._is_abandoned():
                writing.cancel()
                raise _AbandonedError
        self._engine.resume()
        await writing

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._out, view[:WRITE_BYTES]) :]
            self._wrote_ms = self._engine.steady_ms()

    def _is_abandoned(self) -> bool:
        """Whether it is to end, and nobody reads what would have to be printed first."""
        if not self._signals_seen:
            return False
        since_ms = max(self._wrote_ms, self._signalled_ms)
        stalled_ms = self._engine.steady_ms() - since_ms
        return len(self._signals_seen) > 1 or stalled_ms > READER_PATIENCE_MS

    def _declare(self, rules: Sequence[Rule]) -> None:
        """Called by the engine: what is missing is never left unsaid."""
        for rule in rules:
            if rule.kind in _DECLARED and (rule.kind != "gap" or rule.state == "unrecoverable"):
                through = rule.from_ms if rule.through_ms is None else rule.through_ms
                self._say(f"{harmless(describe(rule))} ({iso_range(rule.from_ms, through)})")

    # Cursors

    async def _save_ripe(self) -> None:
        """Save a cursor once all that had come when it stood there is printed."""
        if self._options.cursors is None or self._engine.wall_ms() < self._save_at_ms:
            return
        self._save_at_ms = self._engine.wall_ms() + SAVE_S * 1000
        if self._ripening is not None:
            arrived, saved = self._ripening
            first = self._order.first_held
            if first is not None and first <= arrived:
                return
            await in_thread(lambda: self._save(saved))
        self._ripening = (self._order.arrived, self._engine.saved)

    def _save(self, cursors: list[SavedCursor]) -> None:
        folder = self._options.cursors
        assert folder is not None, "only where cursors are saved"
        with contextlib.suppress(OSError):  # a full disk must not stop the lines
            for saved in cursors:
                save_cursor(folder, saved)

    # Signals and the record

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """The first signal ends output in order, as long as somebody reads; the second at once."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._write_record)
        try:
            with handle_ending_signals(self._interrupt):
                yield
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)
            # The record is written anyway; who asks for it now must not end us before our time.
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
            self._say(f"cannot write the record {path}: {error.strerror}")


def _noticed(writing: asyncio.Task[None]) -> None:
    """Else asyncio reports a failure that nobody awaits any more, with a traceback."""
    if not writing.cancelled():
        writing.exception()
