"""The viewer in this process: an engine for the targets, shown on screen or printed.

``watch`` is what ``tail`` and ``demo`` have in common.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from gapless.errors import EXIT_DONE, EXIT_INTERRUPTED, GaplessError
from gapless.state import state_dir
from gapless.terminal import left_in_order

if TYPE_CHECKING:
    from tui.controls import Controls
    from tui.cursor import Cursor
    from tui.engine import Engine
    from tui.goal import Outcome
    from wire.query import Filter

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_SIGNAL_CODE: Final = 128
"""The screen ends with this and the signal's number where a signal ended it."""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A target as the engine has it: a forwarder that runs by now."""

    url: str
    name: str
    group: str | None = None
    key: str
    """What a saved cursor of it is found by: stays the same when the port does not."""


class Viewing(msgspec.Struct, frozen=True, kw_only=True):
    """What to watch and how to show it; times in ms since the Unix epoch."""

    targets: tuple[Watched, ...]
    executions: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    lines: int | None = None
    grep: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    level: str | None = None
    output: Literal["text", "json", "raw"] | None = None
    order: Literal["strict", "arrival"] = "strict"
    hold: int = 10_000
    record: Path | None = None
    follow: bool = True
    resume: bool = False
    color: Literal["auto", "always", "never"] = "auto"
    token: str | None = None
    title: str = ""
    control: str | None = None
    """The control URL of the simulator whose faults the screen's keys switch."""

    @property
    def is_on_screen(self) -> bool:
        """Whether there is a terminal to draw on, and no other output was asked for."""
        return self.output is None and self.follow and sys.stdout.isatty() and sys.stdin.isatty()


def load_viewer() -> None:
    """Import what the viewer needs, while something else takes its time."""
    if sys.stdout.isatty():
        import tui.app  # noqa: PLC0415 - textual is slow to import
    import tui.engine  # noqa: F401, PLC0415 - websockets likewise


def watch(viewing: Viewing) -> int:
    """Watch until it is done or somebody ends it; the exit code.

    Raises:
        GaplessError: it can't connect, or what it has is not complete.

    """
    if viewing.is_on_screen:
        with left_in_order():
            return asyncio.run(_on_screen(viewing))
    raise AssertionError


async def _on_screen(viewing: Viewing) -> int:
    import tui.app  # noqa: PLC0415 - textual is slow to import

    faults: list[Exception] = []

    class App(tui.app.ViewerApp):
        """Hands its faults to us, instead of printing tracebacks over the terminal."""

        # Textual looks for it beside the class's own module.
        CSS_PATH = str(Path(tui.app.__file__).with_name("app.tcss"))

        def _handle_exception(self, error: Exception) -> None:
            faults.append(error)
            self.exit(return_code=1)

    engine = make_engine(viewing, _now_ms())
    app = App(engine, title=_title(viewing), controls=_controls(viewing))
    gc.freeze()
    async with _tasks(
        _exit_when_finished(engine, app.exit),
        _record_when_asked(engine, viewing),
    ):
        await app.run_async()
    _write_record(engine, viewing)
    if faults:
        raise faults[0]
    # The application ends with 128 + number where a signal ended it.
    return _code(engine.outcome, interrupted=(app.return_code or 0) > _SIGNAL_CODE)


def make_engine(viewing: Viewing, now_ms: int) -> Engine:
    """The engine for the targets, with its goal and the cursors of an earlier run."""
    from tui.engine import Engine, TargetSpec  # noqa: PLC0415 - websockets is slow to import
    from tui.goal import Goal  # noqa: PLC0415 - with it
    from wire.query import Filter  # noqa: PLC0415 - with it

    wanted = Filter(viewing.streams, viewing.executions, viewing.prefixes)
    specs = [
        TargetSpec(
            url=target.url,
            name=target.name,
            group=target.group,
            filter=wanted,
            since=viewing.since,
            token=viewing.token,
            identity=target.key,
            cursor=_load_cursor(viewing, target, wanted),
        )
        for target in viewing.targets
    ]
    through = viewing.until if viewing.follow or viewing.until is not None else now_ms
    goal = Goal(through_ms=through, executions=viewing.executions)
    # A simulation is never watched twice.
    return Engine(specs, goal=goal, cursors=None if viewing.control else state_dir("cursors"))


def _code(outcome: Outcome | None, *, interrupted: bool) -> int:
    """The exit code.

    Raises:
        GaplessError: the outcome has something to say.

    """
    if outcome is None:
        return EXIT_INTERRUPTED if interrupted else EXIT_DONE
    if outcome.reason:
        raise GaplessError(outcome.reason, outcome.code)
    return outcome.code


async def _exit_when_finished(engine: Engine, leave: Callable[[], None]) -> None:
    await engine.finished.wait()
    leave()


async def _record_when_asked(engine: Engine, viewing: Viewing) -> None:
    """Write the record at each SIGUSR1; without --record the signal is of no use, and harmless."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, asked.set)
    while True:
        await asked.wait()
        asked.clear()
        _write_record(engine, viewing)


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


def _write_record(engine: Engine, viewing: Viewing) -> None:
    """Write the record that was asked for.

    Raises:
        GaplessError: it can't be written.

    """
    if viewing.record is None:
        return
    from tui.record import write_record  # noqa: PLC0415 - with the engine

    try:
        write_record(viewing.record, engine)
    except OSError as error:
        msg = f"cannot write the record {viewing.record} ({error.strerror}): choose another place"
        raise GaplessError(msg) from error


def _load_cursor(viewing: Viewing, target: Watched, wanted: Filter) -> Cursor | None:
    if not viewing.resume:
        return None
    from tui import state  # noqa: PLC0415 - with the engine

    saved = state.load(state_dir("cursors"), target.key, target.group, wanted, viewing.since)
    return None if saved is None else saved.cursor


def _controls(viewing: Viewing) -> Controls | None:
    if viewing.control is None:
        return None
    from gapless.controls import SimulatorControls  # noqa: PLC0415 - only under demo

    return SimulatorControls(viewing.control)


def _title(viewing: Viewing) -> str:
    return viewing.title or " · ".join(target.name for target in viewing.targets)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
