"""``gapless demo``: simulator and forwarder as processes, the viewer in the foreground."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import click

from common.errors import UsageError
from common.locks import hold
from common.processes import ChildProcess, start_gapless
from common.state import state_dir
from gapless.commands.scenario import complete_name, find
from gapless.commands.simulate import cloudwatch_option, seed_option
from gapless.options import DURATION, PORT, TEXT, notify_option
from gapless.terminal import say
from gapless.viewing.opening import SameOpener, Viewing, Watched
from gapless.viewing.watch import load_viewer, watch
from wire.limits import DEFAULT_HISTORY_MS

_TICK_S: Final = 1.0


@click.command("demo")
@seed_option
@click.option(
    "--scenario",
    type=TEXT,
    metavar="NAME",
    help="Play a scenario, told in the fault panel (F2), and judge what the screen shows.",
    shell_complete=complete_name,
)
@click.option(
    "--connect-after",
    type=DURATION,
    metavar="30s",
    help="Watch only after that time, and get everything from the first line.",
)
@cloudwatch_option
@notify_option
@click.option(
    "--web", is_flag=True, help="Show it in a browser, on a page that this command serves."
)
@click.option(
    "--port",
    type=PORT,
    default=0,
    metavar="N",
    help="The page's port, with --web; 0 = any free one.",
)
def command(
    *,
    seed: int,
    scenario: str | None,
    connect_after: int | None,
    cloudwatch: str,
    notify: Literal["off", "bell", "osc9", "osc777"],
    web: bool,
    port: int,
) -> int:
    """Watch simulated jobs, with a network cable to pull (p) and other faults (F2).

    Everything runs on this machine alone, and ends when the viewer does.
    """
    if port and not web:
        msg = "--port is the page's port: give --web with it"
        raise UsageError(msg)
    played = None if scenario is None else find(scenario)
    from gapless.rehearsal import play  # noqa: PLC0415 - not needed for --help

    wanted = [] if played is None else play.simulate_arguments(played.setup)
    if played is not None and connect_after is None:
        connect_after = played.setup.connect_after_ms or None
    with contextlib.ExitStack() as stack:
        lifeline = _lifeline()
        stack.enter_context(hold(lifeline, remove=True))
        started_ms = time.time_ns() // 1_000_000
        part = stack.enter_context(
            start_gapless(
                "the simulator",
                [
                    *("simulate", "--seed", str(seed), "--cloudwatch", cloudwatch),
                    *wanted,
                    *("--while-held", str(lifeline)),
                ],
            )
        )
        ready = _ready(part)
        if played is not None:
            from simulator.client import ControlApi  # noqa: PLC0415 - not needed for --help

            ControlApi(str(ready["control"])).run_scenario(played.name, seed)
        if connect_after is not None:
            _count_down(connect_after, part)
        viewing = Viewing(
            targets=(_watched(ready),),
            # The executions have been running for a while when the simulator starts.
            since=started_ms - (DEFAULT_HISTORY_MS if played is None else played.setup.since_ms),
            control=str(ready["control"]),
            notify=notify,
            notice="" if played is None else f"{played.doc} F2 tells what happens, and the verdict",
        )
        show = partial(_serve, port=port, part=part, lifeline=lifeline) if web else _watch
        code = show(viewing)
        if not part.is_running:
            raise part.failure()
    return code


def _watched(ready: dict[str, Any]) -> Watched:
    url, group = str(ready["websocket"]), str(ready["group"])
    return Watched(url=url, name=group, group=group, key=url)


def _watch(viewing: Viewing) -> int:
    """Show it on this terminal; the exit code."""
    return watch(viewing, SameOpener(viewing))


def _serve(viewing: Viewing, *, port: int, part: ChildProcess, lifeline: Path) -> int:
    """Show it on a page instead, with a viewer of its own for each tab; the exit code."""
    from gapless.web.server import serve  # noqa: PLC0415 - aiohttp is slow to import

    (target,) = viewing.targets
    viewer = [
        *("tab", "--websocket", target.url, "--group", target.name),
        *("--control", str(viewing.control), "--since", str(viewing.since)),
        *("--notify", viewing.notify, "--notice", viewing.notice),
        *("--while-held", str(lifeline)),
    ]
    return serve(
        f"{target.name} · gapless",
        viewer,
        port=port,
        is_needed=lambda: part.is_running,
        told=lambda url: say(f"watch it at {url} (Ctrl+C ends it)"),
    )


def _lifeline() -> Path:
    descriptor, name = tempfile.mkstemp(prefix="demo-", dir=state_dir("lifelines"))
    os.close(descriptor)
    return Path(name)


def _ready(part: ChildProcess) -> dict[str, Any]:
    """The simulator's ready line; the viewer is loaded in the time that this takes."""
    is_terminal = sys.stderr.isatty()
    if is_terminal:
        click.echo("starting the simulator …", err=True, nl=False)
    try:
        load_viewer()
        return part.ready()
    finally:
        if is_terminal:
            click.echo("\r\x1b[K", err=True, nl=False)


def _count_down(wait_ms: int, part: ChildProcess) -> None:
    """Wait, and say so; ends early with the simulator."""
    deadline = time.monotonic() + wait_ms / 1000
    is_terminal = sys.stderr.isatty()
    tick = threading.Event()
    while (left := deadline - time.monotonic()) > 0 and part.is_running:
        if is_terminal:
            text = f"\rthe jobs are running, nobody watches; connecting in {left:.0f} s\x1b[K"
            click.echo(text, err=True, nl=False)
        tick.wait(min(_TICK_S, left))
    if is_terminal:
        click.echo("\r\x1b[K", err=True, nl=False)
    if not part.is_running:
        raise part.failure()
